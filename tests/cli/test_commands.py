"""The command line as an engineer meets it, one command after another, on a shop of her own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from habitue.cli import app
from habitue.settings import Settings
from tests.app.worlds import SMALL_TRAINING, small_world

ORDERS = """\
name = "orders"
currency = "EUR"
[action]
kind = "purchase"
shopper = "customer"
item = "sku"
at = "when"
order_id = "order"
price = "price"
[item]
title = "name"
price = "price"
"""


def run(*words: str, settings: Path | None = None) -> Result:
    told = ["--settings", str(settings)] if settings else []
    return CliRunner().invoke(app, [*words, *told])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An order file, its mapping and the settings of a shop: imported and trained by command."""
    folder = tmp_path_factory.mktemp("shop")
    world = small_world()
    bought = world.action_table.filter(pl.col("kind") == "purchase")
    titles = {item.id: item.title for item in world.items()}
    bought.select(
        customer="shopper",
        sku="item",
        when=pl.from_epoch("at_ms", time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S"),
        order="order_id",
        price=pl.col("price_micros") / 1e6,
        name=pl.col("item").replace_strict(titles),
    ).write_csv(folder / "orders.csv")
    with (folder / "orders.csv").open("a") as file:
        file.write(",,not a time,,-3,\n")
    (folder / "orders.toml").write_text(ORDERS, "utf-8")
    training = "\n".join(
        f"{name.removeprefix('training.')} = {value}" for name, value in SMALL_TRAINING.items()
    )
    settings = folder / "habitue.toml"
    settings.write_text(
        f'[store]\naddress = "sqlite:///{folder}/shop.db"\n'
        f'[snapshots]\npath = "{folder}/snapshots"\n'
        f'[server]\nkeys_file = "{folder}/keys.json"\n[training]\n{training}\n',
        "utf-8",
    )
    return folder, settings


def test_import_shows_what_was_found_and_where_the_bad_row_went(shop: tuple[Path, Path]) -> None:
    folder, settings = shop
    rejects = folder / "rejects.jsonl"
    done = run(
        "import", f"{folder}/orders.csv", "--mapping", f"{folder}/orders.toml",
        "--rejects", str(rejects), "--report", f"{folder}/report.json", settings=settings,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (bad,) = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]
    rows = len((folder / "orders.csv").read_text("utf-8").splitlines()) - 1
    assert bad["line"] == rows + 1
    assert bad["reason"]
    report = json.loads((folder / "report.json").read_text("utf-8"))["report"]
    assert report["kept"] + report["mended"] + report["rejected"] == rows
    assert report["rejected"] == 1


def test_the_same_file_again_adds_nothing(shop: tuple[Path, Path]) -> None:
    folder, settings = shop
    done = run(
        "import", f"{folder}/orders.csv", "--mapping", f"{folder}/orders.toml", settings=settings
    )
    assert "0 new facts" in " ".join(done.output.split())


def test_train_then_recommend_with_reasons(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    done = run("train", settings=settings)
    assert done.exit_code == 0, done.output
    assert "●" in done.output
    somebody = small_world().action_table.filter(pl.col("kind") == "purchase")["shopper"][0]
    said = run("recommend", somebody, "--json", "--n", "5", settings=settings)
    slate = json.loads(said.output)
    assert slate["snapshot"]
    assert len(slate["items"]) == 5
    # a slot says nothing where nothing known of the shopper lifts its item
    assert sum("reason" in slot for slot in slate["items"]) >= 3
    told = run("recommend", somebody, settings=settings)
    assert "why" in told.output


def test_snapshots_are_listed_compared_and_rolled_back(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    assert run("train", "--seed", "2", settings=settings).exit_code == 0
    listed = json.loads(run("snapshots", "list", "--json", settings=settings).output)
    newest, older = listed[0]["name"], listed[1]["name"]
    assert [one["active"] for one in listed] == [True, False]
    assert newest in "".join(run("snapshots", "list", settings=settings).output.split())
    folder = settings.parent
    compared = run(
        "compare", older, newest, "--report", str(folder / "compare.html"), settings=settings
    )
    assert compared.exit_code == 0, compared.output
    assert "ndcg@10" in compared.output
    assert newest in (folder / "compare.html").read_text("utf-8")
    assert older in run("snapshots", "roll-back", settings=settings).output
    assert newest in run("snapshots", "activate", newest, settings=settings).output


def test_train_says_which_sources_it_switched_off(shop: tuple[Path, Path]) -> None:
    folder, settings = shop
    told = settings.read_text("utf-8").replace("training.windows", "windows")
    told = re.sub(r"^windows = \d+$", "windows = 3", told, flags=re.MULTILINE)
    prune = "[training.prune]\nenabled = true\nleast_gain = 0.9\nleast_questions = 20\n"
    (folder / "prune.toml").write_text(told + prune, "utf-8")
    done = run("train", "--no-activate", settings=folder / "prune.toml")
    assert done.exit_code == 0, done.output
    assert re.search(r"switched off: \w+ \(−?\d\.\d{4} \[", " ".join(done.output.split()))
    assert "all sources" in done.output


@pytest.mark.slow
def test_tune_goes_on_where_it_ended_and_writes_settings_that_are_read(
    shop: tuple[Path, Path],
) -> None:
    folder, settings = shop
    told = re.sub(
        r"^windows = \d+$", "windows = 3", settings.read_text("utf-8"), flags=re.MULTILINE
    )
    (folder / "tune.toml").write_text(told + "starts = 200\n", "utf-8")
    out, page = folder / "found.toml", folder / "tune.html"

    def tune(minutes: str, *words: str) -> Result:
        return run(
            "tune", "--minutes", minutes, "--out", str(out), *words, settings=folder / "tune.toml"
        )

    done = tune("0", "--report", str(page))
    assert done.exit_code == 0, done.output
    assert "1 settings tried (1 of them now)" in " ".join(done.output.split())
    assert str(out) in "".join(done.output.split())
    assert "<svg" in page.read_text("utf-8")
    more = tune("0.02", "--json")
    assert more.exit_code == 0, more.output
    found = json.loads(more.output[more.output.index("{") :])
    assert len(found["reached"]) == 1 + found["n_new"] > 1
    assert Settings.load(out).training.windows == 3


def test_evaluate_prints_a_table_with_intervals(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    page = settings.parent / "report.html"
    done = run(
        "evaluate", "--split", "leave-last-out", "--ablate", "--report", str(page),
        settings=settings,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "what each source adds" in done.output
    assert "learnt again by other lots" in " ".join(done.output.split())
    assert "without popular" in page.read_text("utf-8")
    assert "habitue" in done.output
    assert "±" in done.output
    assert "<svg" in page.read_text("utf-8")


def test_a_portrait_is_told(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    somebody = small_world().action_table.filter(pl.col("kind") == "purchase")["shopper"][0]
    assert "stage" in run("portrait", somebody, settings=settings).output
    told = json.loads(run("portrait", somebody, "--json", settings=settings).output)
    assert told["lifecycle"]["orders"] == told["rfv"]["frequency"] > 0


def test_a_shopper_is_exported_and_forgotten(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    somebody = small_world().action_table.filter(pl.col("kind") == "purchase")["shopper"][1]
    assert json.loads(run("export", somebody, settings=settings).output)["action"]
    assert "action" in run("forget", somebody, "--yes", settings=settings).output
    gone = run("export", somebody, settings=settings)
    assert "No shopper is known" in str(gone.exception)


def test_what_is_old_goes_once_the_settings_say_so(tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text(
        '{"kind": "view_item", "shopper": "s", "item": "i", "at": "2020-01-01T00:00:00Z"}\n'
    )
    place = f'[store]\naddress = "sqlite:///{tmp_path / "shop.db"}"\n'
    settings = tmp_path / "habitue.toml"
    settings.write_text(place)
    assert (
        run(
            "import", str(tmp_path / "old.jsonl"), "--mapping", "habitue", settings=settings
        ).exit_code
        == 0
    )
    assert "Everything is kept" in run("retain", settings=settings).output
    settings.write_text(place + "[privacy]\naction_days = 365\n")
    assert run("retain", settings=settings).output == "1 action\n"
    assert run("retain", settings=settings).output == "0 action\n"


def test_the_doctor_finds_the_shop_well(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    done = run("doctor", settings=settings)
    assert done.exit_code == 0, done.output
    assert "durability" in done.output


def test_the_doctor_tells_a_wrong_setting_and_how_to_mend_it(tmp_path: Path) -> None:
    settings = tmp_path / "habitue.toml"
    settings.write_text('[server]\nprot = 1\n[live]\naddress = "memory"\n', "utf-8")
    done = run("doctor", settings=settings)
    assert done.exit_code == 1
    assert "server.port" in done.output


def test_keys_are_rotated_with_an_overlap(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    first = run("keys", "create", "till", settings=settings).output.strip()
    second = run("keys", "rotate", "till", "--overlap-days", "2", settings=settings).output.strip()
    assert second.startswith("hb_server_")
    assert second != first
    rows = json.loads(run("keys", "list", "--json", settings=settings).output)
    mine = [row for row in rows if row["name"] == "till"]
    assert [bool(row["ends"]) for row in mine] == [True, False]
    assert run("keys", "revoke", "till", "--replaced", settings=settings).exit_code == 0
    rows = json.loads(run("keys", "list", "--json", settings=settings).output)
    assert [bool(row["revoked"]) for row in rows if row["name"] == "till"] == [True, False]
    assert run("keys", "revoke", "till", settings=settings).exit_code == 0


def test_the_secret_of_shopper_tokens_is_told_and_rotated(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    first = run("keys", "secret", settings=settings).output.split()
    assert (first[0], len(first[1])) == ("k1", 64)
    assert run("keys", "secret", settings=settings).output.split() == first
    second = run("keys", "secret", "--rotate", settings=settings).output.split()
    assert second[0] == "k2"
    assert second[1] != first[1]


def test_keys_are_made_listed_and_revoked(shop: tuple[Path, Path]) -> None:
    folder, settings = shop
    key = run("keys", "create", "the site", "--scope", "browser", settings=settings).output.strip()
    assert key.startswith("hb_browser_")
    assert key not in (folder / "keys.json").read_text("utf-8")
    assert "the site" in run("keys", "list", settings=settings).output
    assert run("keys", "revoke", "the site", settings=settings).exit_code == 0
    assert "no scope" in str(
        run("keys", "create", "x", "--scope", "king", settings=settings).exception
    )


def test_serve_answers_and_ends_cleanly_on_ctrl_c(shop: tuple[Path, Path]) -> None:
    _, settings = shop
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [
        sys.executable, "-m", "habitue", "serve", "--port", str(port), "--settings", str(settings),
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        body = b'{"surface": "home", "shopper": "a-stranger", "n": 5}'
        slate = _ask(f"http://127.0.0.1:{port}/v1/recommend", body, server)
        assert len(slate["items"]) == 5
        assert slate["snapshot"]
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).read().decode()
        assert "<html" in page
        busy = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert busy.returncode == 1
        assert busy.stderr.count("\n") == 1
        assert f":{port}" in busy.stderr
    finally:
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "Traceback" not in out + err


def _ask(
    address: str, body: bytes, server: subprocess.Popen[str], seconds: float = 90
) -> dict[str, object]:
    until = time.monotonic() + seconds
    request = urllib.request.Request(address, body, {"content-type": "application/json"})
    while time.monotonic() < until:
        assert server.poll() is None, server.communicate()
        try:
            return json.load(urllib.request.urlopen(request, timeout=10))  # type: ignore[no-any-return]
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {address}")


def test_backup_and_restore(shop: tuple[Path, Path]) -> None:
    folder, settings = shop
    copy = folder / "copy"
    assert run("backup", str(copy), settings=settings).exit_code == 0
    done = run("restore", str(copy), settings=settings)
    assert done.exit_code == 0, done.output
    assert "Restored" in done.output
    sick = run("doctor", settings=settings)  # its snapshots mean another store's rows
    assert sick.exit_code == 1
    assert "trained on another store" in " ".join(sick.output.replace("│", " ").split())


def test_mistakes_are_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    for words, told in (
        (["import", "nothing.csv", "--mapping", "online-retail"], "nothing.csv"),
        (["import", "orders.csv"], "mapping"),
        (["recommend", "--surface", "attic"], "attic"),
        (["evaluate", "--split", "by-moon"], "by-time"),
        (["demo", "--mapping", "online-retail"], "--data"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "habitue", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, words
        assert told in done.stderr
        assert done.stderr.strip().count("\n") == 0, done.stderr
