"""A table with one image per row as items."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from math import isfinite
from typing import Any, Protocol

from msgspec import UNSET, UnsetType

from nucleus_sync.errors import SourceError
from nucleus_sync.records.check import complaints
from nucleus_sync.records.fingerprint import seed_of
from nucleus_sync.records.item import Item, Number
from nucleus_sync.records.key import item_key
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.csv_rows import Complain, CsvRows
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.line_file import LineFile
from nucleus_sync.sources.parquet_rows import ParquetRows
from nucleus_sync.sources.reader import FileState, Pick, Seen, Surroundings
from nucleus_sync.sources.template import FieldError, Template, check_fields, fields_in, value_template
from nucleus_sync.sources.walk import shown
from nucleus_sync.spec.model import resolve
from nucleus_sync.spec.source import TableSource

_VERSION = 1
_WHOLE = re.compile(r"[+-]?[0-9]+")
_AS_THEY_ARE = frozenset({str, int, float, bool})
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


class Rows(Protocol):
    """What a kind of table file offers."""

    @property
    def binary_columns(self) -> frozenset[str]: ...
    def state(self) -> FileState: ...
    def columns(self) -> list[str]: ...
    def scan(
        self, keys: list[str], used: list[str], seed: int, complain: Complain
    ) -> Iterator[tuple[list[Any], bytes, bytes]]: ...
    def read(self, used: list[str], seed: int, picks: Iterable[Pick]) -> Iterator[tuple[Pick, dict[str, Any]]]: ...
    def position(self, locator: bytes) -> str: ...


class CellError(ValueError):
    """A cell that doesn't hold what its column is said to."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


