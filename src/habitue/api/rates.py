"""How often one caller may ask: token buckets, many and bounded."""

from __future__ import annotations

__all__ = ["Buckets"]


class Buckets:
    """One token bucket a name: ``per_second`` tokens flow in, up to ``burst``; a request takes one.

    At most ``remembered`` names are held; the longest silent one is let go first, and starts full
    when it comes back. Time is an argument, in seconds that never run backwards.

    >>> buckets = Buckets(per_second=1, burst=2, remembered=10)
    >>> [buckets.wait("a", now) for now in (0.0, 0.0, 0.0, 1.0)]
    [0.0, 0.0, 1.0, 0.0]
    """

    __slots__ = ("_burst", "_held", "_per_second", "_remembered")

    def __init__(self, *, per_second: float, burst: float, remembered: int) -> None:
        self._per_second = per_second
        self._burst = max(burst, 1.0)
        self._remembered = remembered
        self._held: dict[str, tuple[float, float]] = {}  # name: (tokens, as of)

    def wait(self, name: str, now: float) -> float:
        """Take a token: 0.0 when there was one, else the seconds until there is."""
        held = self._held
        tokens, since = held.pop(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        short = 1.0 - tokens
        held[name] = (tokens if short > 0 else tokens - 1.0, now)
        if len(held) > self._remembered:
            del held[next(iter(held))]
        return short / self._per_second if short > 0 else 0.0

    def __len__(self) -> int:
        return len(self._held)
