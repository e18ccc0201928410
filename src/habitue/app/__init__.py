"""How is it wired? ``build(settings)`` alone picks implementations; ``Shop`` is what they make."""

from habitue.app.places import (
    create_key,
    keyring,
    restore,
    revoke_key,
    rotate_key,
    settings_for,
    token_secret,
)
from habitue.app.running import RunningShop
from habitue.app.shop import Shop, open_shop
from habitue.app.shops import check_lineages, shops_of
from habitue.app.snapshots import SnapshotInfo
from habitue.app.wiring import Parts, build

__all__ = [
    "Parts",
    "RunningShop",
    "Shop",
    "SnapshotInfo",
    "build",
    "check_lineages",
    "create_key",
    "keyring",
    "open_shop",
    "restore",
    "revoke_key",
    "rotate_key",
    "settings_for",
    "shops_of",
    "token_secret",
]
