"""Erasure: everything that is held of a person goes, wherever it is held.

The store deletes the facts and keeps a tombstone without a key; what lives in memory drops the
person before that, so that no answer in between remembers; reject files are blanked. Snapshots
know rows, not names: the erased row is masked at once and gone with the next training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from habitue.errors import BadSetting
from habitue.facts.cleaning.rejects import erase_from_rejects
from habitue.privacy.secret_files import locked, write_secret

__all__ = ["RejectFiles", "erase"]

Erased_co = TypeVar("Erased_co", covariant=True)


class Holder(Protocol[Erased_co]):
    """A fact store, as far as a person's rights go."""

    def export(self, shopper: str) -> Mapping[str, Sequence[Mapping[str, object]]]:
        """Everything held of a person; ``name`` lists the ids they are known by."""
        ...

    def forget(self, shopper: str, *, now_ms: int) -> Erased_co:
        """Erase a person and every id of theirs."""
        ...


class Forgets(Protocol):
    """What remembers people while the program runs."""

    def forget(self, shopper: str) -> object:
        """Drop everything held of a person."""
        ...


class RejectFiles:
    """Which reject files were written, so that an erasure finds them wherever they lie."""

    def __init__(self, index: Path) -> None:
        """``index`` is the file that lists them; it is made with the first."""
        self._index = index

    def note(self, path: Path) -> None:
        """Remember a file that was written."""
        with locked(self._index):
            known = self.paths()
            if path.resolve() not in known:
                self._write([*known, path.resolve()])

    def paths(self) -> list[Path]:
        """The files noted, oldest first."""
        try:
            return [Path(p) for p in msgspec.json.decode(self._index.read_bytes(), type=list[str])]
        except FileNotFoundError:
            return []
        except msgspec.DecodeError:
            raise BadSetting(
                f"{self._index} is damaged.",
                remedy="Remove it, and erase from reject files by hand.",
            ) from None

    def erase(self, ids: Sequence[str]) -> int:
        """Blank what the files say of these ids; files deleted meanwhile are let go."""
        with locked(self._index):
            known = self.paths()
            there = [path for path in known if path.is_file()]
            if there != known:
                self._write(there)
        return sum(erase_from_rejects(path, ids) for path in there)

    def _write(self, paths: list[Path]) -> None:
        write_secret(self._index, msgspec.json.encode([str(path) for path in paths]))


def erase(
    shopper: str,
    *,
    store: Holder[Erased_co],
    live: Sequence[Forgets],
    rejects: RejectFiles,
    now_ms: int,
) -> tuple[Erased_co, int]:
    """Erase a person everywhere; what the store erased, and how many rejected rows were blanked.

    Raises ``NotFound`` for a stranger. Called again after a failure it finishes what is left: the
    store is last, and only it knows the ids by which the rest is found.
    """
    ids = [str(name["id"]) for name in store.export(shopper)["name"] if name["id"] is not None]
    for one in live:
        one.forget(shopper)
    blanked = rejects.erase([shopper, *ids])
    return store.forget(shopper, now_ms=now_ms), blanked
