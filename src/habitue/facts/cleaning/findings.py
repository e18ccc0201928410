"""Findings: what is looked for in a frame of rows, and the ledger of what was found.

A finding is a condition over columns with a name, the field it concerns, a sentence that explains
it, and what becomes of its rows. The ledger applies findings and keeps count, so that at the end
every row read is kept, mended or rejected, and each of those is told why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from habitue.facts.cleaning.config import Outcome

__all__ = ["Finding", "Found", "Ledger", "by_outcome"]

_EXAMPLES = 5
_ROW = "row"

Becomes = Literal["rejected", "mended", "flagged", "ignored"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look for. ``where`` is a boolean expression; null counts as false."""

    name: str
    field: str | None
    reason: str  # completes "the row was rejected: ..."
    becomes: Becomes
    where: pl.Expr


@dataclass(frozen=True, slots=True)
class Found:
    """How often a finding was true, and of which rows for example."""

    name: str
    field: str | None
    reason: str
    becomes: Becomes
    rows: int
    examples: tuple[int, ...]


def by_outcome(outcome: Outcome) -> Becomes | None:
    """What a setting makes of a row; ``None`` when the finding is not even looked for."""
    if outcome == "ignore":
        return None
    return "rejected" if outcome == "reject" else "flagged"


@dataclass(slots=True)
class Ledger:
    """What was found so far, and the rows that were rejected or mended."""

    found: list[Found] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    mended: list[pl.Series] = field(default_factory=list)

    def judge(self, frame: pl.DataFrame, findings: Sequence[Finding | None]) -> pl.DataFrame:
        """Apply the findings: the rows not rejected, each flag as a column ``mark:<name>``.

        A row with several faults is counted under each and rejected for the first.
        """
        looked = [finding for finding in findings if finding is not None]
        if not looked:
            return frame
        tests = (f.where.fill_null(False).alias(f.name) for f in looked)
        hits = frame.lazy().select(_ROW, *tests).collect()
        sums = hits.select(pl.exclude(_ROW).sum()).row(0)
        present = [f for f, rows in zip(looked, sums, strict=True) if rows]
        for finding, rows in zip(looked, sums, strict=True):
            if rows:
                self._count(finding, rows, frame.filter(hits[finding.name])[_ROW])
        frame = frame.with_columns(
            hits[f.name].alias(f"mark:{f.name}") for f in present if f.becomes == "flagged"
        )
        faults = [f for f in present if f.becomes == "rejected"]
        if not faults:
            return frame
        return self._reject(frame, hits, faults)

    def _count(self, finding: Finding, rows: int, numbers: pl.Series) -> None:
        examples = tuple(numbers.head(_EXAMPLES).to_list())
        self.found.append(
            Found(finding.name, finding.field, finding.reason, finding.becomes, rows, examples)
        )
        if finding.becomes == "mended":
            self.mended.append(numbers)

    def _reject(
        self, frame: pl.DataFrame, hits: pl.DataFrame, faults: list[Finding]
    ) -> pl.DataFrame:
        bad = hits.select(pl.any_horizontal(f.name for f in faults)).to_series()
        wrong = hits.filter(bad)
        first = wrong.select(
            pl.coalesce(
                pl.when(pl.col(f.name)).then(pl.lit(place, pl.UInt8))
                for place, f in enumerate(faults)
            )
        ).to_series()
        self.rejected.append(
            pl.DataFrame(
                {
                    _ROW: frame.filter(bad)[_ROW],
                    "field": first.replace_strict(
                        list(range(len(faults))), [f.field for f in faults], return_dtype=pl.String
                    ),
                    "reason": first.replace_strict(
                        list(range(len(faults))), [f.reason for f in faults], return_dtype=pl.String
                    ),
                }
            )
        )
        return frame.filter(~bad)

    def rejected_rows(self) -> pl.DataFrame:
        """Row, field and reason of every rejected row, in order of rows."""
        schema = {_ROW: pl.UInt32, "field": pl.String, "reason": pl.String}
        return pl.concat([pl.DataFrame(schema=schema), *self.rejected]).sort(_ROW)

    def mended_rows(self) -> pl.Series:
        """Numbers of the rows in which something was mended, each once."""
        return pl.concat([pl.Series(_ROW, [], pl.UInt32), *self.mended]).unique()
