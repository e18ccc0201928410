"""Who is this, now? Shoppers as contexts, items as decayed counters and fixed columns."""

from habitue.portraits.contexts import ShopperIndex, contexts_as_of, pick
from habitue.portraits.item_columns import ItemColumns
from habitue.portraits.item_stats import CHANNELS, ItemStats, ItemStatsConfig

__all__ = [
    "CHANNELS",
    "ItemColumns",
    "ItemStats",
    "ItemStatsConfig",
    "ShopperIndex",
    "contexts_as_of",
    "pick",
]
