"""What each source adds: differences by hand, parts that add up, and what is printed."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from habitue.evaluation import Asking, ablation_of, by_label, by_novelty, by_popularity
from habitue.evaluation.ablation import Ablation, ablation_tables
from habitue.evaluation.splits import Split, by_time
from habitue.facts import ActionKind, ActionLog
from habitue.metrics import hits_of, ndcg

DAY = 86_400_000
N_SHOPPERS, N_ITEMS, CUT = 40, 12, 60 * DAY


def log() -> ActionLog:
    """Everybody buys five items before the cut and two after; item 11 comes late."""
    rng = np.random.default_rng(4)
    rows = []
    for shopper in range(N_SHOPPERS):
        items = rng.permutation(11)
        rows += [(DAY * (1 + place), shopper, int(item)) for place, item in enumerate(items[:5])]
        rows += [(CUT + DAY, shopper, int(item)) for item in items[5:7]]
    rows += [(50 * DAY, 0, 11), (CUT + DAY, 1, 11)]
    rows.sort()
    n = len(rows)
    at, who, what = (np.array(column) for column in zip(*rows, strict=True))
    return ActionLog(
        np.arange(1, n + 1),
        at,
        np.full(n, int(ActionKind.purchase), np.uint8),
        who.astype(np.int32),
        what.astype(np.int32),
        np.arange(n, dtype=np.int32),
        np.ones(n, np.float32),
        np.full(n, 1_000_000),
        np.zeros(n, np.int64),
        np.full(n, np.nan, np.float32),
        N_SHOPPERS,
        N_ITEMS,
    )


def right_first(split: Split) -> np.ndarray:
    """Lists that begin with what is right."""
    out = np.full((len(split), 5), -1, np.int32)
    for b in range(len(split)):
        right = split.relevant.item[split.relevant.indptr[b] : split.relevant.indptr[b + 1]]
        out[b, : len(right)] = right
    return out


def found() -> tuple[Split, dict[str, np.ndarray], Ablation]:
    split = by_time(log(), CUT, CUT + 10 * DAY)
    full = right_first(split)
    lists = {"habitue": full, "without good": full[:, ::-1].copy(), "without idle": full.copy()}
    stage = ["odd" if row % 2 else "even" for row in range(N_SHOPPERS)]
    segments = [*by_label(split, "life cycle", stage), *by_popularity(split), *by_novelty(split)]
    told = ablation_of(
        [(Asking(split, lists), segments)],
        np.random.default_rng(0),
        without={"idle": "without idle", "good": "without good"},
        again="without idle",
    )
    return split, lists, told


def test_a_change_is_without_it_less_with_it() -> None:
    split, lists, told = found()
    good, idle = told.lines  # the most missed first
    assert (good.name, idle.name) == ("good", "idle")
    values = {
        name: ndcg(hits_of(rows, split.relevant.indptr, split.relevant.item), split.relevant.count)
        for name, rows in lists.items()
    }
    expected = values["without good"].mean() - values["habitue"].mean()
    assert good.change.estimate == pytest.approx(expected)
    assert good.change.high < 0
    assert good.reached.estimate - told.reached.estimate == pytest.approx(good.change.estimate)
    assert (idle.change.estimate, idle.change.low, idle.change.high) == (0, 0, 0)
    assert told.metric == "ndcg@5"
    assert told.n_questions == len(split)


def test_parts_of_the_shoppers_add_up_to_the_whole() -> None:
    _, _, told = found()
    for line in told.lines:
        parts = [part for part in line.parts if part.group == "life cycle"]
        assert sum(part.n_questions for part in parts) == told.n_questions
        whole = sum(part.n_questions * part.change.estimate for part in parts) / told.n_questions
        assert whole == pytest.approx(line.change.estimate)


def test_head_tail_and_new_items_are_told_apart() -> None:
    _, _, told = found()
    items = {part.segment: part for part in told.lines[0].parts if part.group == "items"}
    assert set(items) == {"head", "tail", "new"}
    assert items["new"].n_questions == 1  # item 11 came ten days before, and one took it since


def test_a_change_no_larger_than_chance_tells_nothing() -> None:
    _, _, told = found()
    part = next(one for one in told.lines[0].parts if one.segment == "even")
    assert told.telling(part)
    assert told.chance is not None
    as_much = replace(told.chance, parts=told.lines[0].parts)
    assert not replace(told, chance=as_much).telling(part)
    assert not told.telling(told.lines[1].parts[0])


def test_all_items_old_is_no_segment() -> None:
    split = by_time(log(), CUT, CUT + 10 * DAY)
    (new,) = by_novelty(split, days=5)
    assert new.item is not None
    assert not new.item.any()
    assert by_novelty(replace(split, train=split.train.take(slice(0, 0)))) == []


def test_it_is_printed_with_its_intervals() -> None:
    _, _, told = found()
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(ablation_tables(told))
    text = console.export_text()
    assert "what each source adds: ndcg@5" in text
    assert f"{told.lines[0].change.estimate:+.4f} [" in text
    assert "nothing: learnt again" in text
    assert "even" in text
    assert "new items" in text
    assert json.dumps([line.name for line in told.lines]) == '["good", "idle"]'
