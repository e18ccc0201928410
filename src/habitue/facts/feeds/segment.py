"""Messages of the Segment spec as facts; RudderStack's are the same.

The calls are identify, track, page, screen, alias and group, one in a body or a batch of them; the
events are those of the e-commerce spec (version 2, and the names version 1 had). A message sent
again makes the same ids again, and an order is known by its ``order_id`` whoever tells of it.

Source: https://segment.com/docs/connections/spec
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from habitue.errors import BadInput
from habitue.facts.facts import Fact
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.tracked import (
    Gathering,
    Happening,
    Product,
    Skipped,
    Terms,
    Who,
    Wrong,
    consent_of,
    number,
    scalars,
    shopper_of,
    slot_of,
    text,
    when,
)
from habitue.facts.kinds import ActionKind

__all__ = ["CALLS", "EVENTS", "commerce_of", "decode_segment", "kind_of"]

CALLS: Final = ("identify", "track", "page", "screen", "group", "alias")
"""What a message may be."""

EVENTS: Final[dict[str, ActionKind]] = {
    "products searched": ActionKind.search,
    "product list viewed": ActionKind.view_item_list,
    "product list filtered": ActionKind.view_item_list,
    "viewed product category": ActionKind.view_item_list,
    "promotion viewed": ActionKind.view_promotion,
    "viewed promotion": ActionKind.view_promotion,
    "promotion clicked": ActionKind.select_promotion,
    "clicked promotion": ActionKind.select_promotion,
    "product clicked": ActionKind.select_item,
    "clicked product": ActionKind.select_item,
    "product viewed": ActionKind.view_item,
    "viewed product": ActionKind.view_item,
    "product added": ActionKind.add_to_cart,
    "added product": ActionKind.add_to_cart,
    "wishlist product added to cart": ActionKind.add_to_cart,
    "product removed": ActionKind.remove_from_cart,
    "removed product": ActionKind.remove_from_cart,
    "cart viewed": ActionKind.view_cart,
    "viewed cart": ActionKind.view_cart,
    "checkout started": ActionKind.begin_checkout,
    "started checkout": ActionKind.begin_checkout,
    "payment info entered": ActionKind.add_payment_info,
    "order completed": ActionKind.purchase,
    "completed order": ActionKind.purchase,
    "order refunded": ActionKind.refund,
    "refunded order": ActionKind.refund,
    "order cancelled": ActionKind.refund,
    "cancelled order": ActionKind.refund,
    "product added to wishlist": ActionKind.add_to_wishlist,
    "added product to wishlist": ActionKind.add_to_wishlist,
    "product shared": ActionKind.share,
    "shared product": ActionKind.share,
    "cart shared": ActionKind.share,
    "shared cart": ActionKind.share,
    "product reviewed": ActionKind.review,
    "reviewed product": ActionKind.review,
    "signed up": ActionKind.sign_up,
    "signed in": ActionKind.login,
    "logged in": ActionKind.login,
}
"""Events by their names in the e-commerce spec, in small letters."""

_KINDS: Final = ActionKind.__members__
_EXTRA: Final = (
    "affiliation", "cart_id", "checkout_id", "creative", "discount", "list_id", "payment_method",
    "promotion_id", "review_id", "share_via", "shipping", "shipping_method", "tax", "wishlist_id",
)  # fmt: skip
"""What else is kept of an event. The list is closed: events may say anything of anybody."""

_PURPOSES: Final[dict[str, str]] = {
    "analytics": "analytics",
    "performance": "analytics",
    "c0002": "analytics",
    "functional": "personalisation",
    "personalisation": "personalisation",
    "personalization": "personalisation",
    "c0003": "personalisation",
    "messages": "messages",
    "research": "research",
}
"""Consent categories by their usual names, OneTrust's numbers among them."""


