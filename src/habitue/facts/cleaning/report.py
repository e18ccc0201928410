"""The data report: what was read, what was found in it, and what became of every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from habitue.facts.cleaning.findings import Found

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["DataReport"]


@dataclass(frozen=True, slots=True)
class DataReport:
    """What became of the rows of one source: they sum to ``rows_read``.

    ``kept`` rows were taken as they stood, ``mended`` ones with a value changed, ``rejected`` ones
    stand in the reject file, and ``ignored`` ones (GA4's own ``session_start`` and its like) say
    nothing of a shop. ``found`` counts every fault of a row, so it may sum to more.
    """

    source: str
    rows_read: int
    kept: int
    mended: int
    rejected: int
    found: tuple[Found, ...]
    made: dict[str, int]  # facts made of the rows: purchase, refund, item versions, ...
    since_ms: int | None = None  # time of the first action
    until_ms: int | None = None  # time of the last one
    ignored: int = 0

    def as_json(self) -> bytes:
        """The report as one JSON object."""
        return msgspec.json.encode(self)

    def as_markdown(self) -> str:
        """The report as a Markdown section with one table."""
        lines = [
            f"## {self.source}",
            "",
            (
                f"{self.rows_read:,} rows read: {self.kept:,} kept, {self.mended:,} mended, "
                f"{self.rejected:,} rejected{self._ignored()}."
            ),
            f"Made of them: {self._made()}.",
            "",
            "| found | field | rows | became | for example rows |",
            "|---|---|---:|---|---|",
        ]
        for found in self.found:
            examples = ", ".join(map(str, found.examples))
            lines.append(
                f"| {found.reason} | {found.field or ''} | {found.rows:,} | {found.becomes} "
                f"| {examples} |"
            )
        return "\n".join(lines) + "\n"

    def as_table(self) -> Table:
        """The report as a Rich table for the terminal."""
        from rich.table import Table

        table = Table(
            title=f"{self.source}: {self.rows_read:,} rows read",
            caption=f"kept {self.kept:,} · mended {self.mended:,} · rejected {self.rejected:,}"
            f"{self._ignored()}\n"
            f"made: {self._made()}",
        )
        table.add_column("found", overflow="fold")
        table.add_column("field")
        table.add_column("rows", justify="right")
        table.add_column("became")
        table.add_column("for example rows")
        colours = {"rejected": "red", "mended": "yellow", "flagged": "cyan", "ignored": "dim"}
        for found in self.found:
            examples = ", ".join(map(str, found.examples))
            became = f"[{colours[found.becomes]}]{found.becomes}[/]"
            table.add_row(found.reason, found.field or "", f"{found.rows:,}", became, examples)
        return table

    def _ignored(self) -> str:
        return f", {self.ignored:,} ignored" if self.ignored else ""

    def _made(self) -> str:
        return ", ".join(f"{n:,} {name}" for name, n in self.made.items()) or "nothing"
