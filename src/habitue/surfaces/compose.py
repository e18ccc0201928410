"""From a request to an answer: context, pipeline, policy, reasons, the record of what was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

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
        rows = made.slates.item_row[0].tolist()
        kept = [x for x, row in enumerate(rows) if row != NO_ROW]
        sources = [made.slates.source_name(0, x) for x in kept]
        reasons = self._reasons(made) if made.request.reasons else None
        scores = made.slates.score[0].tolist()
        chances = made.slates.propensity[0].tolist()
        id_of = self.shop.items.id
        slots = [
            Slot(id_of(rows[x]), scores[x], chances[x], source)
            for x, source in zip(kept, sources, strict=True)
        ]
        if reasons is not None:
            for slot, x in zip(slots, kept, strict=True):
                slot.reason = reasons[x].text
                slot.causes = [id_of(row) for row in reasons[x].causes]
        elif made.request.reasons and made.servable is self.fallback:
            for slot in slots:
                slot.reason = _POPULAR
        return self._answer(made, slots, [rows[x] for x in kept], now_ms)

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

    def _answer(self, made: _Made, slots: list[Slot], rows: list[int], now_ms: int) -> SlateAnswer:
        request, page = made.request, made.page
        next_page = None
        if len(rows) == request.n:
            next_page = seal_cursor(
                (*page.shown, *rows),
                page.first_slot + request.n,
                surface=request.surface,
                shopper=request.shopper,
                key=self._cursor_key,
            )
        answer = SlateAnswer(
            slate_id=uuid7(now_ms),
            surface=request.surface,
            items=slots,
            snapshot=made.servable.name,
            arm=ARM,
            seen_seq=made.seen.seen_seq,
            fallback=made.fallback,
            next_page=next_page,
        )
        if slots:
            self._write(_shown(answer, made, self.shop.items.id, now_ms))
        return answer


def _shown(answer: SlateAnswer, made: _Made, id_of: Callable[[int], str], now_ms: int) -> Shown:
    """The record of a slate; without the shopper where they have not allowed it."""
    slots = answer.items
    return Shown(
        id=answer.slate_id,
        at=now_ms,
        shopper=None if made.seen.fallback == "no_consent" else made.request.shopper,
        surface=answer.surface,
        snapshot=answer.snapshot,
        arm=answer.arm,
        items=[slot.item for slot in slots],
        scores=[slot.score for slot in slots],
        propensities=[slot.propensity for slot in slots],
        sources=[slot.source for slot in slots],
        first_slot=made.page.first_slot,
        fallback=answer.fallback,
        anchors=[id_of(row) for row in made.seen.context.anchor_item[0].tolist() if row >= 0],
    )
