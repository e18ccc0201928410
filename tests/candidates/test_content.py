"""Likeness of items by what is said of them."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.candidates.content import ContentConfig, ContentLearner, ContentSource
from habitue.candidates.item_space import SpaceConfig, fit_space
from habitue.candidates.item_terms import price_places, price_terms, raw_terms, terms_of
from habitue.facts import Catalogue
from habitue.language.tokens import token_rows, tokens_of
from tests.candidates.shop import (
    VIEW,
    catalogue_of,
    facts_of,
    log_of,
    requests,
    rows_of,
    tail,
    two_tastes,
)

SHOP = two_tastes(60, 14)


@pytest.fixture(scope="module")
def source() -> ContentSource:
    return ContentLearner(ContentConfig()).fit(SHOP.facts, np.random.default_rng(0))


def told(**columns: list[object]) -> dict[str, float]:
    frame = pl.DataFrame(columns, strict=False)
    said = raw_terms(frame, description_weight=0.5).filter(pl.col("at") == 0)
    return dict(zip(said["term"], said["value"], strict=True))


WORDS = st.sampled_from(["Red", "mugs", "berries", "glass", "咖啡", "a", "2-in-1"])
SENTENCES = st.none() | st.lists(WORDS, max_size=6).map(" ".join)
PATHS = st.none() | st.sampled_from(["", "Home", "Home > Kitchen", "a/b | c>d > e >f", " > x"])
GIVEN = st.none() | st.sampled_from(["{}", '{"eco": true, "n": 3, "w": 1.5, "s": "Long "}'])


@settings(max_examples=30)
@given(
    items=st.lists(
        st.fixed_dictionaries(
            {
                "title": SENTENCES,
                "description": SENTENCES,
                "brand": st.none() | st.sampled_from(["", " Leaf ", "BEAN"]),
                "product_type": PATHS,
                "attributes": GIVEN,
            }
        ),
        min_size=1,
        max_size=4,
    ),
    weight=st.sampled_from([0.0, 0.3]),
)
def test_a_few_items_are_read_as_a_catalogue_is(items: list[dict[str, Any]], weight: float) -> None:
    frame = pl.DataFrame(items, schema=dict.fromkeys(items[0], pl.String))
    columns = raw_terms(frame, description_weight=weight)
    for at, item in enumerate(items):
        mine = columns.filter(pl.col("at") == at)
        expected = dict(
            zip(zip(mine["block"], mine["term"], strict=True), mine["value"], strict=True)
        )
        assert len(expected) == mine.height, "a term is told once"
        plainly = {(b, t): v for b, t, v in terms_of(item, description_weight=weight)}
        assert plainly == pytest.approx(expected)


def test_words_count_once_more_each_time_but_less_and_less() -> None:
    said = told(title=["Red Mugs, red"], description=["a mug"])
    assert said == pytest.approx(
        {
            "red": np.log1p(2),
            "mug": np.log1p(1.5),
            "red mug": np.log1p(1),
            "mug red": np.log1p(1),
            "a": np.log1p(0.5),
        }
    )


def test_a_category_is_all_its_steps() -> None:
    assert set(told(product_type=["Home > Kitchen / Mugs"])) == {
        "product_type=home",
        "product_type=home>kitchen",
        "product_type=home>kitchen>mugs",
    }


@pytest.mark.parametrize(
    "attributes", ['{"sleeve": "Long", "eco": true}', {"sleeve": "Long", "eco": True}]
)
def test_a_shops_own_attributes_count_however_they_are_held(attributes: object) -> None:
    assert set(told(attributes=[attributes])) == {"sleeve=long", "eco=true"}


def test_nothing_said_is_nothing_counted() -> None:
    assert told(title=[None, "x"], brand=["  ", "y"], attributes=[None, "{}"]) == {}


def test_like_prices_share_their_marks() -> None:
    frame = pl.DataFrame({"price_micros": [1_000_000, 1_050_000, 500_000_000, 0, None]})
    places = price_places(frame, 4)
    said = price_terms(frame, places)
    near = np.zeros((5, len(places)))
    mark = said["term"].str.strip_prefix("price~").cast(pl.Int64)
    near[said["at"].to_numpy(), mark.to_numpy()] = said["value"].to_numpy()
    cosine = near @ near.T
    assert cosine[0, 1] > 2 * cosine[0, 2]
    assert not near[3:].any(), "a price of nothing is no price"


def test_blocks_have_the_length_they_are_given() -> None:
    config = SpaceConfig(text_weight=1.0, attribute_weight=0.5, price_weight=0.25, min_items=1)
    frame = SHOP.facts.catalogue.frame
    space, *_ = fit_space(frame, config, np.random.default_rng(0))
    length = np.sqrt(np.asarray(space.weigh(frame).multiply(space.weigh(frame)).sum(axis=1)))
    np.testing.assert_allclose(length, np.sqrt(1 + 0.25 + 0.0625), rtol=1e-5)


def test_rarity_and_scaling_are_those_of_scikit_learn() -> None:
    """With one word a title and no dampening at work, the text block is plain TF-IDF."""
    text = pytest.importorskip("sklearn.feature_extraction.text")
    titles = ["tea pot", "tea cup", "coffee cup", "tea tray"]
    config = SpaceConfig(text_weight=1, attribute_weight=0, price_weight=0, min_items=1)
    frame = catalogue_of(4, title=titles).frame
    space, *_ = fit_space(frame, config, np.random.default_rng(0))
    theirs = text.TfidfVectorizer(ngram_range=(1, 2)).fit_transform(titles)
    ours = space.weigh(frame)
    np.testing.assert_allclose(
        (ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), rtol=1e-5, atol=1e-6
    )


def test_the_variance_kept_is_what_an_exact_decomposition_keeps() -> None:
    rng = np.random.default_rng(0)
    words = [f"word{w}" for w in range(60)]
    titles = [" ".join(rng.choice(words[n % 3 * 20 : n % 3 * 20 + 25], 6)) for n in range(300)]
    frame = catalogue_of(300, title=titles).frame
    config = SpaceConfig(dim=12, min_items=1)
    space, _, kept = fit_space(frame, config, rng)
    weighed = space.weigh(frame).toarray().astype(np.float64)
    _, _, right = np.linalg.svd(weighed, full_matrices=False)
    exact = np.var(weighed @ right[:12].T, axis=0).sum() / np.var(weighed, axis=0).sum()
    assert kept == pytest.approx(exact, rel=0.02)
    assert 0.1 < kept < 0.9


def test_more_numbers_than_terms_keep_everything() -> None:
    frame = catalogue_of(3, title=["tea pot", "tea cup", "tea"]).frame
    space, vectors, kept = fit_space(
        frame, SpaceConfig(min_items=1, flattening=0), np.random.default_rng(0)
    )
    weighed = space.weigh(frame).toarray()
    weighed /= np.linalg.norm(weighed, axis=1, keepdims=True)
    assert vectors.shape == (3, 128)
    np.testing.assert_array_equal(vectors, space.vectors(frame))
    np.testing.assert_allclose(vectors @ vectors.T, weighed @ weighed.T, atol=1e-5)
    assert kept == pytest.approx(1, abs=1e-5)


def test_likeness_is_the_cosine_to_the_profile(source: ContentSource) -> None:
    asked = requests([[(0, VIEW, 0.0), (1, VIEW, 0.0)]])
    vectors = source.item_vectors
    expected = (vectors[0] + vectors[1]) / 2 @ vectors[4]
    score = source.score(asked, np.array([[4]], np.int32))
    assert score[0, 0] == pytest.approx(expected, rel=1e-5)


def test_what_it_keeps_is_told(source: ContentSource) -> None:
    assert 0.9 < source.measured["variance_kept"] <= 1.0001
    assert source.measured["neighbour_recall"] == 1.0
    assert source.measured["items"] == 14


def test_a_new_item_is_proposed_and_asked_about_at_once(source: ContentSource) -> None:
    grown = source.extend(tail(14, "espresso coffee grinder deluxe", "green tea pot deluxe"))
    coffee_drinker = requests([[(1, VIEW, 0.0)], [(1, VIEW, 0.0)]])
    assert 14 in rows_of(grown.propose(coffee_drinker, 8).item_row[0])
    score = grown.score(coffee_drinker, np.tile(np.array([[14, 15]], np.int32), (2, 1)))
    assert (score[:, 0] > score[:, 1]).all()
    on_its_page = grown.propose(requests([[]], anchors=[[15]]), 4)
    assert rows_of(on_its_page.item_row[0])
    assert set(rows_of(on_its_page.item_row[0])) - {15} <= SHOP.likes(0)
    found = grown.propose(coffee_drinker, 8)
    np.testing.assert_array_equal(grown.score(coffee_drinker, found.item_row), found.score)
    assert 14 not in source.propose(coffee_drinker, 8).item_row, "the old source is as it was"


def test_growing_step_by_step_is_growing_at_once(source: ContentSource) -> None:
    titles = ["coffee grinder", "tea pot", "coffee cup"]
    at_once = source.extend(tail(14, *titles))
    by_step = source
    for n, title in enumerate(titles):
        by_step = by_step.extend(tail(14 + n, title))
    assert by_step.extend(tail(15, "tea pot")) is by_step, "told the same again"
    assert by_step.extend(tail(3, "ignored: fitted already")) is by_step
    asked = requests([[(14, VIEW, 0.0)], [(1, VIEW, 0.0)]])
    a, b = at_once.propose(asked, 8), by_step.propose(asked, 8)
    np.testing.assert_array_equal(a.item_row, b.item_row)
    np.testing.assert_allclose(a.score, b.score, rtol=1e-6)


TITLES = st.sampled_from(["coffee grinder", "tea pot", "green tea", "espresso cup", "unheard of"])


@settings(max_examples=40)
@given(
    told=st.lists(st.tuples(st.integers(14, 22), TITLES), min_size=1, max_size=14),
    cuts=st.sets(st.integers(1, 13)),
)
def test_in_whatever_steps_it_is_told_it_knows_what_was_told_last(
    source: ContentSource, told: list[tuple[int, str]], cuts: set[int]
) -> None:
    last = dict(told)
    frame = pl.DataFrame({"item_row": list(last), "title": list(last.values())})
    at_once = source.extend(Catalogue(frame.with_columns(pl.col("item_row").cast(pl.Int32))))
    by_step, before = source, source
    edges = [0, *sorted(cut for cut in cuts if cut < len(told)), len(told)]
    for first, end in pairwise(edges):
        before = by_step
        heard = source_rows(before)
        for row, title in dict(told[first:end]).items():
            by_step = by_step.extend(tail(row, title))
        assert source_rows(before) == heard, "who asked the shorter one goes on undisturbed"
    np.testing.assert_allclose(by_step.tail_vectors, at_once.tail_vectors, atol=1e-6)
    assert source_rows(by_step) == source_rows(at_once)


def source_rows(source: ContentSource) -> list[list[tuple[int, float]]]:
    """The neighbours of every row of a source, tail included, in no order among equals."""
    return [
        sorted(
            (round(float(strength), 4), int(row))
            for row, strength in zip(*source.table.of(one), strict=True)
        )
        for one in range(source.table.n_rows)
    ]  # type: ignore[misc]


def test_a_step_costs_what_comes_not_what_is_there(source: ContentSource) -> None:
    """Of 400 items told one by one, the tail moves to other memory a few times only."""
    moved, grown = 0, source
    for n in range(400):
        before = grown.tail_vectors
        grown = grown.extend(tail(14 + n, f"coffee grinder {n}"))
        moved += not np.shares_memory(before, grown.tail_vectors)
    assert len(grown.tail_vectors) == 400
    assert 2 <= moved <= 8


def test_items_named_but_not_described_are_a_tail_to_come() -> None:
    facts = facts_of(
        log_of([(1.0, VIEW, 0, 3, -1)]), catalogue_of(4, title=["tea pot", "tea cup", None, None])
    )
    source = ContentLearner(ContentConfig()).fit(facts, np.random.default_rng(0))
    assert source.n_fitted == 2
    grown = source.extend(tail(3, "tea tray"))
    assert 3 in rows_of(grown.propose(requests([[(0, VIEW, 0.0)]]), 3).item_row[0])


def test_rows_between_may_be_left_out(source: ContentSource) -> None:
    grown = source.extend(tail(17, "coffee grinder"))
    asked = requests([[(1, VIEW, 0.0)]])
    score = grown.score(asked, np.array([[15, 17, 18]], np.int32))
    assert score[0, 0] == 0
    assert score[0, 1] > 0
    assert score[0, 2] == 0


def test_a_grown_source_saves_what_was_fitted(source: ContentSource, tmp_path: Path) -> None:
    source.extend(tail(14, "coffee grinder")).save(tmp_path)
    loaded = ContentSource.load(tmp_path)
    frame = tail(14, "a coffee grinder").frame
    np.testing.assert_array_equal(loaded.vector_of(frame), source.vector_of(frame))
    assert len(loaded.tail_vectors) == 0


def test_items_nothing_is_said_of_are_like_nothing() -> None:
    facts = facts_of(log_of([(1.0, VIEW, 0, 2, -1)]), catalogue_of(3, title=["tea", "tea", None]))
    source = ContentLearner(ContentConfig()).fit(facts, np.random.default_rng(0))
    assert rows_of(source.propose(requests([[(2, VIEW, 0.0)]]), 3).item_row[0]) == []
    assert rows_of(source.propose(requests([[(0, VIEW, 0.0)]]), 3).item_row[0]) == [1]


def plain_tokens(text: str) -> list[str]:
    """The same rules, character by character."""
    text = re.sub(r"['’]s\b|['’]", "", unicodedata.normalize("NFKC", text).lower())
    tokens, word = [], ""
    for character in text + " ":
        name = unicodedata.name(character, "")
        spaceless = name.startswith(("CJK UNIFIED", "HIRAGANA LETTER", "KATAKANA LETTER"))
        if not spaceless and unicodedata.category(character)[0] in "LMN":
            word += character
            continue
        if word:
            word = re.sub(r"^([a-z]{2,})ies$", r"\1y", word)
            tokens.append(re.sub(r"^([a-z]{2,}[b-hj-rtv-z])s$", r"\1", word))
            word = ""
        if spaceless:
            tokens.append(character)
    return tokens


PIECES = st.lists(
    st.sampled_from(
        [
            "Women's",
            "mugs",
            "berries",
            "GLASS",
            "bus",
            "2-in-1",
            "咖啡杯",
            "ｆｕｌｌ",
            "テ",
            "é",
            " ",
            "!",
        ]
    ),
    max_size=8,
)


@given(texts=st.lists(PIECES.map(" ".join) | PIECES.map("".join), min_size=1, max_size=4))
def test_tokens_are_those_of_a_plain_reading(texts: list[str]) -> None:
    found = token_rows(pl.Series(texts))
    for n, text in enumerate(texts):
        assert tokens_of(text) == plain_tokens(text)
        assert found.filter(pl.col("text") == n)["token"].to_list() == plain_tokens(text)
    pairs = token_rows(pl.Series(texts), pairs=True)
    for n, text in enumerate(texts):
        words = plain_tokens(text)
        both = words + [f"{a} {b}" for a, b in pairwise(words)]
        assert sorted(pairs.filter(pl.col("text") == n)["token"]) == sorted(both)


def test_nothing_has_no_tokens() -> None:
    assert token_rows(pl.Series([None, ""], dtype=pl.String), pairs=True).height == 0
