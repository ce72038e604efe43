"""Cells of a table as values of a record."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from msgspec import UNSET, UnsetType

from nucleus_sync.records.item import Number
from nucleus_sync.sources.walk import shown

_WHOLE = re.compile(r"[+-]?[0-9]+")
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


class CellError(ValueError):
    """A cell that doesn't hold what its column is said to."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


def cell(column: str, value: Any, kind: str | None) -> Any:
    """A cell as its column's type in the spec, or as JSON can hold it. Raises CellError."""
    match kind:
        case None:
            return _plain(value)
        case "text":
            return value if value is None or isinstance(value, str) else str(_plain(value))
        case "number":
            return _number(column, value)
        case _:
            return _bool(column, value)


def cells_as(column: str, values: list[Any], kind: str | None) -> list[Any]:
    """The same for all cells of a column. Raises CellError for the first one that isn't so."""
    if kind == "number" and set(map(type, values)) == {str}:
        try:
            return [
                (int(text) if text.isascii() and text.isdigit() else float(text) if "." in text else _from_text(text))
                if (text := value.strip())
                else None
                for value in values
            ]
        except ValueError:
            pass
    return [cell(column, value, kind) for value in values]


def _from_text(text: str) -> int | float:
    return int(text) if _WHOLE.fullmatch(text) else float(text)


def _number(column: str, value: Any) -> Any:
    if not isinstance(value, str):
        return _plain(value)
    text = value.strip()
    if not text:
        return None
    try:
        return _from_text(text)
    except ValueError:
        comma = " (a decimal comma?)" if re.fullmatch(r"[+-]?\d+,\d+", text) else ""
        raise CellError(
            f"column {shown(column)} holds no number", f"column {shown(column)}: {value!r} is no number{comma}"
        ) from None


def _bool(column: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in (*_TRUE, *_FALSE):
        return text in _TRUE
    if not text:
        return None
    detail = f"column {shown(column)}: {value!r} is neither true nor false"
    raise CellError(f"column {shown(column)} holds no bool", detail)


def pixels(name: str, value: Any) -> Number | UnsetType:
    """A width or height; UNSET where the cell is empty. Raises CellError."""
    if value is None or value == "":
        return UNSET
    number = _number(name, value)
    if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number) or number <= 0:
        raise CellError(f"{name} is no number of pixels", f"{name} is {value!r}: no number of pixels")
    return int(number) if number == int(number) else number


def _plain(value: Any) -> Any:
    """A value of a Parquet file as JSON can hold it: times as ISO 8601, durations in seconds."""
    match value:
        case None | str() | bool() | int() | float():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return str(value)
