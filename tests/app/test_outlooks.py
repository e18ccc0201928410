"""Outlooks of an open shop: learnt with a snapshot, one with its evidence, all as columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from habitue.app import open_shop, reading, returning
from habitue.errors import NotFound
from habitue.facts import Action, ActionKind, Consent, Context
from habitue.facts.meaning import read_as
from tests.app.worlds import NOW_MS, SMALL_TRAINING, tell

DAY = 86_400_000
QUICK = {
    "training.outlook.least_returns": 20,
    "training.outlook.horizon_days": 14,
    "training.outlook.history_days": 20,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("shop")
    with open_shop(folder / "shop.db", overrides=SMALL_TRAINING | QUICK) as opened:
        tell(opened)
        opened.train(seed=1)
        yield opened


def test_a_snapshot_says_how_right_its_outlooks_were(shop) -> None:
    (info,) = shop.snapshots()
    assert info.metrics["outlook/horizon_days"] == 14
    assert info.metrics["outlook/customers"] > 20
    assert 0 <= info.metrics["outlook/calibration_error"] < 0.5
    assert info.metrics["outlook/auc"] > 0.5


def test_the_frame_says_what_each_outlook_says(shop) -> None:
    frame = shop.outlooks(now_ms=NOW_MS)
    assert frame["shopper"].is_unique().all()
    assert frame.height > 100
    for row in frame.head(25).iter_rows(named=True):
        one = shop.outlook(row["shopper"], now_ms=NOW_MS)
        for name, value in list(row.items())[1:]:
            told = getattr(one, name)
            assert (told is None) == (value is None), name
            assert value is None or told == pytest.approx(value, rel=1e-4), name
        week, month, quarter = (getattr(one, f"purchase_within_{n}_days") for n in (7, 30, 90))
        assert 0 < week < month < quarter < 1
        assert len(one.evidence) == min(one.orders, 3)
        assert one.pulls == sorted(one.pulls, key=lambda pull: -abs(pull.strength))
        assert one.measured is not None


def test_the_next_outlook_knows_the_last_order(shop) -> None:
    bought = Action(kind="purchase", shopper="fay", item="i1", order_id="f-1", at=NOW_MS)
    shop.ingest([bought])
    first = shop.outlook("fay", now_ms=NOW_MS + DAY)
    assert (first.orders, first.usual_gap_days) == (1, None)
    assert first.days_since_order == 1.0
    later = shop.outlook("fay", now_ms=NOW_MS + 40 * DAY)
    assert later.purchase_within_30_days < first.purchase_within_30_days


def test_nothing_is_foretold_of_who_never_ordered(shop) -> None:
    shop.ingest([Action(kind="view_item", shopper="guy", item="i1", at=NOW_MS)])
    told = shop.outlook("guy", now_ms=NOW_MS + 1)
    assert told.personalisation
    assert told.orders == 0
    assert told.purchase_within_30_days is told.expected_return_days is None


def test_consent_withdrawn_takes_the_outlook_away(shop) -> None:
    shop.ingest([Action(kind="purchase", shopper="gil", item="i1", order_id="g-1", at=NOW_MS)])
    assert shop.outlook("gil").orders == 1
    shop.ingest([Consent(shopper="gil", denied=["personalisation"], at=NOW_MS)])
    told = shop.outlook("gil")
    assert (told.personalisation, told.orders, told.evidence) == (False, 0, [])
    assert "gil" not in set(shop.outlooks()["shopper"])
    with pytest.raises(NotFound):
        shop.outlook("nobody")


class Listening:
    """A network that says nothing, and notes what it is asked."""

    foretells = True

    def __init__(self) -> None:
        self.heard: dict[int, list[tuple[int, int, float]]] = {}
        self.together: list[int] = []

    def foretold(self, context: Context) -> None:
        self.together.append(len(context))
        for b, row in enumerate(context.shopper_row.tolist()):
            there = context.recent_item[b] >= 0
            there &= context.recent_kind[b] != ActionKind.not_interested  # never forgotten of one
            self.heard[row] = list(
                zip(
                    context.recent_item[b, there].tolist(),
                    context.recent_kind[b, there].tolist(),
                    context.recent_age_days[b, there].round(4).tolist(),
                    strict=True,
                )
            )


@pytest.mark.parametrize("taken", [(), ("add_to_cart",)])
def test_a_network_hears_of_all_what_it_hears_of_one(shop, monkeypatch, taken) -> None:
    """Actions read as the shop means them, whatever stands for a purchase."""
    counters = shop.parts.live.counters
    monkeypatch.setattr(counters, "taken", taken)
    monkeypatch.setattr(counters, "_table", read_as(taken))
    monkeypatch.setattr(reading, "_TOGETHER", 64)
    all_at_once, one_by_one = Listening(), Listening()
    monkeypatch.setattr(returning, "_foretelling", lambda parts: [all_at_once])
    frame = shop.outlooks(now_ms=NOW_MS)
    assert not any(name.startswith("network_") for name in frame.columns), "it said nothing"
    assert max(all_at_once.together) == 64
    monkeypatch.setattr(returning, "_foretelling", lambda parts: [one_by_one])
    for shopper in frame["shopper"].head(60):
        shop.outlook(shopper, now_ms=NOW_MS)
    assert one_by_one.together == [1] * 60
    for row, told in one_by_one.heard.items():
        assert told == all_at_once.heard[row]
    kinds = {kind for told in one_by_one.heard.values() for _, kind, _ in told}
    assert (int(ActionKind.add_to_cart) in kinds) == (not taken)


def test_an_evaluation_holds_outlooks_beside_the_plain_answer(shop) -> None:
    found = shop.evaluate(seed=1)
    assert found.outlook is not None
    assert found.outlook.auc > 0.5
    assert '"rfv_auc"' in found.to_json()
    assert "When customers come back" in found.to_html()


def test_it_can_be_left_out(tmp_path: Path) -> None:
    off = SMALL_TRAINING | {"training.outlook.fit": False}
    with open_shop(tmp_path / "shop.db", overrides=off) as shop:
        tell(shop)
        shop.train(seed=1)
        assert not any(name.startswith("outlook/") for name in shop.snapshots()[0].metrics)
        told = shop.outlook("s1") if "s1" in set(shop.portraits()["shopper"]) else None
        assert told is None or told.purchase_within_30_days is None
        assert shop.outlooks().height == 0


def test_the_fields_of_the_guide_are_those_there_are() -> None:
    from habitue.behaviour.returning import Outlook

    guide = Path(__file__).parents[2] / "docs" / "guides" / "outlook.md"
    table = guide.read_text("utf-8").partition("| field |")[2].partition("\n\n")[0]
    told = {name for name in re.findall(r"`(\w+)`", table) if not name.startswith("_")}
    known = set(Outlook.__struct_fields__)
    assert told <= known
    assert known - told == {
        "shopper", "made_at", "personalisation",
        "purchase_within_30_days", "purchase_within_90_days",
    }  # fmt: skip
