"""Steps of a batch's own rows: as Adam where every row is in every batch; who rests, stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from habitue.behaviour.asking import validate
from habitue.behaviour.fitting import Training, fit
from habitue.behaviour.item_steps import RowSteps
from habitue.behaviour.teaching import Teacher
from tests.behaviour.streams import rounds
from tests.behaviour.test_fitting import SMALL

OWN = SMALL.model_copy(
    update={"schedule": SMALL.schedule.model_copy(update={"item_steps": "own", "averaging": 0.9})}
)


def moved(steps: RowSteps, row: torch.Tensor, slope: torch.Tensor, rate: float) -> None:
    (steps.rows(row) * slope).sum().backward()  # type: ignore[no-untyped-call]
    steps.step(rate)


def test_rows_go_where_adam_takes_them_though_they_are_in_few_batches() -> None:
    """Adam is told a slope of 0 for who is in no batch, and moves it all the same."""
    rng = np.random.default_rng(1)
    table = torch.from_numpy(rng.standard_normal((4, 3)).astype(np.float32))
    mine, theirs = table.clone(), table.clone().requires_grad_()
    steps = RowSteps(mine, averaging=0.95)
    adam = torch.optim.Adam([theirs], lr=1e-2, betas=(0.9, 0.98))
    mean = table.clone()
    shares = np.array([1.0, 0.5, 0.05, 0.0])  # of the batches that each row is in
    for _ in range(400):
        row = torch.from_numpy(np.flatnonzero(rng.random(4) < shares))
        slope = torch.from_numpy(rng.standard_normal((len(row), 3)).astype(np.float32)) + 0.5
        moved(steps, row, slope, 1e-2)
        theirs.grad = torch.zeros(4, 3).index_copy(0, row, slope)
        adam.step()
        mean = torch.lerp(theirs.detach(), mean, 0.95)
    found = steps.settle()
    way = (theirs.detach() - table)[:3]
    assert way.abs().min() > 0.3
    torch.testing.assert_close(mine[:3] - table[:3], way, rtol=0.02, atol=0.01)
    assert torch.equal(mine[3], table[3]), "never in a batch"
    assert found is not None
    torch.testing.assert_close(found, mean, rtol=0.02, atol=0.01)


def test_what_is_looked_at_often_goes_as_what_is_not() -> None:
    """Bringing rows up to date moves none: looked at in between, they end in the same place."""
    ends = []
    for looked in (False, True):
        table = torch.ones(3, 2)
        steps = RowSteps(table, averaging=0.8)
        slope = torch.tensor([[1.0, -2.0]])
        for step in range(30):
            moved(steps, torch.tensor([step % 2]), slope, 0.1)
            if looked and step % 4 == 0:
                steps.settle()
        mean = steps.settle()
        assert mean is not None
        ends.append(torch.cat([table, mean]))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-4, atol=1e-5)


def test_a_network_learns_by_its_own_rows_too() -> None:
    walk = rounds()
    training = Training(walk.without_last(1), judged=walk)
    assert validate(fit(training, OWN).network, walk, OWN, without_seen=False) > 0.95


def test_from_many_items_on_it_is_by_own_rows() -> None:
    auto = SMALL.model_copy(
        update={"schedule": SMALL.schedule.model_copy(update={"item_steps": "auto"})}
    )
    few = Teacher(Training(rounds()), auto.model_copy(update={"start": "random"}), 0)
    many = replace(rounds(), n_items=120_000)
    lots = Teacher(Training(many), auto.model_copy(update={"start": "random"}), 0)
    assert few.rows is None
    assert lots.rows is not None
    windows, rng = lots.batches(0)
    before = lots.network.items.own.detach().clone()
    lots.learn(windows[0], rng)
    changed = (lots.network.items.own != before).any(dim=1).nonzero().ravel()
    assert 0 < len(changed) <= many.n_items * 0.01
