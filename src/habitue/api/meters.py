"""What is measured while serving, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client.registry import Collector

__all__ = ["Meters"]

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class Meters:
    """Counters of one application; each has a registry of its own, so that shops do not mix."""

    def __init__(self, shop: str = "") -> None:
        """``shop`` becomes a label of everything measured, where a server has several."""
        self.registry = CollectorRegistry()
        self._shop = shop
        self._latency = Histogram(
            "habitue_request_seconds",
            "Time to answer a request.",
            ["route", "status"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._facts = Counter(
            "habitue_facts",
            "Facts received, by what became of them (late ones are among the new).",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self._tracked = Counter(
            "habitue_tracker_events",
            "Events trackers sent, by what became of them (ignored: Habitué keeps none of that).",
            ["tracker", "outcome"],
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
        self.robots = Gauge(
            "habitue_robots",
            "Shoppers at rates no person has, whose actions count for nobody else.",
            registry=self.registry,
        )
        self._snapshot = Gauge(
            "habitue_snapshot_active",
            "1 for the snapshot slates are made from.",
            ["snapshot"],
            registry=self.registry,
        )
        self._times: dict[tuple[str, int], Histogram] = {}
        self._counts: dict[tuple[str, str], Counter] = {}
        self._shown: dict[tuple[str, str], Counter] = {}
        self._active = ""

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        child = self._times.get((route, status))
        if child is None:
            child = self._times[route, status] = self._latency.labels(route, str(status))
        child.observe(seconds)

    def facts(self, kind: str, outcome: str, count: int) -> None:
        """So many facts of a batch came out so."""
        if count:
            child = self._counts.get((kind, outcome))
            if child is None:
                child = self._counts[kind, outcome] = self._facts.labels(kind, outcome)
            child.inc(count)

    def tracked(self, tracker: str, outcome: str, count: int) -> None:
        """So many events of a tracker's sending came out so."""
        if count:
            self._tracked.labels(tracker, outcome).inc(count)

    def slate(self, surface: str, fallback: str, snapshot: str) -> None:
        """A slate was answered."""
        child = self._shown.get((surface, fallback))
        if child is None:
            child = self._shown[surface, fallback] = self._slates.labels(surface, fallback)
        child.inc()
        if snapshot != self._active:
            self._active = snapshot
            self._snapshot.clear()
            self._snapshot.labels(snapshot).set(1)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        if not self._shop:
            return generate_latest(self.registry)
        labelled = CollectorRegistry()
        labelled.register(_Labelled(self.registry, self._shop))
        return generate_latest(labelled)


class _Labelled(Collector):
    """What a registry holds, each sample with the name of the shop."""

    def __init__(self, registry: CollectorRegistry, shop: str) -> None:
        self._registry = registry
        self._shop = shop

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            metric.samples = [
                one._replace(labels={"shop": self._shop, **one.labels}) for one in metric.samples
            ]
            yield metric
