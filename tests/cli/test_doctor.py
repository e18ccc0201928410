"""The doctor finds each common mistake once it is made, and nothing in a shop that is well."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from habitue.app import create_key, open_shop
from habitue.app.note import Refusal, note_refusal, read_refusal
from habitue.cli.doctor import Finding, examine
from habitue.errors import SnapshotRefused
from habitue.facts import Action, Consent, Fact, Item

DAY = 86_400_000


def now_ms() -> int:
    return int(time.time() * 1000)


def purchases(n: int, **said: object) -> list[Fact]:
    """Sound order lines of many shoppers, or with one thing said otherwise."""
    sound = {"kind": "purchase", "currency": "EUR", "value_minor": 100}
    return [
        Action(
            **(
                {"shopper": f"s-{x % 50}", "item": f"item-{x % 10}", "order_id": f"o-{x}"}
                | sound
                | said
            )  # type: ignore[arg-type]
        )
        for x in range(n)
    ]


def catalogue(**said: object) -> list[Fact]:
    return [Item(**({"id": f"item-{x}", "title": f"Thing {x}"} | said)) for x in range(10)]  # type: ignore[arg-type]


class Ward:
    """A shop in a folder, and what the doctor says of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "habitue.toml"
        self.say("")

    def say(self, more: str, store: str = "") -> None:
        address = store or f"sqlite:///{self.folder}/shop.db"
        self.settings.write_text(
            f'[store]\naddress = "{address}"\n[snapshots]\npath = "{self.folder}/snapshots"\n'
            f'[server]\nkeys_file = "{self.folder}/keys.json"\n{more}'
        )

    def tell(self, *facts: list[Fact], received: int | None = None) -> None:
        with open_shop(settings=self.settings) as shop:
            for some in facts:
                if received is None:
                    shop.ingest(some)
                else:
                    shop.parts.store.append(some, received_at_ms=received)

    def found(self, *, after_ms: int = 0) -> dict[str, Finding]:
        """What is not fine, by what it is."""
        findings = examine(None, self.settings, now_ms=now_ms() + after_ms)
        return {one.what: one for one in findings if one.state != "fine"}


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path)


def test_a_shop_that_is_well_only_wants_training(ward: Ward) -> None:
    ward.tell(catalogue(), purchases(200))
    assert list(ward.found()) == ["snapshot"]


def test_a_public_address_without_a_key(ward: Ward) -> None:
    ward.say('host = "0.0.0.0"\n')
    assert "habitue keys create" in ward.found()["server"].remedy
    create_key("k", "server", settings=ward.settings)
    assert "server" not in ward.found()


def test_several_workers_without_redis(ward: Ward) -> None:
    ward.say("workers = 2\n")
    assert "Redis" in ward.found()["server"].remedy


def test_a_browser_key_that_no_site_may_use(ward: Ward) -> None:
    create_key("web", "browser", settings=ward.settings)
    assert "cors_origins" in ward.found()["sites"].remedy
    ward.say('cors_origins = ["https://www.shop.example"]\n')
    assert "sites" not in ward.found()


