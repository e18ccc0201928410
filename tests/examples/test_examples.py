"""Every example runs, as a script and as a notebook, and says what it is meant to show."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from examples.as_notebook import SCRIPTS, notebook
from tests import needs

EXAMPLES = needs.ROOT / "examples"
ON_MOVIELENS = ("factorisation", "svd_ladder", "attributes_pca")


def environment(out: Path) -> dict[str, str]:
    return os.environ | {
        "HABITUE_EXAMPLES_OUT": str(out),
        "HABITUE_DATA": str(needs.data_folder()),
        "HABITUE_SERVER__SLATE_BUDGET_MS": "5000",  # a busy machine is no reason to fall back
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(out / "matplotlib"),
    }


def run(script: str, out: Path) -> str:
    """What the script printed; it must end well."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / script], capture_output=True, text=True, check=False,
        env=environment(out), timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_example_is_left_untested() -> None:
    scripts = {path.stem for path in EXAMPLES.rglob("*.py")}
    tested = {"a_shop_in_python", "first_tour", "deep_tour", "hybrid", *ON_MOVIELENS}
    assert scripts == tested | {"as_notebook", "ratings"}


@pytest.mark.slow
def test_a_shop_in_python_knows_a_gardener(tmp_path: Path) -> None:
    told = run("a_shop_in_python.py", tmp_path)
    slate = told.splitlines()[-5:]
    assert sum(bool(re.match("spade|rake|gloves|hose", line)) for line in slate) >= 3, told


@pytest.mark.slow
def test_the_first_tour_ends_where_it_should(tmp_path: Path) -> None:
    assert "after a refusal" in run("first_tour.py", tmp_path)


@pytest.mark.slow
def test_the_deep_tour_knows_the_next_part_and_by_which_path(tmp_path: Path) -> None:
    told = run("deep_tour.py", tmp_path)
    figures = dict(re.findall(r"(home|untrained)/ndcg@10: ([\d.]+)", told))
    assert float(figures["home"]) > 1.3 * float(figures["untrained"]), told
    slate = dict(re.findall(r"^(film-\S+) +(\D.*)$", told, re.MULTILINE))
    assert "film-2-5" in slate, told
    assert any("director" in reason and "Mei Ando" in reason for reason in slate.values()), told
    stars = dict(re.findall(r"^(film-\S+) +([\d.]+) \[", told, re.MULTILINE))
    assert float(stars["film-2-5"]) > float(stars["film-0-5"]), told


def test_the_hybrid_by_hand_is_what_habitue_returns(tmp_path: Path) -> None:
    assert "the same order and the same scores" in run("classic/hybrid.py", tmp_path)


@pytest.mark.slow
def test_the_svd_ladder_is_in_order(tmp_path: Path) -> None:
    needs.table("movielens_100k")
    run("classic/svd_ladder.py", tmp_path)
    with (tmp_path / "svd_ladder.csv").open() as file:
        rows = {row["method"]: {k: float(v) for k, v in row.items() if k != "method"}
                for row in csv.DictReader(file)}  # fmt: skip
    factors = next(row for name, row in rows.items() if name.startswith("regularised"))
    biases, mean = rows["biases of people and films"], rows["global mean"]
    plain = rows["plain SVD, blanks as zeros"]
    bare = rows["... without its singular values"]
    assert factors["rmse_high"] < biases["rmse"] < biases["rmse_high"] < mean["rmse_low"]
    assert mean["rmse_high"] < plain["rmse_low"] < plain["rmse_high"] < bare["rmse_low"]
    assert 0.89 < factors["rmse"] < 0.95  # what factorisations are known to reach
    assert (tmp_path / "svd_ladder.svg").stat().st_size > 0


@pytest.mark.slow
def test_predicted_ratings_are_drawn_and_a_slate_is_made(tmp_path: Path) -> None:
    needs.table("movielens_100k")
    told = run("classic/factorisation.py", tmp_path)
    missed = re.search(r"missed by ([\d.]+) stars", told)
    assert missed is not None
    assert float(missed[1]) < 0.96
    first, second = (part.splitlines()[:5] for part in told.split("Habitué shows\n")[1:])
    assert len({*first, *second}) > 5  # each is shown films of their own
    assert (tmp_path / "predicted_ratings.svg").stat().st_size > 10_000


@pytest.mark.slow
def test_components_of_genres_keep_all_variance_in_the_end(tmp_path: Path) -> None:
    needs.table("movielens_100k")
    told = run("classic/attributes_pca.py", tmp_path)
    kept = [float(share) for share in re.findall(r"keep +([\d.]+)%", told)]
    assert kept == sorted(kept)
    assert kept[-1] == 100.0
    near, beside = told.splitlines()[-2:]
    assert "Return of the Jedi" in near
    assert "Return of the Jedi" in beside


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_is_its_script(script: Path) -> None:
    written = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    assert written == notebook(script.read_text("utf-8")), "run: python examples/as_notebook.py"


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_runs(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if script.stem in ON_MOVIELENS:
        needs.table("movielens_100k")
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MPLBACKEND")  # the kernel brings its own
    read = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    where = {"metadata": {"path": str(script.parent)}}
    done = NotebookClient(read, timeout=600, kernel_name="python3", resources=where).execute()
    printed = [
        o for cell in done.cells for o in cell.get("outputs", ()) if o.output_type == "stream"
    ]
    assert printed
