"""What each page shows, gathered from the shop: no HTML here, and no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from habitue.console.cart import held
from habitue.console.contract import Doing, Regular, Shop
from habitue.console.shelf import Card, Shelf
from habitue.facts import Catalogue
from habitue.facts.money import line_total_minor
from habitue.surfaces import SlateAnswer, SurfaceRequest

__all__ = ["Line", "Shelves", "SlateView", "Tile", "Visitor", "Window"]

HISTORY = 200
"""How many actions back a cart is looked for."""

N_SLOTS = 12


@dataclass(frozen=True, slots=True)
class Tile:
    """One slot of a slate as it is shown."""

    card: Card
    slot: int
    reason: str = ""
    causes: tuple[Card, ...] = ()
    change: str = ""  # "new", "up", or nothing, against the slate before
    source: str = ""
    score: float = 0.0
    propensity: float = 1.0


@dataclass(frozen=True, slots=True)
class SlateView:
    """A slate and what it was made from."""

    surface: str
    tiles: tuple[Tile, ...]
    slate_id: str = ""
    snapshot: str = ""
    arm: str = ""
    fallback: str = ""
    seen_seq: int = 0
    latency_ms: float = 0.0
    n_changed: int | None = None  # None where there was no slate before


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the cart."""

    card: Card
    quantity: int
    total_minor: int


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is being shown: a shopper with a past, or one without."""

    id: str
    doings: tuple[Doing, ...]
    cart: dict[str, int] = field(default_factory=dict)

    @property
    def n_in_cart(self) -> int:
        """How many lines the cart has."""
        return len(self.cart)


class Shelves:
    """The shelf of the shop's catalogue, made anew only when the catalogue is another one."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._catalogue: Catalogue | None = None
        self._shelf: Shelf | None = None

    def now(self) -> Shelf:
        """The shelf as of now."""
        catalogue = self._shop.catalogue()
        if self._shelf is None or catalogue is not self._catalogue:
            self._catalogue, self._shelf = catalogue, Shelf.of(catalogue)
        return self._shelf


@dataclass(frozen=True, slots=True)
class Window:
    """The shop seen through the console; ``clock_ns`` measures how long a slate took."""

    shop: Shop
    shelves: Shelves
    clock_ns: Callable[[], int]

    def visitor(self, shopper: str) -> Visitor:
        """A shopper's recent past and cart."""
        doings = tuple(self.shop.doings(shopper, HISTORY)) if shopper else ()
        return Visitor(shopper, doings, held(doings))

    def regulars(self) -> Sequence[Regular]:
        """Shoppers to pick from."""
        return self.shop.regulars(6)

    def lines(self, visitor: Visitor) -> tuple[Line, ...]:
        """The lines of the visitor's cart."""
        shelf = self.shelves.now()
        lines = []
        for item, quantity in visitor.cart.items():
            card = shelf.card(item)
            currency = card.currency or self.shop.currency
            total = line_total_minor(card.price_micros or 0, quantity, currency)
            lines.append(Line(card, quantity, total))
        return tuple(lines)

    def slate(
        self,
        surface: str,
        visitor: Visitor,
        *,
        items: Sequence[str] = (),
        before: Sequence[str] = (),
        now_ms: int,
        n: int = N_SLOTS,
    ) -> SlateView:
        """The slate of a surface for a visitor, compared with the one ``before``."""
        request = SurfaceRequest(
            surface=surface, shopper=visitor.id or None, items=list(items)[:100], n=n
        )
        begun = self.clock_ns()
        answer = self.shop.recommend(request, now_ms=now_ms)
        return self._shown(answer, before, (self.clock_ns() - begun) / 1e6)

    def _shown(self, answer: SlateAnswer, before: Sequence[str], latency_ms: float) -> SlateView:
        shelf = self.shelves.now()
        was = {item: at for at, item in enumerate(before)}
        tiles = tuple(
            Tile(
                card=shelf.card(slot.item),
                slot=at,
                reason=slot.reason,
                causes=shelf.cards(slot.causes),
                change=_change(slot.item, at, was),
                source=slot.source,
                score=slot.score,
                propensity=slot.propensity,
            )
            for at, slot in enumerate(answer.items)
        )
        changed = sum(tile.change == "new" for tile in tiles) if was else None
        return SlateView(
            surface=answer.surface,
            tiles=tiles,
            slate_id=answer.slate_id,
            snapshot=answer.snapshot,
            arm=answer.arm,
            fallback=answer.fallback,
            seen_seq=answer.seen_seq,
            latency_ms=latency_ms,
            n_changed=changed,
        )


def _change(item: str, slot: int, was: dict[str, int]) -> str:
    if not was:
        return ""
    if item not in was:
        return "new"
    return "up" if slot < was[item] else ""
