"""GA4 event JSON (the body of Google's Measurement Protocol) as facts.

One action an item: a ``purchase`` of three items is three order lines tied by ``transaction_id``.
An event sent twice makes the same ids twice, so the store keeps it once. ``user_id`` is the shopper
where it is said, and then ``client_id`` is another name of the same person (an ``Alias``).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from habitue.errors import BadInput
from habitue.facts.cleaning.rejects import BadRow
from habitue.facts.facts import Action, Alias, Consent, Fact, Item, Purpose
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.tracked import Terms, Wrong
from habitue.facts.ids import derived_id
from habitue.facts.kinds import ITEM_KINDS, ActionKind
from habitue.facts.money import is_currency, line_total_minor, micros_of
from habitue.facts.time import why_not_at

__all__ = [
    "SKIPPED_EVENTS",
    "decode_ga4",
    "decode_measurement",
    "facts_of_ga4",
]

SKIPPED_EVENTS: Final = frozenset(
    {
        "ad_click", "ad_impression", "ad_query", "ad_reward", "app_clear_data", "app_exception",
        "app_remove", "app_update", "click", "error", "file_download", "first_open", "first_visit",
        "form_start", "form_submit", "in_app_purchase", "notification_dismiss",
        "notification_open", "notification_receive", "os_update", "screen_view", "scroll",
        "session_start", "user_engagement", "video_complete", "video_progress", "video_start",
    }
)  # fmt: skip
"""Events GA4 collects by itself that say nothing about items: counted, not stored, no error."""

_KINDS: Final = frozenset(kind.name for kind in ActionKind)
_ITEM_KINDS: Final = frozenset(kind.name for kind in ITEM_KINDS)
_MOST_ITEMS: Final = 200
_PURPOSES: Final[dict[str, Purpose]] = {
    "personalization_storage": "personalisation",
    "analytics_storage": "analytics",
}
"""Storage consent that speaks of what Habitué does; the ``ad_`` ones speak of advertising."""
_NOT_EXTRA: Final = frozenset(
    {
        "currency", "value", "items", "transaction_id", "coupon", "search_term", "session_id",
        "ga_session_id", "language", "event_id", "slate_id", "surface", "slot", "rating", "text",
        "seconds", "score", "price", "quantity", "platform", "device", "engagement_time_msec",
        "debug_mode", "page_location", "page_referrer", "page_title", "timestamp_micros",
        "user_id", "client_id", "consent",
    }
)  # fmt: skip
"""Parameters with a field of their own, and page addresses, which may hold personal data."""


class _Line(msgspec.Struct):
    item_id: str | None = None
    item_name: str | None = None
    item_brand: str | None = None
    item_category: str | None = None
    item_category2: str | None = None
    item_category3: str | None = None
    item_category4: str | None = None
    item_category5: str | None = None
    item_variant: str | None = None
    item_list_id: str | None = None
    item_list_name: str | None = None
    coupon: str | None = None
    currency: str | None = None
    index: int | None = None
    price: float | None = None
    quantity: float | None = None


class _Event(msgspec.Struct):
    name: str
    params: dict[str, Any] = {}
    timestamp_micros: int | None = None


class _Body(msgspec.Struct):
    events: list[msgspec.Raw]
    client_id: str | None = None
    app_instance_id: str | None = None
    user_id: str | None = None
    timestamp_micros: int | None = None
    consent: dict[str, str] = {}


_body = msgspec.json.Decoder(_Body, strict=False)
_event = msgspec.json.Decoder(_Event, strict=False)


def decode_ga4(
    body: bytes,
    *,
    now_ms: int,
    max_future_ms: int = 300_000,
    late_after_ms: int = 86_400_000,
    with_items: bool = False,
) -> Decoded:
    """Facts of a Measurement Protocol body; a ``BadRow`` counts events from 0.

    An event with any wrong line is refused whole, so that no order is stored in part. With
    ``with_items`` what the lines say of items becomes item versions: for shops without a catalogue
    feed only, since such a version replaces a fuller one, and a browser could have made it up.
    Raises ``BadInput`` when the body is no such body at all.

    >>> said = decode_ga4(
    ...     b'{"client_id": "c1", "events": [{"name": "view_item", '
    ...     b'"params": {"items": [{"item_id": "i1"}]}}]}', now_ms=1_700_000_000_000)
    >>> [(action.kind, action.shopper, action.item) for action in said.facts]
    [('view_item', 'c1', 'i1')]
    """
    said = _read_body(body)
    shopper = said.user_id or said.client_id or said.app_instance_id
    if not shopper:
        raise BadInput("The body names nobody.", remedy="Send client_id or user_id.")
    clock = _Clock(now_ms, max_future_ms, late_after_ms)
    return _decoded(said, shopper, clock, with_items=with_items, skip_unknown=False)


def decode_measurement(body: bytes, terms: Terms, *, skip_unknown: bool = True) -> Decoded:
    """Facts of what a tracker sends to ``/mp/collect``; a ``BadRow`` counts events from 0.

    ``client_id`` is an anonymous visitor, and the user is believed on the ``terms``. Events GA4
    knows and Habitué does not are counted, or refused without ``skip_unknown``. Raises ``BadInput``
    when the body is no such body at all, or names nobody who may be named.
    """
    said = _read_body(body)
    try:
        who = terms.who(said.user_id or None, said.client_id or said.app_instance_id, "user_id")
    except Wrong as wrong:
        raise BadInput(f"The body cannot be taken: {wrong.reason}.", field=wrong.field) from None
    said.user_id, said.client_id, said.app_instance_id = who.shopper, who.visitor, None
    clock = _Clock(terms.now_ms, terms.max_future_ms, terms.late_after_ms)
    return _decoded(
        said, who.shopper, clock, with_items=terms.with_items, skip_unknown=skip_unknown
    )


class _Clock(NamedTuple):
    """When it is, and how far from it an event may lie."""

    now_ms: int
    max_future_ms: int
    late_after_ms: int


def _read_body(body: bytes) -> _Body:
    try:
        return _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(
            f"The body is no GA4 body: {error}.",
            remedy='Send {"client_id": "...", "events": [{"name": "...", "params": {...}}]}.',
        ) from None


def _decoded(
    said: _Body, shopper: str, clock: _Clock, *, with_items: bool, skip_unknown: bool
) -> Decoded:
    facts: list[Fact] = list(_about_shopper(said, shopper))
    places = [0] * len(facts)
    rejected: list[BadRow] = []
    skipped: Counter[str] = Counter()
    late = 0
    for row, raw in enumerate(said.events):
        try:
            event = _event.decode(raw)
            if event.name in SKIPPED_EVENTS or (skip_unknown and event.name not in _KINDS):
                skipped[event.name] += 1
                continue
            made = facts_of_ga4(
                event.name, event.params, shopper,
                micros=event.timestamp_micros or said.timestamp_micros,
                now_ms=clock.now_ms, max_future_ms=clock.max_future_ms, with_items=with_items,
            )  # fmt: skip
        except Wrong as wrong:
            rejected.append(BadRow(row, wrong.field, wrong.reason))
            continue
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            rejected.append(BadRow(row, None, str(error)))
            continue
        at = next((fact.at for fact in made if isinstance(fact, Action)), None)
        late += isinstance(at, int) and at < clock.now_ms - clock.late_after_ms
        facts += made
        places += [row] * len(made)
    return Decoded(facts, rejected, late, dict(skipped), places, len(said.events))


def facts_of_ga4(
    name: str,
    params: dict[str, Any],
    shopper: str,
    *,
    micros: int | None,
    now_ms: int,
    max_future_ms: int = 300_000,
    with_items: bool = False,
) -> list[Fact]:
    """The facts of one event; raises an error naming field and reason when it is wrong."""
    if name not in _KINDS:
        close = difflib.get_close_matches(name, _KINDS, n=1, cutoff=0.6)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise Wrong("name", f"{name!r} is no kind of action{hint}")
    at = None if micros is None else micros // 1000
    if at is not None and (why := why_not_at(at, now_ms, max_future_ms)) is not None:
        raise Wrong("timestamp_micros", why.replace("milliseconds", "microseconds"))
    lines = _lines(name, params)
    event = _EventFields(name, params, shopper, at, micros)
    actions: list[Fact] = [event.action(place, line) for place, line in enumerate(lines)]
    if not with_items:
        return actions
    return [*(item for line in lines if line and (item := _item(line, params, at))), *actions]


def _about_shopper(body: _Body, shopper: str) -> Iterator[Fact]:
    """The alias and the consent a body implies, before its actions."""
    at = None if body.timestamp_micros is None else body.timestamp_micros // 1000
    other = body.client_id or body.app_instance_id
    if body.user_id and other and other != body.user_id:
        yield Alias(shopper=body.user_id, alias=other, at=at)
    answers = {
        purpose: body.consent[name].lower()
        for name, purpose in _PURPOSES.items()
        if name in body.consent
    }
    if answers:
        granted = [purpose for purpose, answer in answers.items() if answer == "granted"]
        denied = [purpose for purpose, answer in answers.items() if answer == "denied"]
        yield Consent(shopper=shopper, granted=granted, denied=denied, at=at)


def _lines(name: str, params: dict[str, Any]) -> list[_Line | None]:
    """The items of an event; ``[None]`` for an event that needs none."""
    said = params.get("items")
    if not said:
        if name == "refund" and params.get("transaction_id"):
            return [None]  # all of the order
        if name in _ITEM_KINDS:
            raise Wrong("items", f"a {name} must name its items")
        return [None]
    if not isinstance(said, list) or len(said) > _MOST_ITEMS:
        raise Wrong("items", f"items is no list of at most {_MOST_ITEMS}")
    lines: list[_Line | None] = []
    for place, raw in enumerate(said):
        try:
            line = msgspec.convert(raw, _Line, strict=False)
        except msgspec.ValidationError as error:
            raise Wrong(f"items[{place}]", str(error)) from None
        if not (line.item_id or line.item_name):
            raise Wrong(f"items[{place}].item_id", "an item needs item_id or item_name")
        lines.append(line)
    return lines


class _EventFields:
    """What the actions of one event have in common."""

    def __init__(
        self, name: str, params: dict[str, Any], shopper: str, at: int | None, micros: int | None
    ) -> None:
        self.name, self.params, self.shopper, self.at, self.micros = (
            name, params, shopper, at, micros,
        )  # fmt: skip
        self.order_id = _text(params.get("transaction_id"))
        self.session_id = _text(params.get("session_id") or params.get("ga_session_id"))
        self.extra = {
            key: value
            for key, value in params.items()
            if key not in _NOT_EXTRA and isinstance(value, str | int | float | bool)
        }

    def action(self, place: int, line: _Line | None) -> Action:
        """The action of one line, or of an event without lines; validated as JSON would be."""
        fields = self._shared()
        if line is not None:
            fields |= self._of_line(line, place)
        elif self.params.get("value") is not None and self.params.get("currency"):
            currency = str(self.params["currency"])
            fields["currency"] = currency
            fields["value_minor"] = line_total_minor(_micros(self.params, "value"), 1, currency)
        fields["id"] = self._id(place, fields.get("item"))
        unit = fields.get("currency")
        if unit is not None and not is_currency(str(unit)):
            raise Wrong("currency", f"{unit!r} is no currency: three capital letters")
        try:
            return msgspec.convert({k: v for k, v in fields.items() if v is not None}, Action)
        except msgspec.ValidationError as error:
            where = f"items[{place}]" if line is not None else "params"
            raise Wrong(where, str(error)) from None

    def _shared(self) -> dict[str, Any]:
        said = self.params
        return {
            "kind": self.name,
            "shopper": self.shopper,
            "at": self.at,
            "order_id": self.order_id,
            "session_id": self.session_id,
            "query": said.get("search_term"),
            "locale": said.get("language"),
            "coupon": said.get("coupon"),
            **{
                name: said.get(name)
                for name in ("surface", "slate_id", "slot", "rating", "text", "seconds", "score",
                             "platform", "device")
            },
            "extra": self.extra or None,
        }  # fmt: skip

    def _of_line(self, line: _Line, place: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"item": line.item_id or line.item_name}
        if line.index is not None:
            fields["slot"] = line.index
        if line.coupon:
            fields["coupon"] = line.coupon
        sold = self.name in ("purchase", "refund")
        quantity = line.quantity if line.quantity is not None else 1.0 if sold else None
        fields["quantity"] = quantity
        if line.price is not None:
            currency = line.currency or self.params.get("currency")
            if not currency:
                raise Wrong("currency", "a price needs the event's currency")
            micros = _micros({"price": line.price}, "price", f"items[{place}].price")
            fields |= {"price_micros": micros, "currency": currency}
            if quantity is not None:
                fields["value_minor"] = line_total_minor(micros, quantity, str(currency))
        return fields

    def _id(self, place: int, item: str | None) -> str | None:
        """The same event sent again gets the same id.

        A purchase is known by its transaction, whenever it is sent: pages that say "thank you" are
        loaded again. Other events are known by ``event_id`` or by their time; without either two
        of them cannot be told apart, and each is a fact of its own.
        """
        if self.order_id is not None and self.name in ("purchase", "refund"):
            return derived_id(0, "ga4", self.name, self.order_id, place, item)
        event_id = self.params.get("event_id")
        if event_id is None and self.micros is None:
            return None
        said = (self.name, self.shopper, event_id, self.micros if event_id is None else None)
        return derived_id(self.at or 0, "ga4", *said, place, item)


def _micros(said: dict[str, Any], key: str, where: str | None = None) -> int:
    try:
        return micros_of(said[key])
    except BadInput as error:
        raise Wrong(where or key, error.message) from None


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _item(line: _Line, params: dict[str, Any], at: int | None) -> Item | None:
    """What a line says of its item, as a version of it; ``None`` when it says only the id."""
    categories = [line.item_category, line.item_category2, line.item_category3,
                  line.item_category4, line.item_category5]  # fmt: skip
    path = " > ".join(category for category in categories if category)
    currency = line.currency or params.get("currency")
    priced = line.price is not None and currency
    if not (line.item_name or line.item_brand or path or priced):
        return None
    return Item(
        id=str(line.item_id or line.item_name),
        title=line.item_name,
        brand=line.item_brand,
        product_type=path or None,
        price_micros=micros_of(line.price) if priced and line.price is not None else None,
        currency=str(currency) if priced else None,
        attributes={"variant": line.item_variant} if line.item_variant else None,
        valid_from=at,
    )
