"""A shop in Python: facts in, slates out, and everything between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast, overload

import msgspec
import numpy as np

from habitue.app.clock import clock_ms
from habitue.app.note import Refusal, TrainingNote, note_refusal
from habitue.app.places import settings_for
from habitue.app.secrets import reject_files
from habitue.app.snapshots import SnapshotInfo, load, make_servable
from habitue.app.turn import turn
from habitue.app.wiring import Parts, build
from habitue.errors import SnapshotError, SnapshotRefused, StoreError
from habitue.facts import Fact
from habitue.privacy.erasure import erase
from habitue.privacy.retention import Expiring, retain
from habitue.store.contract import Appended, Erased, Stored
from habitue.surfaces import SlateAnswer, SurfaceRequest

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from habitue.app.importing import Counted, Ingested
    from habitue.behaviour.returning import Outlook
    from habitue.candidates.embedded import Embedding
    from habitue.candidates.foretold import ForetoldRatings
    from habitue.evaluation import Comparison, Evaluated, Report, Tuned
    from habitue.portraits import Portrait
    from habitue.surfaces.messages import Campaign, Sent

__all__ = ["Progress", "Shop", "open_shop"]

Progress = Callable[[str, float, float], None]
"""Told (step, done, total) as long work goes on."""


def _silent(step: str, done: float, total: float) -> None:
    """Nobody listens."""


def open_shop(
    store: str | Path | None = None,
    *,
    settings: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Shop:
    """The shop kept in ``store``: a SQLite file, made when absent, or a PostgreSQL address.

    Without one, the shop that ``habitue.toml`` and the environment describe.
    """
    return Shop(build(settings_for(store, settings, overrides)))


class Shop:
    """One shop, open in this process. Use it in a ``with``, or ``close`` it."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._rng = np.random.default_rng()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Store what is queued and let go of the store."""
        self.parts.close()

    # ------------------------------------------------------------------ facts

    @overload
    def ingest(self, what: Sequence[Fact]) -> Appended: ...

    @overload
    def ingest(self, what: pl.DataFrame | pa.Table, *, progress: Progress = ...) -> Counted: ...

    @overload
    def ingest(
        self,
        what: str | Path,
        *,
        mapping: str | Path | None = ...,
        query: str | None = ...,
        rejects: Path | None = ...,
        progress: Progress = ...,
    ) -> Ingested: ...

    def ingest(
        self,
        what: Sequence[Fact] | pl.DataFrame | pa.Table | str | Path,
        *,
        mapping: str | Path | None = None,
        query: str | None = None,
        rejects: Path | None = None,
        progress: Progress = _silent,
    ) -> Appended | Counted | Ingested:
        """Take in facts, a table of actions, or a file or query read through a mapping.

        What is given is durable on return. A table has the fields of ``Action`` as columns, times
        as ``at_ms`` (UTC milliseconds). A file (CSV, JSONL, Parquet, XML, HTML) or the answer of
        ``query`` at a SQL address is translated by ``mapping`` (the name of a shipped one or a TOML
        file) and cleaned; what was refused goes to ``rejects`` with its reason, and the report
        accounts for every row. A file that says itself what it is (facts, GA4 events, a product
        feed, a page) needs no mapping.
        """
        if isinstance(what, str | Path):
            from habitue.app import importing

            return importing.ingest_table(
                self.parts, what, mapping, query, rejects, now_ms=clock_ms(), progress=progress
            )
        if not isinstance(what, Sequence):
            from habitue.app import importing

            return importing.ingest_actions(self.parts, what, clock_ms(), progress)
        names, facts = self.parts.pseudonyms, cast("Sequence[Fact]", what)
        told = facts if names is None else names.over(facts)
        return self.parts.committer.append_sync(told, received_at_ms=clock_ms())

    def stored(self) -> Stored:
        """How much is stored, and the watermark."""
        return self.parts.store.stored()

    # ------------------------------------------------------------------ slates

    def recommend(
        self,
        shopper: str | None = None,
        *,
        surface: str = "home",
        items: Sequence[str] = (),
        n: int = 10,
        filter: str | None = None,  # noqa: A002 - the word for it
        page: str | None = None,
        now_ms: int | None = None,
        seed: int | None = None,
    ) -> SlateAnswer:
        """Make and log one slate. ``items`` are the item looked at, or what is in the cart.

        ``now_ms`` and ``seed`` make it repeatable, for tests and backfills.
        """
        names = self.parts.pseudonyms
        request = SurfaceRequest(
            surface=surface,
            shopper=shopper if names is None or shopper is None else names.of(shopper),
            items=list(items),
            n=n,
            filter=filter,
            page=page,
        )
        self.catch_up()
        rng = self._rng if seed is None else np.random.default_rng(seed)
        now = clock_ms() if now_ms is None else now_ms
        return self.parts.surfaces.recommend(request, now, rng)

    def send(
        self,
        campaign: Campaign | str | Path,
        *,
        progress: Progress = _silent,
        seed: int | None = None,
    ) -> Sent:
        """Send a campaign, given or as a TOML file; sent again, it goes on and doubles nothing.

        Raises ``BadInput`` for one that cannot be read, before anything is sent, and
        ``Unavailable`` where the mail server or webhook does not answer: then send it again.
        """
        from habitue.app.messaging import read_campaign, send_messages

        told = read_campaign(Path(campaign)) if isinstance(campaign, str | Path) else campaign
        return send_messages(self.parts, told, progress=progress, seed=seed)

    # ------------------------------------------------------------------ learning

    def train(
        self, *, activate: bool = True, seed: int = 0, progress: Progress = _silent
    ) -> SnapshotInfo:
        """Learn a snapshot from the facts up to now; answer from it when its checks pass.

        Raises ``BadInput`` when there is nothing to learn from, ``SnapshotRefused`` when the new
        snapshot is far worse than the one that serves.
        """
        from habitue.app import learning

        kept = self.parts.settings.snapshots
        with TrainingNote(kept.path, progress) as noted, turn(kept.training_lock, noted):
            try:
                made = learning.train_snapshot(
                    self.parts, now_ms=clock_ms(), seed=seed, progress=noted
                )
            except SnapshotRefused as refused:
                note_refusal(kept.path, Refusal(clock_ms(), refused.message))
                raise
        note_refusal(kept.path, None)
        return self.activate(made) if activate else self._info(made)

    def evaluate(
        self,
        *,
        split: str = "by-time",
        rebuy: bool = False,
        n: int = 10,
        seed: int = 0,
        folds: int = 5,
        curve: str = "none",
        ablate: bool = False,
        progress: Progress = _silent,
    ) -> Evaluated:
        """Train on the past and measure on what came after.

        ``split`` is ``by-time``, ``leave-last-out``, ``rolling`` (by time, ``folds`` spans in a
        row) or ``k-fold``. ``curve`` learns from less again, part of the ``shoppers`` or of the
        ``time``, to say how much data is enough; ``ablate`` learns without each source, to say what
        it adds.
        """
        from habitue.app.judging import evaluate_shop

        return evaluate_shop(
            self.parts,
            split=split,
            rebuy=rebuy,
            n=n,
            seed=seed,
            folds=folds,
            curve=curve,
            ablate=ablate,
            progress=progress,
        )

    def compare(
        self,
        first: str,
        second: str,
        *,
        n: int = 10,
        seed: int = 0,
        progress: Progress = _silent,
    ) -> Comparison:
        """Ask two snapshots the same, and hold the second against the first.

        They are asked what shoppers took after both were trained; where too few have, what both
        were told is trained anew on the past and asked about the last span. Raises ``NotFound``,
        ``SnapshotRefused``, and ``BadInput`` where nobody can be asked.
        """
        from habitue.app.comparing import compare_snapshots

        return compare_snapshots(self.parts, first, second, n=n, seed=seed, progress=progress)

    def tune(
        self,
        *,
        minutes: float = 30.0,
        rebuy: bool = False,
        n: int = 10,
        seed: int = 0,
        progress: Progress = _silent,
    ) -> Tuned:
        """Search for better settings of training, for so many minutes and two trainings more.

        Sources, their main numbers and the ranker's are tried on the last span but one; the last is
        asked once, of the best and of the shop's own. Called again it goes on where it ended.
        ``toml`` of the answer is the found ``[training]``. Raises ``MissingPiece`` without Optuna,
        ``BadInput`` where there is too little past.
        """
        from habitue.app.tuning import tune_shop

        return tune_shop(
            self.parts, minutes=minutes, rebuy=rebuy, n=n, seed=seed, seconds=monotonic,
            progress=progress,
        )  # fmt: skip

    def snapshots(self) -> list[SnapshotInfo]:
        """The snapshots, newest first."""
        active = self.parts.snapshots.active_id()
        return [SnapshotInfo.of(one, active) for one in self.parts.snapshots.list()]

    def report(self, name: str) -> Report | None:
        """How a snapshot did on the span it held out; ``None`` where there was too little to ask.

        Raises ``NotFound``.
        """
        from habitue.app.learning import REPORT
        from habitue.evaluation import Report

        file = self.parts.snapshots.get(name).path / REPORT
        return Report.from_json(file.read_bytes()) if file.exists() else None

    def activate(self, name: str) -> SnapshotInfo:
        """Answer from this snapshot from now on; raises ``NotFound``, ``SnapshotRefused``."""
        parts = self.parts
        if parts.alive:
            self._serve(name)
        else:
            load(parts.snapshots.verify(name), parts.store.stored().lineage)
        parts.snapshots.activate(name, now_ms=clock_ms())
        return self._info(name)

    def roll_back(self) -> SnapshotInfo:
        """Answer from the snapshot that answered before the active one."""
        before = self.parts.snapshots.roll_back(now_ms=clock_ms())
        if self.parts.alive:
            self.follow_snapshot()
        return self._info(before.manifest.id)

    def _info(self, name: str) -> SnapshotInfo:
        manifest = self.parts.snapshots.get(name).manifest
        return SnapshotInfo.of(manifest, self.parts.snapshots.active_id())

    # ------------------------------------------------------------------ people

    def export(self, shopper: str) -> dict[str, list[dict[str, object]]]:
        """Everything stored about a shopper; raises ``NotFound`` for a stranger."""
        return self.parts.store.export(self._named(shopper))

    def portrait(self, shopper: str, *, now_ms: int | None = None) -> Portrait:
        """Who a shopper is: interests, price band, value and stage, with what each rests on.

        Fifths and paces are those of the shop when the active snapshot was trained. Of who does not
        allow personalisation it says that and nothing else. Raises ``NotFound`` for a stranger.
        """
        from habitue.app.portraying import portray

        self.catch_up()
        told = portray(self.parts, self._named(shopper), clock_ms() if now_ms is None else now_ms)
        return msgspec.structs.replace(told, shopper=shopper)

    def portraits(self, *, now_ms: int | None = None) -> pl.DataFrame:
        """The portraits of all who allow personalisation and acted on an item, a row each.

        The columns are those of ``habitue.portraits.portrait_columns``, with the shopper's id.
        """
        from habitue.app.portraying import portray_all

        return portray_all(self.parts, clock_ms() if now_ms is None else now_ms)

    def outlook(self, shopper: str, *, now_ms: int | None = None) -> Outlook:
        """When a customer is expected back: chances to buy, days until then, what that rests on.

        Nothing is expected until a snapshot has learnt when customers come back. Of who does not
        allow personalisation it says that and nothing else. Raises ``NotFound`` for a stranger.
        """
        from habitue.app.returning import foretell

        self.catch_up()
        told = foretell(self.parts, self._named(shopper), clock_ms() if now_ms is None else now_ms)
        return msgspec.structs.replace(told, shopper=shopper)

    def outlooks(self, *, now_ms: int | None = None) -> pl.DataFrame:
        """The outlooks of all customers who allow personalisation, a row each.

        The columns are those of ``habitue.behaviour.returning.Outlook``; no rows until a snapshot
        has learnt when customers come back. A network with ``head_weights`` adds columns
        ``network_...``, and a row of each shopper it knows who never ordered.
        """
        from habitue.app.returning import foretell_all

        return foretell_all(self.parts, clock_ms() if now_ms is None else now_ms)

    def embedding(
        self, shopper: str, *, source: str | None = None, now_ms: int | None = None
    ) -> Embedding:
        """A shopper as a unit vector of a source's space, as of what they did a moment ago.

        Without a ``source`` named, of the one that reads the order of actions best. Of who does not
        allow personalisation it says that and nothing else. Raises ``NotFound`` for a stranger,
        ``SnapshotError`` where the active snapshot has no such source, ``BadInput`` where the one
        named is none.
        """
        from habitue.app.embedding import embed

        self.catch_up()
        now = clock_ms() if now_ms is None else now_ms
        told = embed(self.parts, self._named(shopper), source, now)
        return msgspec.structs.replace(told, shopper=shopper)

    def embeddings(self, *, source: str | None = None, now_ms: int | None = None) -> pl.DataFrame:
        """All who allow personalisation as vectors: columns ``shopper`` and ``vector``.

        Each is what ``embedding`` says of them; who nothing is known of is left out. Raises as that
        does.
        """
        from habitue.app.embedding import embed_all

        return embed_all(self.parts, source, clock_ms() if now_ms is None else now_ms)

    def ratings(
        self,
        shopper: str,
        items: Sequence[str],
        *,
        level: float = 0.8,
        now_ms: int | None = None,
    ) -> ForetoldRatings:
        """What a shopper would give the items, with intervals, and the ratings that say so.

        Of who does not allow personalisation it says that and nothing else. Raises ``NotFound`` for
        a stranger, ``SnapshotError`` where the active snapshot has no source ``factor`` that has
        learnt from ratings.
        """
        from habitue.app.foretelling import foretell

        self.catch_up()
        now = clock_ms() if now_ms is None else now_ms
        told = foretell(self.parts, self._named(shopper), items, level, now)
        return msgspec.structs.replace(told, shopper=shopper)

    def forget(self, shopper: str) -> Erased:
        """Erase a shopper everywhere, from this moment on; raises ``NotFound`` for a stranger."""
        from habitue.app.messaging import forget_messages

        named = self._named(shopper)
        parts = self.parts
        forget_messages(parts, named)
        erased, _ = erase(
            named,
            store=parts.store,
            live=[parts.live],
            rejects=reject_files(parts.settings),
            now_ms=clock_ms(),
        )
        parts.live.people.renew()
        return erased

    def retain(self) -> dict[Expiring, int]:
        """Delete what is older than ``privacy.action_days`` and ``privacy.shown_days`` allow.

        How many facts of each kind went; empty where the settings keep everything.
        """
        kept = self.parts.settings.privacy
        days: dict[Expiring, int | None] = {"action": kept.action_days, "shown": kept.shown_days}
        return retain(self.parts.store, days, clock_ms())

    def _named(self, shopper: str) -> str:
        return shopper if self.parts.pseudonyms is None else self.parts.pseudonyms.of(shopper)

    # ------------------------------------------------------------------ keeping house

    def backup(self, path: Path) -> None:
        """Write a consistent copy of the facts, while others go on writing."""
        self.parts.store.backup(path)

    def catch_up(self) -> None:
        """Take in what other processes wrote; costs one small query where there is nothing."""
        now_ms = clock_ms()
        self.parts.live.catch_up(now_ms)
        self.parts.popular.refresh(now_ms)
        self.extend()

    def extend(self) -> int:
        """Let the sources that answer know what was posted; how many items.

        Costs nothing where nothing was. What goes wrong is noted, and they answer as before.
        """
        try:
            return self.parts.switch.current.extend(clock_ms())
        except (SnapshotError, StoreError) as problem:
            self.parts.problems.note(problem)
            return 0

    def follow_snapshot(self) -> None:
        """Answer from the active snapshot where another process has changed which that is."""
        parts = self.parts
        active = parts.snapshots.active_id()
        if active is None or active == parts.switch.current.name:
            return
        try:
            self._serve(active)
        except SnapshotError as problem:
            parts.problems.note(problem)

    def _serve(self, name: str) -> None:
        """Load a snapshot and answer from it; whatever is wrong with it changes nothing."""
        parts = self.parts
        loaded = load(parts.snapshots.verify(name), parts.store.stored().lineage)
        servable = make_servable(loaded, parts.live, parts.settings, clock_ms())
        if servable is not None:
            servable.extend(clock_ms())  # what was posted while it was loaded
            parts.switch.activate(servable)
