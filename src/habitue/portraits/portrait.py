"""One shopper's portrait, each thing it says with the actions it rests on."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.facts import CONVERSIONS, MS_PER_DAY, NAMES, ActionKind, ActionLog
from habitue.portraits.config import PortraitConfig
from habitue.portraits.item_columns import ItemColumns
from habitue.portraits.norms import STAGES, ShopNorms, Stage, stages
from habitue.portraits.orders import value_of_lines
from habitue.portraits.shoppers import band_of, kind_weights

__all__ = [
    "Evidence",
    "Interest",
    "Lifecycle",
    "OrderSeen",
    "Portrait",
    "PriceBand",
    "Rfv",
    "portrait_of",
]


class Evidence(msgspec.Struct, frozen=True):
    """An action something rests on."""

    item: str
    kind: str
    at: datetime


class OrderSeen(msgspec.Struct, frozen=True):
    """An order something rests on."""

    at: datetime
    value_minor: int
    items: list[str]


class Interest(msgspec.Struct, frozen=True):
    """How much a shopper cares for a category or a brand."""

    name: str
    share: float
    """Of all the shopper's interest in categories, or in brands."""
    strength: float
    """The weights of the actions added up, each halved for every half-life of its age."""
    count: int
    """How many actions it rests on."""
    last_at: datetime
    evidence: list[Evidence]
    """The actions that weigh most."""


class PriceBand(msgspec.Struct, frozen=True):
    """How dear what a shopper buys is, within the categories it is of."""

    band: str
    """low, middle or high: the third of the level."""
    level: float
    """The mean share of its category's items a purchase was dearer than; later ones weigh more."""
    count: int
    evidence: list[Evidence]


class Rfv(msgspec.Struct, frozen=True):
    """Recency, frequency and value, and the fifth of the shop's buyers each lies in: 5 is best."""

    recency_days: float
    frequency: int
    """Orders."""
    value_minor: int
    """Of the orders that stand, in the shop's currency."""
    recency_fifth: int | None
    """None until the shop has a snapshot."""
    frequency_fifth: int | None
    value_fifth: int | None
    evidence: list[OrderSeen]
    """The latest orders."""


class Lifecycle(msgspec.Struct, frozen=True):
    """Where a shopper stands in their life with the shop, and by which measure."""

    stage: Stage
    orders: int
    first_order_at: datetime | None
    last_order_at: datetime | None
    usual_gap_days: float
    """Half of the shop's orders came sooner than this after the one before."""
    late_gap_days: float
    """Nine of ten did: an order later than this is late, later than twice this the shopper gone."""
    loyal_orders: int
    """From so many orders on a shopper who is not late is loyal."""
    gaps: int
    """How many gaps between orders that rests on; 0 where the settings stand in."""


class Portrait(msgspec.Struct, frozen=True):
    """Who a shopper is, as far as the shop can tell and they allow."""

    shopper: str
    made_at: datetime
    personalisation: bool
    """Whether they allow it. Where they do not, nothing is held below."""
    actions: int = 0
    """How many actions on items the portrait rests on."""
    lifecycle: Lifecycle | None = None
    rfv: Rfv | None = None
    """None for who never ordered."""
    price: PriceBand | None = None
    """None for who bought nothing with a known price."""
    categories: list[Interest] = []
    brands: list[Interest] = []

    @classmethod
    def withheld(cls, shopper: str, now_ms: int) -> Portrait:
        """The portrait of who does not allow one."""
        return cls(shopper, _when(now_ms), personalisation=False)


@dataclass(frozen=True, slots=True)
class _Line:
    """One action of the shopper."""

    at_ms: int
    kind: int
    item: int
    order: int
    value_minor: int
    weight: float


def portrait_of(
    shopper: str,
    log: ActionLog,
    columns: ItemColumns,
    item_id: Callable[[int], str],
    norms: ShopNorms,
    now_ms: int,
    *,
    currency: str,
    config: PortraitConfig | None = None,
    kinds: Iterable[ActionKind] = CONVERSIONS,
) -> Portrait:
    """The portrait as of ``now_ms`` of the one shopper whose actions ``log`` holds.

    Says what ``portrait_columns`` says of that shopper, with the evidence. ``item_id`` gives the
    id of an item row.
    """
    config = config or PortraitConfig()
    log = log.before(now_ms)
    lines = _lines(log.take(log.item_row >= 0), now_ms, config, currency)
    bought = [line for line in lines if line.kind in set(map(int, kinds))]
    names = _Names(item_id)
    rfv = _rfv(bought, norms, names, now_ms, config)
    return Portrait(
        shopper,
        _when(now_ms),
        personalisation=True,
        actions=len(lines),
        lifecycle=_lifecycle(bought, norms, now_ms),
        rfv=rfv,
        price=_price(bought, norms, names, now_ms, config),
        categories=_interests(lines, columns.category, columns.category_name, names, config),
        brands=_interests(lines, columns.brand, columns.brand_name, names, config),
    )


