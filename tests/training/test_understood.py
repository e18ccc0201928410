"""A shop of ratings is learnt from as a shop of purchases is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.profile import ProfileConfig
from habitue.evaluation.splits import by_time
from habitue.facts import ActionKind
from habitue.training.config import TrainingConfig
from habitue.training.dataset import ShopFacts
from habitue.training.train import train
from habitue.training.understood import kinds_read, understood
from tests.training.shop import CONFIG, DAY, facts_of, shop_log

PURCHASE = (ActionKind.purchase,)


def told_as(kind: ActionKind) -> ShopFacts:
    """The purchases of the small shop, told as another kind, and nothing else."""
    log = shop_log().of_kinds(PURCHASE)
    none = np.full(len(log), -1, np.int32)
    return facts_of(replace(log, kind=np.full(len(log), int(kind), np.uint8), order_row=none))


def test_purchases_are_read_as_they_stand() -> None:
    facts = facts_of()
    assert understood(facts, CONFIG, PURCHASE) == (facts, CONFIG)


def test_ratings_teach_what_purchases_would() -> None:
    bought = train(told_as(ActionKind.purchase), CONFIG, rng=np.random.default_rng(0))
    facts, config = understood(told_as(ActionKind.rate), CONFIG, PURCHASE)
    assert config.taken == ("rate",)
    config = config.model_copy(update={"rebuy": True})  # as the other one
    rated = train(facts, config, rng=np.random.default_rng(0))
    assert set(rated.rankers) == set(bought.rankers) >= {"home"}
    np.testing.assert_array_equal(
        rated.rankers["home"].forest.value, bought.rankers["home"].forest.value
    )
    assert rated.metrics == bought.metrics


def test_a_source_told_to_count_ratings_still_does() -> None:
    weights = {"rate": 2.0, "purchase": 1.0, "view_item": 0.5}
    source = CovisitConfig(
        kinds_from=("rate", "purchase"),
        kinds_to=("rate",),
        profile=ProfileConfig(kind_weight=weights),
    )
    config = TrainingConfig(sources=(source,))
    (read,) = understood(told_as(ActionKind.rate), config, PURCHASE)[1].sources
    assert isinstance(read, CovisitConfig)
    assert read.kinds_from == read.kinds_to == ("purchase",)
    assert read.profile.kind_weight == {"purchase": 2.0, "view_item": 0.5}


def test_what_is_taken_once_is_not_learnt_to_be_taken_again() -> None:
    often = told_as(ActionKind.rate)
    assert understood(often, CONFIG, PURCHASE)[1].rebuy
    pair = often.log.shopper_row.astype(np.int64) * 1000 + often.log.item_row
    first = np.sort(np.unique(pair, return_index=True)[1])
    once = facts_of(often.log.take(first))
    assert not understood(once, CONFIG, PURCHASE)[1].rebuy


def test_conversions_are_found_among_what_was_read() -> None:
    assert kinds_read([ActionKind.rate], ("rate",)) == {ActionKind.purchase}
    assert kinds_read(PURCHASE, ("rate",)) == {ActionKind.purchase}
    assert kinds_read([ActionKind.add_to_cart], ()) == {ActionKind.add_to_cart}
    facts, config = understood(told_as(ActionKind.like), CONFIG, [ActionKind.like])
    kinds = kinds_read([ActionKind.like], config.taken)
    last = int(facts.log.at_ms[-1])
    assert len(by_time(facts.log, last - 30 * DAY, last, kinds=kinds))
