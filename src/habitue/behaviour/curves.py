"""How a training went, as curves that TensorBoard draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from habitue.behaviour.checkpoints import Validated
from habitue.errors import MissingPiece

__all__ = ["curves_in"]


@contextmanager
def curves_in(folder: Path | None, run: str) -> Iterator[Callable[[Validated], None] | None]:
    """Whom to tell of each validation, for curves in ``folder / run``; nobody without a folder.

    ``training/loss``, ``validation/ndcg_at_10`` and ``training/cpu_seconds`` by passes. Raises
    ``MissingPiece`` where tensorboardX, which writes them, is not installed.
    """
    if folder is None:
        yield None
        return
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise MissingPiece(
            "Curves for TensorBoard are written by tensorboardX, which is not installed.",
            remedy="Install it with pip install 'habitue[curves]', or leave curves out.",
        ) from None
    with SummaryWriter(str(folder / run)) as writer:

        def told(one: Validated) -> None:
            writer.add_scalar("training/loss", one.loss, one.epoch)
            writer.add_scalar("validation/ndcg_at_10", one.ndcg, one.epoch)
            writer.add_scalar("training/cpu_seconds", one.cpu_seconds, one.epoch)
            writer.flush()

        yield told
