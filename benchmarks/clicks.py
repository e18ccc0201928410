"""Sessions of clicks, and what is asked of them: YooChoose and Tmall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.leave_one_out import plain_log
from habitue.candidates.contract import TrainingFacts
from habitue.facts import NO_ROW, ActionKind, Catalogue, Context, Owned
from habitue.portraits import pick
from tests.needs import data_folder

LONGEST = 50  # clicks of a session that are looked back on


@dataclass(frozen=True)
class Clicks:
    """Sessions one after the other, each in order of time; training, and what is asked."""

    item: NDArray[np.int32]
    session: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    asked_item: NDArray[np.int32]  # NO_ROW for an item never seen in training
    asked_session: NDArray[np.int32]
    asked_at_ms: NDArray[np.int64]
    n_items: int
    every_click: bool = True  # each click but the first is asked for; else each session's last


def read_clicks(train: str, test: str) -> Clicks:
    """Two parts of YooChoose as rows.

    ``train_tr`` is fitted on where ``train_valid`` is asked, ``train_full`` is both of them.
    """
    folder = data_folder() / "yoochoose_100k"
    known, asked = (
        pl.read_parquet(folder / f"{name}.parquet").sort("SessionId", "Time")
        for name in (train, test)
    )
    ids = known["ItemId"].unique().sort()
    rows = pl.Series(np.arange(len(ids), dtype=np.int32))

    def row_of(frame: pl.DataFrame) -> NDArray[np.int32]:
        found = frame["ItemId"].replace_strict(ids, rows, default=NO_ROW, return_dtype=pl.Int32)
        return found.to_numpy()

    def session_of(frame: pl.DataFrame) -> NDArray[np.int32]:
        return np.unique(frame["SessionId"].to_numpy(), return_inverse=True)[1].astype(np.int32)

    def at_of(frame: pl.DataFrame) -> NDArray[np.int64]:
        return (frame["Time"].to_numpy() * 1000).astype(np.int64)

    return Clicks(
        row_of(known), session_of(known), at_of(known),
        row_of(asked), session_of(asked), at_of(asked), len(ids),
    )  # fmt: skip


def read_tmall(train: str, test: str) -> Clicks:
    """The same of Tmall, of whose training sessions the last tenth is what validates.

    Tests are the published cases, of each the last item.
    """
    folder = data_folder() / "tmall_sessions"
    every = pl.read_parquet(folder / "train_sessions.parquet")["items"]
    since = len(every) * 9 // 10
    sessions = every if train == "train_full" else every[:since]
    if test == "test":
        cases = pl.read_parquet(folder / "test.parquet")
        asked = cases.select(pl.col("input_items").list.concat("target_item")).to_series()
    else:
        asked = every[since:].filter(every[since:].list.len() > 1)
    ids = sessions.explode().unique().sort()
    rows = pl.Series(np.arange(len(ids), dtype=np.int32))

    def flat(lists: pl.Series) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        item = lists.explode().replace_strict(ids, rows, default=NO_ROW, return_dtype=pl.Int32)
        length = lists.list.len().to_numpy()
        session = np.repeat(np.arange(len(lists), dtype=np.int32), length)
        place = np.arange(len(item)) - np.repeat(np.cumsum(length) - length, length)
        return item.to_numpy(), session, session.astype(np.int64) * 60_000 + place

    return Clicks(*flat(sessions), *flat(asked), len(ids), every_click=test != "test")


def training_facts(data: Clicks) -> TrainingFacts:
    """The training sessions as a log of views, each session a shopper."""
    order = np.argsort(data.at_ms, kind="stable")
    log = plain_log(
        ActionKind.view_item, data.at_ms[order], data.session[order], data.item[order],
        n_shoppers=int(data.session.max()) + 1, n_items=data.n_items,
    )  # fmt: skip
    rows = pl.DataFrame({"item_row": np.arange(data.n_items, dtype=np.int32)})
    return TrainingFacts(log, Catalogue(rows), now_ms=int(data.at_ms.max()) + 1)


class Questions(NamedTuple):
    """A request after each click but the last of a session."""

    asked: Context
    target: NDArray[np.int32]  # (n,) the item clicked next
    session: NDArray[np.int32]  # (n,) whose it is

    def some(self, rows: NDArray[np.intp]) -> Questions:
        """Those requests."""
        return Questions(pick(self.asked, rows), self.target[rows], self.session[rows])


def questions(data: Clicks) -> Questions:
    """What is asked of the sessions."""
    session, item = data.asked_session, data.asked_item
    first = np.searchsorted(session, session, side="left")
    before = np.flatnonzero(session[1:] == session[:-1])
    if not data.every_click:
        last = np.searchsorted(session, session[before], side="right") - 1
        before = before[before + 1 == last]
    back = before[:, None] - np.arange(LONGEST)
    there = back >= first[before][:, None]
    back = np.maximum(back, 0)
    now_ms = data.asked_at_ms[before]
    age = (now_ms[:, None] - data.asked_at_ms[back]) / 86_400_000
    context = Context(
        surface="home",
        now_ms=now_ms,
        shopper_row=np.full(len(before), NO_ROW, np.int32),
        recent_item=np.where(there, item[back], np.int32(NO_ROW)),
        recent_kind=np.full(back.shape, int(ActionKind.view_item), np.uint8),
        recent_age_days=np.where(there, age, 0.0).astype(np.float32),
        anchor_item=np.empty((len(before), 0), np.int32),
        owned=Owned.nothing(len(before)),
    )
    return Questions(context, item[before + 1], session[before])


READ: dict[str, Callable[[str, str], Clicks]] = {"yoochoose": read_clicks, "tmall": read_tmall}
