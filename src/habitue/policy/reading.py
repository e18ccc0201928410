"""Reading a filter expression: text in, ``Expression`` or ``BadFilter`` with a place out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from habitue.errors import BadFilter
from habitue.policy.filters import (
    ITEM_FIELDS,
    All,
    AnyOf,
    Compare,
    Contains,
    Expression,
    FieldCompare,
    Fields,
    Leaf,
    Missing,
    Not,
    OneOf,
    Op,
    Scalar,
    Truth,
)

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "parse_filter"]

MAX_LENGTH: Final = 2_000
"""Characters an expression may have."""

MAX_DEPTH: Final = 20
"""Parentheses and ``not``s that may stand inside each other."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # name, number, text, op, word, mark, end
    text: str
    at: int


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?(?:\d+\.\d+|\d+|\.\d+)(?![\w.]))
    | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_][\w-]*)?)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<op>==|!=|<=|>=|<|>)
    | (?P<mark>[()\[\],])
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS: Final = frozenset({"and", "or", "not", "in", "true", "false", "none", "null"})
_FLIPPED: Final[dict[str, Op]] = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ALLOWED = (
    'Write comparisons such as price < 50, brand in ("Acme", "Bolt"), "red" in color, not adult, '
    "joined by and, or, not and parentheses."
)


def _bad(problem: str, at: int, text: str, remedy: str = _ALLOWED) -> BadFilter:
    """The error for what stands at character ``at``, counted from 1 for the reader."""
    near = text[at : at + 20].strip()
    where = f"at character {at + 1}" + (f", near {near!r}" if near else ", at its end")
    return BadFilter(f"The filter cannot be read {where}: {problem}.", remedy=remedy)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            quoted = text[at] in "\"'"
            problem = "the quotation does not end" if quoted else "this is not understood"
            raise _bad(problem, at, text)
        kind, word = match.lastgroup, match.group(match.lastgroup)
        if kind == "name" and word.lower() in _WORDS:
            kind, word = "word", word.lower()
        found.append(_Token(kind, word, match.start(match.lastgroup)))
        at = match.end()
    found.append(_Token("end", "", end))
    return found


def parse_filter(text: str, fields: Fields = ITEM_FIELDS) -> Expression:
    """Read an expression over ``fields``.

    Raises ``BadFilter``, saying where and what is allowed, for anything that is not one: unknown
    fields, a number compared with text, more than ``MAX_LENGTH`` characters, or more than
    ``MAX_DEPTH`` levels.

    >>> parse_filter("price < 50 and not adult")
    All(parts=(Compare(field='price', op='<', value=50.0), Not(part=Truth(field='adult'))))
    """
    if len(text) > MAX_LENGTH:
        raise BadFilter(
            f"The filter has {len(text)} characters.",
            remedy=f"Keep it to {MAX_LENGTH}; a long list of items is better an attribute.",
        )
    reader = _Reader(text, fields)
    expression = reader.either(0)
    reader.expect_end()
    return expression


