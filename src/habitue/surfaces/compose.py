"""From a request to an answer: context, pipeline, policy, reasons, the record of what was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from habitue.errors import BadInput
from habitue.facts import NO_ROW, Context, Shown
from habitue.facts.ids import uuid7
from habitue.policy.contract import Policy
from habitue.policy.rule_policy import RulePolicy
from habitue.slates.cursor import Page, open_cursor, seal_cursor
from habitue.slates.live import Asked, LiveShop, Seen
from habitue.slates.live_sources import POPULAR
from habitue.slates.pipeline import Slates
from habitue.slates.serving import Explained, Servable, Switch
from habitue.slates.stacking import stacked
from habitue.surfaces import cart, fresh, home, item, people, popular, rebuy
from habitue.surfaces.slate import SlateAnswer, Slot, SlotPath, SurfaceRequest

__all__ = ["ARM", "Batch", "Surfaces"]

_SEE: Final[Mapping[str, Callable[[LiveShop, Asked], Seen]]] = {
    "home": home.see,
    "item": item.see,
    "cart": cart.see,
    "fresh": fresh.see,
    "popular": popular.see,
    "rebuy": rebuy.see,
    "people": people.see,
    "messages": home.see,
}
_OWN: Final[Mapping[str, str]] = {name: name for name in _SEE}
_FIRST_PAGE: Final = Page(0, ())
ARM: Final = "main"
"""The arm of slates outside any experiment."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Slates for several shoppers at once, before they are told."""

    snapshot: str
    seen: Sequence[Seen]
    slates: Slates
    reason: Sequence[Sequence[str]]  # one a slot


@dataclass(frozen=True, slots=True)
class _Made:
    """A slate before it is told: what was asked, seen and chosen."""

    request: SurfaceRequest
    page: Page
    seen: Seen
    servable: Servable
    slates: Slates
    fallback: str


