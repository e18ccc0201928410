"""Where and how things happened: surface, platform, device, locale and words searched, as codes.

Texts stand once, in a vocabulary; actions and requests hold codes into it. Whoever learns from the
codes of a log keeps its vocabulary, and reads requests by the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.errors import SnapshotError
from habitue.facts.context import Context

__all__ = ["NOT_SAID", "SIDES", "Circumstances", "Side", "Vocabulary", "tidied"]

Side = Literal["surface", "platform", "device", "locale", "words"]
"""One side of the circumstances of an action."""

SIDES: Final[tuple[Side, ...]] = ("surface", "platform", "device", "locale", "words")

NOT_SAID: Final = 0
"""The code of what was not said, and of what a vocabulary does not know."""


def tidied(side: Side, text: str | None) -> str:
    """A text as vocabularies hold it: small letters, single spaces; locales with a hyphen.

    >>> tidied("locale", " en_GB "), tidied("words", "Red  Shoes"), tidied("device", None)
    ('en-gb', 'red shoes', '')
    """
    plain = " ".join((text or "").split()).lower()
    return plain.replace("_", "-") if side == "locale" else plain


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The texts behind the codes of each side; code 0 is ``""``, what was not said.

    Codes are given in order of first appearance, so that as long as no side is full the codes of
    an earlier log are those of a later one of the same shop.
    """

    surface: tuple[str, ...] = ("",)
    platform: tuple[str, ...] = ("",)
    device: tuple[str, ...] = ("",)
    locale: tuple[str, ...] = ("",)
    words: tuple[str, ...] = ("",)

    def names(self, side: Side) -> tuple[str, ...]:
        """The texts of one side, by code."""
        told: tuple[str, ...] = getattr(self, side)
        return told

    def codes(self, side: Side, texts: Sequence[str | None]) -> NDArray[np.int32]:
        """The codes (n,) of these texts; ``NOT_SAID`` for none and for those nobody has said."""
        known = self._known(side)
        return np.array([known.get(tidied(side, text), NOT_SAID) for text in texts], np.int32)

    def read(self, context: Context) -> Circumstances:
        """The circumstances of a batch of B requests, by this vocabulary."""
        n = len(context)
        (surface,) = self.codes("surface", [context.surface])

        def of(side: Side, texts: Sequence[str | None]) -> NDArray[np.int32]:
            return self.codes(side, texts) if texts else np.zeros(n, np.int32)

        return Circumstances(
            np.full(n, surface, np.int16),
            of("platform", context.platform).astype(np.int16),
            of("device", context.device).astype(np.int16),
            of("locale", context.locale).astype(np.int16),
            of("words", context.query),
            self,
        )

    def save(self, path: Path) -> None:
        """Write the file ``path``: one JSON object, a list of texts a side."""
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The vocabulary written there; raises ``SnapshotError`` where there is none."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError) as problem:
            raise SnapshotError(
                f"The vocabulary {path} cannot be read: {problem}.",
                remedy="Train again, or activate another snapshot.",
            ) from problem

    def _known(self, side: Side) -> dict[str, int]:
        """The code of each text of a side, made once."""
        known: dict[str, int] | None = self.__dict__.get(side)
        if known is None:
            known = {name: code for code, name in enumerate(self.names(side))}
            self.__dict__[side] = known
        return known


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances of N actions or requests, a column a side: 12 bytes each.

    ``NOT_SAID`` (0) stands where nothing was said, or nothing the vocabulary has room for.
    """

    surface: NDArray[np.int16]  # (N,)
    platform: NDArray[np.int16]  # (N,)
    device: NDArray[np.int16]  # (N,)
    locale: NDArray[np.int16]  # (N,)
    words: NDArray[np.int32]  # (N,)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def __len__(self) -> int:
        return len(self.surface)

    def codes(self, side: Side) -> NDArray[np.int16] | NDArray[np.int32]:
        """The column of one side."""
        column: NDArray[np.int16] | NDArray[np.int32] = getattr(self, side)
        return column

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Circumstances:
        """The rows ``which`` selects, in this order, by the same vocabulary."""
        return Circumstances(
            self.surface[which],
            self.platform[which],
            self.device[which],
            self.locale[which],
            self.words[which],
            self.vocabulary,
        )

    def texts(self, side: Side) -> tuple[str | None, ...]:
        """What was said on one side, as text: (N,), ``None`` where nothing was."""
        names = np.array([None, *self.vocabulary.names(side)[1:]], object)
        return tuple(names[self.codes(side)].tolist())
