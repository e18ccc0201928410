"""A shop that has trained: the last action is in the next slate, and in its reasons."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.popular import PopularConfig
from habitue.errors import SnapshotRefused
from habitue.facts import Action, Item
from habitue.policy.rules import SurfaceRules
from habitue.ranking.lambdamart import LambdaMartConfig
from habitue.ranking.reasons import Reasons
from habitue.slates.counters import Counters
from habitue.slates.serving import Servable, servable_of
from habitue.training.config import TrainingConfig
from habitue.training.dataset import facts_of_store
from habitue.training.serving import Pieces, load_pieces, save_pieces
from habitue.training.train import train
from tests.slates.small_shop import DAY, NOW, SmallShop, items_of

N_ITEMS, N_SHOPPERS = 24, 60
CONFIG = TrainingConfig(
    sources=(
        PopularConfig(name="popular_now", half_life_days=7.0),
        CovisitConfig(name="viewed_viewed"),
        CovisitConfig(name="bought_bought", kinds_from=("purchase",), kinds_to=("purchase",)),
    ),
    quotas={"home": {"popular_now": 24, "viewed_viewed": 24, "bought_bought": 24}},
    ranker=LambdaMartConfig(rounds=40, min_leaf_rows=20, learning_rate=0.1, threads=1),
    recent_length=20,
    windows=1,
    visits=300,
    least_answered=20,
    evaluate=False,
)


def history() -> list[Action]:
    """Even shoppers like even items; each visit looks at three and buys two of them."""
    rng = np.random.default_rng(3)
    told = []
    for visit in range(700):
        who = int(rng.integers(N_SHOPPERS))
        at = NOW - 130 * DAY + int(rng.integers(129 * 24)) * 3_600_000
        taste = np.arange(who % 2, N_ITEMS, 2)
        weight = 1.0 / (1 + np.arange(len(taste)))
        seen = rng.choice(taste, 3, replace=False, p=weight / weight.sum())
        shopper = f"s{who}"
        told += [
            Action(kind="view_item", shopper=shopper, item=f"i{x}", at=at + 60_000 * step)
            for step, x in enumerate(seen)
        ]
        told += [
            Action(
                kind="purchase",
                shopper=shopper,
                item=f"i{x}",
                at=at + 300_000,
                order_id=f"o{visit}",
            )
            for x in seen[:2]
        ]
    return sorted(told, key=lambda action: int(action.at or 0))  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A folder with a store and the snapshot trained on it, and its watermark."""
    folder = tmp_path_factory.mktemp("trained")
    shop = SmallShop(folder, now_ms=NOW - 131 * DAY)
    shop.post(N_ITEMS)
    shop.now_ms = NOW
    shop.tell(*history())
    result = train(
        facts_of_store(shop.store), CONFIG, rng=np.random.default_rng(0), now_ms=shop.now_ms
    )
    assert "home" in result.rankers
    save_pieces(result, folder / "snapshot")
    shop.store.close()
    return folder, result.watermark


class TrainedShop(SmallShop):
    """A small shop that answers from the snapshot in its folder."""

    watermark: int

    def serve(self, name: str = "first", pieces: Pieces | None = None) -> Servable:
        pieces = pieces or load_pieces(self.path / "snapshot")
        servable = servable_of(
            name,
            self.watermark,
            pieces,
            self.shop,
            self.rules_by_surface(),
            now_ms=self.now_ms,
            explainer=lambda pipeline: Reasons(pipeline.rankers),
        )
        self.switch.activate(servable)
        return servable


@pytest.fixture
def shop(trained: tuple[Path, int], tmp_path: Path) -> TrainedShop:
    folder, watermark = trained
    shutil.copytree(folder, tmp_path / "shop")
    rules = SurfaceRules(epsilon=0.0, bought="show")
    shop = TrainedShop(tmp_path / "shop", rules, now_ms=NOW + 1)
    shop.watermark = watermark
    shop.serve()
    return shop


def test_the_snapshot_answers_and_says_so(shop: TrainedShop) -> None:
    answer = shop.ask("s2", n=5)
    assert (answer.snapshot, answer.fallback) == ("first", "")
    assert shop.shown[-1].snapshot == "first"
    assert {slot.source for slot in answer.items} <= {
        "popular_now",
        "viewed_viewed",
        "bought_bought",
    }
    assert shop.failures == []


def test_a_shopper_gets_what_their_taste_is(shop: TrainedShop) -> None:
    for who in (2, 4, 7, 9):
        shown = items_of(shop.ask(f"s{who}", n=6))
        assert sum(int(item[1:]) % 2 == who % 2 for item in shown) >= 5


def test_after_a_view_the_next_home_slate_names_it_as_a_reason(shop: TrainedShop) -> None:
    for x in (6, 9, 14):
        newcomer = f"newcomer-{x}"
        acknowledged = shop.act(newcomer, "view_item", f"i{x}").last_seq
        answer = shop.ask(newcomer, n=6)
        assert answer.seen_seq >= acknowledged
        because = [slot for slot in answer.items if f"i{x}" in slot.causes]
        assert because, f"no slot names i{x}: {answer.items}"
        assert all(slot.reason == f"Because you looked at Item {x}" for slot in because)
        assert all(int(slot.item[1:]) % 2 == x % 2 for slot in because)


