"""RecTools' SASRec, asked leave-one-out; run by a Python that has RecTools.

    python benchmarks/peer_sasrec.py ASKED.npz FOUND.npz [MOST PASSES]

``ASKED.npz`` holds ``item`` (A,), each shopper's items in order, and ``length`` (S,), how many each
has; the last is the test item, the one before it the validation item. Every five passes the
validation items are asked for, and training ends after ten passes without a better figure. Then the
best is asked for the test items, seen items excluded. Nothing of Habitué is needed here.

``FOUND.npz`` holds ``rank`` (S,) of the test items, from 1 on, infinite beyond the first twenty;
``validation`` of the same; ``passes`` and ``cpu_seconds``.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from copy import deepcopy
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

SETTINGS: dict[str, Any] = {
    "n_blocks": 1, "n_heads": 2, "n_factors": 64, "session_max_len": 20,
    "loss": "sampled_softmax", "n_negatives": 128, "epochs": 5,
}  # fmt: skip
AT = 20
EVERY = 5
PATIENCE = 10


def dataset_of(item: Any, length: Any, held_out: int) -> Any:
    """All items but the last ``held_out`` of each shopper, a day apart."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    shopper = np.repeat(np.arange(len(length)), length)
    place = np.arange(len(item)) - np.repeat(np.cumsum(length) - length, length)
    kept = place < length[shopper] - held_out
    day = pd.Timestamp(2020, 1, 1) + pd.to_timedelta(place[kept], unit="D")
    told = {
        Columns.User: shopper[kept], Columns.Item: item[kept], Columns.Weight: 1.0,
        Columns.Datetime: day,
    }  # fmt: skip
    return Dataset.construct(pd.DataFrame(told))


def ranks(model: Any, item: Any, length: Any, held_out: int) -> Any:
    """The rank of the item ``held_out`` from the end of each shopper: (S,)."""
    known = dataset_of(item, length, held_out)
    target = item[np.cumsum(length) - held_out]
    told = model.recommend(
        users=np.arange(len(length)), dataset=known, k=AT, filter_viewed=True,
        on_unsupported_targets="ignore",
    )  # fmt: skip
    who, what, at = (told[name].to_numpy() for name in ("user_id", "item_id", "rank"))
    rank = np.full(len(length), np.inf)
    right = what == target[who]
    rank[who[right]] = at[right]
    return rank


def ndcg(rank: Any) -> float:
    """Mean NDCG@10 of one item each."""
    return float(np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0).mean())


def main() -> None:
    """Train, ask, and write down what was found."""
    import pytorch_lightning as lightning
    import torch
    from rectools.models import SASRecModel

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    asked = np.load(sys.argv[1])
    item, length = asked["item"], asked["length"]
    most = int(sys.argv[3]) if len(sys.argv) > 3 else 60

    def trainer() -> Any:
        return lightning.Trainer(
            max_epochs=EVERY, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip

    lightning.seed_everything(0)
    model = SASRecModel(get_trainer_func=trainer, **SETTINGS)
    learnt_from = dataset_of(item, length, 2)
    best, at, spent, kept = -1.0, 0, 0.0, None
    for passes in range(EVERY, most + 1, EVERY):
        began = time.process_time()
        model.fit_partial(learnt_from, min_epochs=EVERY, max_epochs=EVERY)
        spent += time.process_time() - began
        held = ndcg(ranks(model, item, length, 2))
        print(f"{passes} passes: validation NDCG@10 {held:.4f}, {spent:.0f} CPU-s", flush=True)
        if held > best:
            best, at = held, passes
            kept = deepcopy(model.torch_model.state_dict())
        elif passes - at >= PATIENCE:
            break
    assert kept is not None
    model.torch_model.load_state_dict(kept)
    rank = ranks(model, item, length, 1)
    np.savez(sys.argv[2], rank=rank, validation=best, passes=at, cpu_seconds=spent)


if __name__ == "__main__":
    main()
