"""A running shop for trackers to deliver to, and the SDKs that npm brings."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from habitue.facts import Item
from tests import needs
from tests.api.conftest import Served, listening, opened, settings_in

NODE = Path(__file__).parent / "node"
PERSON = "u-17"


@dataclass(frozen=True)
class Running:
    """A shop at an address, and a key of its own server."""

    url: str
    key: str
    served: Served

    def slate(self, n: int = 4, shopper: str = PERSON) -> list[str]:
        """The items of a person's home page now."""
        asked = {"surface": "home", "shopper": shopper, "n": n}
        told = httpx.post(f"{self.url}/v1/recommend", json=asked, headers={"x-api-key": self.key})
        return [slot["item"] for slot in told.raise_for_status().json()["items"]]


def all_odd(items: list[str]) -> bool:
    """Whether the items are of the odd half of the shop, as one who looked at item-1 sees it."""
    return all(int(item.removeprefix("item-")) % 2 for item in items)


@pytest.fixture
def origins() -> list[str]:
    """The sites whose pages may call the shop; a test file may name its own."""
    return []


@pytest.fixture
def running(tmp_path: Path, origins: list[str]) -> Iterator[Running]:
    """A shop of twenty items, odd and even, where the highest numbers sell best."""
    with opened(settings_in(tmp_path, {"server.cors_origins": origins})) as served:
        served.shop.ingest(
            [
                Item(id=f"item-{n}", title=f"Thing {n}", product_type="odd" if n % 2 else "even")
                for n in range(1, 21)
            ]
        )
        served.shop.catch_up()
        key = served.key("server")
        with listening(served.app, served.settings) as url:
            yield Running(url, key, served)


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Node SDKs of the lock file, installed by npm."""
    needs.require(needs.NODE)
    folder = tmp_path_factory.mktemp("node")
    for file in NODE.iterdir():
        shutil.copy(file, folder)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    if done.returncode:
        reason = f"needs Node: npm cannot install the SDKs: {done.stderr[-300:]}"
        if needs.require_all():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return folder
