"""The one door to MLflow: curves as runs of an experiment, on a server or in a file.

Zaharia et al., "Accelerating the machine learning lifecycle with MLflow", IEEE Data Engineering
Bulletin 41(4), 2018.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from habitue.behaviour.curves import MlflowCurves, Point, Run, State
from habitue.errors import MissingPiece

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["MlflowTracking"]

_UNLESS_SET: Final = {
    # MLflow's own would try a server that is down for four minutes, and one that hangs for longer.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    # A shop's trainings are told to its own server, and to nobody else.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # What a command prints is its own.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_PARAMS = 100  # most in one request
_METRICS = 1000
_STATUS: Final[Mapping[State, str]] = {"finished": "FINISHED", "failed": "FAILED"}
_FILE = "sqlite:///"


class MlflowTracking:
    """An experiment on a server, or in a file of SQLite."""

    def __init__(self, config: MlflowCurves) -> None:
        """Raises ``MissingPiece`` where MLflow is not installed."""
        for name, value in _UNLESS_SET.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow  # noqa: F401
        except ImportError:
            raise MissingPiece(
                "Curves for MLflow are told by mlflow-skinny, which is not installed.",
                remedy="Install it with pip install 'habitue[mlflow]', or leave curves out.",
            ) from None
        self._config = config
        self.name = f"MLflow at {config.tracking_uri}"
        self.remedy = (
            "Name a file that can be written to as tracking_uri."
            if config.tracking_uri.startswith(_FILE)
            else "See that the server is up and tracking_uri is its address."
        )

    def begin(self, run: str, said: Mapping[str, str]) -> Run:
        """The run of that name in the experiment; both are made where there is none."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        config = self._config
        if config.tracking_uri.startswith(_FILE):
            Path(config.tracking_uri.removeprefix(_FILE)).parent.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(config.tracking_uri)
        known = client.get_experiment_by_name(config.experiment)
        experiment = (
            client.create_experiment(config.experiment) if known is None else known.experiment_id
        )
        same = client.search_runs([experiment], f"attributes.run_name = '{run}'", max_results=1)
        mine = same[0] if same else client.create_run(experiment, run_name=run)
        run_id = mine.info.run_id
        if same:
            client.update_run(run_id, "RUNNING")
        params = [Param(name, said[name]) for name in said if name not in mine.data.params]
        for at in range(0, len(params), _PARAMS):
            client.log_batch(run_id, params=params[at : at + _PARAMS])
        return _MlflowRun(client, run_id)


class _MlflowRun:
    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self._run_id = run_id

    def tell(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, point.at_ms, point.step)
            for point in points
            for name, value in point.scalars.items()
        ]
        for at in range(0, len(metrics), _METRICS):
            self._client.log_batch(self._run_id, metrics=metrics[at : at + _METRICS])

    def close(self, state: State) -> None:
        self._client.set_terminated(self._run_id, _STATUS[state])
