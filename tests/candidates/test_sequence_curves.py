"""Curves of the source ``sequence``: as settings say, from the first pass to the last."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from habitue.behaviour.curves import MlflowCurves, TensorBoardCurves
from habitue.candidates.sequence import SequenceLearner, SequenceSource
from habitue.candidates.sequence_config import SequenceConfig
from habitue.errors import BadSetting, MissingPiece
from habitue.settings import Settings, rendered
from tests.behaviour.curve_readers import drawn_by_mlflow, empty_store
from tests.candidates.shop import catalogue_of, facts_of, log_of
from tests.candidates.test_sequence import CONFIG, circle

N = 8


def told(curves: str) -> SequenceConfig:
    Path("shop.toml").write_text(f'[[training.sources]]\nsource = "sequence"\ncurves = {curves}\n')
    (source,) = Settings.load("shop.toml").training.sources
    assert isinstance(source, SequenceConfig)
    return source


@pytest.fixture(autouse=True)
def _no_settings_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ('"a/folder"', TensorBoardCurves(folder=Path("a/folder"))),
        (
            '{to = "tensorboard", folder = "a/folder"}',
            TensorBoardCurves(folder=Path("a/folder")),
        ),
        (
            '{to = "mlflow", tracking_uri = "http://localhost:5000"}',
            MlflowCurves(tracking_uri="http://localhost:5000", experiment="habitue"),
        ),
        (
            '{to = "mlflow", tracking_uri = "sqlite:///var/mlflow.db", experiment = "tea"}',
            MlflowCurves(tracking_uri="sqlite:///var/mlflow.db", experiment="tea"),
        ),
    ],
)
def test_settings_say_where_curves_go(said: str, read: TensorBoardCurves | MlflowCurves) -> None:
    config = told(said)
    assert config.curves == read
    assert SequenceConfig.model_validate(config.model_dump(mode="json")) == config
    written = tomllib.loads(rendered("training", Settings.load("shop.toml").training))
    (again,) = written["training"]["sources"]
    assert SequenceConfig.model_validate(again) == config


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ('{folder = "x"}', 'to = "tensorboard" or to = "mlflow"'),
        ('{to = "mlflo", tracking_uri = "http://x"}', "'tensorboard', 'mlflow'"),
        ('{to = "mlflow"}', "curves.mlflow.tracking_uri"),
        ('{to = "mlflow", tracking_uri = "mlruns"}', "http://host:port"),
        ('{to = "mlflow", tracking_uri = "sqlite:///"}', "sqlite:///path/to/a/file.db"),
        ('{to = "mlflow", tracking_uri = "http://x", experimnt = "y"}', "experimnt"),
        ('{to = "tensorboard", folder = "x", tracking_uri = "http://x"}', "tracking_uri"),
        ("3", "curves"),
    ],
)
def test_a_mistake_is_told(said: str, problem: str) -> None:
    with pytest.raises(BadSetting) as caught:
        told(said)
    assert problem in str(caught.value)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadSetting, match="MLFLOW_TRACKING_PASSWORD") as caught:
        told('{to = "mlflow", tracking_uri = "https://me:hunter2@mlflow.example"}')
    assert "hunter2" not in str(caught.value)


def test_a_training_is_a_run_of_mlflow(tmp_path: Path) -> None:
    """A larger network and its student: a run each, the student's by the plain name."""
    curves = MlflowCurves(tracking_uri=empty_store(tmp_path)(tmp_path), experiment="tea")
    small = CONFIG.model_dump() | {"curves": curves}
    small["behaviour"] |= {"student": {"dim": 8}}
    config = SequenceConfig.model_validate(small)
    facts = facts_of(log_of(sorted(circle(N, 0, 8, 0))), catalogue_of(N))
    source = SequenceLearner(config).fit(facts, np.random.default_rng(2))
    assert isinstance(source, SequenceSource)
    drawn = drawn_by_mlflow(curves)
    larger, name = sorted(drawn, key=len, reverse=True)
    assert larger == f"{name}-larger"
    served = drawn[name]
    assert served.state == drawn[larger].state == "FINISHED"
    assert (served.said["dim"], drawn[larger].said["dim"]) == ("8", str(CONFIG.behaviour.dim))
    ((step, best),) = served.points["validation/best_ndcg_at_10"]
    assert best == pytest.approx(source.measured["validation_ndcg@10"])
    assert step == source.measured["epochs"]
    ((_, best),) = drawn[larger].points["validation/best_ndcg_at_10"]
    assert best == pytest.approx(source.measured["larger_ndcg@10"])


def test_what_is_missing_is_said_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    config = CONFIG.model_copy(update={"curves": MlflowCurves(tracking_uri="http://x")})
    facts = facts_of(log_of(sorted(circle(N, 0, 8, 0))), catalogue_of(N))
    with pytest.raises(MissingPiece, match="habitue"):
        SequenceLearner(config).fit(facts, np.random.default_rng(2))
