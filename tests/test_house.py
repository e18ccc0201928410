"""The house itself: its rooms are listed, imports run one way, each driver is behind one door."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "habitue"

DRIVERS = (
    "sqlite3",
    "psycopg",
    "redis",
    "adbc_driver_manager",
    "adbc_driver_postgresql",
    "adbc_driver_sqlite",
    "onnxruntime",
    "optuna",
    "tensorboardX",
    "mlflow",
)


def settings_of(tool: str) -> dict[str, object]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = pyproject["tool"][tool]
    assert isinstance(found, dict)
    return found


def listed_rooms() -> list[str]:
    contracts = settings_of("importlinter")["contracts"]
    assert isinstance(contracts, list)
    layers = next(c for c in contracts if c["type"] == "layers")["layers"]
    return re.findall(r"[a-z_]+", " ".join(layers))


def standing_rooms(source: Path) -> set[str]:
    """Modules and folders with code directly under ``source``, but for the package's own two."""
    folders = {p.name for p in source.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    modules = {p.stem for p in source.glob("*.py")} - {"__init__", "__main__"}
    return folders | modules


def imports_of(path: Path) -> set[str]:
    """Top-level names of everything a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


def importers_of(module: str) -> list[str]:
    files = sorted(SOURCE.rglob("*.py"))
    return [str(f.relative_to(SOURCE)) for f in files if module in imports_of(f)]


def test_every_room_is_in_the_layer_list() -> None:
    assert standing_rooms(SOURCE) - set(listed_rooms()) == set()


def test_a_room_that_nobody_listed_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "kinds.py").touch()
    (tmp_path / "helpers.py").touch()
    assert standing_rooms(tmp_path) - set(listed_rooms()) == {"helpers"}


def test_no_room_is_listed_twice() -> None:
    assert len(listed_rooms()) == len(set(listed_rooms()))


def test_imports_run_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_is_imported_in_one_file(driver: str) -> None:
    assert len(importers_of(driver)) <= 1, importers_of(driver)


@pytest.mark.parametrize("module", ["transformers", "sklearn", "pandas"])
def test_the_base_knows_no_library_it_does_not_bring(module: str) -> None:
    assert importers_of(module) == []


def test_no_file_is_named_for_a_pattern() -> None:
    patterns = {"utils", "common", "helpers", "base", "manager", "service", "misc"}
    assert {p.stem for p in SOURCE.rglob("*.py")} & patterns == set()


def test_every_dependency_is_pinned() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = list(pyproject["dependencies"])
    for extra in pyproject["optional-dependencies"].values():
        asked += extra
    wanted = {re.split(r"[\[<>=;~! ]", line)[0].lower() for line in asked}
    pinned = {
        line.partition("==")[0]
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    assert wanted - pinned == set()


def test_torch_is_imported_where_it_is_listed() -> None:
    """By the modules that train networks, which the linter's list names."""
    contracts = settings_of("importlinter")["contracts"]
    assert isinstance(contracts, list)
    (contract,) = [c for c in contracts if c["type"] == "forbidden"]
    listed = {line.split(" -> ")[0] for line in contract["ignore_imports"]}
    importing = {
        "habitue." + file.removesuffix(".py").replace("/", ".") for file in importers_of("torch")
    }
    assert importing == listed


HEAVY = ("faiss", "fastapi", "implicit", "lightgbm", "numba", "numpy", "polars", "pyarrow", "scipy")


@pytest.mark.parametrize("start", ["import habitue", "import habitue.cli"])
def test_starting_loads_nothing_heavy(start: str) -> None:
    asked = f"import sys; {start}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
