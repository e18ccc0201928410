"""Sources that have nothing to say on a shop's data: ties of views where nobody looks.

They can be left out unjudged: no order reads a column that is 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from habitue.candidates.again import AgainSource
from habitue.candidates.contract import ExtendingSource, Source
from habitue.facts import Context
from habitue.ranking.lambdamart import RankingSet
from habitue.training.config import TrainingConfig

__all__ = ["says_nothing", "unheard"]

_PROPOSED: Final = 1


def unheard(
    taught: Sequence[Mapping[str, RankingSet]],
    sources: Sequence[Source],
    config: TrainingConfig,
    kept: Collection[str] = (),
) -> list[str]:
    """The sources that gave no candidate of any lesson a score.

    Not among them are those ``kept``, those that a surface names or weighs, ``again``, from whose
    cycles the surface ``rebuy`` is made, and those that read items posted later. Empty where
    nothing was taught.
    """
    sets = [one for span in taught for one in span.values() if len(one.x)]
    if not sets:
        return []
    needed = {*kept, *config.needed, *config.weighed()}
    return [
        one.name
        for one in sources
        if one.name not in needed
        and not isinstance(one, ExtendingSource | AgainSource)
        and not any(_heard(lessons, one.name) for lessons in sets)
    ]


def says_nothing(source: Source, asked: Sequence[Context]) -> bool:
    """Whether a source proposes nothing for any of these requests."""
    return not any((source.propose(one, _PROPOSED).item_row >= 0).any() for one in asked)


def _heard(lessons: RankingSet, name: str) -> bool:
    return bool(np.any(lessons.x[:, lessons.names.index(name)]))