class TableReader:
    """One item per row of a CSV, TSV or Parquet file.

    Without `metadata` every column that no other template names becomes metadata, but for columns of bytes and those
    without a name. A metadata key whose cell is empty (null, or an empty cell of a number or bool) is left out.
    Addresses are taken from the cells as they are.
    """

    def __init__(self, spec: TableSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._source = surroundings.name
        path = resolve(surroundings.folder, spec.path)
        name = spec.path.lower()
        self._rows: Rows = (
            ParquetRows(path, spec.path)
            if name.endswith(".parquet")
            else CsvRows(LineFile(path, spec.path, surroundings.scratch), is_tsv=name.endswith((".tsv", ".tsv.gz")))
        )
        self._reference_id = Template(spec.reference_id)
        self._image_url = Template(spec.image_url)
        self._width = value_template(spec.width)
        self._height = value_template(spec.height)

    def state(self) -> FileState:
        """Raises SourceError when the file is gone."""
        return self._rows.state()

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every row, with the key that `reference_id` makes of it. Raises SourceError when a column is missing."""
        if kind is not Kind.ITEMS:
            return
        keys = self._columns_of(self._reference_id.fields)

        def complain(locator: bytes, cause: str, detail: str) -> None:
            report(self._problem(locator, cause, detail))

        for values, raw, locator in self._rows.scan(keys, self._used, self._seed, complain):
            try:
                fields = self._typed(dict(zip(keys, values, strict=True)))
                key = item_key(_usable(self._reference_id.render(fields)))
            except (FieldError, CellError) as error:
                complain(locator, *_why(error))
            else:
                yield Seen(key, raw, locator)

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """Raises SourceError when a row isn't what it was in the scan."""
        if kind is not Kind.ITEMS:
            return
        for pick, cells in self._rows.read(self._used, self._seed, picks):
            try:
                record = self._record(self._typed(cells))
            except (FieldError, CellError) as error:
                report(self._problem(pick.locator, *_why(error), key=pick.key))
                continue
            if self._is_sound(record, pick, report):
                yield pick, record

    def where(self, kind: Kind, locator: bytes) -> Where:  # noqa: ARG002 - every locator is an item's
        """The file, and the line of a CSV or the row of a Parquet file."""
        return Where(self._spec.path, self._rows.position(locator))

    # --- columns ----------------------------------------------------------------------------------------------

    @cached_property
    def _columns(self) -> list[str]:
        columns = self._rows.columns()
        named = {"reference_id": self._reference_id.fields, "image_url": self._image_url.fields}
        named |= {"width": fields_in(self._spec.width), "height": fields_in(self._spec.height)}
        named |= {"metadata": fields_in(self._spec.metadata), "types": frozenset(self._spec.types)}
        for option, fields in named.items():
            try:
                check_fields(fields, columns)
            except FieldError as error:
                what = f"{option}: {str(error).replace('no field', 'no column')}"
                fix = f"correct `{option}`, or name the column so"
                raise SourceError(what, where=self._spec.path, fix=fix) from error
        return columns

    @cached_property
    def _metadata(self) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        if self._spec.metadata is not None:
            return value_template(self._spec.metadata)
        names = self._other_columns
        return lambda fields: {name: fields[name] for name in names}

    @cached_property
    def _other_columns(self) -> list[str]:
        """What becomes metadata where the spec doesn't say."""
        taken = {*self._columns_of(self._item_fields), *self._rows.binary_columns, ""}
        return [name for name in self._columns if name not in taken]

    @cached_property
    def _used(self) -> list[str]:
        """The columns that any template names, in the order of the file."""
        wanted = set(self._columns_of(self._item_fields | fields_in(self._spec.metadata)))
        if self._spec.metadata is None:
            wanted.update(self._other_columns)
        return [name for name in self._columns if name in wanted]

    @property
    def _item_fields(self) -> frozenset[str]:
        sizes = fields_in(self._spec.width) | fields_in(self._spec.height)
        return self._reference_id.fields | self._image_url.fields | sizes

    def _columns_of(self, fields: frozenset[str]) -> list[str]:
        """The columns behind fields; `a.b` is column `a.b` where there is one, else column `a`."""
        columns = set(self._columns)
        return sorted({field if field in columns else field.partition(".")[0] for field in fields})

    @cached_property
    def _seed(self) -> int:
        spec = self._spec
        templates = (spec.reference_id, spec.image_url, spec.width, spec.height)
        return seed_of(_VERSION, templates, spec.metadata, spec.types, self._used)

    # --- records ----------------------------------------------------------------------------------------------

    def _typed(self, cells: dict[str, Any]) -> dict[str, Any]:
        types = self._spec.types
        return {
            name: value if name not in types and type(value) in _AS_THEY_ARE else _cell(name, value, types.get(name))
            for name, value in cells.items()
        }

    def _record(self, fields: dict[str, Any]) -> Item:
        metadata = self._metadata(fields)
        return Item(
            reference_id=self._reference_id.render(fields),
            image_url=self._image_url.render(fields),
            width=_pixels("width", self._width(fields)),
            height=_pixels("height", self._height(fields)),
            metadata={name: value for name, value in metadata.items() if value is not None},
        )

    def _is_sound(self, record: Item, pick: Pick, report: Report) -> bool:
        # Places are made only where there is something to say: most records are sound.
        if not any(True for _ in complaints(record)):
            return True
        place = self.where(Kind.ITEMS, pick.locator)
        return is_sound(record, pick.key, self._source, place, place.position, report)

    def _problem(self, locator: bytes, cause: str, detail: str, key: bytes | None = None) -> Problem:
        place = self.where(Kind.ITEMS, locator)
        return Problem(self._source, place, place.position, cause, detail, Severity.INVALID, key)


def _usable(reference_id: str) -> str:
    if not reference_id:
        raise CellError("reference_id is empty", "reference_id is empty")
    if "\x00" in reference_id:
        raise CellError("reference_id holds a NUL", "reference_id holds a NUL character")
    return reference_id


def _why(error: FieldError | CellError) -> tuple[str, str]:
    return (error.cause if isinstance(error, CellError) else str(error)), str(error)


def _cell(column: str, value: Any, kind: str | None) -> Any:
    """A cell as its column's type in the spec, or as JSON can hold it."""
    match kind:
        case None:
            return _plain(value)
        case "text":
            return value if value is None or isinstance(value, str) else str(_plain(value))
        case "number":
            return _number(column, value)
        case _:
            return _bool(column, value)


def _number(column: str, value: Any) -> Any:
    if not isinstance(value, str):
        return _plain(value)
    text = value.strip()
    if not text:
        return None
    try:
        return int(text) if _WHOLE.fullmatch(text) else float(text)
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


def _pixels(name: str, value: Any) -> Number | UnsetType:
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
