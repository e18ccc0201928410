"""Curves: whoever draws them is told the same, and none of them ever costs a training."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from habitue.behaviour import telling as telling_module
from habitue.behaviour.curves import (
    CurvesConfig,
    MlflowCurves,
    Point,
    Run,
    State,
    TensorBoardCurves,
)
from habitue.behaviour.fitting import Fitted, Training, fit
from habitue.behaviour.teaching import Teacher
from habitue.behaviour.telling import telling, tracking_of
from habitue.errors import MissingPiece
from tests.behaviour.curve_readers import (
    Drawn,
    drawn_by_mlflow,
    drawn_by_server,
    drawn_by_tensorboard,
    empty_store,
)
from tests.behaviour.mlflow_server import Served, mlflow_server
from tests.behaviour.streams import rounds
from tests.behaviour.test_fitting import SMALL

Place = tuple[CurvesConfig, Callable[[], dict[str, Drawn]]]
SAID = {"dim": "16", **{f"loss.{n}": str(n) for n in range(130)}}  # more than one request holds


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    return empty_store(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def served() -> Iterator[Served]:
    with mlflow_server() as server:
        yield server


@pytest.fixture(params=["tensorboard", "mlflow file", "mlflow server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where curves go, and how they are read back from there."""
    if request.param == "tensorboard":
        folder = TensorBoardCurves(folder=tmp_path / "curves")
        return folder, lambda: drawn_by_tensorboard(folder)
    if request.param == "mlflow file":
        store = request.getfixturevalue("store")
        file = MlflowCurves(tracking_uri=store(tmp_path), experiment="a shop")
        return file, lambda: drawn_by_mlflow(file)
    served = request.getfixturevalue("served")
    return MlflowCurves(tracking_uri=served.url), lambda: drawn_by_server(served)


def wait_until(so: Callable[[], bool]) -> None:
    """Until it is so; half a minute at most."""
    for _ in range(600):
        if so():
            return
        time.sleep(0.05)
    raise AssertionError


def test_what_is_told_is_read_back(place: Place) -> None:
    config, read = place
    with telling(tracking_of(config), "first", SAID) as tell:
        tell(3, {"training/loss": 0.5, "validation/ndcg_at_10": 0.25})
        tell(6, {"training/loss": 0.25})
    with telling(tracking_of(config), "second", SAID) as tell:
        tell(3, {"training/loss": 0.125})
    drawn = read()
    assert drawn["first"].points == {
        "training/loss": [(3, 0.5), (6, 0.25)],
        "validation/ndcg_at_10": [(3, 0.25)],
    }
    assert drawn["second"].points == {"training/loss": [(3, 0.125)]}
    assert drawn["first"].said == drawn["second"].said == SAID
    assert drawn["first"].state in ("FINISHED", None)


def test_what_failed_is_marked_and_gone_on_with(place: Place) -> None:
    config, read = place

    def failing() -> None:
        with telling(tracking_of(config), "run", SAID) as tell:
            tell(1, {"training/loss": 0.5})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert read()["run"].state in ("FAILED", None)
    assert read()["run"].points == {"training/loss": [(1, 0.5)]}
    with telling(tracking_of(config), "run", SAID) as tell:
        tell(2, {"training/loss": 0.25})
        wait_until(lambda: read()["run"].state in ("RUNNING", None))
    assert list(read()) == ["run"]
    assert read()["run"].points == {"training/loss": [(1, 0.5), (2, 0.25)]}
    assert read()["run"].said == SAID
    assert read()["run"].state in ("FINISHED", None)


def test_a_training_tells_each_validation_and_its_best(place: Place) -> None:
    config, read = place
    walk = rounds(40)
    training = Training(walk.without_last(1), judged=walk)
    fitted = fit(training, SMALL, seed=3, tracking=tracking_of(config), run="night")
    assert len(fitted.history) > 1
    night = read()["night"]
    assert night.points["validation/ndcg_at_10"] == [
        (one.epoch, pytest.approx(one.ndcg)) for one in fitted.history
    ]
    assert night.points["training/loss"] == [
        (one.epoch, pytest.approx(one.loss)) for one in fitted.history
    ]
    assert [step for step, _ in night.points["training/cpu_seconds"]] == [
        one.epoch for one in fitted.history
    ]
    best = max(one.ndcg for one in fitted.history)
    assert night.points["validation/best_ndcg_at_10"] == [(fitted.epochs, pytest.approx(best))]
    assert night.said["dim"] == "16"
    assert night.said["schedule.epochs"] == "12"
    assert night.said["seed"] == "3"


def test_a_training_that_was_killed_goes_on_in_its_run(place: Place, tmp_path: Path) -> None:
    """It was killed after a validation that was not written down: made again, it is the same."""
    config, read = place
    walk = rounds(60)
    training = Training(walk.without_last(1), judged=walk)
    often = SMALL.schedule.model_copy(
        update={"checkpoint_minutes": 1e-9, "validate_every": 1, "first_validation": 0.0}
    )
    steps, taught = 0, Teacher.learn

    class Killed(Exception):
        pass

    def learn(self: Teacher, *said: object) -> float:
        nonlocal steps
        steps += 1
        if steps == 21:
            raise Killed
        return taught(self, *said)

    def trained(run: str) -> Fitted:
        return fit(
            training, SMALL.model_copy(update={"schedule": often}),
            checkpoints=tmp_path / "kept", tracking=tracking_of(config), run=run,
        )  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Teacher, "learn", learn)
        with pytest.raises(Killed):
            trained("first")
        before = read()["first"].points["validation/ndcg_at_10"]
        history = trained("second").history
    assert list(read()) == ["first"]
    assert 0 < len(before) < len(history)
    whole = read()["first"].points["validation/ndcg_at_10"]
    assert whole[: len(before)] == before
    assert len(whole) == len(history) + 1
    assert sorted(set(whole)) == [(one.epoch, pytest.approx(one.ndcg)) for one in history]
    assert read()["first"].state in ("FINISHED", None)


