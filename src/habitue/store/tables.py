"""The schema of the fact store, once for both dialects; the migrations lead to exactly this.

Facts are rows that are only ever added; ``seq`` orders them over all tables. Names of shoppers and
items stand once, in the key tables; facts hold their dense rows, so that erasing a shopper is
deleting rows and one name.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

__all__ = ["METADATA"]

METADATA: Final = MetaData()

SEQ: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite's own row number
ROW: Final = Integer()

Table(
    "ledger",  # one row: what every append reads, locks and moves on
    METADATA,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("n_items", Integer, nullable=False),
    Column("n_shoppers", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),  # moves when an alias or an erasure changes keys
    Column("lineage", Text, nullable=False),  # a restored store begins a new one
    Column("n_action", BigInteger, nullable=False),
    Column("n_item", BigInteger, nullable=False),
    Column("n_shopper", BigInteger, nullable=False),
    Column("n_link", BigInteger, nullable=False),
    Column("n_alias", BigInteger, nullable=False),
    Column("n_consent", BigInteger, nullable=False),
    Column("n_shown", BigInteger, nullable=False),
)

Table(
    "item_key",
    METADATA,
    Column("row", ROW, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    UniqueConstraint("id", name="item_key_id"),
)

Table(
    "shopper_key",
    METADATA,
    Column("row", ROW, primary_key=True, autoincrement=False),
    Column("id", Text),  # null once erased
    Column("created_ms", BigInteger, nullable=False),
    Column("first_action_seq", BigInteger),
    UniqueConstraint("id", name="shopper_key_id"),
)

_action = Table(
    "action",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("id", LargeBinary, nullable=False),  # packed: see keys.py
    Column("at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("shopper_row", ROW, nullable=False),
    Column("item_row", ROW),
    Column("quantity", Double),
    Column("price_micros", BigInteger),
    Column("value_minor", BigInteger),
    Column("currency", Text),
    Column("order_id", Text),
    Column("surface", Text),
    Column("slate_id", Text),
    Column("slot", Integer),
    Column("session_id", Text),
    Column("platform", Text),
    Column("device", Text),
    Column("locale", Text),
    Column("query", Text),
    Column("rating", Double),
    Column("text", Text),
    Column("seconds", Double),
    Column("score", Double),
    Column("coupon", Text),
    Column("extra", Text),  # JSON
)
Index("action_id", _action.c.id, unique=True)
# By blocks of seq (``reading.in_blocks``): appending touches a few pages, not one an action.
# No condition on item_row: export and erasure find a shopper's other actions by it too.
Index("action_shopper", text("(seq >> 15)"), _action.c.shopper_row, _action.c.at_ms)

_item = Table(
    "item",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("item_row", ROW, nullable=False),
    Column("valid_from_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("deleted", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("body", Text, nullable=False),
)
Index("item_of", _item.c.item_row)

_shopper = Table(
    "shopper",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("shopper_row", ROW, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("body", Text, nullable=False),
)
Index("shopper_of", _shopper.c.shopper_row)

_link = Table(
    "link",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("edge", LargeBinary, nullable=False),  # which tie this is a version of
    Column("kind", Text, nullable=False),
    Column("head", Text),  # knowledge: the entity's name; null where the end is a shopper
    Column("head_row", ROW),  # friend, trust: the shopper's row
    Column("relation", Text),
    Column("tail", Text),
    Column("tail_row", ROW),
    Column("weight", Double, nullable=False),
    Column("deleted", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
Index("link_edge", _link.c.edge)
Index("link_head", _link.c.head_row)
Index("link_tail", _link.c.tail_row)

_alias = Table(
    "alias",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("shopper_row", ROW, nullable=False),
    Column("alias_row", ROW, nullable=False),
    Column("undo", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
)
Index("alias_of", _alias.c.alias_row)

_consent = Table(
    "consent",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("shopper_row", ROW, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("granted", Text, nullable=False),  # JSON list of purposes
    Column("denied", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
Index("consent_of", _consent.c.shopper_row)

_shown = Table(
    "shown",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("id", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("shopper_row", ROW),
    Column("surface", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("first_slot", Integer, nullable=False),
    Column("fallback", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("body", Text, nullable=False),  # JSON of a ShownBody
)
Index("shown_id", _shown.c.id, unique=True)
Index("shown_shopper", _shown.c.shopper_row)

Table(
    "erasure",  # tombstones without a key: which row, made when, erased when
    METADATA,
    Column("shopper_row", ROW, primary_key=True, autoincrement=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("erased_ms", BigInteger, nullable=False),
)