def test_a_full_disk(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    full = SimpleNamespace(total=10**12, used=10**12 - 10**8, free=10**8)
    monkeypatch.setattr("habitue.cli.doctor.shutil.disk_usage", lambda _: full)
    assert ward.found()["disk"].state == "wrong"


def test_redis_that_does_not_answer(ward: Ward) -> None:
    ward.say('[live]\naddress = "redis://127.0.0.1:1/0"\n')
    found = ward.found()
    assert any("127.0.0.1:1" in one.found for one in found.values()), found


def test_commits_that_do_not_wait_for_the_disk(
    ward: Ward, fresh_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from habitue.store.postgres import PostgresFactStore

    ward.say("", store=fresh_postgres_dsn)
    name = fresh_postgres_dsn.partition("?")[0].rsplit("/", 1)[1]
    with psycopg.connect(fresh_postgres_dsn, autocommit=True) as connection:
        connection.execute(f"alter database {name} set synchronous_commit = off")
    assert "durability" not in ward.found()  # the store asks for it by itself
    real = PostgresFactStore.durability
    monkeypatch.setattr(PostgresFactStore, "durability", lambda one: real(one) | {"fsync": "off"})
    assert "fsync is off" in ward.found()["durability"].remedy


def test_events_of_items_that_are_not_in_the_catalogue(ward: Ward) -> None:
    ward.tell(
        catalogue(), purchases(200), [a for n in range(9) for a in purchases(10, item=f"x{n}")]
    )
    assert ward.found()["catalogue"].found.startswith("31% of the latest actions")


def test_items_without_titles(ward: Ward) -> None:
    ward.tell(catalogue(), [Item(id=f"bare-{x}", price_micros=1) for x in range(5)])
    assert ward.found()["titles"].found == "5 of 15 items have no title"


def test_no_snapshot_and_one_that_has_grown_old(ward: Ward) -> None:
    assert ward.found()["snapshot"].found == "none is active"
    ward.tell(catalogue(), purchases(200))
    with open_shop(settings=ward.settings, overrides=SMALL) as shop:
        shop.train()
    assert "snapshot" not in ward.found(after_ms=40 * DAY)  # nothing has happened since
    ward.tell(purchases(2, order_id="later"))
    assert "snapshot" not in ward.found(after_ms=29 * DAY)
    assert "grown old" in ward.found(after_ms=40 * DAY)["snapshot"].remedy
    ward.tell(purchases(150, order_id="much"))
    assert "much has happened" in ward.found()["snapshot"].remedy


SMALL: dict[str, object] = {
    "training.windows": 2,
    "training.least_answered": 10,
    "training.ranker.rounds": 5,
    "training.ranker.min_leaf_rows": 5,
}


def test_a_training_that_the_gate_refused(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise SnapshotRefused("ndcg@10 fell from 0.30 to 0.10.")

    monkeypatch.setattr("habitue.app.learning.train_snapshot", refuse)
    with open_shop(settings=ward.settings) as shop, pytest.raises(SnapshotRefused):
        shop.train()
    found = ward.found(after_ms=3 * 3_600_000)["training"]
    assert found.found == "refused 3 hours ago: ndcg@10 fell from 0.30 to 0.10."
    folder = ward.folder / "snapshots"
    note_refusal(folder, None)
    assert read_refusal(folder) is None
    assert "training" not in ward.found()
    note_refusal(folder, Refusal(1, "again"))
    assert read_refusal(folder) == Refusal(1, "again")


def test_a_clock_that_ran_ahead(ward: Ward) -> None:
    ahead = now_ms() + 2 * 3_600_000
    ward.tell(catalogue())
    ward.tell(purchases(120), received=ahead)
    assert "2.0 hours from now" in ward.found()["clock"].found


@pytest.mark.parametrize("hours", [2, -5, 9])
def test_local_time_told_as_utc(ward: Ward, hours: int) -> None:
    received = now_ms() - 10 * 3_600_000
    ward.tell(catalogue())
    ward.tell(purchases(120, at=received - hours * 3_600_000), received=received)
    assert f"arrive {hours} hours after" in ward.found()["times"].found


def test_an_import_of_old_orders_is_no_wrong_clock(ward: Ward) -> None:
    received = now_ms()
    rows = [
        a for n in range(150) for a in purchases(1, order_id=f"o{n}", at=received - n * 7_777_777)
    ]
    ward.tell(catalogue())
    ward.tell(rows, received=received)
    assert "times" not in ward.found()


def test_seconds_sent_as_milliseconds(ward: Ward) -> None:
    ward.tell(catalogue(valid_from=1_700_000_000))
    assert "10 item versions" in ward.found()["seconds"].found


def test_purchases_without_an_order(ward: Ward) -> None:
    ward.tell(catalogue(), purchases(150), purchases(50, order_id=None))
    assert "25% of the latest purchases" in ward.found()["orders"].found


def test_one_id_for_everybody(ward: Ward) -> None:
    ward.tell(catalogue(), purchases(150), purchases(150, shopper="guest"))
    assert ward.found()["shoppers"].found == "one shopper did 50% of the latest 300 actions"


def test_consent_that_nobody_is_asked_for(ward: Ward) -> None:
    ward.say('[privacy]\ndefault_consent = ["analytics"]\n')
    ward.tell(catalogue(), purchases(10))
    assert "/v1/consents" in ward.found()["consent"].remedy
    ward.tell([Consent(shopper="s-1", granted=["personalisation"])])
    assert "consent" not in ward.found()


def test_money_of_another_currency(ward: Ward) -> None:
    ward.tell(catalogue(), purchases(90), purchases(10, currency="USD"))
    assert "10% of the latest amounts are in USD, not in EUR" in ward.found()["currency"].found


def test_every_shop_of_several_is_looked_at(ward: Ward) -> None:
    ward.say(f'[shops.a]\nstore = "{ward.folder}/a.db"\n[shops.b]\nstore = "{ward.folder}/b.db"\n')
    found = ward.found()
    assert {"a: snapshot", "b: snapshot"} <= set(found)


def test_a_damaged_setting_ends_the_examination(ward: Ward) -> None:
    ward.say("prot = 1\n")
    assert list(ward.found()) == ["settings"]


def test_a_look_that_fails_is_a_finding(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    from habitue.errors import Unavailable

    def fails(*_: object) -> object:
        raise Unavailable("The store does not answer.")

    looks: tuple[Callable[..., object], ...] = (fails,)
    monkeypatch.setattr("habitue.cli.mistakes.LOOKS", looks)
    assert ward.found()["fails"].found == "The store does not answer."