def decode_segment(said: object, terms: Terms, *, call: str | None = None) -> Decoded:
    """Facts of a body, read as JSON; a ``BadRow`` counts messages from 0.

    ``call`` is what a message is that does not say it itself. Raises ``BadInput`` when the body
    holds neither a batch nor a message.

    >>> told = decode_segment({"batch": [{
    ...     "type": "track", "event": "Product Viewed", "userId": "u1", "messageId": "m1",
    ...     "properties": {"product_id": "mug"}}]}, Terms(1_700_000_000_000))
    >>> [(action.kind, action.shopper, action.item) for action in told.facts]
    [('view_item', 'u1', 'mug')]
    """
    if not isinstance(said, dict):
        raise BadInput("The body is no message.", remedy='Send {"batch": [...]} or one message.')
    batch = said.get("batch", said.get("messages")) if call is None else None
    messages = [said] if batch is None else batch
    if not isinstance(messages, list):
        raise BadInput("The batch is no list.", remedy='Send {"batch": [...]}.')
    shared = _mapping(said.get("context"))

    def facts_of(message: dict[str, Any]) -> list[Fact]:
        reading = _Message(message, shared, terms, message.get("sentAt") or said.get("sentAt"))
        return reading.facts(text(message.get("type")) or call)

    return Gathering(terms).read(messages, facts_of)


def kind_of(name: str) -> ActionKind | None:
    """The kind of action an event's name means; ``None`` for one that means none.

    Letters may be small or large and blanks underscores; GA4's own names are understood too.

    >>> kind_of("Product Viewed"), kind_of("product_viewed"), kind_of("view_item")
    (<ActionKind.view_item: 3>, <ActionKind.view_item: 3>, <ActionKind.view_item: 3>)
    """
    return EVENTS.get(name.strip().lower().replace("_", " ")) or _KINDS.get(name.strip())


def commerce_of(
    kind: ActionKind,
    properties: Mapping[str, Any],
    who: Who,
    *,
    times: tuple[int | None, int],
    key: tuple[str | int | None, ...] | None,
    said: Mapping[str, object],
) -> Happening:
    """An event with the properties of the e-commerce spec; raises ``Wrong``.

    ``times`` is when it happened and a time that no resend changes; ``key`` tells the event from
    others; ``said`` is what its context says of the actions.
    """
    at, key_at = times
    order = text(properties.get("order_id")) or text(properties.get("transaction_id"))
    if kind is ActionKind.purchase and order is not None:
        key, key_at = ("order", order), 0  # pages that say "thank you" are loaded again
    fields = {
        **said,
        "order_id": order,
        "coupon": text(properties.get("coupon")),
        "query": text(properties.get("query")) or text(properties.get("search_term")),
        "rating": number(properties.get("rating"), "properties.rating"),
        "text": text(properties.get("review_body")),
        "seconds": number(properties.get("seconds"), "properties.seconds"),
        "surface": text(properties.get("surface")),
        "slate_id": text(properties.get("slate_id")),
        "slot": slot_of(properties.get("slot", properties.get("position"))),
        "extra": scalars({name: properties[name] for name in _EXTRA if name in properties}) or None,
    }
    products = tuple(_products(properties))
    if kind is ActionKind.search and not fields["query"]:
        raise Wrong("properties.query", "a search must say what was searched for")
    return Happening(kind.name, who.shopper, at, key, key_at, fields, products)


def _products(properties: Mapping[str, Any]) -> Iterator[Product]:
    """The products of an event: its list, or the one its own properties describe."""
    currency = text(properties.get("currency"))
    listed = properties.get("products") or properties.get("items")
    if not listed:
        if (one := _product(properties, "properties", currency)) is not None:
            yield one
        return
    if not isinstance(listed, list):
        raise Wrong("properties.products", "is no list")
    for place, line in enumerate(listed):
        where = f"properties.products[{place}]"
        product = _product(line, where, currency) if isinstance(line, dict) else None
        if product is None:
            raise Wrong(f"{where}.product_id", "a product needs product_id or sku")
        yield product


def _product(line: Mapping[str, Any], place: str, currency: str | None) -> Product | None:
    names = ("product_id", "productId", "item_id", "sku")
    identity = next((said for name in names if (said := text(line.get(name)))), None)
    if identity is None:
        return None
    return Product(
        identity,
        place,
        title=text(line.get("name")) or text(line.get("item_name")),
        brand=text(line.get("brand")) or text(line.get("item_brand")),
        category=text(line.get("category")) or text(line.get("item_category")),
        variant=text(line.get("variant")),
        image=text(line.get("image_url")),
        link=_address(line.get("url")),
        price=line.get("price"),
        quantity=line.get("quantity"),
        currency=text(line.get("currency")) or currency,
        coupon=text(line.get("coupon")),
        slot=slot_of(line.get("position")),
    )


