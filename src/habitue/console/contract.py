"""What the console asks of a shop: all it shows comes through here, and it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from habitue.facts import Catalogue, Fact
from habitue.store.contract import Appended
from habitue.surfaces import SlateAnswer, SurfaceRequest

__all__ = ["Doing", "Progress", "Regular", "Report", "Shop", "Standing"]


@dataclass(frozen=True, slots=True)
class Doing:
    """One item action of a shopper, as the page lists it."""

    kind: str
    item: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Regular:
    """A shopper worth picking: one with a history."""

    id: str
    n_actions: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the training that runs now has come."""

    stage: str
    share: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Standing:
    """What the shop holds and answers from."""

    facts: dict[str, int] = field(default_factory=dict)  # by kind
    seq: int = 0
    snapshot: str = ""  # empty while there is none
    progress: Progress | None = None  # None while nothing is being trained
    problem: str = ""  # what is wrong, where something is
    robots: int = 0  # shoppers who act as no person does


@dataclass(frozen=True, slots=True)
class Report:
    """The evaluation of the active snapshot: a row a model, a column a metric."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    note: str = ""


class Shop(Protocol):
    """The shop the pages show."""

    name: str
    currency: str

    async def append(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        """Store facts; on return they are durable and live state knows them."""
        ...

    def recommend(self, request: SurfaceRequest, *, now_ms: int) -> SlateAnswer:
        """Make and log one slate."""
        ...

    def catalogue(self) -> Catalogue:
        """The items as they are now; the same object while nothing has changed."""
        ...

    def doings(self, shopper: str, n: int) -> Sequence[Doing]:
        """The shopper's last item actions, most recent first; empty for a stranger."""
        ...

    def regulars(self, n: int) -> Sequence[Regular]:
        """Some shoppers with a history, fit to be tried out."""
        ...

    def standing(self) -> Standing:
        """What is stored, which snapshot answers, and how far training is."""
        ...

    def report(self) -> Report | None:
        """The evaluation of the active snapshot; None while there is none."""
        ...
