"""How is it wired? ``build(settings)`` alone picks implementations; ``Shop`` is what they make."""

from habitue.app.places import add_key, keyring, restore, revoke_key, settings_for
from habitue.app.running import RunningShop
from habitue.app.shop import Shop, open_shop
from habitue.app.snapshots import SnapshotInfo
from habitue.app.wiring import Parts, build

__all__ = [
    "Parts",
    "RunningShop",
    "Shop",
    "SnapshotInfo",
    "add_key",
    "build",
    "keyring",
    "open_shop",
    "restore",
    "revoke_key",
    "settings_for",
]
