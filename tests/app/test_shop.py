"""A shop through its Python interface: told, trained, asked, and made to forget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import habitue
from habitue.app import open_shop
from habitue.errors import BadInput, NotFound, SnapshotRefused
from habitue.facts import Action, Alias, Consent, Item
from tests.app.worlds import NOW_MS, SMALL_TRAINING, small_world, tell

Open = Callable[[], habitue.Shop]


@pytest.fixture(params=["sqlite, memory", "postgres, redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same shop again and again, on each pair of store and live state."""
    company: dict[str, object] = {
        "snapshots.path": tmp_path / "snapshots",
        "server.keys_file": tmp_path / "keys.json",
        **SMALL_TRAINING,
    }
    if request.param == "sqlite, memory":
        address = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        address = request.getfixturevalue("fresh_postgres_dsn")
        company["live.address"] = request.getfixturevalue("redis_url")
    return lambda: open_shop(overrides={"store.address": address, **company})


def looks(shopper: str, *items: str, at: int = NOW_MS) -> list[Action]:
    return [
        Action(kind="view_item", shopper=shopper, item=item, at=at + x)
        for x, item in enumerate(items)
    ]


def test_a_shop_is_told_trained_and_asked(opened: Open) -> None:
    with opened() as shop:
        world = tell(shop)
        assert shop.recommend("s1").fallback == "unknown_shopper"
        somebody = world.action_table["shopper"].mode()[0]
        before = shop.recommend(somebody, now_ms=NOW_MS)
        assert before.snapshot == ""
        assert before.fallback == "no_snapshot"
        made = shop.train(seed=1)
        after = shop.recommend(somebody, now_ms=NOW_MS)
    assert made.active
    assert after.snapshot == made.name
    assert after.fallback == ""
    assert len(after.items) == 10
    with opened() as again:  # another process later: the same snapshot answers at once
        later = again.recommend(somebody, now_ms=NOW_MS)
        assert later.snapshot == made.name
        assert [one.name for one in again.snapshots() if one.active] == [made.name]


def test_what_was_just_looked_at_changes_the_next_slate_and_is_named(opened: Open) -> None:
    with opened() as shop:
        world = tell(shop)
        shop.train(seed=1)
        item = world.action_table["item"].drop_nulls().mode()[0]
        stranger = shop.recommend("newcomer", now_ms=NOW_MS)
        acknowledged = shop.ingest(looks("newcomer", item))
        after = shop.recommend("newcomer", now_ms=NOW_MS + 1000)
    assert stranger.fallback == "unknown_shopper"
    assert after.fallback == ""
    assert after.seen_seq >= acknowledged.last_seq
    assert any(item in slot.causes for slot in after.items)


def test_a_shopper_who_is_forgotten_is_a_stranger_everywhere(opened: Open) -> None:
    with opened() as shop:
        tell(shop)
        shop.ingest(looks("anna", "i1"))
        shop.ingest([Alias(shopper="anna", alias="anna-phone", at=NOW_MS)])
        told = shop.export("anna")
        assert len(told["action"]) == 1
        erased = shop.forget("anna-phone")
        assert erased.rows["action"] == 1
        with pytest.raises(NotFound):
            shop.export("anna")
    with opened() as again:
        assert again.recommend("anna", now_ms=NOW_MS).fallback == "unknown_shopper"
        with pytest.raises(NotFound):
            again.forget("anna-phone")


def test_consent_taken_back_counts_from_the_next_slate(opened: Open) -> None:
    with opened() as shop:
        tell(shop)
        shop.ingest(looks("anna", "i1"))
        assert shop.recommend("anna", now_ms=NOW_MS).fallback != "no_consent"
        shop.ingest([Consent(shopper="anna", denied=["personalisation"], at=NOW_MS)])
        assert shop.recommend("anna", now_ms=NOW_MS).fallback == "no_consent"
        shop.ingest([Consent(shopper="anna", granted=["personalisation"], at=NOW_MS + 1)])
        assert shop.recommend("anna", now_ms=NOW_MS).fallback != "no_consent"


def test_snapshots_are_activated_and_rolled_back_while_the_shop_answers(opened: Open) -> None:
    with opened() as shop:
        tell(shop)
        first, second = shop.train(seed=1), shop.train(seed=2)
        assert shop.recommend(now_ms=NOW_MS).snapshot == second.name
        assert shop.roll_back().name == first.name
        assert shop.recommend(now_ms=NOW_MS).snapshot == first.name
        assert shop.activate(second.name).active
        with opened() as beside:  # a server in another process follows
            assert beside.recommend(now_ms=NOW_MS).snapshot == second.name
            shop.roll_back()
            beside.follow_snapshot()
            assert beside.recommend(now_ms=NOW_MS).snapshot == first.name
        with pytest.raises(NotFound):
            shop.activate("20000101T000000000Z-00000000")


