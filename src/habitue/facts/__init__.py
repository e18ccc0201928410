"""What happened? The frozen values every other room speaks in."""

from habitue.facts.circumstances import NOT_SAID, SIDES, Circumstances, Side, Vocabulary
from habitue.facts.context import NO_ROW, Context, Owned, Rated
from habitue.facts.facts import (
    Action,
    Alias,
    Availability,
    Condition,
    Consent,
    Fact,
    Id,
    Item,
    Link,
    Money,
    Purpose,
    Shopper,
    Shown,
    ShownBody,
    When,
)
from habitue.facts.kinds import CONVERSIONS, ITEM_KINDS, NAMES, ActionKind, code_of
from habitue.facts.links import Links
from habitue.facts.log import MS_PER_DAY, ActionLog, Catalogue
from habitue.facts.triples import Triples

__all__ = [
    "CONVERSIONS",
    "ITEM_KINDS",
    "MS_PER_DAY",
    "NAMES",
    "NOT_SAID",
    "NO_ROW",
    "SIDES",
    "Action",
    "ActionKind",
    "ActionLog",
    "Alias",
    "Availability",
    "Catalogue",
    "Circumstances",
    "Condition",
    "Consent",
    "Context",
    "Fact",
    "Id",
    "Item",
    "Link",
    "Links",
    "Money",
    "Owned",
    "Purpose",
    "Rated",
    "Shopper",
    "Shown",
    "ShownBody",
    "Side",
    "Triples",
    "Vocabulary",
    "When",
    "code_of",
]