class Surfaces:
    """The surfaces of a running shop. ``recommend`` may be called from several threads."""

    def __init__(
        self,
        shop: LiveShop,
        switch: Switch,
        fallback: Servable,
        *,
        write: Callable[[Shown], object],
        cursor_key: bytes,
        failed: Callable[[Exception], object] = lambda _: None,
        clock: Callable[[], float] | None = None,
        budget_seconds: float = 0.05,
        kinds: Mapping[str, str] = _OWN,
    ) -> None:
        """``write`` queues the record of a slate, without waiting; ``failed`` is told of errors.

        ``kinds`` says of each surface by name which of the house's it works like.
        ``fallback`` answers from popularity alone. With a ``clock`` (seconds) a request that has
        used up ``budget_seconds`` before its candidates are ranked is answered by it, too.
        """
        self.shop = shop
        self.switch = switch
        self.fallback = fallback
        self._write = write
        self._cursor_key = cursor_key
        self._failed = failed
        self._clock = clock
        self._budget_seconds = budget_seconds
        self._see_as = {name: _SEE[kind] for name, kind in kinds.items()}

    def recommend(
        self, request: SurfaceRequest, now_ms: int, rng: np.random.Generator
    ) -> SlateAnswer:
        """Make one slate, queue its record, and tell it.

        Raises ``BadInput`` for a surface nobody knows, a page token of another slate, or a filter
        that cannot be read; whatever else fails, the best answer left is given, and marked.
        """
        began = self._clock() if self._clock else 0.0
        page = self._page(request)
        seen = self._see(request, now_ms)
        made = self._make(request, page, seen, rng, began)
        return self._tell(made, now_ms)

    # ------------------------------------------------------------------ the way of a request

    def _page(self, request: SurfaceRequest) -> Page:
        if request.page is None:
            return _FIRST_PAGE
        return open_cursor(
            request.page,
            surface=request.surface,
            shopper=request.shopper,
            key=self._cursor_key,
        )

    def _see(self, request: SurfaceRequest, now_ms: int) -> Seen:
        return self._seeing(request.surface)(
            self.shop,
            Asked(
                request.surface,
                now_ms,
                request.shopper,
                request.items,
                request.device,
                request.locale,
                request.query,
                request.platform,
            ),
        )

    def _seeing(self, surface: str) -> Callable[[LiveShop, Asked], Seen]:
        """How a surface sees the shop; raises ``BadInput`` for one nobody knows."""
        see = self._see_as.get(surface)
        if see is None:
            raise BadInput(
                f"There is no surface {surface!r}.",
                remedy=f"The surfaces are {', '.join(self._see_as)}.",
                field="surface",
            )
        return see

    def _make(
        self,
        request: SurfaceRequest,
        page: Page,
        seen: Seen,
        rng: np.random.Generator,
        began: float,
    ) -> _Made:
        servable = self.switch.current
        trained = servable.name or request.surface in servable.places
        fallback = seen.fallback or ("" if trained else "no_snapshot")
        if servable is not self.fallback:
            if self._clock and self._clock() - began > self._budget_seconds:
                servable, fallback = self.fallback, "out_of_time"
            else:
                try:
                    slates = self._choose(servable, request, page, seen.context, rng)
                    return _Made(request, page, seen, servable, slates, fallback)
                except BadInput:
                    raise
                except Exception as problem:  # noqa: BLE001 - a slate is owed whatever broke
                    self._failed(problem)
                    servable, fallback = self.fallback, "failed"
        slates = self._choose(self.fallback, request, page, seen.context, rng)
        return _Made(request, page, seen, self.fallback, slates, fallback)

    def _choose(
        self,
        servable: Servable,
        request: SurfaceRequest,
        page: Page,
        context: Context,
        rng: np.random.Generator,
    ) -> Slates:
        policy = servable.policies[request.surface].continued(
            hidden=np.array(page.shown, np.int32) if page.shown else None,
            first_slot=page.first_slot,
            include=request.filter,
        )
        return servable.recommend(request.surface, context, request.n, rng, policy)

    # ------------------------------------------------------------------ many at once

    def policy(self, surface: str, **rules: object) -> RulePolicy:
        """A surface's policy as it answers now, with some of its rules otherwise. ``close`` it.

        Raises ``BadInput`` for a surface nobody knows.
        """
        self._seeing(surface)
        return self.switch.current.policies[surface].changed(**rules)

    def many(
        self,
        asked: Sequence[Asked],
        n: int,
        policy: Policy,
        shown: Sequence[Sequence[int]],
        rng: np.random.Generator,
    ) -> Batch:
        """A slate for each of several requests to one surface, through the pipeline at once.

        ``shown[b]`` are rows of items that count as shown to the shopper at this moment. Nothing is
        written. What fails is answered from popularity, for all of them.
        """
        see = self._seeing(asked[0].surface)
        seen = [see(self.shop, one) for one in asked]
        context = stacked([one.context for one in seen])
        rows = np.full((len(asked), max(map(len, shown), default=0)), NO_ROW, np.int32)
        for b, one in enumerate(shown):
            rows[b, : len(one)] = one
        context = replace(context, shown_item=rows, shown_age_days=np.zeros(rows.shape, np.float32))
        servable, surface = self.switch.current, asked[0].surface
        try:
            slates = servable.recommend(surface, context, n, rng, policy)
        except Exception as problem:
            if servable is self.fallback:
                raise
            self._failed(problem)
            servable = self.fallback
            slates = servable.recommend(surface, context, n, rng, policy)
        reason = servable.reason(surface)
        said: list[list[str]] = [[reason] * n for _ in asked]
        if not reason and servable.explainer is not None:
            told = servable.explainer.explain(context, slates, self.shop.items.title)
            said = [[one.text for one in line] for line in told]
        return Batch(servable.name, seen, slates, said)

    # ------------------------------------------------------------------ telling

    def _tell(self, made: _Made, now_ms: int) -> SlateAnswer:
        id_of, filled = self.shop.items.id, _Filled.of(made.slates)
        items = [id_of(row) for row in filled.row]
        slots = list(map(Slot, items, filled.score, filled.propensity, filled.source))
        if made.request.reasons:
            self._give_reasons(made, slots)
        answer = SlateAnswer(
            slate_id=uuid7(now_ms),
            surface=made.request.surface,
            items=slots,
            snapshot=made.servable.name,
            arm=ARM,
            seen_seq=made.seen.seen_seq,
            fallback=made.fallback,
            next_page=self._next_page(made, filled.row),
        )
        if slots:
            whom = int(made.seen.context.shopper_row[0])  # nobody where they did not allow it
            self.shop.show(answer.slate_id, whom, filled.row, now_ms)
            self._write(_shown(answer, made, items, filled, id_of))
        return answer

    def _give_reasons(self, made: _Made, slots: list[Slot]) -> None:
        """Say of each slot why it is there, where that can be said."""
        own = made.servable.reason(made.request.surface)
        if own:
            for slot in slots:
                slot.reason = own
            return
        reasons = self._reasons(made)
        if reasons is not None:
            id_of = self.shop.items.id
            rows = made.slates.item_row[0].tolist()
            told = [one for one, row in zip(reasons, rows, strict=True) if row != NO_ROW]
            for slot, reason in zip(slots, told, strict=True):
                slot.reason = reason.text
                slot.causes = [id_of(row) for row in reason.causes]
                if (path := reason.path) is not None:
                    entity = id_of(path.row) if path.row != NO_ROW else path.entity
                    slot.path = SlotPath(id_of(path.from_row), path.relation, entity)
        elif made.servable is self.fallback:
            for slot in slots:
                slot.reason = POPULAR

    def _reasons(self, made: _Made) -> Sequence[Explained] | None:
        """Why each slot is there; ``None`` where the snapshot cannot say."""
        explainer = made.servable.explainer
        if explainer is None:
            return None
        try:
            return explainer.explain(made.seen.context, made.slates, self.shop.items.title)[0]
        except Exception as problem:  # noqa: BLE001 - a slate without reasons is still a slate
            self._failed(problem)
            return None

    def _next_page(self, made: _Made, rows: list[int]) -> str | None:
        """The token of the page after this one; ``None`` where nothing is left to show on it.

        A page that its caps kept short has one: the slot after its last item begins it.
        """
        request, page, more = made.request, made.page, made.slates.more
        if not rows or (more is not None and not more[0]):
            return None
        return seal_cursor(
            (*page.shown, *rows),
            page.first_slot + len(rows),
            surface=request.surface,
            shopper=request.shopper,
            key=self._cursor_key,
        )


