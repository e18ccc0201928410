"""What a message says: templates that can do nothing but read what they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from habitue.errors import BadInput

__all__ = ["Letter", "Letters", "Offered"]


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """An item as templates see it."""

    id: str
    title: str
    reason: str = ""
    link: str = ""
    image_link: str = ""
    brand: str = ""
    price: float | None = None
    currency: str = ""


class Letter(msgspec.Struct, frozen=True):
    """One message: a subject of one line, text, and HTML where the campaign has it."""

    subject: str
    text: str
    html: str = ""


def _environment(*, autoescape: bool) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


_PLAIN: Final = _environment(autoescape=False)
_HTML: Final = _environment(autoescape=True)


class Letters:
    """Renders the letters of one campaign. Templates see what ``letter`` is given, by name."""

    def __init__(self, subject: str, text: str, html: str | None) -> None:
        """Raises ``BadInput`` for a template that cannot be read."""
        self._subject = _compiled(_PLAIN, "subject", subject)
        self._text = _compiled(_PLAIN, "text", text)
        self._html = None if html is None else _compiled(_HTML, "html", html)

    def letter(
        self,
        *,
        shop: str,
        shopper: Mapping[str, object],
        items: Sequence[Offered],
        unsubscribe: str,
    ) -> Letter:
        """The letter to one shopper; raises ``BadInput`` where a template asks for what is not."""
        told = {"shop": shop, "shopper": shopper, "items": items, "unsubscribe": unsubscribe}
        return Letter(
            " ".join(_rendered("subject", self._subject, told).split()),
            _rendered("text", self._text, told),
            "" if self._html is None else _rendered("html", self._html, told),
        )


def _compiled(environment: ImmutableSandboxedEnvironment, name: str, source: str) -> Template:
    try:
        return environment.from_string(source)
    except TemplateError as problem:
        line = getattr(problem, "lineno", None)
        where = f" at line {line}" if line else ""
        raise BadInput(
            f"The template {name!r} cannot be read{where}: {problem}.", field=name
        ) from None


def _rendered(name: str, template: Template, told: Mapping[str, Any]) -> str:
    try:
        return template.render(told)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as problem:
        raise BadInput(
            f"The template {name!r} cannot be filled in: {problem}.",
            remedy="It sees shop, shopper (id, country, locale, traits), items (each with id, "
            "title, reason, link, image_link, brand, price, currency) and unsubscribe.",
            field=name,
        ) from None
