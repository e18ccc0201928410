"""What trackers of every make have in common: who they speak of, when it was, what was sold.

``segment``, ``posthog`` and ``matomo`` read their protocols with the pieces below, so that a wrong
price, a clock that runs behind or a visitor without a name means the same whoever told of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from habitue.errors import BadInput
from habitue.facts.cleaning.rejects import BadRow
from habitue.facts.facts import Action, Alias, Consent, Fact, Item, Shopper
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.ids import derived_id
from habitue.facts.kinds import ITEM_KINDS
from habitue.facts.money import is_currency, line_total_minor, micros_of
from habitue.facts.time import to_ms, why_not_at

__all__ = [
    "Gathering",
    "Happening",
    "Product",
    "Skipped",
    "Terms",
    "Who",
    "Wrong",
    "consent_of",
    "described",
    "number",
    "scalars",
    "shopper_of",
    "slot_of",
    "text",
    "when",
]

_ITEM_KINDS: Final = frozenset(kind.name for kind in ITEM_KINDS)
_SOLD: Final = frozenset({"purchase", "refund"})
_MOST: Final = 1e9
_LATENCY_MS: Final = 10_000
"""A sending that seems to have been under way for longer was sent by a clock that is wrong."""

_PERSONAL: Final = frozenset(
    {
        "address", "avatar", "birthday", "company", "description", "email", "fax", "first_name",
        "firstname", "full_name", "fullname", "id", "ip", "last_name", "lastname", "mobile",
        "name", "password", "phone", "phone_number", "phonenumber", "street", "title", "username",
        "website",
    }
)  # fmt: skip
"""Traits by which a person can be found or addressed: of no use to a slate, so never kept."""


class Wrong(Exception):
    """A message that cannot be taken, by field and reason."""

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


class Skipped(Exception):
    """A message that says nothing Habitué keeps; its name is counted."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a tracker's word is taken.

    ``speaks_for`` says of a shopper's id whether the sender may speak for them; without it the
    sender may speak for anybody.
    """

    now_ms: int
    currency: str = "EUR"  # of prices that name none
    max_future_ms: int = 300_000
    late_after_ms: int = 86_400_000
    prefix: str = "anon-"  # what ids of visitors who did not say who they are begin with
    with_items: bool = False  # whether what is said of products becomes item versions
    speaks_for: Callable[[str], bool] | None = None

    def anonymous(self, visitor: str) -> str:
        """The shopper id of a visitor known only by what their browser made up.

        >>> Terms(0).anonymous("4f9d0c2b7a61e358")
        'anon-4f9d0c2b7a61e358'
        """
        return visitor if visitor.startswith(self.prefix) else self.prefix + visitor

    def who(self, user: str | None, visitor: str | None, field: str) -> Who:
        """Whom a message speaks of: the user where the sender may name them, else the visitor.

        Raises ``Wrong`` at ``field`` when there is neither.
        """
        anonymous = self.anonymous(visitor) if visitor else None
        if user is not None and self._may_name(user):
            known = anonymous is not None and anonymous != user and self._may_name(anonymous)
            return Who(user, anonymous if known else None)
        if anonymous is None:
            if user is None:
                raise Wrong(field, "the message names nobody")
            raise Wrong(
                field, "a browser key does not speak for a user; see trackers.trust_browsers"
            )
        if not self._may_name(anonymous):
            raise Wrong(field, "an anonymous id of a browser has 16 or more characters")
        return Who(anonymous)

    def _may_name(self, shopper: str) -> bool:
        return self.speaks_for is None or self.speaks_for(shopper)


@dataclass(frozen=True, slots=True)
class Who:
    """The shopper of a message, and the anonymous id that is theirs too."""

    shopper: str
    visitor: str | None = None

    def alias(self) -> list[Fact]:
        """That both are one person; nothing where only one is known."""
        if self.visitor is None:
            return []
        return [_fact({"shopper": self.shopper, "alias": self.visitor}, Alias, "userId")]


@dataclass(frozen=True, slots=True)
class Product:
    """What a message says of one item, by Habitué's names; ``place`` is where it says so."""

    id: str
    place: str = "properties"
    title: str | None = None
    brand: str | None = None
    category: str | None = None
    variant: str | None = None
    image: str | None = None
    link: str | None = None
    price: object = None
    quantity: object = None
    currency: str | None = None
    coupon: str | None = None
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, told by a tracker, on its way to actions: one for each product, or one."""

    kind: str
    shopper: str
    at: int | None
    key: tuple[str | int | None, ...] | None  # what tells it from others; None: nothing does
    key_at: int = 0  # a time that is the same however often the event is sent (UTC ms)
    said: Mapping[str, object] = field(default_factory=dict)  # fields its actions share
    products: tuple[Product, ...] = ()

    def facts(self, terms: Terms) -> list[Fact]:
        """The actions, after the items they name where those are wanted; raises ``Wrong``."""
        whole_order = self.kind == "refund" and self.said.get("order_id")
        if not self.products and self.kind in _ITEM_KINDS and not whole_order:
            raise Wrong("product_id", f"a {self.kind} must name its products")
        made: list[Fact] = []
        if terms.with_items:
            sketches = (described(product, terms.currency, self.at) for product in self.products)
            made += [sketch for sketch in sketches if sketch is not None]
        for place, product in enumerate(self.products or (None,)):
            made.append(self._action(terms, place, product))
        return made

    def _action(self, terms: Terms, place: int, product: Product | None) -> Fact:
        fields: dict[str, Any] = {
            "kind": self.kind,
            "shopper": self.shopper,
            "at": self.at,
            **self.said,
        }
        if product is not None:
            fields |= self._of_product(terms, product)
        if self.key is not None:
            parts = (self.kind, *self.key, place, fields.get("item"))
            fields["id"] = derived_id(self.key_at, *parts)
        return _fact(fields, Action, product.place if product is not None else "properties")

    def _of_product(self, terms: Terms, product: Product) -> dict[str, Any]:
        quantity = number(product.quantity, f"{product.place}.quantity")
        if quantity is None and self.kind in _SOLD:
            quantity = 1.0
        fields: dict[str, Any] = {"item": product.id, "quantity": quantity}
        fields |= {"slot": product.slot} if product.slot is not None else {}
        fields |= {"coupon": product.coupon} if product.coupon else {}
        if product.price not in (None, ""):
            currency = product.currency or terms.currency
            if not is_currency(currency):
                reason = f"{currency[:20]!r} is no currency: three capital letters"
                raise Wrong(f"{product.place}.currency", reason)
            micros = _micros(product)
            fields |= {"price_micros": micros, "currency": currency}
            if quantity is not None:
                fields["value_minor"] = line_total_minor(micros, quantity, currency)
        return fields


class Gathering:
    """The facts of one sending as its messages are read, and what became of the others."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._facts: list[Fact] = []
        self._rows: list[int] = []
        self._rejected: list[BadRow] = []
        self._skipped: Counter[str] = Counter()
        self._late = 0
        self._told: set[tuple[object, ...]] = set()  # what a sending says again and again

    def read(
        self, messages: Iterable[object], facts_of: Callable[[dict[str, Any]], list[Fact]]
    ) -> Decoded:
        """Every message by ``facts_of``, which may raise ``Wrong`` or ``Skipped``."""
        row = -1
        for row, message in enumerate(messages):
            try:
                if not isinstance(message, dict):
                    raise Wrong(None, "the message is no object")
                self._take(row, facts_of(message))
            except Skipped as skipped:
                self._skipped[skipped.name] += 1
            except Wrong as wrong:
                self._rejected.append(BadRow(row, wrong.field, wrong.reason))
        return Decoded(
            self._facts, self._rejected, self._late, dict(self._skipped), self._rows, row + 1
        )

    def _take(self, row: int, facts: list[Fact]) -> None:
        late_before = self._terms.now_ms - self._terms.late_after_ms
        at = next((fact.at for fact in facts if isinstance(fact, Action)), None)
        self._late += isinstance(at, int) and at < late_before
        for fact in facts:
            told = _told(fact)
            if told is not None and told in self._told:
                continue
            if told is not None:
                self._told.add(told)
            self._facts.append(fact)
            self._rows.append(row)


