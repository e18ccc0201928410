"""Who is asking? HTTP: translate, call the shop, translate back; no decisions."""

from habitue.api.app import create_app
from habitue.api.contract import Keys, Shop, Tokens
from habitue.api.serve import check_bind, serve

__all__ = ["Keys", "Shop", "Tokens", "check_bind", "create_app", "serve"]
