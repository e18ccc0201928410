"""What training networks needs that a shop may not have installed."""

from __future__ import annotations

from importlib.util import find_spec

from habitue.errors import MissingPiece

__all__ = ["need_torch"]


def need_torch(what: str) -> None:
    """Raises ``MissingPiece`` where PyTorch is not installed; ``what`` is to be trained."""
    if find_spec("torch") is None:
        raise MissingPiece(
            f"Training {what} needs PyTorch, which is not installed.",
            remedy="Install it with pip install 'habitue[deep]', or leave the source out of "
            "training.sources.",
        )