@dataclass(frozen=True, slots=True)
class _Filled:
    """The slots of a slate that could be filled, column by column."""

    row: list[int]
    score: list[float]
    propensity: list[float]
    source: list[str]

    @classmethod
    def of(cls, slates: Slates) -> Self:
        """The first slate's."""
        names, n_named = slates.source_names, len(slates.source_names)
        row, number = slates.item_row[0].tolist(), slates.source[0].tolist()
        score, propensity = slates.score[0].tolist(), slates.propensity[0].tolist()
        if NO_ROW in row:
            kept = [x for x, one in enumerate(row) if one != NO_ROW]
            row, number = [row[x] for x in kept], [number[x] for x in kept]
            score, propensity = [score[x] for x in kept], [propensity[x] for x in kept]
        source = [names[one] if one < n_named else "pinned" for one in number]
        return cls(row, score, propensity, source)


def _shown(
    answer: SlateAnswer,
    made: _Made,
    items: list[str],
    filled: _Filled,
    id_of: Callable[[int], str],
) -> Shown:
    """The record of a slate; without the shopper where they have not allowed it."""
    context = made.seen.context
    return Shown(
        id=answer.slate_id,
        at=context.now_ms.item(0),
        shopper=None if made.seen.fallback == "no_consent" else made.request.shopper,
        surface=answer.surface,
        snapshot=answer.snapshot,
        arm=answer.arm,
        items=items,
        scores=filled.score,
        propensities=filled.propensity,
        sources=filled.source,
        first_slot=made.page.first_slot,
        fallback=answer.fallback,
        anchors=[id_of(row) for row in context.anchor_item[0].tolist() if row >= 0],
    )
