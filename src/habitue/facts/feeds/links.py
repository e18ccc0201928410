"""Ties of people and triples of knowledge, out of tables of two or three columns."""

from __future__ import annotations

import polars as pl

from habitue.facts.feeds import typed
from habitue.facts.feeds.mapping import LinkMap
from habitue.facts.feeds.translate import Draft

__all__ = ["draw_links", "link_rows"]


def draw_links(link: LinkMap, schema: pl.Schema, time_zone: str) -> Draft:
    """Draw up head, tail, relation, weight and time (``at``, UTC ms or unsaid) of each row."""
    draft = Draft()
    for name in ("head", "tail", "relation"):
        said = getattr(link, name)
        if said is None:
            continue
        draft.text(name, said, schema, is_id=name != "relation")
        nothing = pl.col(name).is_null()
        draft.find_in_draft(f"{name}_missing", name, f"the row names no {name}", nothing)
    if link.kind != "knowledge":
        same = pl.col("head") == pl.col("tail")
        draft.find_in_draft("self_tie", "tail", "nobody is tied to themselves", same)
    if link.weight is not None:
        draft.number("weight", link.weight, schema, None)
    if link.at is not None:
        at, skipped = typed.instant(link.at, schema, time_zone)
        draft.columns["at"] = at
        reason = f"that hour was skipped in {time_zone}; taken as one hour later"
        draft.find("at_in_skipped_hour", "at", reason, skipped, mended=True)
        draft.find_in_draft(
            "at_unreadable", "at", "the row has no time that can be read", pl.col("at").is_null()
        )
    else:
        draft.columns["at"] = pl.lit(None, pl.Int64)  # so that a tie told again is the same
    return draft


def link_rows(lines: pl.DataFrame, link: LinkMap) -> pl.DataFrame:
    """The links of drawn rows as columns of ``Link``; a tie told from both ends is there twice."""
    weight = pl.col("weight").fill_null(1.0) if link.weight is not None else pl.lit(1.0)
    relation = pl.col("relation") if link.relation is not None else pl.lit(None, pl.String)
    said = lines.select(
        pl.lit(link.kind).alias("kind"),
        "head",
        "tail",
        relation.alias("relation"),
        weight.alias("weight"),
        "at",
    )
    if not link.both_ways:
        return said
    back = said.with_columns(head=pl.col("tail"), tail=pl.col("head"))
    return pl.concat([said, back]).unique(["head", "tail"], keep="first", maintain_order=True)
