"""The one door to tensorboardX: curves as files that TensorBoard draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from habitue.behaviour.curves import Point, Run, State, TensorBoardCurves
from habitue.errors import MissingPiece

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

__all__ = ["TensorBoardTracking"]


class TensorBoardTracking:
    """A folder with a folder for each run; a run gone on with has a second file in its own."""

    def __init__(self, config: TensorBoardCurves) -> None:
        """Raises ``MissingPiece`` where tensorboardX is not installed."""
        try:
            import tensorboardX  # noqa: F401
        except ImportError:
            raise MissingPiece(
                "Curves for TensorBoard are written by tensorboardX, which is not installed.",
                remedy="Install it with pip install 'habitue[curves]', or leave curves out.",
            ) from None
        self._folder = config.folder
        self.name = f"TensorBoard's folder {config.folder}"
        self.remedy = "Name a folder that can be written to."

    def begin(self, run: str, said: Mapping[str, str]) -> Run:
        """A file in the run's folder; what the run was told to do is its text ``config``."""
        from tensorboardX import SummaryWriter

        folder = self._folder / run
        before = sum(1 for _ in folder.glob("*"))  # or two of one second would have one name
        writer = SummaryWriter(str(folder), filename_suffix=f".{before}")
        lines = [f"| {name} | {value} |" for name, value in said.items()]
        writer.add_text("config", "\n".join(["| setting | value |", "|---|---|", *lines]))
        return _File(writer)


class _File:
    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def tell(self, points: Sequence[Point]) -> None:
        for point in points:
            for name, value in point.scalars.items():
                self._writer.add_scalar(name, value, point.step, point.at_ms / 1000)
        self._writer.flush()

    def close(self, state: State) -> None:
        """TensorBoard does not ask how a run ended."""
        del state
        self._writer.close()
