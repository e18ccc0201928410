"""Which do we show, with what probability? The shop's rules, and slots with propensities.

The policy itself (``rule_policy``, compiled) is imported where slates are made; what settings need
is light and stands here.
"""

from habitue.policy.reading import parse_filter
from habitue.policy.rules import Boost, Pin, SurfaceRules

__all__ = ["Boost", "Pin", "SurfaceRules", "parse_filter"]
