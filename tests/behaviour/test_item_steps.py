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


def slopes(n: int, seed: int = 0) -> list[torch.Tensor]:
    drawn = np.random.default_rng(seed).standard_normal((n, 4, 3)).astype(np.float32)
    return list(torch.from_numpy(drawn))


def moved(steps: RowSteps, row: torch.Tensor, slope: torch.Tensor, rate: float) -> None:
    (steps.rows(row) * slope).sum().backward()  # type: ignore[no-untyped-call]
    steps.step(rate)


def test_rows_of_every_batch_move_as_adam_moves_them() -> None:
    table = torch.from_numpy(np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32))
    mine, theirs = table.clone(), table.clone().requires_grad_()
    steps = RowSteps(mine, averaging=0.9)
    adam = torch.optim.Adam([theirs], lr=1e-2, betas=(0.9, 0.98))
    mean = table.clone()
    for slope in slopes(6):
        moved(steps, torch.arange(4), slope, 1e-2)
        theirs.grad = slope
        adam.step()
        mean = torch.lerp(theirs.detach(), mean, 0.9)
    torch.testing.assert_close(mine, theirs.detach())
    torch.testing.assert_close(steps.mean(), mean)


def test_rows_that_rest_stay_and_their_mean_nears_them() -> None:
    """Row 3 is moved once and rests: its mean is what a mean taken every step would be."""
    table = torch.zeros(4, 3)
    steps = RowSteps(table, averaging=0.8)
    told = slopes(5)
    moved(steps, torch.tensor([3]), told[0][3:], 0.1)
    stands, mean = table[3].clone(), 0.2 * table[3]
    for slope in told[1:]:
        moved(steps, torch.tensor([0, 2]), slope[[0, 2]], 0.1)
        mean = torch.lerp(stands, mean, 0.8)
    assert torch.equal(table[3], stands)
    assert torch.equal(table[1], torch.zeros(3)), "never in a batch"
    torch.testing.assert_close(steps.mean()[3], mean)


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