def test_more_points_than_one_request_holds_are_told(store: Callable, tmp_path: Path) -> None:
    config = MlflowCurves(tracking_uri=store(tmp_path))
    run = tracking_of(config).begin("run", {})
    run.tell([Point(n, 1_000 + n, {"a": n / 2, "b": n}) for n in range(700)])
    drawn = drawn_by_mlflow(config)["run"]
    assert drawn.points["a"] == [(n, n / 2) for n in range(700)]
    assert len(drawn.points["b"]) == 700


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////proc/nowhere/mlflow.db"])
def test_a_tracking_that_is_not_there_costs_no_training(
    uri: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    walk = rounds(40)
    training = Training(walk.without_last(1), judged=walk)
    alone = fit(training, SMALL, seed=3)
    caplog.clear()
    told = fit(training, SMALL, seed=3, tracking=tracking_of(MlflowCurves(tracking_uri=uri)))
    assert torch.equal(alone.network.item_vectors(), told.network.item_vectors())
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("habitue")]
    assert len(ours) == 1, "said once"
    assert ours[0].startswith(f"The curves of this training do not reach MLflow at {uri}: ")
    assert "tracking_uri" in ours[0]
    assert capfd.readouterr().out == ""


def test_a_folder_nobody_may_write_to_costs_no_training(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with telling(tracking_of(TensorBoardCurves(folder=tmp_path / "file")), "run", {}) as tell:
        tell(1, {"training/loss": 1.0})
    (said,) = caplog.messages
    assert "can be written to" in said


@pytest.mark.parametrize("down_from", ["the beginning", "the first validation"])
def test_a_server_that_comes_back_is_told_what_it_missed(
    down_from: str, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def ours() -> list[str]:
        return [one.getMessage() for one in caplog.records if one.name.startswith("habitue")]

    served.down = down_from == "the beginning"
    said = {"dim": "16"}
    with telling(tracking_of(MlflowCurves(tracking_uri=served.url)), "run", said) as tell:
        wait_until(lambda: bool(ours() if served.down else served.asked.count("runs/log-batch")))
        served.down = True
        calls = len(served.asked)
        tell(1, {"training/loss": 0.5})
        wait_until(lambda: len(served.asked) > calls and bool(ours()))
        served.down = False
        tell(2, {"training/loss": 0.25})
    drawn = drawn_by_server(served)["run"]
    assert drawn.points == {"training/loss": [(1, 0.5), (2, 0.25)]}
    assert (drawn.said, drawn.state) == (said, "FINISHED")
    assert len(ours()) == 1


def test_a_slow_server_is_told_of_many_points_at_once(served: Served) -> None:
    """Ten points cost the training nothing, and the server few calls."""
    served.slow_seconds = 0.3
    with telling(tracking_of(MlflowCurves(tracking_uri=served.url)), "run", {}) as tell:
        began = time.perf_counter()
        for step in range(10):
            tell(step, {"training/loss": 1.0 / (step + 1)})
        assert time.perf_counter() - began < 0.25, "less than one call"
    assert len(drawn_by_server(served)["run"].points["training/loss"]) == 10
    assert served.asked.count("runs/log-batch") <= 2


class Asleep:
    """Never answers while the test looks."""

    name, remedy = "nobody", "Wake it."

    def __init__(self) -> None:
        self.waking = threading.Event()

    def begin(self, run: str, said: Mapping[str, str]) -> Run:
        self.waking.wait(60)
        return self

    def tell(self, points: Sequence[Point]) -> None:
        pass

    def close(self, state: State) -> None:
        pass


def test_one_that_never_answers_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telling_module, "_PATIENCE_SECONDS", {"finished": 0.05})
    asleep = Asleep()
    with telling(asleep, "run", {}) as tell:
        tell(1, {"training/loss": 1.0})
    (said,) = caplog.messages
    assert said == (
        "The curves of this training do not reach nobody: it did not answer for 0.05 seconds. "
        "The training is not harmed; what is missing of them is lost. Wake it."
    )
    asleep.waking.set()


@pytest.mark.parametrize(
    ("config", "library", "extra"),
    [
        (TensorBoardCurves(folder=Path("x")), "tensorboardX", "curves"),
        (MlflowCurves(tracking_uri="http://x"), "mlflow", "mlflow"),
    ],
)
def test_a_library_that_is_missing_is_named(
    config: CurvesConfig, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingPiece, match=rf"pip install 'habitue\[{extra}\]'"):
        tracking_of(config)


def test_what_the_user_has_set_of_mlflow_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    tracking_of(MlflowCurves(tracking_uri="http://x"))
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"


def test_curves_load_no_driver_where_they_are_only_named() -> None:
    asked = (
        "import sys, habitue.candidates.sequence; "
        "print([name for name in ('mlflow', 'tensorboardX', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
