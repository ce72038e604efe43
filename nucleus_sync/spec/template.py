"""Templates such as `s3://acme/{path}`: their syntax, as text and the fields they name."""

from __future__ import annotations

import re

from msgspec import Struct

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<field>[^{}]*)\}|(?P<brace>[{}])|(?P<text>[^{}]+)")


class TemplateSyntaxError(ValueError):
    """A template whose braces don't fit together; the text says how."""


class Field(Struct, frozen=True):
    """A place in a template that a record's value fills."""

    name: str


class Template(Struct, frozen=True):
    """A template cut into literal text and fields."""

    text: str
    pieces: tuple[str | Field, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, in order, each as often as it occurs."""
        return tuple(piece.name for piece in self.pieces if isinstance(piece, Field))

    @property
    def only_field(self) -> str | None:
        """The field's name if the template is nothing but one field: its value then keeps its type."""
        match self.pieces:
            case (Field(name),):
                return name
            case _:
                return None


def parse(text: str) -> Template:
    """Cut a template: `{name}` is a field, `{{` and `}}` are braces. Raises TemplateSyntaxError."""
    pieces: list[str | Field] = []
    for found in _PIECE.finditer(text):
        if found["brace"]:
            raise TemplateSyntaxError(
                f"a '{found['brace']}' at character {found.start() + 1} has no partner; "
                f"a brace that is meant as itself is written twice"
            )
        if found["field"] is not None:
            pieces.append(Field(_field_name(found["field"], found.start())))
        else:
            _append_text(pieces, found["text"] or found[0][0])
    return Template(text, tuple(pieces))


def _field_name(name: str, start: int) -> str:
    if not name.strip():
        raise TemplateSyntaxError(f"the braces at character {start + 1} hold no field name")
    return name.strip()


def _append_text(pieces: list[str | Field], text: str) -> None:
    if pieces and isinstance(pieces[-1], str):
        pieces[-1] += text
    else:
        pieces.append(text)
