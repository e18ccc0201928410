"""Settings: where they come from, which of them wins, and what a mistake is told."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from habitue.errors import BadSetting
from habitue.settings import Settings, setting_names


@pytest.fixture(autouse=True)
def _no_settings_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_rendered_file_is_the_defaults() -> None:
    assert Settings(**tomllib.loads(Settings.render())) == Settings()


def test_shops_can_be_added_below_the_rendered_file() -> None:
    text = Settings.render() + '[shops.tea]\nstore = "tea.db"\n'
    assert Settings(**tomllib.loads(text)).shops == {"tea": {"store": "tea.db"}}


def test_the_rendered_file_shows_every_setting() -> None:
    shown: set[str] = set()
    table = ""
    for line in Settings.render().splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        elif " =" in line or line.startswith("# Below"):
            shown.add(f"{table}.{line.removeprefix('# ').partition(' =')[0]}")
    lists = {"training.sources", "shops"}  # shown as tables of their own
    assert set(setting_names()) - shown - lists == set()


def test_every_setting_says_what_it_is() -> None:
    described = 0
    lines = Settings.render().splitlines()
    for before, line in pairwise(lines):
        if " = " in line and not line.startswith(("#", "source =")):
            assert before.startswith("# "), line
            described += 1
    assert described > 60


def test_each_source_wins_over_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("habitue.toml").write_text("[server]\nport = 1001\nhost = '::1'\nworkers = 3\n")
    assert Settings.load().server.port == 1001
    monkeypatch.setenv("HABITUE_SERVER__PORT", "1002")
    monkeypatch.setenv("HABITUE_SERVER__CORS_ORIGINS", '["https://a.example"]')
    settings = Settings.load(overrides={"server.workers": 5})
    assert settings.server.host == "::1"
    assert settings.server.port == 1002
    assert settings.server.cors_origins == ("https://a.example",)
    assert settings.server.workers == 5


def test_a_table_of_the_file_keeps_the_defaults_it_does_not_name() -> None:
    Path("shop.toml").write_text("[surfaces.home.rules]\nepsilon = 0.2\n")
    rules = Settings.load("shop.toml").surfaces.home.rules
    assert rules.epsilon == 0.2
    assert rules.brand_cap == Settings().surfaces.home.rules.brand_cap


def test_settings_without_load_ask_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABITUE_SERVER__PORT", "1002")
    assert Settings().server.port == 8000


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("[server]\nprot = 1\n", "Did you mean server.port?"),
        ("[severs]\nport = 1\n", "Did you mean server?"),
        ("[surfaces.home.rules]\nepsilom = 1\n", "Did you mean surfaces.home.rules.epsilon?"),
        ("[server]\nport = 99999\n", "server.port (in shop.toml) cannot be used"),
        ("[clock]\ntime_zone = 'Mars'\n", "is no time zone"),
        ("[shop]\nconversions = ['purchas']\n", "Did you mean purchase?"),
        ("[shop]\nbase_currency = 'euro'\n", "shop.base_currency (in shop.toml)"),
        ("[store]\naddress = 'mysql://x'\n", "store.address (in shop.toml)"),
        ("server = 3\n", "server (in shop.toml)"),
        ("[server\n", "shop.toml cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_told_where_it_is(wrong: str, said: str) -> None:
    Path("shop.toml").write_text(wrong)
    with pytest.raises(BadSetting) as caught:
        Settings.load("shop.toml")
    assert said in str(caught.value)


def test_a_password_in_a_wrong_address_is_not_repeated() -> None:
    with pytest.raises(BadSetting) as caught:
        Settings.load(overrides={"store.address": "mysql://me:hunter2@db/shop"})
    assert "hunter2" not in str(caught.value)


def test_a_mistyped_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABITUE_SERVER_PORT", "1")
    with pytest.raises(BadSetting, match="Did you mean HABITUE_SERVER__PORT"):
        Settings.load()


def test_variables_of_other_tools_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABITUE_DATA", "/data")
    monkeypatch.setenv("HABITUE_REQUIRE_ALL", "1")
    assert Settings.load() == Settings()


def test_a_list_in_a_variable_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABITUE_SERVER__CORS_ORIGINS", "https://a.example")
    with pytest.raises(BadSetting, match="JSON"):
        Settings.load()


def test_a_file_that_is_named_must_be_there() -> None:
    with pytest.raises(BadSetting, match=r"no settings file nowhere\.toml"):
        Settings.load("nowhere.toml")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().server.port = 1


def test_a_surface_says_how_its_order_is_made() -> None:
    Path("shop.toml").write_text(
        '[surfaces.home]\nfuse = "sum"\nweights = { als = 1.0, popular = 0.5 }\n'
        '[surfaces.side]\nbuilt_on = "item"\nfuse = "zscore"\n'
    )
    told = Settings.load("shop.toml").training_run()
    assert {name: (one.fuse, one.weights) for name, one in told.fusion.items()} == {
        "home": ("sum", {"als": 1.0, "popular": 0.5}),
        "side": ("zscore", {}),
    }
    assert told.written_down() == ("home", "side")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[surfaces.home]\nfuse = "sum"\n', "is a sum and says no weights"),
        ("[surfaces.home]\nweights = { als = 1.0 }\n", "say fuse too"),
        ('[surfaces.home]\nfuse = "zscore"\nobjective = "item"\n', "two orders"),
        ('[surfaces.home]\nfuse = "sum"\nweights = { alz = 1.0 }\n', "surfaces.home weighs alz"),
        ('[training.fusion.home]\nfuse = "zscore"\n', "no setting"),
    ],
)
def test_an_order_that_cannot_be_is_refused(text: str, said: str) -> None:
    Path("shop.toml").write_text(text)
    with pytest.raises(BadSetting, match=said):
        Settings.load("shop.toml")
