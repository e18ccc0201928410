"""What those want of whom nothing is known but how they come: new shoppers, by their context.

A log-linear model of the next item: popularity, times how much likelier the item is under each side
of the circumstances (surface, platform, device, locale, hour and weekday of the shop, newcomer or
not), times how much likelier after the items the shopper stands before. Each side is shrunk towards
popularity (a Dirichlet prior), as strongly as predicts best what newcomers took in the last span of
the training data; a side that does not help there says nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.cold_fitting import Evidence, Judged, chosen, counted, lifts
from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.covisit import CovisitConfig, CovisitLearner
from habitue.candidates.neighbours import NeighbourTable, Walk
from habitue.candidates.profile import ProfileConfig, Weigher, codes_of
from habitue.candidates.saved import Saved, read, write
from habitue.facts import MS_PER_DAY, NO_ROW, ActionLog, Circumstances, Context, Side, Vocabulary
from habitue.facts.kind_names import KindName
from habitue.facts.time import ClockConfig, shop_days, shop_hours
from habitue.portraits import ShopperIndex, contexts_as_of

__all__ = ["ColdConfig", "ColdLearner", "ColdSource"]

_SAID: Final[tuple[Side, ...]] = ("surface", "platform", "device", "locale")
_ITEMS: Final = "items"


class ColdConfig(BaseModel):
    """What is counted, what a newcomer is, and how what follows an item is tied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["cold"] = "cold"
    name: str = Field(default="cold", min_length=1, description="its name in slates and features")
    kinds: tuple[KindName, ...] = Field(
        default=("view_item", "purchase"), description="kinds of action that say what is wanted"
    )
    half_life_days: float | None = Field(
        default=30.0, gt=0, description="age at which an action counts half; no fading if not said"
    )
    newcomer_days: float = Field(
        default=1.0, gt=0, description="days from the first action on in which a shopper is new"
    )
    time_zone: str = Field(default="UTC", description="whose hours and weekdays (IANA name)")
    ties: CovisitConfig = Field(
        default=CovisitConfig(
            name="ties", kinds_from=("view_item", "purchase"), kinds_to=("view_item", "purchase"),
            damping_from=0.0, damping_to=0.0, neighbours=200,
            profile=ProfileConfig(position_decay=0.5, max_actions=5),
        ),
        description="how what follows an item is counted, and what of a request is followed",
    )  # fmt: skip
    most_items: int = Field(
        default=2000, ge=1, description="items kept for each value of a side, the most wanted"
    )
    validation_days: float = Field(
        default=7.0, gt=0, description="last span, on which strengths are chosen; a quarter at most"
    )
    judged: int = Field(
        default=2000, ge=1, description="actions of newcomers in that span that are looked at"
    )
    least_judged: int = Field(
        default=50, ge=2, description="with fewer, popularity alone speaks"
    )  # fmt: skip


