"""Rows that were refused: where they stood, why, and what they said, so that they can be mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from habitue.errors import BadInput

__all__ = ["BadRow", "erase_from_rejects", "write_rejects"]


@dataclass(frozen=True, slots=True)
class BadRow:
    """One refused row of a batch or a file."""

    row: int  # its place among the rows sent, from 0
    field: str | None  # the field that is wrong; None when it is the row as a whole
    reason: str  # what is wrong and what to do
    id: str | None = None  # the fact's own id, where it could be read
    fact: str = "action"  # the kind of fact it was sent as
    problem: Literal["invalid", "order_incomplete"] = "invalid"  # the latter: sound, but another
    # line of its order is wrong


def write_rejects(rejects: pl.DataFrame, path: Path, *, more: bool = False) -> None:
    """Write a reject file: columns line, field, reason, said (the raw row).

    A .parquet file holds ``said`` as JSON text, a .jsonl file as the object it is; to a .jsonl file
    there may be ``more``, after what it holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet" and not more:
        rejects.write_parquet(path)
    elif path.suffix == ".jsonl":
        with path.open("ab" if more else "wb") as file:
            for line, field, reason, said in rejects.iter_rows():
                row = {"line": line, "field": field, "reason": reason, "said": _raw(said)}
                file.write(msgspec.json.encode(row) + b"\n")
    else:
        raise BadInput(f"{path.name} is no reject file.", remedy="Name it .jsonl or .parquet.")


def _raw(said: str | None) -> object:
    """The raw row put in as it is; a line that was no JSON as the text it was."""
    if said is None:
        return None
    try:
        msgspec.json.decode(said)
    except msgspec.DecodeError:
        return said
    return msgspec.Raw(said.encode())


def erase_from_rejects(path: Path, ids: Iterable[str]) -> int:
    """Blank the rejected rows of a file that hold one of these ids; how many there were.

    Which column names a shopper is the mapping's affair, so a row that has an id in any of its
    fields is blanked: line, field and reason stay, what the row said goes. Letters of either case
    and blanks around an id are no difference: the mapping may have tidied them away.
    """
    wanted = frozenset(identity.strip().casefold() for identity in ids)
    if path.suffix == ".parquet":
        return _erase_from_parquet(path, wanted)
    lines = path.read_bytes().splitlines()
    rows = [msgspec.json.decode(line) for line in lines]
    hits = [_names(row["said"], wanted) for row in rows]
    if any(hits):
        kept = [
            msgspec.json.encode({**row, "said": None}) if hit else line
            for row, hit, line in zip(rows, hits, lines, strict=True)
        ]
        _replace(path, b"\n".join(kept) + b"\n")
    return sum(hits)


def _erase_from_parquet(path: Path, wanted: frozenset[str]) -> int:
    frame = pl.read_parquet(path)
    hit = pl.Series([_names(said, wanted) for said in frame["said"]], dtype=pl.Boolean)
    if hit.any():
        fresh = path.with_name(f".{path.name}")
        blank = pl.when(~hit).then(pl.col("said")).alias("said")
        frame.with_columns(blank).write_parquet(fresh)
        fresh.replace(path)
    return int(hit.sum())


def _names(said: Any, ids: frozenset[str]) -> bool:
    """Whether a value of the row is one of the ids, as text or as a number."""
    if isinstance(said, dict):
        return any(_names(value, ids) for value in said.values())
    if isinstance(said, list):
        return any(_names(value, ids) for value in said)
    if isinstance(said, str):
        if said.strip().casefold() in ids:
            return True
        try:
            inner = msgspec.json.decode(said)
        except msgspec.DecodeError:  # a line that could not be read: look for the id in its text
            return any(identity in said.casefold() for identity in ids)
        return isinstance(inner, dict | list) and _names(inner, ids)
    if isinstance(said, float) and said.is_integer():
        said = int(said)
    return said is not None and not isinstance(said, bool) and str(said) in ids


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}")
    fresh.write_bytes(content)
    fresh.replace(path)
