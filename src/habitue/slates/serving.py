"""What answers now: one snapshot made servable, switched without losing a request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from habitue.errors import NotFound
from habitue.facts import Context
from habitue.policy.rule_policy import RulePolicy
from habitue.slates.pipeline import Pipeline, Slates

__all__ = ["Explained", "Explainer", "Servable", "Switch"]


class Explained(Protocol):
    """Why one slot is there: a sentence for the shopper, and the items it names."""

    @property
    def text(self) -> str:
        """The sentence; empty where there is nothing to say."""
        ...

    @property
    def causes(self) -> Sequence[int]:
        """Rows of the items the sentence names."""
        ...


class Explainer(Protocol):
    """Finds the reasons of slates."""

    def explain(
        self, context: Context, slates: Slates, title: Callable[[int], str]
    ) -> Sequence[Sequence[Explained]]:
        """One reason for each slot of each context; ``title`` names items before a shopper."""
        ...


@dataclass(frozen=True, slots=True)
class Servable:
    """A snapshot as it answers: immutable, so a request that began with it ends with it."""

    name: str  # empty for what answers while nothing has been trained
    pipeline: Pipeline
    policies: Mapping[str, RulePolicy]
    explainer: Explainer | None = None
    watermark: int = 0
    made_at_ms: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)

    def close(self) -> None:
        """Stop following the shelf; requests still in flight end with what they hold."""
        for policy in self.policies.values():
            policy.close()


class Switch:
    """Holds what answers now. Reading is one attribute, so a request sees one snapshot whole."""

    def __init__(self, first: Servable) -> None:
        self._lock = threading.Lock()
        self.current = first
        self._before: list[Servable] = []

    def activate(self, servable: Servable) -> Servable:
        """Answer from ``servable`` from the next request on; returns what answered until now."""
        with self._lock:
            before, self.current = self.current, servable
            self._before.append(before)
            while len(self._before) > 1:
                self._before.pop(0).close()
            return before

    def roll_back(self) -> Servable:
        """Answer from the servable before this one again; raises ``NotFound`` if none is held."""
        with self._lock:
            if not self._before:
                raise NotFound(
                    "There is no snapshot to go back to.",
                    remedy="`habitue snapshots` lists them; activate one by name.",
                )
            dropped, self.current = self.current, self._before.pop()
            dropped.close()
            return self.current