class _Field(str):
    """The name of a field, told apart from text."""

    __slots__ = ()


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str, fields: Fields) -> None:
        self.text = text
        self.fields = fields
        self.tokens = _tokens(text)
        self.next = 0

    def peek(self) -> _Token:
        return self.tokens[self.next]

    def take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += token.kind != "end"
        return token

    def skip(self, kind: str, text: str) -> bool:
        token = self.peek()
        if token.kind == kind and token.text == text:
            self.next += 1
            return True
        return False

    def bad(self, problem: str, token: _Token, remedy: str = _ALLOWED) -> BadFilter:
        return _bad(problem, token.at, self.text, remedy)

    def expect_end(self) -> None:
        token = self.peek()
        if token.kind != "end":
            raise self.bad("expected and, or, or the end here", token)

    def either(self, depth: int) -> Expression:
        parts = [self.both(depth)]
        while self.skip("word", "or"):
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def both(self, depth: int) -> Expression:
        parts = [self.unary(depth)]
        while self.skip("word", "and"):
            parts.append(self.unary(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def unary(self, depth: int) -> Expression:
        token = self.peek()
        if depth >= MAX_DEPTH:
            raise self.bad(f"more than {MAX_DEPTH} levels inside each other", token)
        if self.skip("word", "not"):
            return Not(self.unary(depth + 1))
        if self.skip("mark", "("):
            inside = self.either(depth + 1)
            if not self.skip("mark", ")"):
                raise self.bad("a closing parenthesis is missing", self.peek())
            return inside
        return self.comparison()

    def comparison(self) -> Expression:
        """``operand``, ``operand in ...``, or a chain ``a < b <= c``."""
        first = self.peek()
        left = self.operand()
        negated = self.peek().text == "not" and self.tokens[self.next + 1].text == "in"
        if negated:
            self.next += 1
        if self.skip("word", "in"):
            found = self.membership(left, first)
            return Not(found) if negated else found
        parts: list[Expression] = []
        while self.peek().kind == "op":
            op = self.take()
            right = self.operand()
            parts.append(self.relation(left, op, right))
            left = right
        if parts:
            return parts[0] if len(parts) == 1 else All(tuple(parts))
        if isinstance(left, _Field) and (
            left in self.fields.flag or left.startswith(self.fields.free)
        ):
            return Truth(str(left))
        raise self.bad("a comparison is missing here", self.peek())

    def operand(self) -> _Field | Scalar:
        token = self.take()
        if token.kind == "number":
            return float(token.text)
        if token.kind == "text":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
        if token.kind == "word" and token.text in ("true", "false"):
            return token.text == "true"
        if token.kind == "word" and token.text in ("none", "null"):
            return None
        if token.kind == "name":
            if token.text in self.fields.named or token.text.startswith(self.fields.free):
                return _Field(token.text)
            known = ", ".join(sorted(self.fields.named))
            raise self.bad(
                f"there is no field {token.text!r}",
                token,
                f"The fields are {known}, and {self.fields.free}<name>. "
                "Text stands in quotation marks.",
            )
        raise self.bad("a field or a value is missing here", token)

    def membership(self, left: _Field | Scalar, at: _Token) -> Expression:
        """What follows ``in``: a list of values, or the field that contains the text before."""
        opening = self.peek()
        if opening.text in ("(", "[") and opening.kind == "mark":
            values = self.values()
            if not isinstance(left, _Field):
                raise self.bad("a field must stand before in (...)", at)
            for value in values:
                self.check(left, "==", value, opening)
            return OneOf(str(left), tuple(_folded(value) for value in values))
        holder = self.operand()
        if isinstance(left, str) and not isinstance(left, _Field) and isinstance(holder, _Field):
            if holder in self.fields.number | self.fields.flag:
                raise self.bad(f"{holder} is not text", opening)
            return Contains(str(holder), left.casefold())
        raise self.bad('after in stands a list ("a", "b"), or "text" in field', opening)

    def values(self) -> list[str | float | bool]:
        closing = ")" if self.take().text == "(" else "]"
        found: list[str | float | bool] = []
        while not self.skip("mark", closing):
            token = self.peek()
            value = self.operand()
            if isinstance(value, _Field) or value is None:
                raise self.bad("a list holds written values only", token)
            found.append(value)
            if not self.skip("mark", ",") and self.peek().text != closing:
                raise self.bad(f"a comma or {closing} is missing in the list", self.peek())
        if not found:
            raise self.bad("the list is empty", self.peek())
        return found

    def relation(self, left: _Field | Scalar, op: _Token, right: _Field | Scalar) -> Expression:
        sign: Op = "==" if op.text == "!=" else op.text  # type: ignore[assignment]
        if isinstance(left, _Field) and isinstance(right, _Field):
            if not (left in self.fields.number and right in self.fields.number):
                raise self.bad("two fields can be compared when both are numbers", op)
            found: Expression = FieldCompare(str(left), sign, str(right))
        elif isinstance(left, _Field) and not isinstance(right, _Field):
            found = self.leaf(left, sign, right, op)
        elif isinstance(right, _Field) and not isinstance(left, _Field):
            found = self.leaf(right, _FLIPPED[sign], left, op)
        else:
            raise self.bad("one side of a comparison must be a field", op)
        return Not(found) if op.text == "!=" else found

    def leaf(self, field: _Field, op: Op, value: Scalar, at: _Token) -> Leaf:
        self.check(field, op, value, at)
        if value is None:
            return Missing(str(field))
        return Compare(str(field), op, _folded(value))

    def check(self, field: _Field, op: Op, value: Scalar, at: _Token) -> None:
        """Raise where a field can never compare so with this value."""
        if value is None or isinstance(value, bool):
            if op != "==":
                raise self.bad("true, false and none compare with == and != only", at)
            if isinstance(value, bool) and field in self.fields.number | self.fields.text:
                raise self.bad(f"{field} is not a flag", at)
        elif isinstance(value, str):
            if field in self.fields.number | self.fields.flag:
                kind = "a number" if field in self.fields.number else "a flag"
                raise self.bad(f"{field} is {kind}, and this compares it with text", at)
        elif field in self.fields.text | self.fields.flag:
            kind = "text" if field in self.fields.text else "a flag"
            raise self.bad(f"{field} is {kind}, and this compares it with a number", at)


def _folded(value: str | float | bool) -> str | float | bool:
    return value.casefold() if isinstance(value, str) else value
