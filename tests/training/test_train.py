"""Training from facts to a snapshot that serves, and the gate before it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from habitue.errors import BadInput, SnapshotError, SnapshotRefused
from habitue.metrics import Interval
from habitue.store.snapshots import SnapshotStore
from habitue.training.serving import load_pieces, save_pieces
from habitue.training.snapshots import write_snapshot
from habitue.training.train import BestFirst, Trained, span_cuts, train
from tests.ranking import shop as ranking_shop
from tests.training.shop import CONFIG, DAY, facts_of, shop_log


@cache
def trained() -> Trained:
    return train(facts_of(), CONFIG, rng=np.random.default_rng(0))


def test_every_surface_learns_its_order() -> None:
    assert set(trained().rankers) == {"home", "item", "cart"}


def test_what_was_learnt_beats_what_was_not() -> None:
    report = trained().report
    assert report is not None
    assert report.line("home").intervals["ndcg@10"].estimate > 0.3
    assert trained().metrics["home/ndcg@10"] == report.line("home").intervals["ndcg@10"].estimate


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[str, float, float]] = []
    train(
        facts_of(),
        CONFIG.model_copy(update={"windows": 1, "evaluate": False}),
        rng=np.random.default_rng(0),
        progress=lambda *step: told.append(step),
    )
    assert told[-1][1] == told[-1][2]


def test_the_same_seed_learns_the_same() -> None:
    config = CONFIG.model_copy(update={"windows": 1, "evaluate": False})
    a, b = (train(facts_of(), config, rng=np.random.default_rng(5)) for _ in range(2))
    for surface, ranker in a.rankers.items():
        np.testing.assert_array_equal(ranker.forest.value, b.rankers[surface].forest.value)


def test_a_shop_without_a_past_is_ranked_by_a_blend() -> None:
    few = facts_of(shop_log().take(slice(0, 12)))
    made = train(few, CONFIG, rng=np.random.default_rng(0))
    assert not made.rankers


def test_a_shop_without_actions_is_told_what_to_do() -> None:
    with pytest.raises(BadInput, match="Import"):
        train(facts_of(shop_log().take(slice(0, 0))), CONFIG, rng=np.random.default_rng(0))


def test_spans_leave_history_before_the_first() -> None:
    config = CONFIG.model_copy(update={"windows": 3, "window_days": 10.0})
    cuts = span_cuts(0, 100 * DAY, config)
    assert [cut // DAY for cut in cuts] == [70, 80, 90]
    short = span_cuts(0, 8 * DAY, config)  # a quarter of what there is, at most
    assert [cut // DAY for cut in short] == [2, 4, 6]


def test_saved_pieces_answer_as_before(tmp_path: Path) -> None:
    made = trained()
    save_pieces(made, tmp_path)
    pieces = load_pieces(tmp_path)
    context = ranking_shop.contexts([0, 1], now_ms=130 * DAY)
    rng = np.random.default_rng(0)
    from habitue.training.serving import pipeline_of

    fresh = pipeline_of(
        made.config, made.sources, made.rankers, made.stats, made.columns, BestFirst()
    )
    a = fresh.recommend(context, 6, rng)
    b = pieces.pipeline(BestFirst()).recommend(context, 6, rng)
    np.testing.assert_array_equal(a.item_row, b.item_row)
    np.testing.assert_allclose(a.score, b.score, rtol=1e-5)
    np.testing.assert_array_equal(pieces.bought.item, pieces.bought.of(
        made.facts.log, made_kind()).item)  # fmt: skip


def made_kind():
    from habitue.facts import ActionKind

    return ActionKind.purchase


def test_a_folder_that_lacks_a_piece_is_refused(tmp_path: Path) -> None:
    save_pieces(trained(), tmp_path)
    (tmp_path / "stats" / "stats.npz").unlink()
    with pytest.raises(SnapshotError, match="Train again"):
        load_pieces(tmp_path)
    with pytest.raises(SnapshotError):
        load_pieces(tmp_path / "nowhere")


def test_a_snapshot_far_below_the_last_is_refused(tmp_path: Path) -> None:
    snapshots = SnapshotStore(tmp_path)
    first = write_snapshot(trained(), snapshots, now_ms=1_700_000_000_000)
    questions = trained().metrics["home/ndcg@10"]
    worse = replace(trained(), metrics={"home/ndcg@10": questions * 0.5})
    gate = CONFIG.gate.model_copy(update={"least_questions": 10})
    worse = replace(worse, config=CONFIG.model_copy(update={"gate": gate}))
    with pytest.raises(SnapshotRefused, match="less than 70%"):
        write_snapshot(worse, snapshots, now_ms=1_700_000_000_001, last=first.manifest)
    slightly = replace(worse, metrics={"home/ndcg@10": questions * 0.9})
    second = write_snapshot(slightly, snapshots, now_ms=1_700_000_000_002, last=first.manifest)
    assert second.manifest.parent == first.manifest.id
    assert second.manifest.watermark == trained().watermark


@cache
def by_heart() -> Trained:
    """The same shop with trees that have room for every answer."""
    ranker = CONFIG.ranker.model_copy(
        update={"rounds": 150, "leaves": 63, "min_leaf_rows": 1, "l2": 0.0, "learning_rate": 0.2}
    )
    config = CONFIG.model_copy(update={"ranker": ranker})
    return train(facts_of(), config, rng=np.random.default_rng(0))


def test_a_snapshot_that_has_learnt_by_heart_is_refused(tmp_path: Path) -> None:
    made = by_heart()
    assert made.report is not None
    assert trained().report is not None
    learnt, sound = made.report.gap, trained().report.gap
    assert learnt is not None
    assert sound is not None
    assert learnt.training.estimate > 0.99 > learnt.validation.high
    assert sound.ratio.low < 1.1 < learnt.ratio.low
    assert made.metrics["gap"] == learnt.ratio.estimate
    # This shop is so easy that nobody can be twice as good as on what was held out.
    gate = CONFIG.gate.model_copy(update={"most_gap": 1.1, "least_questions": 10})
    made, other = (
        replace(one, config=one.config.model_copy(update={"gate": gate}))
        for one in (made, trained())
    )
    snapshots = SnapshotStore(tmp_path)
    with pytest.raises(SnapshotRefused, match="by heart"):
        write_snapshot(made, snapshots, now_ms=1_700_000_000_000)
    assert snapshots.list() == []
    write_snapshot(other, snapshots, now_ms=1_700_000_000_000)


def test_too_few_questions_refuse_nothing(tmp_path: Path) -> None:
    made = by_heart()
    gate = CONFIG.gate.model_copy(update={"most_gap": 1.1, "least_questions": 1000})
    made = replace(made, config=made.config.model_copy(update={"gate": gate}))
    write_snapshot(made, SnapshotStore(tmp_path), now_ms=1_700_000_000_000)
    assert len(SnapshotStore(tmp_path).list()) == 1


@pytest.mark.parametrize(("low", "refused"), [(2.1, True), (1.9, False)])
def test_twice_as_good_on_what_was_learnt_from_is_refused_by_default(
    low: float, refused: bool, tmp_path: Path
) -> None:
    report = trained().report
    assert report is not None
    assert report.gap is not None
    wide = replace(report.gap, ratio=Interval(low + 0.5, low, low + 1), n_questions=60)
    made = replace(trained(), report=replace(report, gap=wide, n_questions=60))
    if refused:
        with pytest.raises(SnapshotRefused, match=f"{low} times as good"):
            write_snapshot(made, SnapshotStore(tmp_path), now_ms=1_700_000_000_000)
    else:
        write_snapshot(made, SnapshotStore(tmp_path), now_ms=1_700_000_000_000)
