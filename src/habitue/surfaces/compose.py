"""From a request to an answer: context, pipeline, policy, reasons, the record of what was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from habitue.errors import BadInput
from habitue.facts import NO_ROW, Context, Shown
from habitue.facts.ids import uuid7
from habitue.slates.cursor import Page, open_cursor, seal_cursor
from habitue.slates.live import Asked, LiveShop, Seen
from habitue.slates.pipeline import Slates
from habitue.slates.serving import Explained, Servable, Switch
from habitue.surfaces import cart, home, item
from habitue.surfaces.slate import SlateAnswer, Slot, SurfaceRequest

__all__ = ["ARM", "Surfaces"]

_SEE: Final[Mapping[str, Callable[[LiveShop, Asked], Seen]]] = {
    "home": home.see,
    "item": item.see,
    "cart": cart.see,
}
_FIRST_PAGE: Final = Page(0, ())
_POPULAR: Final = "Popular now"
ARM: Final = "main"
"""The arm of slates outside any experiment."""


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
    ) -> None:
        """``write`` queues the record of a slate, without waiting; ``failed`` is told of errors.

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
        see = _SEE.get(request.surface)
        if see is None:
            raise BadInput(
                f"There is no surface {request.surface!r}.",
                remedy=f"The surfaces are {', '.join(_SEE)}.",
                field="surface",
            )
        return see(
            self.shop,
            Asked(
                request.surface,
                now_ms,
                request.shopper,
                request.items,
                request.device,
                request.locale,
                request.query,
            ),
        )

    def _make(
        self,
        request: SurfaceRequest,
        page: Page,
        seen: Seen,
        rng: np.random.Generator,
        began: float,
    ) -> _Made:
        servable = self.switch.current
        fallback = seen.fallback or ("" if servable.name else "no_snapshot")
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
        return servable.pipeline.recommend(context, request.n, rng, policy=policy, rebuy=True)

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
            self._write(_shown(answer, made, items, filled, id_of))
        return answer

    def _give_reasons(self, made: _Made, slots: list[Slot]) -> None:
        """Say of each slot why it is there, where that can be said."""
        reasons = self._reasons(made)
        if reasons is not None:
            id_of = self.shop.items.id
            rows = made.slates.item_row[0].tolist()
            told = [one for one, row in zip(reasons, rows, strict=True) if row != NO_ROW]
            for slot, reason in zip(slots, told, strict=True):
                slot.reason = reason.text
                slot.causes = [id_of(row) for row in reason.causes]
        elif made.servable is self.fallback:
            for slot in slots:
                slot.reason = _POPULAR

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
        """The token of the page after this one; ``None`` where this one is not even full."""
        request, page = made.request, made.page
        if len(rows) < request.n:
            return None
        return seal_cursor(
            (*page.shown, *rows),
            page.first_slot + request.n,
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
