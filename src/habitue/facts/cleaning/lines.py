"""What to look for in the lines of orders and events, once they are typed."""

from __future__ import annotations

import polars as pl

from habitue.facts.cleaning.cancellations import match_cancellations
from habitue.facts.cleaning.config import CleaningConfig
from habitue.facts.cleaning.findings import Finding, Ledger, by_outcome
from habitue.facts.cleaning.outliers import robust_score
from habitue.facts.cleaning.robots import RobotConfig, robots
from habitue.facts.kinds import ActionKind
from habitue.facts.time import EARLIEST_MS, ClockConfig

__all__ = [
    "clock_findings",
    "line_findings",
    "mark_cancellations",
    "outlier_findings",
    "repeats",
    "robot_findings",
]

_SALES = [int(ActionKind.purchase), int(ActionKind.refund)]
_LEAST_PRICE_SPREAD = 0.2  # of the logarithm: about 20 %, the ordinary rebate
_LEAST_QUANTITY_SPREAD = 0.5  # quantities vary more: a dozen for one is ordinary
_SERVICE_NAMES = (
    r"(?i)^\s*(post|postage|shipping|delivery|freight|carriage|dot|m|manual|d|discount|voucher|"
    r"bank.?charges?|.*fee|gift.?(card|voucher|certificate).*|s|samples?|adjust\w*|tips?|test\w*|"
    r"deposit|handling|insurance|surcharge|rounding)\s*$"
)
"""Item ids that shops give to what is no product."""


def clock_findings(now_ms: int, clock: ClockConfig) -> list[Finding]:
    """Times that cannot be: later than now by more than the skew allowed, or before 1990."""
    latest = now_ms + clock.max_future_seconds * 1000
    return [
        Finding("at_in_future", "at", "the time is in the future", "rejected",
                pl.col("at_ms") > latest),
        Finding("at_not_set", "at", "the time is before 1990: a clock never set, or another unit",
                "rejected", pl.col("at_ms") < EARLIEST_MS),
    ]  # fmt: skip


def line_findings(config: CleaningConfig, columns: set[str]) -> list[Finding]:
    """Items that are no products, and sales at no price; bounds are the facts' own."""
    found = [*_item_findings(config)] if "item" in columns else []
    if "price_micros" in columns:
        becomes = by_outcome(config.zero_price)
        if becomes is not None:
            free = (pl.col("price_micros") == 0) & pl.col("kind").is_in(_SALES)
            found.append(Finding("price_zero", "price", "the price is zero", becomes, free))
    return found


def _item_findings(config: CleaningConfig) -> list[Finding]:
    item = pl.col("item")
    no_product = pl.lit(False)
    if config.product_pattern is not None:
        no_product = no_product | ~item.str.contains(config.product_pattern)
    for pattern in config.not_products:
        no_product = no_product | item.str.contains(pattern)
    found = []
    becomes = by_outcome(config.non_products)
    if becomes is not None and (config.product_pattern or config.not_products):
        reason = "the item is no product (postage, fee, sample, adjustment)"
        found.append(Finding("non_product", "item", reason, becomes, no_product))
    becomes = by_outcome(config.looks_like_service)
    if becomes is not None:
        reason = "the item is named like a fee or postage; the mapping may say so"
        named = item.str.contains(_SERVICE_NAMES) & ~no_product
        found.append(Finding("looks_like_service", "item", reason, becomes, named))
    return found


def repeats(raw: pl.DataFrame, config: CleaningConfig) -> Finding | None:
    """Rows that say in every column what an earlier row said."""
    becomes = by_outcome(config.duplicates)
    if becomes is None:
        return None
    said = raw.select(pl.exclude("row"))
    alike = raw.filter(said.hash_rows().is_duplicated())  # a hash may meet by chance: look again
    first = alike.select(pl.struct(pl.exclude("row")).is_first_distinct()).to_series()
    rows = alike["row"].filter(~first)
    reason = "identical in every column to an earlier row"
    return Finding("duplicate_line", None, reason, becomes, pl.col("row").is_in(rows.implode()))


def outlier_findings(config: CleaningConfig, columns: set[str]) -> list[Finding]:
    """Prices and quantities far from the item's own others, by the column ``item_code``."""
    found = []
    for column, name, outcome, spread in (
        ("price_micros", "price", config.price_outliers, _LEAST_PRICE_SPREAD),
        ("quantity", "quantity", config.quantity_outliers, _LEAST_QUANTITY_SPREAD),
    ):
        becomes = by_outcome(outcome)
        if becomes is None or not {column, "item"} <= columns:
            continue
        score = robust_score(pl.col(column), pl.col("item_code"), config.outlier_least_rows, spread)
        reason = f"the {name} is far from the item's usual one"
        found.append(
            Finding(f"{name}_outlier", name, reason, becomes, score > config.outlier_score)
        )
    return found


def mark_cancellations(lines: pl.DataFrame, ledger: Ledger) -> pl.DataFrame:
    """Match refunds to purchases; adds ``refunded_quantity`` and ``cancels_row``."""
    matched = match_cancellations(lines)
    taken = pl.col("refunded_quantity")
    whole = taken >= pl.col("quantity").fill_null(1.0)
    refund = pl.col("kind") == int(ActionKind.refund)
    return ledger.judge(
        matched,
        [
            Finding("cancelled", "order_id", "a later refund takes the whole line back", "flagged",
                    whole),
            Finding("partly_refunded", "quantity", "a later refund takes part of the line back",
                    "flagged", taken.is_not_null() & ~whole),
            Finding("refund_unmatched", "order_id", "no earlier purchase here to take back",
                    "flagged", refund & pl.col("cancels_row").is_null()),
        ],
    )  # fmt: skip


def robot_findings(lines: pl.DataFrame, config: RobotConfig) -> list[Finding]:
    """The rows of shoppers at such rates, flagged, a finding for each rate."""
    found = robots(lines.select(pl.col("shopper", "at_ms", "kind", "^item$")), config)
    reasons = {
        "pace": f"keeps up {config.per_minute:g} pages a minute for {config.minutes} minutes",
        "reach": f"looks at {config.items_a_day:,} different items in a day",
        "hours": f"is there in {config.hours_a_day} hours of a day",
        "pause": f"goes on for {config.longest_hours:g} hours without a pause",
    }
    findings = []
    for test, words in reasons.items():
        who = found.filter(test)["shopper"]
        if len(who):
            reason = f"{words}, as no person does (shoppers: {len(who):,})"
            rows = pl.col("shopper").is_in(who.implode())
            findings.append(Finding(f"robot_{test}", "shopper", reason, "flagged", rows))
    return findings
