"""What is measured while serving, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Meters"]

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class Meters:
    """Counters of one application; each has a registry of its own, so that tests do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._latency = Histogram(
            "habitue_request_seconds",
            "Time to answer a request.",
            ["route", "status"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._facts = Counter(
            "habitue_facts",
            "Facts received, by what became of them.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self._slates = Counter(
            "habitue_slates",
            "Slates answered, by surface and fall-back (empty: none).",
            ["surface", "fallback"],
            registry=self.registry,
        )
        self.last_seq = Gauge(
            "habitue_last_seq", "The highest seq acknowledged here.", registry=self.registry
        )
        self.snapshot = Gauge(
            "habitue_snapshot_active",
            "1 for the snapshot slates are made from.",
            ["snapshot"],
            registry=self.registry,
        )
        self._children: dict[tuple[str, int], Histogram] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        child = self._children.get((route, status))
        if child is None:
            child = self._children[route, status] = self._latency.labels(route, str(status))
        child.observe(seconds)

    def facts(self, kind: str, *, new: int, duplicate: int, rejected: int) -> None:
        """A batch was stored."""
        for outcome, count in (("new", new), ("duplicate", duplicate), ("rejected", rejected)):
            if count:
                self._facts.labels(kind, outcome).inc(count)

    def slate(self, surface: str, fallback: str, snapshot: str) -> None:
        """A slate was answered."""
        self._slates.labels(surface, fallback).inc()
        self.snapshot.clear()
        self.snapshot.labels(snapshot).set(1)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)
