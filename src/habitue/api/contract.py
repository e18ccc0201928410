"""What the HTTP interface asks of a shop, of its keys and of its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from habitue.behaviour.returning import Outlook
from habitue.candidates.embedded import Embedding
from habitue.candidates.foretold import ForetoldRatings
from habitue.facts import Fact, Item
from habitue.portraits import Portrait
from habitue.privacy import Caller
from habitue.store.contract import Appended, Erased
from habitue.surfaces import SlateAnswer, SurfaceRequest
from habitue.surfaces.messages import Campaign, Sent

if TYPE_CHECKING:
    from habitue.app.snapshots import SnapshotInfo

__all__ = ["Keys", "Shop", "Tokens"]


class Keys(Protocol):
    """The API keys of the shop."""

    def find(self, key: str, now_ms: int) -> Caller | None:
        """Whose key this is; takes the same time whether or not it is one."""
        ...

    def __len__(self) -> int: ...


class Tokens(Protocol):
    """Shopper tokens: the shop's server says in them who stands before a browser."""

    def shopper_of(self, token: str, now_ms: int) -> str:
        """The shopper a token names; raises ``Unauthorised`` when forged or too old."""
        ...


class Shop(Protocol):
    """The shop behind the interface."""

    @property
    def keys(self) -> Keys:
        """Who may call."""
        ...

    @property
    def tokens(self) -> Tokens:
        """For whom a browser may speak."""
        ...

    async def append(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        """Store facts; on return they are durable and live state knows them."""
        ...

    def undescribed(self, items: Sequence[str]) -> set[str]:
        """Those of the items of which no version is known."""
        ...

    def recommend(self, request: SurfaceRequest, *, now_ms: int) -> SlateAnswer:
        """Make and log one slate."""
        ...

    def items(self, ids: Sequence[str], *, now_ms: int) -> list[Item | None]:
        """The version in force of each item; ``None`` for what is not sold."""
        ...

    def send(self, campaign: Campaign) -> Sent:
        """Send a campaign, or what is left of it."""
        ...

    def unsubscribe(self, token: str) -> None:
        """End messages for whoever the token was made for; raises ``Unauthorised`` for no token."""
        ...

    def export(self, shopper: str) -> bytes:
        """All that is held of a shopper, as a JSON document (``AccessAnswer``).

        Raises ``NotFound`` for a stranger.
        """
        ...

    def portrait(self, shopper: str, *, now_ms: int) -> Portrait:
        """Who a shopper is; raises ``NotFound`` for a stranger."""
        ...

    def outlook(self, shopper: str, *, now_ms: int) -> Outlook:
        """When a customer is expected back; raises ``NotFound`` for a stranger."""
        ...

    def embedding(self, shopper: str, *, source: str | None, now_ms: int) -> Embedding:
        """A shopper as a vector; raises ``NotFound`` for a stranger.

        And ``SnapshotError`` where no source trained has such vectors, ``BadInput``.
        """
        ...

    def ratings(
        self, shopper: str, items: Sequence[str], *, level: float, now_ms: int
    ) -> ForetoldRatings:
        """What a shopper would give the items; raises ``NotFound`` for a stranger.

        And ``SnapshotError`` where nothing was trained that foretells ratings, ``BadInput``.
        """
        ...

    def forget(self, shopper: str) -> Erased:
        """Erase a shopper everywhere; raises ``NotFound`` for a stranger."""
        ...

    def snapshots(self) -> list[SnapshotInfo]:
        """The snapshots, newest first."""
        ...

    def activate(self, name: str) -> SnapshotInfo:
        """Answer from this snapshot from now on; raises ``NotFound``, ``SnapshotRefused``."""
        ...

    def roll_back(self) -> SnapshotInfo:
        """Answer from the snapshot before the active one; raises ``NotFound``."""
        ...

    def n_robots(self) -> int:
        """How many shoppers act as no person does."""
        ...

    def ready(self) -> Mapping[str, str]:
        """What each part says of itself; empty text where all is well."""
        ...

    async def drain(self) -> None:
        """Finish what is queued."""
        ...
