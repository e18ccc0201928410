"""A trained snapshot as a pipeline over live statistics, and on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.again import AgainSource
from habitue.candidates.contract import Source
from habitue.candidates.due import Due
from habitue.candidates.roster import load_source
from habitue.errors import SnapshotError
from habitue.facts import ActionKind
from habitue.policy.contract import Policy
from habitue.portraits import ItemColumns, ItemStats
from habitue.ranking.blend import DEFAULT_WEIGHTS, BlendRanker
from habitue.ranking.contract import Ranker
from habitue.ranking.features import FeatureMaker
from habitue.ranking.fusion import TIES
from habitue.ranking.lambdamart import LambdaMartRanker
from habitue.slates.ledger import LedgerTable
from habitue.slates.pipeline import Pipeline
from habitue.training.config import TrainingConfig

if TYPE_CHECKING:
    from habitue.training.train import Trained

__all__ = ["Pieces", "load_pieces", "pipeline_of", "save_pieces"]


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a snapshot folder holds, loaded: all that serving builds on."""

    config: TrainingConfig
    sources: tuple[Source, ...]
    rankers: dict[str, LambdaMartRanker]
    stats: ItemStats
    columns: ItemColumns
    usual_gap_days: NDArray[np.float32]  # (n_items,)
    bought: LedgerTable
    refused: LedgerTable
    robots: NDArray[np.int32]

    @property
    def taken(self) -> tuple[str, ...]:
        """Kinds of action that were read as purchases."""
        return self.config.taken

    @property
    def due(self) -> Due | None:
        """When things are bought again, as the source ``again`` has learnt; none without it."""
        learnt = (one.due for one in self.sources if isinstance(one, AgainSource))
        return next((due for due in learnt if due is not None), None)

    def pipeline(
        self,
        policy: Policy,
        *,
        sources: Sequence[Source] | None = None,
        stats: ItemStats | None = None,
        columns: ItemColumns | None = None,
    ) -> Pipeline:
        """The pipeline of this snapshot over live sources, statistics and columns, or its own."""
        return pipeline_of(
            self.config, sources or self.sources, self.rankers, stats or self.stats,
            columns or self.columns, policy,
        )  # fmt: skip


def pipeline_of(
    config: TrainingConfig,
    sources: Sequence[Source],
    rankers: Mapping[str, LambdaMartRanker],
    stats: ItemStats,
    columns: ItemColumns,
    policy: Policy,
) -> Pipeline:
    """Sources, rankers and policy as one; a blend of the sources where no ranker was learnt.

    Surfaces whose order is written down in ``config.fusion`` take that one.
    """
    features = FeatureMaker(sources, stats, columns)
    bound: dict[str, Ranker] = {name: one.bound(features) for name, one in rankers.items()}
    ties = next((name for name in TIES if name in {source.name for source in sources}), None)
    for surface in config.written_down():
        said = config.fusion[surface]
        bound[surface] = BlendRanker(
            features,
            said.weights or DEFAULT_WEIGHTS,
            standardised=said.fuse == "zscore",
            ties=ties,
        )
    bound.setdefault("home", BlendRanker(features))
    quotas = {surface: config.quota(surface) for surface in config.quotas}
    return Pipeline(sources, quotas, bound, policy, rebuy=config.rebuy)


def save_pieces(trained: Trained, path: Path) -> None:
    """Write everything serving needs into the folder ``path``."""
    path.mkdir(parents=True, exist_ok=True)
    for source in trained.sources:
        source.save(path / "sources" / source.name)
    for surface, ranker in trained.rankers.items():
        ranker.save(path / "ranker" / surface)
    trained.stats.save(path / "stats")
    trained.columns.save(path / "catalogue")
    np.save(path / "usual_gap_days.npy", trained.usual_gap_days)
    np.save(path / "robots.npy", trained.robots)
    LedgerTable.of(trained.facts.log, ActionKind.purchase).save(path / "owned")
    LedgerTable.of(trained.facts.log, ActionKind.not_interested).save(path / "refused")
    (path / "training.json").write_text(trained.config.model_dump_json(), "utf-8")


def load_pieces(path: Path) -> Pieces:
    """What ``save_pieces`` wrote; raises ``SnapshotError`` naming the piece that is missing."""
    try:
        config = TrainingConfig.model_validate_json((path / "training.json").read_text("utf-8"))
        gaps = np.load(path / "usual_gap_days.npy")
        found = path / "robots.npy"  # not in snapshots of before they were told
        robots = np.load(found) if found.exists() else np.empty(0, np.int32)
    except (OSError, ValueError) as problem:
        raise SnapshotError(
            f"The snapshot in {path} cannot be read: {problem}.",
            remedy="Train again, or activate another snapshot.",
        ) from problem
    rankers = {
        folder.name: LambdaMartRanker.load(folder)
        for folder in sorted((path / "ranker").glob("*"))
        if folder.is_dir()
    }
    return Pieces(
        config,
        tuple(load_source(path / "sources" / source.name) for source in config.sources),
        rankers,
        ItemStats.load(path / "stats"),
        ItemColumns.load(path / "catalogue"),
        gaps,
        LedgerTable.load(path / "owned"),
        LedgerTable.load(path / "refused"),
        robots,
    )
