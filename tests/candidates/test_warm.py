"""The first request waits for no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import numpy as np
from numba.core.dispatcher import Dispatcher
from habitue.candidates import (
    additive, again, best, descent, everybody, factor_step, foldin, gather, graph_step, products,
    profile, two_tower_step
)
from habitue.candidates.roster import learner_of, load_source, warm
from tests.candidates.test_contract import SOURCES
from pathlib import Path
from tests.candidates.shop import BUY, VIEW, one, requests, two_tastes
import sys

def compiled():
    return {
        (module.__name__, name, signature)
        for module in (
            additive, again, best, descent, everybody, factor_step, foldin, gather, graph_step,
            products, profile, two_tower_step
        )
        for name, kernel in vars(module).items()
        if isinstance(kernel, Dispatcher)
        for signature in kernel.signatures
    }

shop = two_tastes(20, 14)
folder = Path(sys.argv[1])
if sys.argv[2] == "fit":
    for config in SOURCES:
        learner_of(config).fit(shop.facts, np.random.default_rng(0)).save(folder / config.name)
else:
    warm()
    before = compiled()
    batch = requests(
        [[(0, VIEW, 0.1), (2, BUY, 1.0)], [(1, VIEW, 0.1)]], shoppers=[0, 1], anchors=[[2], [3]]
    )
    for config in SOURCES:
        source = load_source(folder / config.name)
        for context in (batch, one(batch, 0)):
            found = source.propose(context, 5)
            source.score(context, found.item_row)
            source.score(context, np.tile(np.arange(4, dtype=np.int32), (len(context), 1)))
    assert compiled() == before, compiled() - before
"""


def test_after_warming_no_loaded_source_compiles_anything(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    for step in ("fit", "serve"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), step],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
