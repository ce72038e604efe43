"""Templates of the spec filled with the fields of one record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from nucleus_sync.spec.template import Field, parse

_MISSING = object()
_MOST_NAMED = 30


class FieldError(ValueError):
    """A template names a field that this record can't fill; the text says which ones there are."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class Template:
    """A template, parsed once; `{a.b}` looks into `a`, `{{` and `}}` are braces.

    Raises spec.template.TemplateSyntaxError where braces don't fit together.
    """

    __slots__ = ("fields", "only_field", "pieces", "text")

    def __init__(self, text: str) -> None:
        parsed = parse(text)
        self.text = text
        self.fields: frozenset[str] = frozenset(parsed.fields)
        self.only_field: str | None = parsed.only_field
        self.pieces = [(piece.name, True) if isinstance(piece, Field) else (piece, False) for piece in parsed.pieces]
        """In their order, each with whether it names a field."""

    def render(self, fields: Mapping[str, Any]) -> str:
        """The text for one record. Raises FieldError where a field is absent or null."""
        if self.only_field is not None:
            return _text(self.only_field, fields)
        return "".join([_text(piece, fields) if is_field else piece for piece, is_field in self.pieces])

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


def value_template(tree: Any) -> Callable[[Mapping[str, Any]], Any]:
    """What makes a JSON value for each record; a text that is exactly one `{field}` keeps the field's type.

    Keys are taken as they are. The result raises FieldError where a field is absent.
    """
    match tree:
        case str():
            return _value_of_text(Template(tree))
        case dict():
            return _value_of_members({key: value_template(value) for key, value in tree.items()})
        case list() | tuple():
            members = [value_template(value) for value in tree]
            return lambda fields: [member(fields) for member in members]
        case _:
            return lambda _: tree


def fields_in(tree: Any) -> frozenset[str]:
    """The fields that the templates of a tree name."""
    match tree:
        case str():
            return Template(tree).fields
        case dict():
            return frozenset().union(*map(fields_in, tree.values()))
        case list() | tuple():
            return frozenset().union(*map(fields_in, tree))
        case _:
            return frozenset()


def field_value(name: str, fields: Mapping[str, Any]) -> Any:
    """One field's value as it is: an exact name wins over a dotted path into it. Raises FieldError."""
    value = fields.get(name, _MISSING)
    if value is _MISSING and "." in name:
        value = _inner(name, fields)
    if value is _MISSING:
        raise FieldError(f"there is no field {{{name}}}; {_offer(name, fields)}", name)
    return value


def check_fields(named: Iterable[str], offered: Iterable[str]) -> None:
    """Raise FieldError for the first field that isn't offered, where every record offers the same ones."""
    names = dict.fromkeys(offered)
    for name in sorted(named):
        if name not in names and name.partition(".")[0] not in names:
            raise FieldError(f"there is no field {{{name}}}; {_offer(name, names)}", name)


def _value_of_text(template: Template) -> Callable[[Mapping[str, Any]], Any]:
    if template.only_field is not None:
        name = template.only_field
        return lambda fields: field_value(name, fields)
    if not template.fields:
        text = template.render({})
        return lambda _: text
    return template.render


def _value_of_members(
    members: dict[str, Callable[[Mapping[str, Any]], Any]],
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda fields: {key: member(fields) for key, member in members.items()}


def _text(name: str, fields: Mapping[str, Any]) -> str:
    value = field_value(name, fields)
    if isinstance(value, str):
        return value
    match value:
        case None:
            raise FieldError(f"field {{{name}}} is null", name)
        case bool() | dict() | list():
            return msgspec.json.encode(value).decode()
        case _:
            return str(value)


def _inner(name: str, fields: Mapping[str, Any]) -> Any:
    value: Any = fields
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value


def _offer(name: str, fields: Mapping[str, Any]) -> str:
    names = sorted(str(field) for field in fields)
    if not names:
        return "there are no fields here"
    near = get_close_matches(name, names, n=1)
    meant = f"did you mean {{{near[0]}}}? " if near else ""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{meant}there are: {', '.join(names[:_MOST_NAMED])}{more}"
