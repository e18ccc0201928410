"""A mapping applied to a table: the columns of actions, typed, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import polars as pl

from habitue.errors import BadMapping
from habitue.facts.cleaning.findings import Finding
from habitue.facts.feeds import typed
from habitue.facts.feeds.mapping import ActionMap, FieldMap, KindRule, Mapping
from habitue.facts.feeds.tables import ROW
from habitue.facts.kinds import ITEM_KINDS, ActionKind

__all__ = ["Draft", "action_draft"]

_IDS: Final = ("shopper", "item", "order_id", "session_id", "slate_id")
_WORDS: Final = ("surface", "platform", "device", "locale", "query", "text", "coupon")
_NUMBERS: Final = {
    "quantity": pl.Float32,
    "slot": pl.Int32,
    "rating": pl.Float32,
    "seconds": pl.Float32,
    "score": pl.Float32,
}
_KIND_CODES: Final = {kind.name: int(kind) for kind in ActionKind}


@dataclass(slots=True)
class Draft:
    """Columns being drawn up, and the findings that will judge them.

    ``tests`` are boolean columns computed beside the others, since what a cell said before it was
    typed is gone afterwards.
    """

    columns: dict[str, pl.Expr] = field(default_factory=dict)
    derived: dict[str, pl.Expr] = field(default_factory=dict)  # out of the drawn columns
    tests: dict[str, pl.Expr] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def frame(self, raw: pl.DataFrame) -> pl.DataFrame:
        """The drawn columns of every row, in its order, numbered."""
        drawn = raw.lazy().select(  # lazily: what several columns share is computed once
            ROW,
            *(expr.alias(name) for name, expr in self.columns.items()),
            *(test.alias(name) for name, test in self.tests.items()),
        )
        return drawn.with_columns(expr.alias(n) for n, expr in self.derived.items()).collect()

    def names(self) -> set[str]:
        """The columns drawn, tests left out."""
        return {*self.columns, *self.derived}

    def find(
        self, name: str, field: str, reason: str, where: pl.Expr, *, mended: bool = False
    ) -> None:
        """Look for ``where``, an expression over the source's columns."""
        self.tests[f"test:{name}"] = where
        becomes = "mended" if mended else "rejected"
        self.findings.append(
            Finding(name, field, reason, becomes, pl.col(f"test:{name}"))  # type: ignore[arg-type]
        )

    def find_in_draft(self, name: str, field: str, reason: str, where: pl.Expr) -> None:
        """Look for ``where``, an expression over the drawn columns; its rows are rejected."""
        self.findings.append(Finding(name, field, reason, "rejected", where))

    def text(self, name: str, field: FieldMap, schema: pl.Schema, *, is_id: bool = False) -> None:
        """Draw a column of text. A changed id is worth saying; a trimmed title is not."""
        said = typed.text(field, schema)
        self.columns[name] = said
        if not is_id or field.column is None:
            return
        if field.or_else is not None:
            empty = typed.text(field.model_copy(update={"or_else": None}), schema).is_null()
            self.columns[f"{name}_stood_in"] = empty
            self.find(
                f"{name}_stood_in",
                name,
                f"no {name} was said; {field.or_else} stands in for it",
                empty & said.is_not_null(),
                mended=True,
            )
        if schema[field.column] == pl.String:
            plain = pl.col(field.column)
            if field.translate:
                plain = plain.replace(field.translate)
            changed = pl.when(plain.str.strip_chars() != "").then(plain != said)
            self.find(
                f"{name}_tidied",
                name,
                f"blanks or letters of the {name} differ from how others write it",
                changed.fill_null(False),
                mended=True,
            )

    def number(self, name: str, field: FieldMap, schema: pl.Schema, sign: pl.Expr | None) -> None:
        """Draw a column of numbers; what is said and is none rejects the row."""
        value = typed.number(field, schema)
        self.columns[name] = value * sign if sign is not None else value
        if field.column is not None and not schema[field.column].is_numeric():
            said = typed.text(field, schema)
            self.find(
                f"{name}_unreadable",
                name,
                f"the {name} is no number",
                said.is_not_null() & (value.is_null() | value.is_nan()),
            )

    def money(
        self,
        name: str,
        field: FieldMap,
        schema: pl.Schema,
        currency: pl.Expr | str,
        sign: pl.Expr | None,
        *,
        judged: bool = True,
    ) -> pl.Expr:
        """Draw ``name`` as micros; what is said and is no amount rejects the row if ``judged``."""
        micros = typed.amount(field, schema, currency)
        if judged and field.column is not None:
            numeric = schema[field.column].is_numeric()
            said = typed.number(field, schema) if numeric else typed.text(field, schema)
            self.find(
                f"{name}_unreadable",
                name,
                f"the {name} is no amount of money; write digits and a point, such as 15.00",
                said.is_not_null() & micros.is_null(),
            )
        return micros * sign if sign is not None else micros


