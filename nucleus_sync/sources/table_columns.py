"""A table's cells and the spec's templates column by column, for blocks of rows with nothing out of the ordinary.

Working on columns takes a fifth of the time that rows take. Whatever a column can't say in the same words as a row
raises `NotPlain`, and the block is worked through row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from typing import Any

from nucleus_sync.sources.template import Template

Column = list[Any]
Columns = Mapping[str, Column]
MakeColumn = Callable[[Columns, int], Column]
"""A value for each of so many rows."""
_NULL = type(None)
AS_THEY_ARE = frozenset({str, int, float, bool})
_ALL_TEXT, _AS_TEXT = {str}, {str, int, float}


class NotPlain(ValueError):
    """A block has to be looked at row by row."""


def kinds_in(column: Iterable[Any]) -> set[type]:
    """The types of a column's cells."""
    return set(map(type, column))


def are_plain(column: Column) -> bool:
    """Whether JSON holds every cell as it is."""
    return kinds_in(column) - {_NULL} <= AS_THEY_ARE


def rows_of(columns: list[Column], count: int) -> Iterable[tuple[Any, ...]]:
    """The rows of a block, also of one without columns."""
    return zip(*columns, strict=True) if columns else repeat((), count)


def text_column(template: Template) -> MakeColumn:
    """What `template.render` gives for every row."""
    if template.only_field is not None:
        name = template.only_field
        return lambda columns, _: _texts(columns, name)
    names = [piece for piece, is_field in template.pieces if is_field]
    pattern = "".join("%s" if is_field else piece.replace("%", "%%") for piece, is_field in template.pieces)

    def made(columns: Columns, count: int) -> Column:
        return [pattern % row for row in rows_of([_texts(columns, name) for name in names], count)]

    return made


def value_column(tree: Any) -> MakeColumn:
    """What `value_template(tree)` gives for every row."""
    match tree:
        case str():
            return _value_of_text(Template(tree))
        case dict():
            return _value_of_members({key: value_column(value) for key, value in tree.items()})
        case list() | tuple():
            members = [value_column(value) for value in tree]
            return lambda columns, count: [list(row) for row in _rows(members, columns, count)]
        case _:
            return lambda _, count: [tree] * count


def members_column(names: list[str]) -> MakeColumn:
    """An object of these columns for every row."""
    return _value_of_members({name: _one(name) for name in names})


def without_nulls(members: Column) -> Column:
    """Objects without their members that are null."""
    if not any(None in each.values() for each in members):
        return members
    return [{name: value for name, value in each.items() if value is not None} for each in members]


def _value_of_text(template: Template) -> MakeColumn:
    if template.only_field is not None:
        return _one(template.only_field)
    return text_column(template)


def _value_of_members(members: dict[str, MakeColumn]) -> MakeColumn:
    names, makers = list(members), list(members.values())
    return lambda columns, count: [dict(zip(names, row, strict=True)) for row in _rows(makers, columns, count)]


def _rows(makers: list[MakeColumn], columns: Columns, count: int) -> Iterable[tuple[Any, ...]]:
    return rows_of([make(columns, count) for make in makers], count)


def _one(name: str) -> MakeColumn:
    return lambda columns, _: _column(columns, name)


def _column(columns: Columns, name: str) -> Column:
    # A dotted path into a column is looked up row by row.
    if name not in columns:
        raise NotPlain(name)
    return columns[name]


def _texts(columns: Columns, name: str) -> Column:
    """A column as text; where a cell is null, or text as JSON, the row has to say it."""
    column = _column(columns, name)
    kinds = kinds_in(column)
    if kinds <= _ALL_TEXT:
        return column
    if not kinds <= _AS_TEXT:
        raise NotPlain(name)
    return [str(value) for value in column]
