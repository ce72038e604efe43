"""A table's cells and the spec's templates column by column, for blocks of rows with nothing out of the ordinary.

Working on columns takes a fifth of the time that rows take. Whatever a column can't say in the same words as a row
raises `NotPlain`, and the block is worked through row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from math import isfinite
from typing import Any

from nucleus_sync.records.complaint import LONGEST_METADATA
from nucleus_sync.records.quick_check import EXACT_IN_JAVASCRIPT
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


class Objects:
    """An object for every row, of members that aren't null."""

    def __init__(self, members: Mapping[str, MakeColumn]) -> None:
        self._members = members

    @classmethod
    def of_columns(cls, names: Iterable[str]) -> Objects:
        """Each has these columns as they are."""
        return cls({name: _one(name) for name in names})

    @classmethod
    def of_tree(cls, tree: Mapping[str, Any]) -> Objects:
        """Each is what `value_template(tree)` gives."""
        return cls({name: value_column(value) for name, value in tree.items()})

    def made(self, columns: Columns, count: int) -> tuple[list[dict[str, Any]], bool]:
        """The objects, and whether all of them are surely sound as metadata."""
        # Growing them member by member takes half the time that a `dict` of every row takes.
        found: list[dict[str, Any]] = [{} for _ in range(count)]
        are_sound = "" not in self._members
        for name, make in self._members.items():
            column = make(columns, count)
            kinds = kinds_in(column)
            are_sound = are_sound and _are_plainly_sound(column, kinds)
            if _NULL in kinds:
                for each, value in zip(found, column, strict=True):
                    if value is not None:
                        each[name] = value
            else:
                for each, value in zip(found, column, strict=True):
                    each[name] = value
        return found, are_sound


def _are_plainly_sound(column: Column, kinds: set[type]) -> bool:
    """Whether `quick_check` says yes to all values of metadata; no may only mean that it has to be asked."""
    values = [value for value in column if value is not None] if _NULL in kinds else column
    kinds = kinds - {_NULL}
    if kinds == {str}:
        return max(map(len, values)) <= LONGEST_METADATA
    if kinds == {float}:
        # A sum of finite numbers may overflow; then the answer is no, which is never wrong.
        return isfinite(sum(values))
    if kinds == {int}:
        return bool(max(map(abs, values)) <= EXACT_IN_JAVASCRIPT)
    return kinds <= {bool}


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
