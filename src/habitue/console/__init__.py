"""Who is asking? The start page: the shop as a shopper meets it, and what is known of them."""

from habitue.console.contract import Doing, Progress, Regular, Report, Shop, Standing
from habitue.console.routes import create_console

__all__ = [
    "Doing",
    "Progress",
    "Regular",
    "Report",
    "Shop",
    "Standing",
    "create_console",
]
