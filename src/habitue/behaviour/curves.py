"""How a training went, as curves: what is told of it, to whom, and who draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

__all__ = [
    "CurvesConfig",
    "MlflowCurves",
    "Point",
    "Run",
    "State",
    "TensorBoardCurves",
    "Tracking",
    "flat",
]

State = Literal["finished", "failed"]
"""How a training ended."""

_SERVERS = ("http", "https")


class TensorBoardCurves(BaseModel):
    """Curves as files that TensorBoard draws."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: Literal["tensorboard"] = "tensorboard"
    folder: Path = Field(description="holds a folder for each training")


class MlflowCurves(BaseModel):
    """Curves as runs of an experiment of MLflow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: Literal["mlflow"] = "mlflow"
    tracking_uri: str = Field(
        description="http://host:port of a server, or sqlite:///path/to/a/file.db"
    )
    experiment: str = Field(
        default="habitue", min_length=1, max_length=500, description="made where there is none"
    )

    @field_validator("tracking_uri")
    @classmethod
    def _can_be_asked(cls, uri: str) -> str:
        try:
            parts = urlsplit(uri)
        except ValueError as problem:
            raise ValueError(f"no address: {problem}") from None
        if "@" in parts.netloc:
            raise ValueError(
                "a password would stand in every snapshot; name the server without it, and set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment"
            )
        server = parts.scheme in _SERVERS and parts.netloc
        if not server and not (uri.startswith("sqlite:///") and parts.path.strip("/")):
            raise ValueError(
                "write http://host:port or https://host of an MLflow server, or "
                "sqlite:///path/to/a/file.db"
            )
        return uri


def _as_table(said: object) -> object:
    """A plain folder is TensorBoard's."""
    if isinstance(said, str | Path):
        return {"to": "tensorboard", "folder": said}
    if isinstance(said, Mapping) and "to" not in said:
        raise ValueError('say whose they are: to = "tensorboard" or to = "mlflow"')
    return said


CurvesConfig = Annotated[
    Annotated[TensorBoardCurves | MlflowCurves, Field(discriminator="to")],
    BeforeValidator(_as_table),
]
"""Where curves go: a folder, for TensorBoard, or a table with ``to``."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured after so many passes."""

    step: int  # passes
    at_ms: int  # when, UTC
    scalars: Mapping[str, float]


class Run(Protocol):
    """One training, as whoever draws it holds it."""

    def tell(self, points: Sequence[Point]) -> None:
        """Add points to its curves."""

    def close(self, state: State) -> None:
        """Say that it has ended, and how."""


class Tracking(Protocol):
    """Draws curves. Any of its calls may be slow or fail; ``telling`` sees to both."""

    name: str
    """What a warning calls it."""

    remedy: str
    """What is to be done where it does not answer."""

    def begin(self, run: str, said: Mapping[str, str]) -> Run:
        """The run of that name, begun or gone on with; ``said`` is what it was told to do."""


def flat(said: Mapping[str, object], within: str = "") -> Iterator[tuple[str, str]]:
    """Each setting of a config by its name with dots, as text.

    >>> dict(flat({"dim": 64, "loss": {"against": "all"}}))
    {'dim': '64', 'loss.against': 'all'}
    """
    for name, value in said.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", str(value)
