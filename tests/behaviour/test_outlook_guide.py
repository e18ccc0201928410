"""The guide's example runs, and its groups are those there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from habitue.behaviour.moments import GROUPS

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "outlook.md").read_text("utf-8")


def test_the_example_does_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)[1]
    exec(compile(code, "outlook.md", "exec"), {})
    said = re.findall(r"print\(.*\)  # (.*)", code)
    assert capsys.readouterr().out.split("\n")[:-1] == said


def test_the_groups_are_those_there_are() -> None:
    assert re.findall(
        r"^\| `(\w+)` \|", GUIDE.partition("## What it reads")[2], flags=re.MULTILINE
    ) == list(GROUPS)