class _Names:
    """Actions as evidence, items by their ids."""

    def __init__(self, item_id: Callable[[int], str]) -> None:
        self.of = item_id

    def evidence(self, lines: Iterable[_Line]) -> list[Evidence]:
        return [Evidence(self.of(x.item), NAMES[x.kind], _when(x.at_ms)) for x in lines]


def _lines(log: ActionLog, now_ms: int, config: PortraitConfig, currency: str) -> list[_Line]:
    by_kind = kind_weights(config).tolist()
    half_life_ms = config.half_life_days * MS_PER_DAY
    columns = zip(
        log.at_ms.tolist(),
        log.kind.tolist(),
        log.item_row.tolist(),
        log.order_row.tolist(),
        value_of_lines(log, currency).tolist(),
        strict=True,
    )
    return [
        _Line(at, kind, item, order, value, by_kind[kind] * 2.0 ** (-(now_ms - at) / half_life_ms))
        for at, kind, item, order, value in columns
    ]


def _orders(bought: Sequence[_Line]) -> list[list[_Line]]:
    """The lines of each order, in order of time."""
    found: dict[int, list[_Line]] = defaultdict(list)
    for line in bought:
        found[line.order if line.order >= 0 else -1 - line.at_ms].append(line)
    return sorted(found.values(), key=lambda lines: lines[0].at_ms)


def _lifecycle(bought: Sequence[_Line], norms: ShopNorms, now_ms: int) -> Lifecycle:
    marks, orders = norms.yardsticks, _orders(bought)
    since = (now_ms - orders[-1][0].at_ms) / MS_PER_DAY if orders else 0.0
    (place,) = stages(np.array([len(orders)]), np.array([since]), marks).tolist()
    return Lifecycle(
        STAGES[place],
        len(orders),
        _when(orders[0][0].at_ms) if orders else None,
        _when(orders[-1][0].at_ms) if orders else None,
        marks.usual_gap_days,
        marks.late_gap_days,
        marks.loyal_orders,
        marks.gaps,
    )


def _rfv(
    bought: Sequence[_Line], norms: ShopNorms, names: _Names, now_ms: int, config: PortraitConfig
) -> Rfv | None:
    orders = _orders(bought)
    if not orders:
        return None
    marks, last = norms.yardsticks, orders[-1][0].at_ms
    value = sum(line.value_minor for line in bought)
    seen = [
        OrderSeen(
            _when(lines[0].at_ms),
            sum(line.value_minor for line in lines),
            [names.of(line.item) for line in lines],
        )
        for lines in orders[: -config.evidence - 1 : -1]
    ]
    return Rfv(
        (now_ms - last) / MS_PER_DAY,
        len(orders),
        value,
        _fifth(last, marks.recency),
        _fifth(len(orders), marks.frequency),
        _fifth(value, marks.value),
        seen,
    )


def _fifth(amount: int, bounds: tuple[float, ...]) -> int | None:
    return 1 + bisect.bisect_left(bounds, amount) if bounds else None


def _price(
    bought: Sequence[_Line], norms: ShopNorms, names: _Names, now_ms: int, config: PortraitConfig
) -> PriceBand | None:
    levels = norms.price_level
    known = [
        (line, float(levels[line.item]))
        for line in bought
        if 0 <= line.item < len(levels) and not np.isnan(levels[line.item])
    ]
    if not known:
        return None
    half_life_ms = config.half_life_days * MS_PER_DAY
    weight = [2.0 ** (-(now_ms - line.at_ms) / half_life_ms) for line, _ in known]
    level = sum(w * x for w, (_, x) in zip(weight, known, strict=True)) / sum(weight)
    latest = [line for line, _ in known[: -config.evidence - 1 : -1]]
    return PriceBand(band_of(level), level, len(known), names.evidence(latest))


def _interests(
    lines: Sequence[_Line],
    group: NDArray[np.int32],
    name_of: Callable[[int], str],
    names: _Names,
    config: PortraitConfig,
) -> list[Interest]:
    """The strongest interests in groups of items, the strongest first."""
    found: dict[int, list[_Line]] = defaultdict(list)
    for line in lines:
        if line.weight > 0 and 0 <= line.item < len(group) and group[line.item] >= 0:
            found[int(group[line.item])].append(line)
    strength = {code: sum(line.weight for line in told) for code, told in found.items()}
    total = sum(strength.values())
    strongest = sorted(strength, key=lambda code: (-round(strength[code], 9), name_of(code)))
    return [
        Interest(
            name_of(code),
            strength[code] / total,
            strength[code],
            len(found[code]),
            _when(max(line.at_ms for line in found[code])),
            names.evidence(
                sorted(found[code], key=lambda x: (-x.weight, -x.at_ms))[: config.evidence]
            ),
        )
        for code in strongest[: config.interests]
    ]


def _when(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