def test_a_snapshot_with_a_piece_missing_is_refused_and_the_shop_goes_on(opened: Open) -> None:
    with opened() as shop:
        tell(shop)
        made = shop.train(seed=1, activate=False)
        folder = shop.parts.snapshots.get(made.name).path
        next((folder / "sources").rglob("*.npy")).unlink()
        with pytest.raises(SnapshotRefused, match="missing"):
            shop.activate(made.name)
        slate = shop.recommend(now_ms=NOW_MS)
        assert slate.snapshot == ""
        assert slate.items


def test_what_one_process_writes_the_other_knows_at_its_next_slate(opened: Open) -> None:
    with opened() as one, opened() as other:
        tell(one)
        other.recommend(now_ms=NOW_MS)  # alive
        one.ingest([Item(id="brand-new", title="A lamp", price_micros=5_000_000)])
        acknowledged = one.ingest(looks("anna", "brand-new"))
        slate = other.recommend("anna", now_ms=NOW_MS)
        assert slate.seen_seq >= acknowledged.last_seq
        assert other.parts.live.items.row("brand-new") >= 0


def test_evaluation_sets_the_pipeline_beside_its_sources_and_what_was_shown(opened: Open) -> None:
    with opened() as shop:
        world = tell(shop)
        somebody = world.action_table["shopper"].mode()[0]
        slate = shop.recommend(somebody, now_ms=NOW_MS)
        shop.parts.committer.close()  # what was shown is stored now
        found = shop.evaluate(split="by-time", seed=1)
    names = [line.name for line in found.report.lines]
    assert names[0] == "habitue"
    assert {"als", "popular_now"} <= set(names)
    assert found.report.n_questions > 20
    assert slate.items
    assert [rates.name for rates in found.shown] == ["home"]
    assert '"ndcg@10"' in found.to_json()


def test_an_empty_shop_says_what_it_lacks(opened: Open) -> None:
    with opened() as shop:
        assert shop.recommend().items == []
        with pytest.raises(BadInput, match="no actions to learn from"):
            shop.train()
        with pytest.raises(BadInput, match="no actions to learn from"):
            shop.evaluate()


def test_pseudonyms_leave_no_name_in_the_store(tmp_path: Path) -> None:
    shop = open_shop(tmp_path / "shop.db", overrides={"privacy.pseudonyms": True})
    with shop:
        shop.ingest([Item(id="i1", title="A lamp"), *looks("anna@example.com", "i1")])
        assert shop.recommend("anna@example.com", now_ms=NOW_MS).fallback == "no_snapshot"
        assert len(shop.export("anna@example.com")["action"]) == 1
        assert all(name.startswith("hbp_") for name in shop.parts.store.shopper_ids() if name)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("shop.db*"))
    assert b"anna@example.com" not in stored


def test_a_copy_put_back_does_not_bring_back_who_was_erased(tmp_path: Path) -> None:
    from habitue.app import restore

    place, copy = tmp_path / "shop.db", tmp_path / "copy"
    with open_shop(place) as shop:
        shop.ingest([*looks("anna", "i1"), *looks("bert", "i1")])
        shop.backup(copy)
        shop.forget("anna")
    assert restore(copy, place) == 1
    with open_shop(place) as shop:
        assert len(shop.export("bert")["action"]) == 1
        with pytest.raises(NotFound):
            shop.export("anna")


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[habitue.Shop]:
    """A trained shop on a file."""
    with open_shop(tmp_path / "shop.db", overrides=SMALL_TRAINING) as shop:
        tell(shop)
        shop.train(seed=1)
        yield shop


def test_a_trained_shop_serves_its_people_better_than_popularity_does(
    trained: habitue.Shop,
) -> None:
    """By the truth the world was made with: how likely each person is to look closer."""
    world = small_world()
    people = world.action_table.group_by("shopper").len().sort("len", "shopper")["shopper"][-60:]
    own = popular = 0.0
    favourites = [slot.item for slot in trained.recommend(n=10, now_ms=NOW_MS).items]
    for person in people:
        slate = [slot.item for slot in trained.recommend(person, n=10, now_ms=NOW_MS).items]
        own += world.click_probability(person, slate).sum()
        popular += world.click_probability(person, favourites).sum()
    assert own > 1.1 * popular
