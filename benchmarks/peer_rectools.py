"""What a pass of RecTools' SASRec over Beauty costs; run by a Python that has RecTools.

    python benchmarks/peer_rectools.py PATH/Beauty.txt [SHARE]

Nothing of Habitué is needed here. A ``SHARE`` of the batches of a pass is timed (a fifth, if not
said) and the rest reckoned at the same cost: all are padded to one length. The last line is JSON:
CPU-seconds of a pass by case.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

CASES: dict[str, dict[str, Any]] = {
    "length 20, 128 negatives": {
        "session_max_len": 20,
        "loss": "sampled_softmax",
        "n_negatives": 128,
    },
    "length 50, 256 negatives": {
        "session_max_len": 50,
        "loss": "sampled_softmax",
        "n_negatives": 256,
    },
    "length 50, all items": {"session_max_len": 50, "loss": "softmax"},
}


def dataset_of(path: Path) -> Any:
    """The training part: each line's items without the last two, a day apart."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    told = [line.split() for line in path.read_text().splitlines()]
    rows = [
        (user, item, 1.0, pd.Timestamp(2020, 1, 1) + pd.Timedelta(days=place))
        for user, *items in told
        for place, item in enumerate(items[:-2])
    ]
    columns = [Columns.User, Columns.Item, Columns.Weight, Columns.Datetime]
    return Dataset.construct(pd.DataFrame(rows, columns=columns))


def seconds_of(dataset: Any, case: dict[str, Any], share: float) -> float:
    """CPU-seconds of a pass, from its first batch to the end of its last."""
    import pytorch_lightning as lightning
    from rectools.models import SASRecModel

    spent: list[float] = []

    class Clock(lightning.Callback):
        def on_train_batch_start(self, *_: object) -> None:
            spent.append(-time.process_time())

        def on_train_batch_end(self, *_: object) -> None:
            spent[-1] += time.process_time()

    def trainer() -> lightning.Trainer:
        return lightning.Trainer(
            max_epochs=1, limit_train_batches=share, accelerator="cpu", logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            callbacks=[Clock()],
        )  # fmt: skip

    SASRecModel(n_blocks=1, n_heads=2, n_factors=64, get_trainer_func=trainer, **case).fit(dataset)
    return sum(spent) / share


def main() -> None:
    """Print the figures."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    dataset = dataset_of(Path(sys.argv[1]))
    share = float(sys.argv[2]) if len(sys.argv) > 2 else 0.2
    print(json.dumps({name: seconds_of(dataset, case, share) for name, case in CASES.items()}))


if __name__ == "__main__":
    main()
