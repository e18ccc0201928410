"""The guide's example of foretold ratings runs, and prints what the guide says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "ratings.md"


def test_the_guides_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.search(
        r"```python\n([\s\S]*?)```\n\n((?:    [^\n]*\n)+)", GUIDE.read_text("utf-8")
    )
    assert example is not None
    code, printed = example.groups()
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(GUIDE), "exec"), {})
    assert capsys.readouterr().out.split("\n")[:-1] == [
        line.strip() for line in printed.rstrip().split("\n")
    ]
