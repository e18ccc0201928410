"""The guide's example runs, and its table of sizes is the one there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from habitue.behaviour.config import SIZES
from habitue.training.config import TrainingConfig

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "behaviour.md").read_text("utf-8")


def code(language: str) -> str:
    return "".join(re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL))


def test_the_example_does_what_it_says() -> None:
    exec(compile(code("python"), "behaviour.md", "exec"), {})


def test_the_settings_are_settings() -> None:
    told = TrainingConfig.model_validate(tomllib.loads(code("toml"))["training"])
    assert [source.source for source in told.sources] == ["popular", "content", "sequence"]


def test_the_sizes_are_those_there_are() -> None:
    told = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \|$", GUIDE, flags=re.MULTILINE)
    assert {name: tuple(map(int, numbers)) for name, *numbers in told} == {
        name: (size["dim"], size["layers"], size["heads"]) for name, size in SIZES.items()
    }
