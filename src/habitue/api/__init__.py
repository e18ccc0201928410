"""Who is asking? HTTP: translate, call the shop, translate back; no decisions."""

from habitue.api.app import create_app
from habitue.api.contract import Caller, Scope, Shop
from habitue.api.serve import check_bind, serve

__all__ = ["Caller", "Scope", "Shop", "check_bind", "create_app", "serve"]
