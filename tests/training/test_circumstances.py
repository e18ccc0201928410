"""Surface, platform, device, locale and words: from the store to the columns of a log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.facts import NOT_SAID, SIDES, Action, Vocabulary
from habitue.facts.circumstances import tidied
from habitue.portraits import ShopperIndex
from habitue.store.sqlite import SqliteFactStore
from habitue.training.circumstances import SAID, circumstances_of
from habitue.training.dataset import facts_of_store, log_of_shopper
from habitue.training.moments import at_cut, beside_items, in_visits

DAY = 86_400_000
T0 = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteFactStore]:
    opened = SqliteFactStore(tmp_path / "shop.db")
    yield opened
    opened.close()


def put(store: SqliteFactStore, *actions: tuple[str, int, dict[str, str]]) -> None:
    store.append(
        [
            Action(kind=kind, shopper="anna", item="tea", at=T0 + days * DAY, **said)
            for kind, days, said in actions
        ],
        received_at_ms=T0 + 50 * DAY,
    )


def test_the_log_says_where_and_how_each_action_happened(store: SqliteFactStore) -> None:
    put(
        store,
        ("view_item", 2, {"platform": "app", "device": "mobile", "locale": "de_DE"}),
        ("view_item", 1, {"platform": "Web", "surface": "home", "locale": "de-DE"}),
        ("search", 3, {"platform": "web", "query": "Green  tea"}),
        ("view_item", 4, {}),
    )
    facts = facts_of_store(store)
    said = facts.log.circumstances
    assert said is not None
    assert said.texts("platform") == ("web", "app", "web", None)
    assert said.texts("surface") == ("home", None, None, None)
    assert said.texts("device") == (None, "mobile", None, None)
    assert said.texts("locale") == ("de-de", "de-de", None, None)
    assert said.texts("words") == (None, None, "green tea", None)
    assert said.platform.dtype == np.int16
    assert said.words.dtype == np.int32


def test_codes_go_by_the_first_to_say_it_and_parts_of_the_log_keep_them(
    store: SqliteFactStore,
) -> None:
    put(store, *[("view_item", d, {"device": name}) for d, name in enumerate("zyxz", start=1)])
    facts = facts_of_store(store)
    assert facts.log.circumstances is not None
    assert facts.log.circumstances.vocabulary.device == ("", "z", "y", "x")
    late = facts.between(T0 + 2 * DAY, T0 + 5 * DAY).circumstances
    assert late is not None
    assert late.device.tolist() == [2, 3, 1]
    known = facts.as_of(T0 + 3 * DAY).log.circumstances
    assert known is not None
    assert known.device.tolist() == [1, 2]


def test_a_log_where_nobody_says_any_has_none(store: SqliteFactStore) -> None:
    put(store, ("view_item", 1, {}))
    assert facts_of_store(store).log.circumstances is None


def test_one_shoppers_log_says_it_too(store: SqliteFactStore) -> None:
    put(store, ("view_item", 1, {"platform": "app"}))
    said = log_of_shopper(store, [0], 10).circumstances
    assert said is not None
    assert said.texts("platform") == ("app",)


TEXTS = st.none() | st.text(max_size=6) | st.sampled_from(["web", "Web ", "en_GB", "en-gb", " "])


def frame_of(rows: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame(dict.fromkeys(SAID, rows), schema=dict.fromkeys(SAID, pl.Categorical))


@given(st.lists(TEXTS, max_size=30))
def test_codes_are_those_of_reading_one_by_one(rows: list[str | None]) -> None:
    """A request that says what an action said has its code: by whoever writes texts plain."""
    said = circumstances_of(frame_of(rows))
    if said is None:
        assert all(text is None for text in rows)
        return
    for side in SIDES:
        plain = [tidied(side, text) for text in rows]
        names = ["", *dict.fromkeys(text for text in plain if text)]
        assert said.vocabulary.names(side) == tuple(names)
        assert said.codes(side).tolist() == [names.index(text) for text in plain]
        assert said.vocabulary.codes(side, rows).tolist() == said.codes(side).tolist()


def test_of_too_many_texts_the_most_frequent_are_kept() -> None:
    """A browser may send anything as its device; what was searched is kept whole."""
    rows = ["rare", "b", "a", "a", "b", "once", "a"]
    said = circumstances_of(frame_of(rows), most_names=2)
    assert said is not None
    assert said.vocabulary.device == ("", "b", "a")
    assert said.device.tolist() == [NOT_SAID, 1, 2, 2, 1, NOT_SAID, 2]
    assert said.vocabulary.words == ("", "rare", "b", "a", "once")


def test_a_vocabulary_begins_with_what_was_not_said() -> None:
    assert [Vocabulary().names(side) for side in SIDES] == [("",)] * 5


def test_moments_of_the_past_come_as_their_actions_did(store: SqliteFactStore) -> None:
    put(
        store,
        ("view_item", 1, {"device": "desktop", "platform": "web", "locale": "de-DE"}),
        ("view_item", 5, {"device": "mobile", "platform": "app"}),
        ("purchase", 9, {"device": "tablet", "query": "what it was found by"}),
    )
    index = ShopperIndex.of(facts_of_store(store).log)
    rng = np.random.default_rng(0)
    span = (index, T0 + 4 * DAY, T0 + 20 * DAY, 10)
    visits = in_visits(*span, horizon_ms=DAY, limit=10, rng=rng).context
    assert visits.device == ("mobile", "tablet")
    assert visits.platform == ("app", None)
    assert visits.locale == (None, None)
    assert visits.query == ()
    assert visits.recent_item[0].tolist()[:2] == [0, -1]  # the one before, and not the one asked at
    assert at_cut(*span, limit=10, rng=rng).context.device == ("mobile",)
    assert beside_items(*span, limit=10, rng=rng).context.device == ("mobile", "tablet")


def test_moments_say_nothing_where_nobody_did(store: SqliteFactStore) -> None:
    put(store, ("view_item", 1, {}), ("view_item", 5, {}))
    index = ShopperIndex.of(facts_of_store(store).log)
    asked = at_cut(index, T0, T0 + 20 * DAY, 10, limit=10, rng=np.random.default_rng(0))
    assert index.circumstances is None
    assert asked.context.device == ()
