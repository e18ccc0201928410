"""Sources of a snapshot keep up with what is posted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from habitue.candidates.content import ContentConfig, ContentLearner, ContentSource
from habitue.candidates.contract import ExtendingSource
from habitue.errors import SnapshotError, StoreError
from habitue.facts import Action, Catalogue, Item
from habitue.slates.live_tail import LiveSource, LiveTail
from habitue.training.dataset import facts_of_store
from tests.slates.small_shop import MINUTE, SmallShop

WORDS = ("coffee grinder", "coffee cup", "tea pot", "tea cup")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SmallShop]:
    """A shop of 12 items of which everything is known to who has been fitted."""
    shop = SmallShop(tmp_path)
    shop.tell(*(Item(id=f"i{x}", title=f"{WORDS[x % 4]} {x}") for x in range(12)))
    shop.act("anna", "view_item", "i0")
    yield shop
    shop.store.close()


@pytest.fixture
def fitted(shop: SmallShop) -> ContentSource:
    facts = facts_of_store(shop.store).as_of(shop.now_ms + MINUTE)
    return ContentLearner(ContentConfig()).fit(facts, np.random.default_rng(0))


def current(tail: LiveTail) -> Any:
    (source,) = tail.sources
    assert isinstance(source, LiveSource)
    return source.current


def test_what_is_posted_is_known_after_one_step(shop: SmallShop, fitted: ContentSource) -> None:
    tail = LiveTail([fitted], shop.shop.items, shop.store)
    assert tail.catch_up(shop.now_ms) == 0
    shop.tell(Item(id="new", title="coffee grinder deluxe"))
    assert len(current(tail).tail_vectors) == 0, "the posting itself does not wait for it"
    assert tail.catch_up(shop.now_ms) == 1
    assert current(tail).tail_vectors[0].any()
    assert tail.catch_up(shop.now_ms) == 0
    tail.close()
    shop.tell(Item(id="later", title="tea pot deluxe"))
    assert tail.catch_up(shop.now_ms) == 0, "closed, it follows no more"


def test_what_is_posted_after_the_look_at_the_clock_is_not_passed_over(
    shop: SmallShop, fitted: ContentSource
) -> None:
    tail = LiveTail([fitted], shop.shop.items, shop.store)
    looked_ms = shop.now_ms
    shop.tell(Item(id="new", title="coffee grinder deluxe"))
    assert tail.catch_up(looked_ms) == 1


def test_fitted_items_told_anew_are_not_read_again(shop: SmallShop, fitted: ContentSource) -> None:
    tail = LiveTail([fitted], shop.shop.items, shop.store)
    shop.tell(Item(id="i3", title="tea cup 3", stock=2))
    assert tail.catch_up(shop.now_ms) == 0


def test_an_item_named_by_an_action_first_is_known_once_it_is_described(
    shop: SmallShop, fitted: ContentSource
) -> None:
    tail = LiveTail([fitted], shop.shop.items, shop.store)
    shop.tell(Action(kind="view_item", shopper="anna", item="early", at=shop.now_ms))
    shop.tell(Item(id="late", title="tea pot deluxe"))
    assert tail.catch_up(shop.now_ms) == 1
    shop.tell(Item(id="early", title="coffee grinder deluxe"))
    assert tail.catch_up(shop.now_ms) == 1
    place = shop.shop.item_row("early") - fitted.n_fitted
    assert current(tail).tail_vectors[place].any()


def test_a_version_to_come_is_known_when_it_comes_into_force(
    shop: SmallShop, fitted: ContentSource
) -> None:
    tail = LiveTail([fitted], shop.shop.items, shop.store)
    shop.tell(Item(id="soon", title="tea pot", valid_from=shop.now_ms + MINUTE))
    assert tail.catch_up(shop.now_ms) == 0
    shop.shop.catch_up(shop.now_ms + 2 * MINUTE)
    assert tail.catch_up(shop.now_ms + 2 * MINUTE) == 1


def test_who_starts_later_and_who_writes_elsewhere_know_the_same(
    shop: SmallShop, fitted: ContentSource
) -> None:
    tail = LiveTail([fitted], shop.shop.items, shop.store)
    for x in range(150):  # more than one step's worth
        said = [Item(id=f"new{x}", title=f"{WORDS[x % 4]} number {x % 7}")]
        shop.now_ms += 1
        shop.store.append(said, received_at_ms=shop.now_ms)  # as another worker does
        if x % 40 == 0:
            shop.shop.catch_up(shop.now_ms)
            tail.catch_up(shop.now_ms)
    shop.shop.catch_up(shop.now_ms)
    tail.catch_up(shop.now_ms)
    restarted = LiveTail([fitted], shop.shop.items, shop.store)
    assert restarted.catch_up(shop.now_ms) == 150
    np.testing.assert_allclose(
        current(tail).tail_vectors, current(restarted).tail_vectors, atol=1e-6
    )


def test_what_could_not_be_read_stays_due(
    shop: SmallShop, fitted: ContentSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> list[str | None]:
        raise StoreError("the store does not answer")

    tail = LiveTail([fitted], shop.shop.items, shop.store)
    shop.tell(Item(id="new", title="coffee grinder deluxe"))
    with monkeypatch.context() as broken:
        broken.setattr(shop.store, "items_in_force", down)
        with pytest.raises(StoreError):
            tail.catch_up(shop.now_ms)
    assert tail.catch_up(shop.now_ms) == 1


def test_a_source_that_fails_keeps_no_other_from_going_on(
    shop: SmallShop, fitted: ContentSource
) -> None:
    class Failing(ContentSource):
        def extend(self, catalogue_tail: Catalogue) -> ContentSource:
            raise ValueError("cannot read")

    args = (fitted.space, fitted.item_vectors, fitted.table, fitted.measured)
    failing = Failing(ContentConfig(name="failing"), *args)
    tail = LiveTail([failing, fitted], shop.shop.items, shop.store)
    shop.tell(Item(id="new", title="coffee grinder deluxe"))
    with pytest.raises(SnapshotError, match="'failing' cannot take new items"):
        tail.catch_up(shop.now_ms)
    assert len(tail.sources[1].current.tail_vectors) == 1  # type: ignore[attr-defined]
    assert tail.catch_up(shop.now_ms) == 0


def test_sources_that_read_no_new_items_are_left_as_they_are(shop: SmallShop) -> None:
    class Plain:
        name = "plain"

    plain: Any = Plain()
    assert not isinstance(plain, ExtendingSource)
    assert LiveTail([plain], shop.shop.items, shop.store).sources == (plain,)


def test_what_is_written_down_is_what_was_fitted(
    shop: SmallShop, fitted: ContentSource, tmp_path: Path
) -> None:
    tail = LiveTail([fitted], shop.shop.items, shop.store)
    shop.tell(Item(id="new", title="coffee grinder deluxe"))
    tail.catch_up(shop.now_ms)
    tail.sources[0].save(tmp_path / "content")
    loaded = LiveSource.load(tmp_path / "content").current
    assert loaded.n_fitted == 12
