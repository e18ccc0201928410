"""What whoever draws curves was told, read back as that one keeps it."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import ViewType
from tensorboardX.proto.event_pb2 import Event

from habitue.behaviour.curves import MlflowCurves, TensorBoardCurves
from tests.behaviour.mlflow_server import Served

__all__ = ["Drawn", "drawn_by_mlflow", "drawn_by_server", "drawn_by_tensorboard", "empty_store"]


@dataclass
class Drawn:
    """One run."""

    points: dict[str, list[tuple[int, float]]]  # (step, value) by name, as they came
    said: dict[str, str]
    state: str | None  # FINISHED, FAILED, RUNNING; None where nobody keeps it


def drawn_by_tensorboard(config: TensorBoardCurves) -> dict[str, Drawn]:
    """Runs by name. Read as TensorBoard reads them: length, checksum, event, checksum."""
    runs: dict[str, Drawn] = {}
    for folder in sorted(config.folder.iterdir()):
        drawn = runs[folder.name] = Drawn({}, {}, None)
        for file in sorted(folder.iterdir()):
            data, at = file.read_bytes(), 0
            while at < len(data):
                (length,) = struct.unpack_from("<Q", data, at)
                event = Event.FromString(data[at + 12 : at + 12 + length])
                at += 16 + length
                for value in event.summary.value:
                    if value.tag.startswith("config"):
                        lines = value.tensor.string_val[0].decode().splitlines()[2:]
                        cells = [line.strip("| ").split(" | ") for line in lines]
                        drawn.said |= dict(cells)
                    else:
                        point = (event.step, value.simple_value)
                        drawn.points.setdefault(value.tag, []).append(point)
    return runs


def drawn_by_mlflow(config: MlflowCurves) -> dict[str, Drawn]:
    """Runs by name, as MLflow's own client reads them."""
    client = MlflowClient(config.tracking_uri)
    experiment = client.get_experiment_by_name(config.experiment)
    assert experiment is not None
    return {
        run.info.run_name: Drawn(
            {
                name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
            dict(run.data.params),
            run.info.status,
        )
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
    }


def drawn_by_server(served: Served) -> dict[str, Drawn]:
    """Runs by name, as the server was told them."""
    runs: dict[str, Drawn] = {}
    for run in served.runs.values():
        points: dict[str, list[tuple[int, float]]] = {}
        for metric in run["metrics"]:
            points.setdefault(metric["key"], []).append((int(metric["step"]), metric["value"]))
        said = {param["key"]: param["value"] for param in run["params"]}
        assert len(said) == len(run["params"]), "each once"
        runs[run["info"]["run_name"]] = Drawn(points, said, run["info"]["status"])
    return runs


def empty_store(folder: Path) -> Callable[[Path], str]:
    """Makes copies of one empty store of MLflow, each in a second less than a new one takes."""
    made = folder / "empty.db"
    MlflowClient(f"sqlite:///{made}").search_experiments()

    def copied(into: Path) -> str:
        shutil.copy(made, into / "mlflow.db")
        return f"sqlite:///{into / 'mlflow.db'}"

    return copied
