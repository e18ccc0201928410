"""Several shops in one server: what is each one's own, and that nothing is two shops'."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from habitue.errors import BadSetting
from habitue.settings import Settings

__all__ = ["check_lineages", "company", "shops_of"]

_OF_THE_SERVER: Final = (
    "host", "port", "workers", "drain_seconds", "access_log", "trusted_proxies",
)  # fmt: skip


def company(store: Path) -> dict[str, dict[str, object]]:
    """A SQLite file as a store brings its company: snapshots and keys lie beside it."""
    return {
        "store": {"address": f"sqlite:///{store}"},
        "snapshots": {"path": store.with_suffix(".snapshots")},
        "server": {"keys_file": store.with_suffix(".keys.json")},
        "messages": {"outbox": store.with_suffix(".outbox")},
    }


def shops_of(settings: Settings) -> dict[str, Settings]:
    """The settings of each shop of ``[shops]``, by name: the common ones, its own over them.

    ``store`` in a shop's table is a SQLite file or an address. Raises ``BadSetting`` for what is
    the server's and not a shop's, and where two shops share a store, a folder or a file of keys.
    """
    made = {name: _own(settings, name, said) for name, said in settings.shops.items()}
    _check_apart(made)
    return made


def _own(settings: Settings, name: str, said: Mapping[str, Any]) -> Settings:
    server = said.get("server")
    for key in _OF_THE_SERVER:
        if isinstance(server, Mapping) and key in server:
            raise BadSetting(
                f"shops.{name}.server.{key} cannot be set: the server is one for all shops.",
                remedy="Say it in [server].",
                field=f"shops.{name}.server.{key}",
            )
    if "shops" in said:
        raise BadSetting(f"shops.{name} cannot have shops of its own.", field=f"shops.{name}")
    places = _places(settings, name, said.get("store"))
    places["shop"] = {"name": name}
    places["shops"] = {}
    places["snapshots"]["training_lock"] = settings.snapshots.path / "training.lock"
    for group, own in said.items():
        if not (group == "store" and isinstance(own, str)):
            known = places.get(group)
            merged = isinstance(known, dict) and isinstance(own, Mapping)
            places[group] = {**(known or {}), **own} if merged else own
    return settings.overlaid(places, f"[shops.{name}]")


def _places(settings: Settings, name: str, store: object) -> dict[str, Any]:
    """Where a shop's things lie unless it says otherwise."""
    if isinstance(store, str) and "://" not in store:
        return company(Path(store))
    if store is None:
        return company(settings.server.keys_file.with_name(f"{name}.db"))
    return {
        "store": {"address": store} if isinstance(store, str) else {},
        "snapshots": {"path": settings.snapshots.path / name},
        "server": {"keys_file": settings.server.keys_file.with_name(f"{name}.keys.json")},
        "messages": {"outbox": settings.messages.outbox / name},
    }


def _check_apart(shops: Mapping[str, Settings]) -> None:
    held: dict[tuple[str, str], str] = {}
    for name, one in shops.items():
        address = one.store.address
        if address.startswith("sqlite:///"):
            address = str(Path(address.removeprefix("sqlite:///")).resolve())
        for what, where in (
            ("store.address", address),
            ("snapshots.path", str(one.snapshots.path.resolve())),
            ("server.keys_file", str(one.server.keys_file.resolve())),
            ("messages.outbox", str(one.messages.outbox.resolve())),
        ):
            other = held.setdefault((what, where), name)
            if other != name:
                raise BadSetting(
                    f"Shops {other} and {name} have the same {what}: {where}.",
                    remedy="Each shop needs one of its own.",
                    field=f"shops.{name}.{what}",
                )


def check_lineages(lineage_of: Mapping[str, str]) -> None:
    """Refuse two shops one of which is a copied file of the other: live state would be common."""
    held: dict[str, str] = {}
    for name, lineage in lineage_of.items():
        other = held.setdefault(lineage, name)
        if other != name:
            raise BadSetting(
                f"The stores of shops {other} and {name} are copies of one another.",
                remedy="Copy a store with `habitue backup` and `habitue restore`.",
                field=f"shops.{name}.store",
            )
