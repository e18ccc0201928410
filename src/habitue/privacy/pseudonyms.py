"""Pseudonyms: shopper ids that mean nothing without the shop's key.

With pseudonyms on, every id of a person is replaced at the door, before a fact reaches the store:
a stolen database names nobody. The same id always gets the same pseudonym, so history, aliases,
erasure and access work as before, and the caller goes on using its own ids. There is no way back
from a pseudonym to an id, and none is needed: answers go to the caller who named the shopper.
"""

from __future__ import annotations

import secrets
from base64 import b32encode
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from habitue.errors import BadSetting
from habitue.facts.facts import Action, Alias, Consent, Fact, Link, Shopper, Shown
from habitue.privacy.secret_files import locked, read_secret, write_secret

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PREFIX", "Pseudonyms"]

PREFIX: Final = "hbp_"
"""What pseudonyms begin with: an id that does already is left as it is."""

_LENGTH: Final = len(PREFIX) + 26


class Pseudonyms:
    """Replaces shopper ids by keyed hashes (BLAKE2b, 128 bits).

    >>> names = Pseudonyms(bytes(32))
    >>> names.of("anna@example.com")
    'hbp_yd6hy3yvhrrmhn5nejkeokecyi'
    >>> names.of(names.of("anna@example.com")) == names.of("anna@example.com")
    True
    """

    def __init__(self, key: bytes) -> None:
        """``key`` has 32 bytes; losing it parts every shopper from their past."""
        if len(key) != 32:
            raise BadSetting("A pseudonym key has 32 bytes.")
        self._key = key

    @classmethod
    def open(cls, path: Path) -> Pseudonyms:
        """The key of a file of mode 0600, which is made if absent. Back it up with the store."""
        with locked(path):
            content = read_secret(path)
            if content is None:
                content = secrets.token_hex(32).encode() + b"\n"
                write_secret(path, content)
        try:
            return cls(bytes.fromhex(content.decode().strip()))
        except ValueError:
            raise BadSetting(f"{path} holds no pseudonym key.", remedy="Put back a copy.") from None

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without giving them away: a store remembers with which it was begun."""
        return blake2b(b"fingerprint", key=self._key, digest_size=8).hexdigest()

    def of(self, shopper: str) -> str:
        """The pseudonym of an id; a pseudonym is its own."""
        if shopper.startswith(PREFIX) and len(shopper) == _LENGTH:
            return shopper
        digest = blake2b(shopper.encode(), key=self._key, digest_size=16).digest()
        return PREFIX + b32encode(digest).decode().rstrip("=").lower()

    def over(self, facts: Sequence[Fact]) -> list[Fact]:
        """The facts with every person's id replaced; ids of items and entities stay."""
        return [self._one(fact) for fact in facts]

    def over_column(self, shoppers: pa.ChunkedArray | pa.Array) -> pa.Array:
        """A column of ids replaced, each different one hashed once; nulls stay."""
        column = shoppers.combine_chunks() if isinstance(shoppers, pa.ChunkedArray) else shoppers
        coded = pc.dictionary_encode(column)
        names = pa.array(
            [self.of(shopper) for shopper in coded.dictionary.to_pylist()], pa.string()
        )
        return names.take(coded.indices)

    def over_rejects(self, rejects: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
        """Rejected rows with the ids in these columns of theirs replaced (``write_rejects``).

        A line that could not be read as a row is dropped: who it speaks of cannot be told.
        """
        import polars as pl

        hidden = [self._hide(said, frozenset(columns)) for said in rejects["said"]]
        return rejects.with_columns(pl.Series("said", hidden, pl.String))

    def _hide(self, said: str | None, columns: frozenset[str]) -> str | None:
        try:
            row = msgspec.json.decode(said or "null")
        except msgspec.DecodeError:
            return None
        if not isinstance(row, dict):
            return None
        hidden = {
            name: self.of(str(value).strip()) if name in columns and value is not None else value
            for name, value in row.items()
        }
        return msgspec.json.encode(hidden).decode()

    def _one(self, fact: Fact) -> Fact:
        replace = msgspec.structs.replace
        if isinstance(fact, Action | Consent):
            return replace(fact, shopper=self.of(fact.shopper))
        if isinstance(fact, Shopper):
            return replace(fact, id=self.of(fact.id))
        if isinstance(fact, Alias):
            return replace(fact, shopper=self.of(fact.shopper), alias=self.of(fact.alias))
        if isinstance(fact, Link) and fact.kind != "knowledge":
            return replace(fact, head=self.of(fact.head), tail=self.of(fact.tail))
        if isinstance(fact, Shown) and fact.shopper is not None:
            return replace(fact, shopper=self.of(fact.shopper))
        return fact