def _told(fact: Fact) -> tuple[object, ...] | None:
    """What makes saying it twice in one sending superfluous; ``None`` where nothing does."""
    if isinstance(fact, Alias):
        return "alias", fact.shopper, fact.alias
    if isinstance(fact, Item):
        return "item", fact.id
    if isinstance(fact, Consent):
        return "consent", fact.shopper, *fact.granted, None, *fact.denied
    return None


def described(product: Product, currency: str, at: int | None) -> Item | None:
    """What a message says of an item, as a version of it; ``None`` when it says only the id."""
    if not (product.title or product.brand or product.category):
        return None
    fields: dict[str, Any] = {
        "id": product.id,
        "title": product.title,
        "brand": product.brand,
        "product_type": product.category,
        "image_link": product.image,
        "link": product.link,
        "attributes": {"variant": product.variant} if product.variant else None,
        "valid_from": at,
    }
    if product.price not in (None, ""):
        fields |= {"price_micros": _micros(product), "currency": product.currency or currency}
    made = _fact(fields, Item, product.place)
    assert isinstance(made, Item)
    return made


def _fact(fields: Mapping[str, object], kind: type, place: str) -> Fact:
    """The fact of these fields, held to the bounds JSON is held to; raises ``Wrong``."""
    said = {name: value for name, value in fields.items() if value is not None}
    try:
        made: Fact = msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise Wrong(f"{place}{where.rstrip('`')}", reason) from None
    return made