def action_draft(mapping: Mapping, action: ActionMap, schema: pl.Schema) -> Draft:
    """Draw up the columns of ``ACTION`` with text ids: shopper, item, at_ms, kind (code), ..."""
    draft = Draft()
    rule = _rule(action)
    _draw_kind(draft, action, rule, schema)
    for name in _IDS:
        if (said := getattr(action, name)) is not None:
            draft.text(name, said, schema, is_id=True)
    if action.id is not None:
        draft.columns["id"] = typed.text(action.id, schema)
        draft.find_in_draft("id_missing", "id", "the row has no id", pl.col("id").is_null())
    for name in _WORDS:
        if (said := getattr(action, name)) is not None:
            draft.text(name, said, schema)
    for name in _NUMBERS:
        if (said := getattr(action, name)) is not None:
            draft.number(name, said, schema, _sign(action, said, rule))
    _draw_money(draft, mapping, action, rule, schema)
    at, skipped = typed.instant(action.at, schema, mapping.time_zone)
    draft.columns["at_ms"] = at
    reason = f"that hour was skipped in {mapping.time_zone}; taken as one hour later"
    draft.find("at_in_skipped_hour", "at", reason, skipped, mended=True)
    for name, said in action.extra.items():
        draft.columns[f"extra:{name}"] = typed.text(said, schema)
    _require(draft, action)
    return draft


def _rule(action: ActionMap) -> pl.Expr | None:
    """The place of the first kind rule that matches each row; null where none does."""
    if isinstance(action.kind, FieldMap):
        return None
    matched = [
        pl.when(_matches(rule)).then(pl.lit(place, pl.UInt8))
        for place, rule in enumerate(action.kind)
    ]
    return pl.coalesce(matched)


def _matches(rule: KindRule) -> pl.Expr:
    tests = [
        pl.col(column).cast(pl.String).str.contains(pattern).fill_null(False)
        for column, pattern in rule.when.items()
    ]
    return pl.all_horizontal(tests) if tests else pl.lit(True)


def _draw_kind(draft: Draft, action: ActionMap, rule: pl.Expr | None, schema: pl.Schema) -> None:
    if isinstance(action.kind, FieldMap):
        name = typed.text(action.kind, schema)
        code = name.replace_strict(_KIND_CODES, default=None, return_dtype=pl.UInt8)
    else:
        assert rule is not None
        codes = {place: _KIND_CODES[r.kind] for place, r in enumerate(action.kind)}
        code = rule.replace_strict(codes, default=None, return_dtype=pl.UInt8)
    draft.columns["kind"] = code
    known = "the row is of no kind of action the mapping names"
    draft.find_in_draft("kind_unknown", "kind", known, pl.col("kind").is_null())


def _sign(action: ActionMap, said: FieldMap, rule: pl.Expr | None) -> pl.Expr | None:
    """-1 for the rows whose kind writes this column with its sign turned; ``None`` for none."""
    if rule is None or isinstance(action.kind, FieldMap):
        return None
    turned = [place for place, r in enumerate(action.kind) if said.column in r.negate]
    return pl.when(rule.is_in(turned)).then(-1).otherwise(1) if turned else None


def _draw_money(
    draft: Draft, mapping: Mapping, action: ActionMap, rule: pl.Expr | None, schema: pl.Schema
) -> None:
    if action.price is None and action.value is None:
        return
    currency = _currency(mapping, action, schema)
    each = pl.lit(currency) if isinstance(currency, str) else currency
    draft.columns["currency"] = each
    if action.price is not None:
        sign = _sign(action, action.price, rule)
        draft.columns["price_micros"] = draft.money("price", action.price, schema, currency, sign)
        pieces = pl.col("quantity") if action.quantity is not None else pl.lit(1.0)
        unit = currency if isinstance(currency, str) else pl.col("currency")
        draft.derived["value_minor"] = typed.total_minor(pl.col("price_micros"), pieces, unit)
    if action.value is not None:
        sign = _sign(action, action.value, rule)
        value = draft.money("value", action.value, schema, currency, sign)
        draft.derived.pop("value_minor", None)  # what the source says goes before what we reckon
        draft.columns["value_minor"] = typed.total_minor(value, pl.lit(1.0), currency)
    draft.find_in_draft(
        "currency_missing",
        "currency",
        "an amount without a currency",
        pl.col("currency").is_null() & pl.col("value_minor").is_not_null(),
    )


def _currency(mapping: Mapping, action: ActionMap, schema: pl.Schema) -> pl.Expr | str:
    """Each row's currency: beside its price, in its column, or the mapping's for all."""
    said = []
    if action.price is not None and action.price.unit == "price":
        said.append(typed.currency_in(action.price, schema))
    if action.currency is not None:
        said.append(typed.text(action.currency, schema).str.to_uppercase())
    if mapping.currency is not None:
        said.append(pl.lit(mapping.currency))
    if not said:
        raise BadMapping(
            f"{mapping.name}: amounts without a currency.",
            remedy='Write currency = "EUR" (or yours) at the top of the mapping.',
            field="currency",
        )
    return pl.coalesce(said) if len(said) > 1 or mapping.currency is None else mapping.currency


def _require(draft: Draft, action: ActionMap) -> None:
    """The fields no action can be without."""
    draft.find_in_draft(
        "shopper_missing", "shopper", "the row names no shopper", pl.col("shopper").is_null()
    )
    draft.find_in_draft(
        "at_unreadable", "at", "the row has no time that can be read", pl.col("at_ms").is_null()
    )
    needs = [int(kind) for kind in ITEM_KINDS]
    nothing = pl.col("item").is_null() if action.item is not None else pl.lit(True)
    draft.find_in_draft(
        "item_missing",
        "item",
        "an action of this kind must name the item",
        nothing & pl.col("kind").is_in(needs),
    )
