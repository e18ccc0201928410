"""The guide's settings are settings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from habitue.candidates.two_tower import TwoTowerConfig
from habitue.training.config import TrainingConfig

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "towers.md").read_text("utf-8")


def test_the_settings_are_settings() -> None:
    (written,) = re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL)
    told = TrainingConfig.model_validate(tomllib.loads(written)["training"])
    assert [source.source for source in told.sources] == ["popular", "content", "two_tower"]
    assert told.quota("home") == {"popular": 20, "content": 40, "two_tower": 80}


def test_every_setting_it_names_is_one() -> None:
    schedule = TwoTowerConfig().schedule
    named = set(re.findall(r"`(\w+)`", GUIDE)) - {"sequence", "two_tower", "content", "additive"}
    known = {*TwoTowerConfig.model_fields, *type(schedule).model_fields}
    assert named - known <= {"validation_ndcg@10", "cpu_seconds"}
