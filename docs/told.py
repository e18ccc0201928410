"""Pages the program writes about itself, so that they cannot say what is not so.

Directives: ``told-settings``, ``told-kinds``, ``told-commands``, ``told-routes``,
``told-tracker-routes``. All is imported here, before autodoc imports modules its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar
from unittest.mock import Mock

from docutils import nodes
from docutils.parsers.rst import Directive
from pydantic import BaseModel
from typer.main import get_command

from habitue.api import create_app
from habitue.cli import app as command_line
from habitue.facts import CONVERSIONS, ITEM_KINDS, ActionKind
from habitue.settings import Settings as Model

__all__ = ["setup"]


def text_table(
    head: Sequence[str], lines: Sequence[Sequence[str]], widths: Sequence[int]
) -> nodes.table:
    """A table whose first column is code."""
    table = nodes.table()
    group = nodes.tgroup(cols=len(head))
    table += group
    for width in widths:
        group += nodes.colspec(colwidth=width)
    top = nodes.thead()
    group += top
    top += row([nodes.paragraph(text=title) for title in head])
    body = nodes.tbody()
    group += body
    for first, *rest in lines:
        code = nodes.paragraph()
        code += nodes.literal(text=first)
        body += row([code, *(nodes.paragraph(text=cell) for cell in rest)])
    return table


def row(cells: Sequence[nodes.Node]) -> nodes.row:
    """One row of a table."""
    line = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        entry += cell
        line += entry
    return line


class Told(Directive):
    """A page's part that the program tells."""

    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        """The nodes that stand in the directive's place."""
        return list(self.tell())

    def tell(self) -> Iterator[nodes.Node]:
        """What is told."""
        raise TypeError("each page tells its own")


class Settings(Told):
    """Every setting, by group: name, default, what it does."""

    def tell(self) -> Iterator[nodes.Node]:
        """A table a group."""
        for key, field in Model.model_fields.items():
            inner = field.annotation
            if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
                named = nodes.section(ids=[f"settings-{key}"])
                named += nodes.title(text=f"[{key}.NAME]")
                named += nodes.paragraph(text=field.description or "")
                yield named
                continue
            section = nodes.section(ids=[f"settings-{key}"])
            section += nodes.title(text=f"[{key}]")
            if inner.__doc__:
                section += nodes.paragraph(text=inner.__doc__.strip().splitlines()[0])
            lines = list(fields_of(inner, f"{key}."))
            section += text_table(("setting", "default", "what it does"), lines, (30, 20, 50))
            yield section


def fields_of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Name, default and description of every setting of a group and the groups within it."""
    for key, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields_of(inner, f"{prefix}{key}.")
        else:
            default = field.get_default(call_default_factory=True)
            yield prefix + key, plain(default), field.description or ""


def plain(value: object) -> str:
    """A default as a reader would write it."""
    if isinstance(value, BaseModel):
        return ", ".join(f"{key} {plain(one)}" for key, one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(one)}" for key, one in value.items()) or "nothing"
    if isinstance(value, (tuple, list, frozenset)):
        return (
            ", ".join(
                sorted(map(plain, value)) if isinstance(value, frozenset) else map(plain, value)
            )
            or "none"
        )
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


class Kinds(Told):
    """Every kind of action, and whether it must name an item."""

    def tell(self) -> Iterator[nodes.Node]:
        """One table."""
        lines = [
            (
                kind.name,
                "yes" if kind in ITEM_KINDS else "",
                "yes" if kind in CONVERSIONS else "",
            )
            for kind in ActionKind
        ]
        yield text_table(
            ("kind", "must name an item", "counts as success by default"), lines, (30, 30, 40)
        )


class Commands(Told):
    """Every command, its arguments and options."""

    def tell(self) -> Iterator[nodes.Node]:
        """A section a command."""
        root: Any = get_command(command_line)
        yield from sections(root, "habitue")


def sections(command: Any, path: str) -> Iterator[nodes.Node]:
    """A command, or those within a group of them."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from sections(inner, f"{path} {name}")
        return
    section = nodes.section(ids=[path.replace(" ", "-")])
    section += nodes.title(text=path)
    section += nodes.paragraph(text=(command.help or "").strip())
    lines = []
    for parameter in command.params:
        name = (
            ", ".join(parameter.opts)
            if parameter.param_type_name == "option"
            else parameter.name.upper()
        )
        lines.append((name, getattr(parameter, "help", None) or ""))
    if lines:
        section += text_table(("option or argument", "what it is"), lines, (30, 70))
    yield section


class Routes(Told):
    """Every route of the HTTP interface."""

    def tell(self) -> Iterator[nodes.Node]:
        """One table."""
        shop: Any = Mock()  # the document is made from types; nothing is asked of a shop
        document = create_app(shop, Model()).openapi()
        lines = [
            (f"{method.upper()} {path}", operation["summary"], ", ".join(operation["responses"]))
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ]
        yield text_table(("route", "what it does", "answers"), lines, (35, 45, 20))


class TrackerRoutes(Told):
    """Every route that a tracker made for another receiver knows."""

    def tell(self) -> Iterator[nodes.Node]:
        """One table, a line a protocol."""
        shop: Any = Mock()
        lines = [
            (f"{one.method} {one.path}", one.tag, one.summary)
            for one in create_app(shop, Model()).trackers
        ]
        yield text_table(("route", "protocol", "what it takes"), lines, (35, 15, 50))


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    for name, directive in {
        "told-settings": Settings,
        "told-kinds": Kinds,
        "told-commands": Commands,
        "told-routes": Routes,
        "told-tracker-routes": TrackerRoutes,
    }.items():
        app.add_directive(name, directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