def shopper_of(
    person: str, country: str | None, locale: str | None, traits: Mapping[str, object]
) -> list[Fact]:
    """What is known of a person, as a version of them; nothing where nothing is.

    Traits by which a person can be found or addressed are left out, and so are lists and objects.
    """
    kept = {
        name: value
        for name, value in scalars(traits).items()
        if name.lower() not in _PERSONAL and not name.startswith("$")
    }
    if not (kept or country or locale):
        return []
    fields = {"id": person, "country": country, "locale": locale, "traits": kept or None}
    return [_fact(fields, Shopper, "traits")]


def consent_of(
    person: str, granted: Iterable[str], denied: Iterable[str], at: int | None
) -> list[Fact]:
    """What a person allows, by Habitué's purposes; nothing where nothing is said."""
    fields = {"granted": sorted(set(granted)), "denied": sorted(set(denied))}
    if not (fields["granted"] or fields["denied"]):
        return []
    return [_fact({"shopper": person, "at": at, **fields}, Consent, "context.consent")]


def scalars(values: Mapping[str, object]) -> dict[str, str | int | float | bool]:
    """Those values that are texts, numbers or yes and no."""
    return {
        name: value for name, value in values.items() if isinstance(value, str | int | float | bool)
    }


def text(value: object) -> str | None:
    """A value as text where it is a text or a whole number and not empty.

    >>> text(" a "), text(17), text(17.0), text(""), text(True), text(["a"])
    ('a', '17', '17', None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**200 else None
    return value.strip() or None if isinstance(value, str) else None


def number(value: object, where: str) -> float | None:
    """A value as a number, ``None`` where nothing is said; raises ``Wrong`` for what is none."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, int | float | str) and abs(read := float(value)) <= _MOST:
            return read
    except (ValueError, OverflowError):
        pass
    raise Wrong(where, "is no number, or out of bounds")


def slot_of(value: object) -> int | None:
    """A place in a list; what cannot be one says nothing."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        slot = int(value)
    except ValueError:
        return None
    return slot if 0 <= slot <= 10_000 else None


def when(said: object, sent: object, terms: Terms, field: str) -> tuple[int | None, int]:
    """When a message says it happened (UTC ms), and a time that is the same in every sending.

    The first is set right by the sender's clock where that is wrong: by how far its ``sent`` lies
    from the receipt. ``None`` and 0 where nothing is said; raises ``Wrong`` for what is no time.
    """
    if said in (None, ""):
        return None, 0
    at = _instant(said, field)
    told = at if 0 <= at < 1 << 48 else 0
    if sent not in (None, ""):
        behind = terms.now_ms - _instant(sent, "sentAt")
        if abs(behind) > _LATENCY_MS:
            at += behind
    if (why := why_not_at(at, terms.now_ms, terms.max_future_ms)) is not None:
        raise Wrong(field, why)
    return at, told


def _instant(value: object, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Wrong(field, "is no time")
    try:
        return to_ms(value)
    except BadInput as error:
        raise Wrong(field, error.message[:200]) from None
    except (OverflowError, ValueError):
        raise Wrong(field, "is no time") from None


def _micros(product: Product) -> int:
    where = f"{product.place}.price"
    if isinstance(product.price, bool) or not isinstance(product.price, int | float | str):
        raise Wrong(where, "is no amount of money")
    try:
        micros = micros_of(product.price)
    except BadInput:
        raise Wrong(where, "is no amount of money: write digits, such as 15.00") from None
    if not 0 <= micros <= 10**15:
        raise Wrong(where, "is out of bounds")
    return micros
