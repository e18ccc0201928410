"""What could we show? Each source proposes items for contexts, one file a source.

``roster`` knows them all; import it (or a source) where one is fitted or loaded: this package
itself stays light.
"""

from habitue.candidates.contract import (
    Learner,
    Prepared,
    PreparingSource,
    Proposals,
    Source,
    TrainingFacts,
    preparing,
)

__all__ = [
    "Learner",
    "Prepared",
    "PreparingSource",
    "Proposals",
    "Source",
    "TrainingFacts",
    "preparing",
]
