"""``habitue import --follow`` says what it cannot do in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from habitue.cli import app
from habitue.errors import BadInput


@pytest.mark.parametrize("also", [("--report", "report.json"), ("--query", "select 1")])
def test_following_a_file_goes_with_neither_a_report_nor_a_query(
    tmp_path: Path, also: tuple[str, str]
) -> None:
    words = ["import", str(tmp_path / "events.jsonl"), "--follow", *also]
    done = CliRunner().invoke(app, [*words, "--store", str(tmp_path / "shop.db")])
    assert isinstance(done.exception, BadInput)
    assert "--report" in done.exception.message
    assert not (tmp_path / "shop.db").exists()