def test_not_interested_removes_the_item_from_the_very_next_slate(shop: TrainedShop) -> None:
    for _ in range(6):
        first = items_of(shop.ask("s2", n=1))[0]
        shop.act("s2", "not_interested", first)
        assert first not in items_of(shop.ask("s2", n=24))


def test_without_consent_the_slate_is_the_one_of_a_stranger(shop: TrainedShop) -> None:
    from habitue.facts import Consent

    shop.act("newcomer", "view_item", "i9")
    assert items_of(shop.ask("newcomer", n=6)) != items_of(shop.ask(None, n=6))
    shop.tell(Consent(shopper="newcomer", denied=["personalisation"]))
    answer = shop.ask("newcomer", n=6)
    assert answer.fallback == "no_consent"
    assert items_of(answer) == items_of(shop.ask(None, n=6))
    assert all(not slot.causes for slot in answer.items)


def test_an_item_posted_after_training_is_shown_once_people_want_it(shop: TrainedShop) -> None:
    shop.tell(Item(id="new", title="New", product_type="Shop > A"))
    shop.act("newcomer", "view_item", "new")
    shop.ask("newcomer", n=24)
    assert items_of(shop.ask(None, "item", ("new",), n=3))
    assert shop.failures == []


def test_pages_do_not_repeat_across_a_switch_of_snapshots(shop: TrainedShop) -> None:
    first = shop.ask("s2", n=8)
    shop.serve("second")
    second = shop.ask("s2", n=8, page=first.next_page)
    assert second.snapshot == "second"
    assert not set(items_of(first)) & set(items_of(second))


def test_a_snapshot_switched_to_counts_what_came_after_its_watermark(shop: TrainedShop) -> None:
    row = shop.shop.items.row("i3")
    before = shop.shop.stats.total[row].copy()
    for x in range(5):
        shop.act(f"later-{x}", "purchase", "i3")
    shop.serve("second")
    after = shop.shop.stats.total[row]
    assert after[2] == before[2] + 5
    shop.act("later-9", "purchase", "i3")
    shop.shop.catch_up(shop.now_ms)
    assert shop.shop.stats.total[row][2] == before[2] + 6
    owned = shop.shop.counters.bought.of([int(shop.store.shopper_rows(["later-9"])[0])], NOW)
    assert owned.item.tolist() == [row]


def test_a_start_on_the_snapshot_knows_what_a_switch_to_it_knows(
    shop: TrainedShop, tmp_path: Path
) -> None:
    shop.act("ana", "purchase", "i3", "i5")
    shop.serve("second")
    pieces = load_pieces(shop.path / "snapshot")
    counters = Counters.of_snapshot(shop.watermark, pieces.stats, pieces.bought, pieces.refused)
    again = TrainedShop(shop.path, shop.rules, now_ms=shop.now_ms)
    again.shop.start(shop.now_ms, counters)
    np.testing.assert_allclose(
        again.shop.stats.counts(shop.now_ms), shop.shop.stats.counts(shop.now_ms), rtol=1e-9
    )


def test_a_request_in_flight_ends_with_the_snapshot_it_began_with(
    shop: TrainedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = shop.switch.current.pipeline
    ranker = type(pipeline).ranker

    def switched_meanwhile(self: Any, surface: str) -> Any:
        monkeypatch.undo()
        shop.serve("second")
        return ranker(self, surface)

    monkeypatch.setattr(type(pipeline), "ranker", switched_meanwhile)
    answer = shop.ask("s2", n=5)
    assert (answer.snapshot, len(answer.items)) == ("first", 5)
    assert shop.ask("s2").snapshot == "second"


def test_a_snapshot_that_fails_on_a_trial_request_is_refused(shop: TrainedShop) -> None:
    class Broken:
        taken = ()

        def __init__(self, pieces: Pieces) -> None:
            self.__dict__.update({name: getattr(pieces, name) for name in Pieces.__slots__})

        def pipeline(self, policy: Any, **named: Any) -> Any:
            raise ValueError("a table is too short")

    counters, serving = shop.shop.counters, shop.switch.current
    with pytest.raises(SnapshotRefused, match="too short"):
        shop.serve("broken", Broken(load_pieces(shop.path / "snapshot")))  # type: ignore[arg-type]
    assert shop.shop.counters is counters
    assert shop.switch.current is serving
    assert shop.ask("s2").snapshot == "first"


def test_a_pipeline_that_fails_leaves_a_marked_answer(
    shop: TrainedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IndexError("out of table")

    monkeypatch.setattr(shop.switch.current.pipeline.rankers["home"], "rank", fail, raising=False)
    answer = shop.ask("s2", n=5)
    assert (answer.fallback, answer.snapshot, len(answer.items)) == ("failed", "", 5)
    assert [str(problem) for problem in shop.failures] == ["out of table"]


def test_a_request_out_of_time_is_answered_from_popularity(shop: TrainedShop) -> None:
    ticks = iter([0.0, 1.0])
    shop.surfaces._clock = lambda: next(ticks)
    answer = shop.ask("s2", n=5)
    assert (answer.fallback, answer.snapshot, len(answer.items)) == ("out_of_time", "", 5)
