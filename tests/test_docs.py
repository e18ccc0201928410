"""The documentation builds without a warning, leaves nothing out, names nothing that is gone."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as HTML, every warning an error."""
    out = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-d", str(out / "trees"), str(ROOT / "docs"), str(out / "html")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


def page(built: Path, name: str) -> str:
    """A page's words."""
    text = (built / f"{name}.html").read_text(encoding="utf-8")
    return html.unescape(re.sub(r"<[^>]+>", "", text))


def commands() -> set[str]:
    from typer.main import get_command

    from habitue.cli import app

    return set(get_command(app).commands)


def test_every_setting_is_documented(built):
    from habitue.settings import setting_names

    text = page(built, "reference/settings")
    assert [name for name in setting_names() if name not in text] == []


def test_every_command_is_documented(built):
    text = page(built, "reference/commands")
    assert [name for name in commands() if f"habitue {name}" not in text] == []


def test_every_kind_of_action_is_documented(built):
    from habitue.facts import NAMES

    text = page(built, "reference/kinds")
    assert [name for name in NAMES.values() if not re.search(rf"\b{name}\b", text)] == []


def test_every_error_is_documented(built):
    from habitue import errors

    text = page(built, "reference/errors")
    assert [name for name in errors.__all__ if f"errors.{name}" not in text] == []


def test_every_metric_is_documented(built):
    from habitue import metrics

    text = page(built, "reference/metrics")
    assert [name for name in metrics.__all__ if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize("name", ["/v1/events", "/v1/recommend", "/health", "/ready", "/metrics"])
def test_the_routes_are_documented(built, name):
    assert name in page(built, "reference/http")


def test_no_page_fetches_anything_from_elsewhere(built):
    for path in built.rglob("*.html"):
        fetched = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', path.read_text("utf-8")
        )
        assert fetched == [], path.name


WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [path for path in WRITTEN if "_build" not in path.parts]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_every_command_a_page_names_exists(path):
    text = path.read_text(encoding="utf-8")
    code = "\n".join(
        block or span
        for block, span in re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    )
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert set(re.findall(r"^(?:\$ )?make (\w+)", code, re.MULTILINE)) <= targets
    assert set(re.findall(r"^(?:\$ )?habitue (\w+)", code, re.MULTILINE)) <= commands()


def test_the_decisions_are_numbered_without_a_gap():
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_data_set_a_test_wants_is_described():
    described = (ROOT / "docs" / "guides" / "data.md").read_text(encoding="utf-8")
    wanted: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        wanted |= set(re.findall(r'\btable\("(\w+)', path.read_text(encoding="utf-8")))
    assert {name for name in wanted if f"`{name}/`" not in described} == set()
