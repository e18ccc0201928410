"""Refunds and the purchases they take back.

A cancelled order is written twice: as the purchase it was and, later, as a refund. Nobody wanted
that item after all, so both lines are marked and training may leave them out.
"""

from __future__ import annotations

import polars as pl

from habitue.facts.kinds import ActionKind

__all__ = ["match_cancellations"]

_WHO_WHAT = ["shopper", "item"]


def match_cancellations(lines: pl.DataFrame) -> pl.DataFrame:
    """Match refunds to earlier purchases of the same shopper and item.

    ``lines`` has the columns row, at_ms, kind (codes), shopper, item, quantity. A refund takes back
    the latest purchase of exactly its quantity that no later refund has taken; failing that, a part
    of the latest larger purchase, as far as its quantity reaches. Returns ``lines`` with

    - ``refunded_quantity``: of a purchase, how much of it was taken back; null for none of it,
    - ``cancels_row``: of a refund, the row of its purchase; null where none is found.
    """
    refunds = lines.filter(pl.col("kind") == int(ActionKind.refund))
    concerned = (
        lines.filter(pl.col("kind").is_in([int(ActionKind.purchase), int(ActionKind.refund)]))
        .join(refunds.select(_WHO_WHAT).unique(), on=_WHO_WHAT, how="semi")
        .select("row", "at_ms", *_WHO_WHAT, "quantity", refund=pl.col("kind") == ActionKind.refund)
        .with_columns(pl.col("quantity").fill_null(1.0))
    )
    whole = _same_quantity(concerned)
    rest = concerned.join(whole, on="row", how="anti").join(
        whole.select(row="purchase_row"), on="row", how="anti"
    )
    pairs = pl.concat([whole, _part_of_a_larger(rest)])
    taken = pairs.group_by("purchase_row").agg(pl.col("quantity").sum().alias("refunded_quantity"))
    return lines.join(
        taken.rename({"purchase_row": "row"}), on="row", how="left", maintain_order="left"
    ).join(
        pairs.select("row", cancels_row="purchase_row"), on="row", how="left", maintain_order="left"
    )


def _same_quantity(events: pl.DataFrame) -> pl.DataFrame:
    """Pairs (row, purchase_row, quantity) of refunds with purchases of the same quantity.

    Purchases open a bracket and refunds close the last one open. The depth of a bracket is found by
    running sums; at one depth openings and closings alternate, so a closing's partner is the event
    before it there. No loop over events.
    """
    key = [*_WHO_WHAT, "quantity"]
    step = pl.when("refund").then(-1).otherwise(1)
    ordered = events.sort(*key, "at_ms", "refund", "row").with_columns(step=step)
    depth = ordered.with_columns(sum=pl.col("step").cum_sum().over(key)).with_columns(
        floor=pl.min_horizontal(pl.col("sum").cum_min().over(key), pl.lit(0))
    )
    level = depth.with_columns(
        level=pl.when("refund")
        .then(pl.col("sum") + 1 - pl.col("floor").shift(1).over(key).fill_null(0))
        .otherwise(pl.col("sum") - pl.col("floor"))
    ).filter(pl.col("level") > 0)  # a refund at level 0 finds nothing open
    return (
        level.with_columns(purchase_row=pl.col("row").shift(1).over([*key, "level"]))
        .filter("refund")
        .select("row", "purchase_row", "quantity")
    )


def _part_of_a_larger(events: pl.DataFrame) -> pl.DataFrame:
    """Pairs of the remaining refunds with the latest larger purchase, while it lasts."""
    candidates = events.filter("refund").join(
        events.filter(~pl.col("refund")), on=_WHO_WHAT, suffix="_bought"
    )
    latest = (
        candidates.filter(
            (pl.col("at_ms_bought") <= pl.col("at_ms"))
            & (pl.col("quantity_bought") > pl.col("quantity"))
        )
        .sort("at_ms", "row", "at_ms_bought", "row_bought")
        .group_by("row", maintain_order=True)
        .last()
    )
    return latest.filter(
        pl.col("quantity").cum_sum().over("row_bought") <= pl.col("quantity_bought")
    ).select("row", purchase_row="row_bought", quantity="quantity")
