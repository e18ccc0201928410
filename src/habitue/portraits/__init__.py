"""Who is this, now? Shoppers as contexts, items as decayed counters and fixed columns."""

from habitue.portraits.config import PortraitConfig
from habitue.portraits.contexts import ShopperIndex, contexts_as_of, pick
from habitue.portraits.cycles import Cycles, Gaps, cycle_ratio
from habitue.portraits.item_columns import ItemColumns
from habitue.portraits.item_stats import CHANNELS, ItemStats, ItemStatsConfig
from habitue.portraits.norms import STAGES, ShopNorms
from habitue.portraits.portrait import Portrait, portrait_of
from habitue.portraits.shoppers import portrait_columns

__all__ = [
    "CHANNELS",
    "STAGES",
    "Cycles",
    "Gaps",
    "ItemColumns",
    "ItemStats",
    "ItemStatsConfig",
    "Portrait",
    "PortraitConfig",
    "ShopNorms",
    "ShopperIndex",
    "contexts_as_of",
    "cycle_ratio",
    "pick",
    "portrait_columns",
    "portrait_of",
]
