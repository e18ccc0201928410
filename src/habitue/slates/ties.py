"""People and groups a shop shows, who knows whom among them, and what they like.

A person or group that may be shown is an item of the type ``person`` or ``group`` whose id is the
shopper's: so the shop says who is public. Links of the kinds ``friend`` (both ways) and ``trust``
(one way) tie shoppers to each other and to groups. Nothing is kept of who denies personalisation.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.facts import NO_ROW, ActionKind, Context
from habitue.policy.shelf import Shelf
from habitue.slates.live_items import LiveItems
from habitue.slates.people import People
from habitue.store.contract import FactStore

__all__ = ["Ties"]

_PEOPLE: Final = 'item_type in ("person", "group")'
_GROUPS: Final = 'item_type == "group"'
_LIKING: Final = [
    ActionKind.select_item, ActionKind.view_item, ActionKind.add_to_wishlist,
    ActionKind.add_to_cart, ActionKind.purchase, ActionKind.rate, ActionKind.review,
    ActionKind.like,
]  # fmt: skip
_LINK: Final = ("kind", "head_row", "tail_row", "weight", "deleted")
_ACTION: Final = ("kind", "shopper_row", "item_row")
_WELL_KNOWN: Final = 1e-3
_LEAST_RARITY: Final = 0.1
_TASTES_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    """All that is known at one time. Shopper rows are those of persons, aliases resolved."""

    item: NDArray[np.int32]  # (p,) item rows of the public, ascending
    shopper: NDArray[np.int32]  # (p,) their shopper rows, NO_ROW where they never did anything
    ties: Any  # (s, p) CSR: the weight with which a shopper knows each of the public
    reach: Any  # (s, s) CSR: with which they know anybody, over the log of how many know them
    degree: NDArray[np.float64]  # (p,) how many know each of the public
    taste: Any  # (p, i) CSR of unit rows
    rarity: NDArray[np.float64]  # (i,) weight of an item in a taste


class Ties:
    """Scores people and groups for shoppers. ``bring_up`` before asking."""

    def __init__(self, store: FactStore, people: People, items: LiveItems, shelf: Shelf) -> None:
        """Nothing is read before the first ``bring_up``."""
        self._store = store
        self._people = people
        self._items = items
        self._shelf = shelf
        self._lock = threading.Lock()
        self._mark: tuple[object, ...] = ()
        self._seq = 0
        self._read_ms = 0
        self._liked = np.empty(0, np.int64)  # pairs of shopper and item rows, each once, ascending
        self._of_whom = np.zeros(0, np.bool_)  # whose actions are among them
        self._known: _Known | None = None

    def bring_up(self, now_ms: int) -> None:
        """Take in ties and people as they are now, and tastes as of ten seconds ago at most.

        One small query where nothing is new; without people on the shelf nothing is read.
        """
        stored = self._store.stored()
        public = np.flatnonzero(self._shelf.mask(_PEOPLE)[: len(self._items)]).astype(np.int32)
        told = tuple(stored.facts.get(kind, 0) for kind in ("link", "alias", "consent"))
        mark = (*told, stored.epoch, public.tobytes())
        with self._lock:
            late = stored.seq != self._seq and not 0 <= now_ms - self._read_ms < _TASTES_MS
            if mark == self._mark and not (late and len(public)):
                return
            if self._mark and self._mark[3] != stored.epoch:  # facts were deleted
                self._seq, self._liked = 0, self._liked[:0]
            self._known = self._put_together(public, stored.seq) if len(public) else None
            self._mark, self._read_ms = mark, now_ms

    def held_bytes(self) -> int:
        """Memory taken: what the public and those tied to them like, and who knows whom.

        9 to 17 bytes a shopper row, 24 a tie each way, 8 a pair of shopper and item liked and 12 a
        pair of one of the public and an item; next to nothing without people on the shelf.
        """
        known, held = self._known, self._liked.nbytes + self._of_whom.nbytes
        if known is None:
            return held
        told = (known.item, known.shopper, known.degree, known.rarity)
        sparse = [
            part
            for one in (known.ties, known.reach, known.taste)
            for part in (one.data, one.indices, one.indptr)
        ]
        return held + sum(int(one.nbytes) for one in (*told, *sparse))

    def _read_actions(self, until_seq: int, of_whom: NDArray[np.bool_]) -> None:
        """Add who liked what since, of those who matter; all anew where more of them do."""
        if (of_whom[: len(self._of_whom)] > self._of_whom[: len(of_whom)]).any():
            self._seq, self._liked = 0, self._liked[:0]
        self._of_whom = of_whom
        parts = [self._liked]
        for table in self._store.scan(
            "action", since_seq=self._seq, until_seq=until_seq, columns=_ACTION
        ):
            kind, shopper, item = (table.column(name).to_numpy() for name in _ACTION)
            liked = np.isin(kind, _LIKING) & (item >= 0) & (shopper < len(of_whom))
            liked[liked] = of_whom[shopper[liked]]
            parts.append(shopper[liked].astype(np.int64) << 32 | item[liked])
        if len(parts) > 1:
            self._liked = np.unique(np.concatenate(parts))
        self._seq = until_seq

    def _put_together(self, public: NDArray[np.int32], until_seq: int) -> _Known:
        person = self._store.canonical_shoppers()
        rows = self._store.shopper_rows([self._items.id(row) for row in public.tolist()])
        n_shoppers, n_items = max(len(person), 1), max(len(self._items), 1)
        open_to = self._open(len(person), n_shoppers)
        ties = self._ties(person, open_to, n_shoppers)
        n_known_by = np.diff(ties.tocsc().indptr).astype(float)
        reach = ties @ sp.diags(1 / np.log(2 + n_known_by))
        # Whose taste counts: the public's own and, of groups, their members'.
        tasted = np.zeros(n_shoppers, np.bool_)
        tasted[rows[rows >= 0]] = True
        tasted |= np.asarray(ties @ tasted.astype(float)).ravel() > 0
        self._read_actions(until_seq, (tasted & open_to)[person])
        shopper = person[self._liked >> 32]
        item = (self._liked & 0xFFFFFFFF).astype(np.int32)
        kept = open_to[shopper]
        ones = np.ones(int(kept.sum()))
        likes = sp.csr_matrix((ones, (shopper[kept], item[kept])), shape=(n_shoppers, n_items))
        likes.data[:] = 1
        times = np.bincount(likes.indices, minlength=n_items)
        rarity = np.log((1 + int(tasted.sum())) / (1 + times)) + _LEAST_RARITY
        there = sp.diags((rows >= 0).astype(float))
        return _Known(
            public,
            rows,
            (ties.tocsc()[:, np.maximum(rows, 0)] @ there).tocsr(),
            reach.tocsr(),
            np.where(rows >= 0, n_known_by[np.maximum(rows, 0)], 0),
            self._taste(public, rows, likes, ties, rarity),
            rarity,
        )

    def _open(self, n_known: int, n: int) -> NDArray[np.bool_]:
        """Who allows personalisation and was not erased: (n,)."""
        open_to = np.zeros(n, np.bool_)
        everybody = np.arange(n_known, dtype=np.int32)
        open_to[:n_known] = self._people.consent.allowed(everybody, "personalisation")
        open_to[self._store.erased_shoppers()] = False
        return open_to

    def _ties(self, person: NDArray[np.int32], open_to: NDArray[np.bool_], n: int) -> Any:
        """Who knows whom, as the last version of each link says."""
        weight: dict[tuple[int, int], float] = {}
        for table in self._store.scan("link", columns=_LINK):
            lines = zip(*(table.column(name).to_pylist() for name in _LINK), strict=True)
            for kind, head, tail, heavy, deleted in lines:
                if kind not in ("friend", "trust") or head is None or tail is None:
                    continue
                if min(head, tail) < 0:
                    continue
                one, other = int(person[head]), int(person[tail])
                for pair in ((one, other), (other, one))[: 2 if kind == "friend" else 1]:
                    weight[pair] = 0.0 if deleted else heavy
        pairs = np.array(list(weight), np.int64).reshape(-1, 2)
        heavy = np.array(list(weight.values()), np.float64)
        kept = (heavy > 0) & open_to[pairs].all(axis=1) & (pairs[:, 0] != pairs[:, 1])
        return sp.csr_matrix((heavy[kept], tuple(pairs[kept].T)), shape=(n, n))

    def _taste(
        self,
        public: NDArray[np.int32],
        rows: NDArray[np.int32],
        likes: Any,
        ties: Any,
        rarity: NDArray[np.float64],
    ) -> Any:
        """What each of the public likes; of a group, what those who are tied to it like."""
        mine = likes[np.maximum(rows, 0)].astype(np.float64)
        mine = sp.diags((rows >= 0).astype(float)) @ mine
        groups = self._shelf.mask(_GROUPS)[public] & (rows >= 0)
        if groups.any():
            members = sp.diags(groups.astype(float)) @ ties.T.tocsr()[np.maximum(rows, 0)]
            mine = mine + members.minimum(1) @ likes
        weighed = (mine @ sp.diags(rarity)).tocsr()
        length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1))).ravel()
        return (sp.diags(1 / np.maximum(length, 1e-12)) @ weighed).tocsr()

    # ------------------------------------------------------------------ asking

    def best(self, context: Context) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Item rows of the public (p,), and the score of each for each shopper (B, p).

        The score is how well friends know them (Adamic and Adar 2003: each common friend counts the
        more the fewer that friend knows) and the cosine of the two tastes; ``-inf`` for the shopper
        themselves, and for whom they know already. Of strangers all that counts is how many know
        whom.
        """
        known = self._known
        if known is None:
            return np.empty(0, np.int32), np.empty((len(context), 0), np.float32)
        score = np.tile(_WELL_KNOWN * np.log1p(known.degree), (len(context), 1))
        for b, row in enumerate(context.shopper_row.tolist()):
            personal = not len(context.personal) or bool(context.personal[b])
            if row < 0 or not personal:
                continue
            if row < known.ties.shape[0]:
                score[b] += (known.reach[row] @ known.ties).toarray().ravel()
                tied = known.ties[row].toarray().ravel() > 0
                score[b, tied | (known.shopper == row)] = -np.inf
            score[b] += known.taste @ _profile(context, b, known.rarity)
        return known.item, score.astype(np.float32)


def _profile(context: Context, b: int, rarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """The taste (i,) of who asks: a unit vector, or 0."""
    liked = np.isin(context.recent_kind[b], _LIKING)
    owned = context.owned
    mine = owned.item[owned.indptr[b] : owned.indptr[b + 1]]
    items = np.concatenate([context.recent_item[b][liked], mine])
    profile = np.zeros(len(rarity))
    items = items[(items != NO_ROW) & (items < len(rarity))]
    profile[items] = rarity[items]
    return profile / max(float(np.linalg.norm(profile)), 1e-12)
