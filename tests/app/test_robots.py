"""A crawler's visits are stored, and not learnt from unless the shop says so."""

from pathlib import Path

import pytest

import habitue
from habitue.errors import BadInput
from habitue.facts import Action

T = 1_700_000_000_000


@pytest.mark.parametrize("leave_out", [True, False])
def test_training_leaves_them_out_by_a_setting(tmp_path: Path, leave_out: bool) -> None:
    overrides = {"training.leave_out_robots": leave_out, "training.evaluate": False}
    crawl = [
        Action(kind="view_item", shopper="crawler", item=f"i{n % 50}", at=T + 1_000 * n)
        for n in range(1_000)
    ]
    with habitue.open(tmp_path / "shop.db", overrides=overrides) as shop:
        shop.ingest(crawl)
        if leave_out:
            with pytest.raises(BadInput, match="no actions to learn from"):
                shop.train()
        shop.ingest([Action(kind="view_item", shopper="anna", item="i1", at=T)])
        assert shop.train().metrics["robots"] == leave_out
        assert shop.stored().facts["action"] == 1_001


@pytest.mark.parametrize(("leave_out", "who"), [(True, {"anna"}), (False, {"anna", "crawler"})])
def test_they_have_no_portrait_among_all(tmp_path: Path, leave_out: bool, who: set[str]) -> None:
    crawl = [
        Action(kind="view_item", shopper="crawler", item=f"i{n % 50}", at=T + 1_000 * n)
        for n in range(1_000)
    ]
    overrides = {"training.leave_out_robots": leave_out}
    with habitue.open(tmp_path / "shop.db", overrides=overrides) as shop:
        shop.ingest([*crawl, Action(kind="view_item", shopper="anna", item="i1", at=T)])
        assert set(shop.portraits()["shopper"].to_list()) == who