class _Message:
    """One message, its context laid over that of its batch."""

    def __init__(
        self, said: dict[str, Any], shared: Mapping[str, Any], terms: Terms, sent: object
    ) -> None:
        self.said, self.terms = said, terms
        self.context = {**shared, **_mapping(said.get("context"))}
        self.user = text(said.get("userId")) or text(said.get("user_id"))
        self.visitor = text(said.get("anonymousId")) or text(said.get("anonymous_id"))
        self.sent = sent

    def facts(self, call: str | None) -> list[Fact]:
        """The facts of the message; raises ``Wrong`` and ``Skipped``."""
        if call not in CALLS:
            raise Wrong("type", f"a message is one of {', '.join(CALLS)}")
        if call == "group":
            raise Skipped("group")
        said = self.said.get("timestamp") or self.said.get("originalTimestamp")
        times = when(said, self.sent, self.terms, "timestamp")
        if call == "alias":
            return self._alias()
        who = self.terms.who(self.user, self.visitor, "userId")
        about = [*who.alias(), *self._consent(who, times[0])]
        if call == "identify":
            return [*self._identify(who), *about]
        return [*about, *self._event(call, who, times)]

    def _event(self, call: str, who: Who, times: tuple[int | None, int]) -> list[Fact]:
        kind = self._kind() if call == "track" else ActionKind.page_view
        properties = _mapping(self.said.get("properties")) if call == "track" else {}
        identity = text(self.said.get("messageId"))
        event = commerce_of(
            kind, properties, who,
            times=times,
            key=None if identity is None else ("segment", identity),
            said=self._surroundings(),
        )  # fmt: skip
        return event.facts(self.terms)

    def _kind(self) -> ActionKind:
        name = text(self.said.get("event"))
        if name is None:
            raise Wrong("event", "a track call must name its event")
        kind = kind_of(name)
        if kind is None:
            raise Skipped(name)
        return kind

    def _surroundings(self) -> dict[str, object]:
        device = _mapping(self.context.get("device"))
        return {
            "locale": text(self.context.get("locale")),
            "device": text(device.get("type")),
            "platform": text(self.said.get("channel")) or text(self.context.get("channel")),
            "session_id": text(self.context.get("sessionId")),
        }

    def _identify(self, who: Who) -> list[Fact]:
        traits = _mapping(self.said.get("traits")) or _mapping(self.context.get("traits"))
        country = text(_mapping(traits.get("address")).get("country"))
        country = country or text(traits.get("country"))
        country = country or text(_mapping(self.context.get("location")).get("country"))
        locale = text(traits.get("locale")) or text(self.context.get("locale"))
        rest = {name: traits[name] for name in traits if name not in ("country", "locale")}
        return shopper_of(who.shopper, country, locale, rest)

    def _alias(self) -> list[Fact]:
        """The user who was known by another id before: an anonymous one where it is marked so."""
        before = text(self.said.get("previousId")) or self.visitor
        if self.user is None or before is None:
            raise Wrong("previousId", "an alias needs userId and previousId")
        anonymous = before == self.visitor or _is_uuid(before)
        if self.terms.speaks_for is not None and not self.terms.speaks_for(before):
            anonymous = True  # a browser may tie nobody but its own visitor to a user
        who = self.terms.who(self.user, before if anonymous else None, "userId")
        if who.shopper != self.user:
            raise Wrong(
                "userId", "a browser key does not speak for a user; see trackers.trust_browsers"
            )
        return who.alias() if anonymous else Who(self.user, before).alias()

    def _consent(self, who: Who, at: int | None) -> list[Fact]:
        """What ``context.consent`` or RudderStack's ``consentManagement`` says, where it does."""
        preferences = _mapping(_mapping(self.context.get("consent")).get("categoryPreferences"))
        answers = {name.lower(): answer for name, answer in preferences.items()}
        managed = _mapping(self.context.get("consentManagement"))
        for key, answer in (("allowedConsentIds", True), ("deniedConsentIds", False)):
            ids = managed.get(key)
            for name in ids if isinstance(ids, list) else ():
                answers[str(name).lower()] = answer
        said = [(_PURPOSES[name], answers[name]) for name in answers if name in _PURPOSES]
        denied = {purpose for purpose, answer in said if answer is False}
        granted = {purpose for purpose, answer in said if answer is True}
        return consent_of(who.shopper, granted - denied, denied, at)


def _address(value: object) -> str | None:
    """A page's address without its query, which may hold personal data."""
    said = text(value)
    return None if said is None else said.partition("?")[0].partition("#")[0] or None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_uuid(identity: str) -> bool:
    parts = identity.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and identity.replace("-", "").isalnum()