class ColdSource(PreparingSource):
    """Scores an item by ``log(1 + popularity)`` and what each side adds to its log-odds."""

    def __init__(
        self,
        config: ColdConfig,
        vocabulary: Vocabulary,
        table: NeighbourTable,
        strengths: dict[str, float],
    ) -> None:
        """``table`` leads to items from items, from the values of each side and from everybody."""
        self.config = config
        self.name = config.name
        self.vocabulary = vocabulary
        self.table = table
        self.measured = {f"strength {part}": value for part, value in strengths.items()}
        self._weigher = Weigher.of(config.ties.profile)

    def prepare(self, context: Context) -> Walk:
        """The rows of evidence of each request, to be followed to items."""
        n_items = self.table.n_targets
        item, weight = self._weigher.weigh(context)
        known = (item >= 0) & (item < n_items)  # behind the items stand the sides
        sides = _side_rows(
            self.vocabulary.read(context),
            context.now_ms,
            _newcomers(context, self.config.newcomer_days),
            self.config.time_zone,
            n_items,
        )
        everybody = np.full((len(context), 1), self.table.n_items - 1, np.int32)
        row = np.hstack([everybody, sides, np.where(known, item, np.int32(NO_ROW))])
        one = np.ones((len(context), 1 + sides.shape[1]), np.float32)
        return Walk(self.table, row, np.hstack([one, weight]))

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        self.vocabulary.save(path / "vocabulary.json")
        saved = Saved(
            source="cold",
            config=self.config.model_dump(),
            numbers={"n_items": self.table.n_targets},
            measured={k: v for k, v in self.measured.items() if np.isfinite(v)},
        )
        write(path, saved, self.table.arrays())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped."""
        saved, arrays = read(path, "cold")
        table = NeighbourTable.of_arrays(arrays, n_targets=saved.numbers["n_items"])
        vocabulary = Vocabulary.load(path / "vocabulary.json")
        source = cls(ColdConfig.model_validate(saved.config), vocabulary, table, {})
        source.measured = dict(saved.measured)
        return source


class ColdLearner:
    """Counts, and chooses on the last span how far each side is to be trusted."""

    def __init__(self, config: ColdConfig) -> None:
        ClockConfig(time_zone=config.time_zone)  # an unknown zone is refused here
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> ColdSource:
        """What these facts say; which held-out actions are looked at is drawn by lot."""
        said = facts.log.circumstances
        vocabulary = Vocabulary() if said is None else msgspec.structs.replace(
            said.vocabulary, words=("",)
        )  # fmt: skip
        evidence = self._evidence(facts, vocabulary, rng)
        strengths = self._strengths(facts, vocabulary, rng)
        return ColdSource(self.config, vocabulary, _table(evidence, strengths), strengths)

    def _strengths(
        self, facts: TrainingFacts, vocabulary: Vocabulary, rng: np.random.Generator
    ) -> dict[str, float]:
        """The strength of each part, by what newcomers took in the last span."""
        log = facts.log
        first_ms = int(log.at_ms[0]) if len(log) else facts.now_ms
        length = min(self.config.validation_days * MS_PER_DAY, (facts.now_ms - first_ms) / 4)
        cut = facts.now_ms - int(length)
        n_items = max(log.n_items, len(facts.catalogue))
        judged = self._judged(log, cut, n_items, vocabulary, rng)
        before = TrainingFacts(log.before(cut), facts.catalogue, cut)
        if len(judged) < self.config.least_judged or not len(before.log):
            return {}
        return chosen(self._evidence(before, vocabulary, rng), judged)

    def _evidence(
        self, facts: TrainingFacts, vocabulary: Vocabulary, rng: np.random.Generator
    ) -> Evidence:
        """How often each row of evidence led to each item, each shopper once an item."""
        config = self.config
        n_items = max(facts.log.n_items, len(facts.catalogue))
        log, newcomer = _first_of_each_pair(facts.log, config)
        weight = np.ones(len(log))
        if config.half_life_days is not None:
            weight = 0.5 ** ((facts.now_ms - log.at_ms) / MS_PER_DAY / config.half_life_days)
        ties = CovisitLearner(config.ties).fit(facts, rng).table
        indptr, edge, *_ = ties.columns()
        length = np.diff(indptr)
        lengths = [length, np.zeros(n_items - len(length), np.int64)]
        items, counts = [edge["item"]], [edge["strength"].astype(np.float64)]
        parts = {_ITEMS: (0, n_items)}
        sides = _side_rows(log.circumstances, log.at_ms, newcomer, config.time_zone, 0, vocabulary)
        first = 0
        for place, (side, size) in enumerate(_sizes(vocabulary).items()):
            value = sides[:, place].astype(np.int64) - first
            n, item, count = counted(value, log.item_row, weight, size, config.most_items)
            lengths.append(n)
            items.append(item)
            counts.append(count)
            parts[side] = (n_items + first, n_items + first + size)
            first += size
        ends = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        wanted = np.bincount(log.item_row, weight, minlength=n_items).astype(np.float64)
        return Evidence(ends, np.concatenate(items), np.concatenate(counts), parts, wanted)

    def _judged(
        self,
        log: ActionLog,
        cut_ms: int,
        n_items: int,
        vocabulary: Vocabulary,
        rng: np.random.Generator,
    ) -> Judged:
        """What shoppers took while they were new, those who came from the cut on."""
        config = self.config
        taken, newcomer = _first_of_each_pair(log, config)
        came = _first_ms(log)[taken.shopper_row]
        which = np.flatnonzero(newcomer & (came >= cut_ms))
        if len(which) > config.judged:
            which = np.sort(rng.choice(which, config.judged, replace=False))
        asked = taken.take(which)
        context = contexts_as_of(
            ShopperIndex.of(log), asked.shopper_row, asked.at_ms, surface="home",
            length=config.ties.profile.max_actions,
        )  # fmt: skip
        item, weight = self._weigh(context)
        sides = _side_rows(
            asked.circumstances, asked.at_ms, newcomer[which], config.time_zone, n_items, vocabulary
        )
        one = np.ones(sides.shape, np.float32)
        return Judged(
            np.hstack([sides, item]), np.hstack([one, weight]), asked.item_row, asked.shopper_row
        )

    def _weigh(self, context: Context) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        return Weigher.of(self.config.ties.profile).weigh(context)


def _table(evidence: Evidence, strengths: dict[str, float]) -> NeighbourTable:
    """The evidence as log-odds, and behind it one row for everybody: popularity."""
    n_items = len(evidence.wanted)
    strength = np.zeros(len(evidence.item), np.float32)
    for part, value in strengths.items():
        if np.isfinite(value):
            strength[evidence.edges(part)] = lifts(evidence, part, value)
    popularity = np.log1p(evidence.wanted).astype(np.float32)
    row = np.repeat(np.arange(len(evidence.indptr) - 1, dtype=np.int32), np.diff(evidence.indptr))
    last = len(evidence.indptr) - 1
    return NeighbourTable.of_edges(
        np.concatenate([row, np.full(n_items, last, np.int32)]),
        np.concatenate([evidence.item, np.arange(n_items, dtype=np.int32)]),
        np.concatenate([strength, popularity]),
        n_items=last + 1,
        n_targets=n_items,
    )


def _sizes(vocabulary: Vocabulary) -> dict[str, int]:
    """How many values each side has, in the order of their rows."""
    sizes = {"newcomer": 2, "hour": 24, "weekday": 7}
    for side in _SAID:
        sizes[side] = len(vocabulary.names(side))
    return sizes


def _side_rows(
    said: Circumstances | None,
    at_ms: NDArray[np.int64],
    newcomer: NDArray[np.bool_],
    time_zone: str,
    first: int,
    vocabulary: Vocabulary | None = None,
) -> NDArray[np.int32]:
    """The row of each side's value (B, 7), the sides' rows beginning at ``first``."""
    if vocabulary is None:
        vocabulary = Vocabulary() if said is None else said.vocabulary
    value = [newcomer, shop_hours(at_ms, time_zone), (shop_days(at_ms, time_zone) + 3) % 7]
    nothing = np.zeros(len(at_ms), np.int16)
    codes = [nothing if said is None else said.codes(side) for side in _SAID]
    rows = np.column_stack([*value, *codes]).astype(np.int32)
    unsaid = np.column_stack([*[np.zeros(len(at_ms), np.bool_)] * 3, *[c == 0 for c in codes]])
    starts = np.cumsum([0, *_sizes(vocabulary).values()])[:-1]
    return np.where(unsaid, NO_ROW, rows + starts + first).astype(np.int32)


def _newcomers(context: Context, days: float) -> NDArray[np.bool_]:
    """Whether nothing that may be looked at is older than so many days: (B,)."""
    old = np.any((context.recent_item >= 0) & (context.recent_age_days >= days), axis=1)
    newcomer: NDArray[np.bool_] = np.logical_not(
        old & context.personal if len(context.personal) else old
    )
    return newcomer


def _first_ms(log: ActionLog) -> NDArray[np.int64]:
    """When each shopper first acted: (n_shoppers,)."""
    first = np.full(log.n_shoppers, np.iinfo(np.int64).max)
    known = log.shopper_row >= 0
    np.minimum.at(first, log.shopper_row[known], log.at_ms[known])
    return first


def _first_of_each_pair(log: ActionLog, config: ColdConfig) -> tuple[ActionLog, NDArray[np.bool_]]:
    """The first action of each shopper on each item, and whether the shopper was new then."""
    first_ms = _first_ms(log)
    log = log.of_kinds(codes_of(config.kinds))
    log = log.take((log.item_row >= 0) & (log.shopper_row >= 0))
    pair = log.shopper_row.astype(np.int64) * max(log.n_items, 1) + log.item_row
    log = log.take(np.sort(np.unique(pair, return_index=True)[1]))
    age = log.at_ms - first_ms[log.shopper_row]
    return log, age < config.newcomer_days * MS_PER_DAY
