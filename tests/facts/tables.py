"""Small tables written by hand, imported through a mapping written beside them."""

import tomllib
from typing import Any

import polars as pl

from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.mapping import Mapping
from habitue.facts.feeds.tables import ROW, RawTable

NOW = 1_700_000_000_000


def mapping(toml: str, **top: Any) -> Mapping:
    """A mapping of TOML text; ``top`` sets keys above its tables."""
    return Mapping.model_validate({"name": "test", **top, **tomllib.loads(toml)})


def raw_table(rows: list[dict[str, Any]], schema: dict[str, Any] | None = None) -> RawTable:
    """Rows as a source would have them."""
    return RawTable(pl.DataFrame(rows, schema=schema).with_row_index(ROW), "test", "ab" * 32)


def imported(rows: list[dict[str, Any]], how: Mapping, **also: Any) -> Imported:
    """Import rows and check that every one of them is accounted for."""
    raw = raw_table(rows, also.pop("schema", None))
    result = import_table(raw, how, now_ms=NOW, **also)
    report = result.report
    assert report.rows_read == len(rows)
    assert report.kept + report.mended + report.rejected == len(rows)
    assert result.rejects.height == report.rejected
    if how.action is not None:
        assert result.actions.num_rows == report.kept + report.mended
    return result


def counts(result: Imported) -> dict[str, int]:
    """How many rows each finding was true of."""
    return {found.name: found.rows for found in result.report.found}
