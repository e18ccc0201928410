"""How is it wired? Every setting, with its default and unit: ``habitue.toml``, then ``HABITUE_*``.

A later source wins: defaults, the file, the environment (``HABITUE_SERVER__PORT=8001``), then the
overrides the caller passes (``{"server.port": 8001}``). A key nobody knows is refused with the
nearest name that exists, so that a typing mistake never silently leaves a default in place.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from habitue.errors import BadSetting
from habitue.evaluation.ratings import RatingConfig
from habitue.facts import ActionKind, Purpose
from habitue.facts.time import ClockConfig
from habitue.portraits.config import PortraitConfig
from habitue.surfaces.config import MessagesConfig, SurfacesConfig
from habitue.training.config import TrainingConfig, TrainingSettings

__all__ = [
    "EvaluationSettings",
    "LimitSettings",
    "LiveSettings",
    "PrivacySettings",
    "ServerSettings",
    "Settings",
    "ShopSettings",
    "SnapshotSettings",
    "StoreSettings",
    "TrackerSettings",
    "rendered",
    "setting_names",
]

_PREFIX = "HABITUE_"
_NEAR = 0.6  # how alike a wrong name must be to a right one to be suggested
_LIST = "`habitue doctor` lists what can be set."
_MISTYPED = 0.85  # how alike a variable must be to a setting to be taken for a typing mistake

ShopName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$")]
Rate = Annotated[float, Field(gt=0, le=1_000_000)]


class _Group(BaseModel):
    """Settings do not change once read, and refuse keys they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShopSettings(_Group):
    """The shop: its name, its money, and what counts as success."""

    name: str = Field("A shop", min_length=1, max_length=200, description="Shown on pages.")
    base_currency: str = Field(
        "EUR", pattern="^[A-Z]{3}$", description="ISO 4217; what prices are compared in."
    )
    conversions: tuple[str, ...] = Field(
        ("purchase",), description="Kinds of action that count as success (GA4 names)."
    )

    @field_validator("conversions")
    @classmethod
    def _kinds_exist(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        known = ActionKind.__members__
        for kind in kinds:
            if kind not in known:
                raise ValueError(f"no kind of action {kind!r}.{_suggest(kind, known)}")
        return kinds


class StoreSettings(_Group):
    """Where the facts are kept."""

    address: str = Field(
        "sqlite:///var/habitue.db",
        pattern=r"^(sqlite:///.+|postgresql(\+psycopg)?://.+)$",
        description="sqlite:///path/to/file or postgresql://user:password@host:port/database.",
    )


class LiveSettings(_Group):
    """What is remembered of the shoppers who are here: a bounded cache over the store."""

    address: str = Field(
        "memory",
        pattern=r"^(memory|rediss?://.+)$",
        description="memory (one worker) or redis://host:port/database (any number).",
    )
    recent_actions: int = Field(
        100, ge=10, le=1000, description="Actions remembered of a shopper (100 bytes for 8)."
    )
    max_shoppers: int = Field(
        100_000,
        ge=100,
        le=100_000_000,
        description="Shoppers remembered in memory; whoever was seen least recently leaves first.",
    )


class SnapshotSettings(_Group):
    """Where trained snapshots are kept."""

    path: Path = Field(Path("var/snapshots"), description="Folder of the snapshots.")
    training_lock: Path | None = Field(
        None,
        description="Trainings that name the same file run one after another; shops of [shops] do.",
    )


class PrivacySettings(_Group):
    """What may be done with a shopper who has not said anything, and how ids rest."""

    default_consent: tuple[Purpose, ...] = Field(
        ("personalisation", "analytics"),
        description="Purposes allowed until the shopper says otherwise.",
    )
    pseudonyms: bool = Field(
        False, description="Keep shopper ids only as keyed pseudonyms (choose before first use)."
    )
    action_days: int | None = Field(
        None, ge=1, description="Days after which actions are deleted; without it they are kept."
    )
    shown_days: int | None = Field(
        None, ge=1, description="Days after which records of slates shown are deleted."
    )


class ServerSettings(_Group):
    """The HTTP server."""

    host: str = Field("127.0.0.1", description="Without an API key only loopback is allowed.")
    port: int = Field(8000, ge=0, le=65_535, description="0 takes any free port.")
    workers: int = Field(
        1, ge=1, le=256, description="Processes; more than one needs live state in Redis."
    )
    keys_file: Path = Field(Path("var/keys.json"), description="API keys, hashed.")
    cors_origins: tuple[str, ...] = Field(
        (), description='Sites whose pages may call, e.g. ["https://www.example.com"].'
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1",), description="Addresses whose X-Forwarded-For is believed."
    )
    slate_budget_ms: int = Field(
        50, ge=1, le=10_000, description="After so many milliseconds a slate falls back to popular."
    )
    anonymous_prefix: str = Field(
        "anon-",
        min_length=1,
        max_length=50,
        description="Ids a browser makes up start so, with 16 or more random characters after.",
    )
    drain_seconds: int = Field(
        6, ge=1, le=3600, description="How long requests in flight may take to finish at shutdown."
    )
    access_log: Literal["json", "off"] = Field(
        "json", description="One line a request on standard output, without personal data."
    )


class TrackerSettings(_Group):
    """What is taken from trackers made for other receivers (Segment, PostHog, GA4, Matomo)."""

    create_items: bool = Field(
        False, description="Products nobody has described become items as events describe them."
    )
    trust_browsers: bool = Field(
        False, description="Believe a browser key which user it speaks for, as others do."
    )


class LimitSettings(_Group):
    """What one caller may ask of the server."""

    body_bytes: int = Field(
        8 * 1024 * 1024, ge=1024, le=1024**3, description="Longest request body."
    )
    body_seconds: int = Field(15, ge=1, le=600, description="A body must arrive within this.")
    batch_rows: int = Field(10_000, ge=1, le=1_000_000, description="Most rows in one request.")
    browser_per_second: Rate = Field(
        20, description="Requests a second for one browser key from one address, sustained."
    )
    browser_burst: Rate = Field(100, description="Requests it may make at once.")
    server_per_second: Rate = Field(5_000, description="Requests a second for one server key.")
    server_burst: Rate = Field(10_000, description="Requests it may make at once.")
    failed_keys_per_second: Rate = Field(
        1, description="Wrong keys a second from one address before it is told to wait."
    )
    failed_keys_burst: Rate = Field(20, description="Wrong keys it may send at once.")
    remembered_callers: int = Field(
        50_000, ge=100, le=10_000_000, description="Callers whose rate is held in memory."
    )


class EvaluationSettings(_Group):
    """What recommendations are held against when they are judged."""

    cpu_hour_price: float = Field(
        0.04, ge=0, description="What an hour of one CPU core costs, in the base currency."
    )
    ratings: RatingConfig = Field(RatingConfig(), description="How ratings are foretold.")


class Settings(BaseSettings):
    """Everything that can be set, by group."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=_PREFIX, env_nested_delimiter="__"
    )

    shop: ShopSettings = ShopSettings()
    clock: ClockConfig = ClockConfig()
    store: StoreSettings = StoreSettings()
    live: LiveSettings = LiveSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    privacy: PrivacySettings = PrivacySettings()
    server: ServerSettings = ServerSettings()
    limits: LimitSettings = LimitSettings()
    trackers: TrackerSettings = TrackerSettings()
    surfaces: SurfacesConfig = SurfacesConfig()
    messages: MessagesConfig = MessagesConfig()
    portraits: PortraitConfig = PortraitConfig()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    shops: dict[ShopName, dict[str, Any]] = Field(
        {},
        description="Several shops in one server, each as a table [shops.NAME] that says what is "
        "its own: a store, and any other setting of a shop.",
    )

    @model_validator(mode="after")
    def _orders_are_of_trained_sources(self) -> Self:
        self.training_run()
        return self

    def training_run(self) -> TrainingConfig:
        """What a training run is told: the settings of training, and the orders of surfaces."""
        said = {name: getattr(self.training, name) for name in type(self.training).model_fields}
        return TrainingConfig(
            **said, fusion=self.surfaces.fusion(), needed=self.surfaces.named_sources()
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: ``Settings()`` is the defaults, ``Settings.load`` asks the rest."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def load(
        cls, path: str | Path | None = None, overrides: Mapping[str, object] | None = None
    ) -> Self:
        """The settings from ``path`` (``habitue.toml``), the environment, and ``overrides``.

        Without a path, ``habitue.toml`` in the working directory is read where there is one.
        Overrides are named by dots (``"server.port"``) or nested. Raises ``BadSetting``.
        """
        sources = {
            str(path or "habitue.toml"): _read_file(path),
            "the environment": _read_environment(cls),
            "the overrides": _nest(overrides or {}),
        }
        merged: dict[str, Any] = {}
        for values in sources.values():
            _merge(merged, values)
        try:
            return cls(**_over(cls(), merged))
        except ValidationError as error:
            raise _explain(cls, error, sources) from None

    def overlaid(self, said: Mapping[str, Any], place: str) -> Self:
        """These settings with what a table says over them; raises ``BadSetting``, naming it."""
        try:
            return type(self)(**_over(self, said))
        except ValidationError as error:
            raise _explain(type(self), error, {place: said}) from None

    @classmethod
    def render(cls) -> str:
        """The whole default ``habitue.toml``, each setting with its description as a comment."""
        head = "# Habitué: every setting, with its default. Remove what you do not change.\n"
        return head + "".join(_render_table("", cls()))


def setting_names(model: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """The dotted names of all settings, in order.

    >>> "server.port" in setting_names()
    True
    """
    names: list[str] = []
    for key, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += setting_names(inner, f"{prefix}{key}.")
        else:
            names.append(prefix + key)
    return names


def rendered(name: str, model: BaseModel) -> str:
    """One group of settings as it stands in ``habitue.toml``, each with its description."""
    return "".join(_render_table(name, model)).lstrip("\n")


def _read_file(path: str | Path | None) -> dict[str, Any]:
    if path is None and not Path("habitue.toml").exists():
        return {}
    file = Path(path or "habitue.toml")
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise BadSetting(
            f"There is no settings file {file}.", remedy="Check the path, or leave it out."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadSetting(f"{file} cannot be read: {error}.", remedy="Mend that line.") from None


def _read_environment(model: type[BaseSettings]) -> dict[str, Any]:
    """What ``HABITUE_GROUP__KEY`` variables say; a near miss of a setting's name is refused."""
    right = [_PREFIX + name.replace(".", "__").upper() for name in setting_names(model)]
    for name in os.environ:
        if not name.upper().startswith(_PREFIX) or name.upper() in right:
            continue
        near = get_close_matches(name.upper(), right, 1, _MISTYPED)
        if near:
            raise BadSetting(f"{name} is no setting.", remedy=f"Did you mean {near[0]}?")
    try:
        return EnvSettingsSource(model)()
    except ValueError as error:
        raise BadSetting(
            f"A {_PREFIX}* variable cannot be read: {error}.",
            remedy='Lists are written as JSON, e.g. ["a", "b"].',
        ) from None


def _nest(flat: Mapping[str, object]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        table = nested
        *groups, key = name.split(".")
        for group in groups:
            table = table.setdefault(group, {})
        if isinstance(value, Mapping):
            _merge(table.setdefault(key, {}), value)
        else:
            table[key] = value
    return nested


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _over(default: BaseModel, said: Mapping[str, Any]) -> dict[str, Any]:
    """``said`` over a default table: what a table does not name stays as it is in *this* table."""
    whole = {key: getattr(default, key) for key in type(default).model_fields}
    for key, value in said.items():
        before = whole.get(key)
        if isinstance(before, BaseModel) and isinstance(value, Mapping):
            value = _over(before, value)
        whole[key] = value
    return whole


def _explain(
    model: type[BaseModel], error: ValidationError, sources: Mapping[str, Mapping[str, Any]]
) -> BadSetting:
    """The first thing wrong, where it was said, and what to write instead."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    where = [source for source, values in sources.items() if _says(values, first["loc"])]
    place = f"{name} (in {where[-1]})" if where else name
    if first["type"] == "extra_forbidden":
        if any(isinstance(part, int) for part in first["loc"]):
            return BadSetting(f"{place} is no setting.", remedy=_LIST, field=name)
        known = setting_names(model) + [name.rsplit(".", 1)[0] for name in setting_names(model)]
        return BadSetting(
            f"{place} is no setting.{_suggest(name, known)}",
            remedy="" if _suggest(name, known) else _LIST,
            field=name,
        )
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    reason += "" if reason.endswith("?") else "."
    return BadSetting(f"{place} cannot be used: {reason}", field=name)


def _says(values: Mapping[str, Any], loc: tuple[int | str, ...]) -> bool:
    here: Any = values
    for depth, part in enumerate(loc):
        if not isinstance(here, Mapping):
            return depth > 0
        if part not in here:
            return False
        here = here[part]
    return True


def _suggest(name: str, known: Mapping[str, object] | list[str]) -> str:
    near = get_close_matches(name, list(known), 1, _NEAR)
    return f" Did you mean {near[0]}?" if near else ""


def _render_table(name: str, model: BaseModel) -> Iterator[str]:
    tables: list[tuple[str, BaseModel]] = []
    if name and not name.endswith("]"):
        yield f"\n# {(type(model).__doc__ or '').strip().splitlines()[0]}\n[{name}]\n"
    elif name:
        name = name.strip("[]")
        yield f"\n[[{name}]]\n"
    for key, field in type(model).model_fields.items():
        value = getattr(model, key)
        inner = f"{name}.{key}" if name else key
        if isinstance(value, BaseModel):
            tables.append((inner, value))
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield f"# {field.description} Below, each as a table [[{inner}]].\n"
            tables += [(f"[[{inner}]]", table) for table in value]
        elif not name:
            yield f"# {field.description}\n# [{key}.NAME]\n"
        else:
            comment = f"# {field.description}\n" if field.description else ""
            yield comment + (f"# {key} =\n" if value is None else f"{key} = {_toml(value)}\n")
    for inner, table in tables:
        yield from _render_table(inner, table)


def _key(part: str) -> str:
    bare = part.isascii() and part.replace("_", "").replace("-", "").isalnum()
    return part if bare else _toml(part)


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list() | tuple() | set() | frozenset():
            return "[" + ", ".join(_toml(one) for one in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
        case BaseModel():
            return _toml({k: v for k, v in value if v is not None})
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'
