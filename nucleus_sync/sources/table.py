"""A table with one image per row as items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from itertools import compress
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import UNSET

from nucleus_sync.errors import SourceError
from nucleus_sync.records.complaint import REMOTE_SCHEMES
from nucleus_sync.records.fingerprint import seed_of
from nucleus_sync.records.item import Item
from nucleus_sync.records.key import item_key
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.quick_check import is_plainly_sound
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.csv_rows import Block, Complain, CsvRows
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.line_file import LineFile
from nucleus_sync.sources.parquet_rows import ParquetRows
from nucleus_sync.sources.reader import (
    FileState,
    Hearing,
    Pick,
    Portable,
    Say,
    Seen,
    SeenAndRead,
    Straight,
    Stretches,
    Surroundings,
)
from nucleus_sync.sources.table_cells import CellError, cell, cells_as, pixels
from nucleus_sync.sources.table_columns import (
    AS_THEY_ARE,
    Column,
    MakeColumn,
    NotPlain,
    Objects,
    are_plain,
    rows_of,
    text_column,
    value_column,
)
from nucleus_sync.sources.template import FieldError, Template, check_fields, fields_in, value_template
from nucleus_sync.spec.place import resolve

if TYPE_CHECKING:
    from nucleus_sync.spec.source import TableSource

_VERSION = 1


class Rows(Protocol):
    """What a kind of table file offers."""

    @property
    def binary_columns(self) -> frozenset[str]: ...
    def state(self) -> FileState: ...
    def columns(self) -> list[str]: ...
    @property
    def has_picks_everywhere(self) -> bool: ...
    def stretches(self, used: list[str]) -> Stretches: ...
    def luggage(self) -> Any: ...
    def take_up(self, luggage: Any) -> None: ...
    def scan(
        self, keys: list[str], used: list[str], seed: int, complain: Complain, part: Any = None
    ) -> Iterator[Block]: ...
    def read(
        self, used: list[str], seed: int, picks: Iterable[Pick]
    ) -> Iterator[tuple[list[Pick], list[list[Any]]]]: ...
    def position(self, locator: bytes) -> str: ...


class TableReader:
    """One item per row of a CSV, TSV or Parquet file.

    Without `metadata` every column that no other template names becomes metadata, but for columns of bytes and those
    without a name. A metadata key whose cell is empty (null, or an empty cell of a number or bool) is left out.
    Addresses are taken from the cells as they are.
    """

    says_numbers = False

    def __init__(self, spec: TableSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._source = surroundings.name
        self._surroundings = surroundings
        path = resolve(surroundings.folder, spec.path)
        name = spec.path.lower()
        self._rows: Rows = (
            ParquetRows(path, spec.path, surroundings.scratch)
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
        if kind is Kind.ITEMS:
            yield from self.scan_stretch(kind, None, report)

    def stretches(self, kind: Kind) -> Stretches:
        """For large tables. Raises SourceError when a column is missing."""
        return self._rows.stretches(self._used) if kind is Kind.ITEMS else []

    def scan_stretch(self, kind: Kind, part: Any, report: Report) -> Iterator[Seen]:  # noqa: ARG002  (of one kind)
        """The rows of a stretch."""
        keys, complain = self._key_columns, partial(self._complain, report)
        for block in self._rows.scan(keys, self._used, self._seed, complain, part):
            yield from self._seen(*block, complain)

    def scan_and_read(
        self,
        kind: Kind,  # noqa: ARG002  (of one kind)
        part: Any,
        report: Report,
        say: Say,
    ) -> Iterator[SeenAndRead]:
        """The rows of a stretch, each with its item."""
        used, complain = self._used, partial(self._complain, report)
        of_keys = [used.index(name) for name in self._key_columns]
        for columns, raws, locators in self._rows.scan(used, used, self._seed, complain, part):
            seen = list(self._seen([columns[position] for position in of_keys], raws, locators, complain))
            if len(seen) < len(raws):
                wanted = {locator for _, _, locator in seen}
                columns = [list(compress(column, map(wanted.__contains__, locators))) for column in columns]
            for pick, record in self._read(columns, seen, say):
                yield *pick, record

    def hearing(self, kind: Kind, report: Report) -> Hearing:  # noqa: ARG002  (of one kind)
        """Nothing is held back."""
        return Straight(report)

    def portable(self, kind: Kind) -> Portable | None:
        """For what several processes can scan."""
        if kind is not Kind.ITEMS:
            return None
        elsewhere, scans_only = self._surroundings.elsewhere(), not self._rows.has_picks_everywhere
        return Portable(TableReader, self._spec, elsewhere, self._rows.luggage(), scans_only)

    def take_up(self, luggage: Any) -> None:
        """Begin with what another process found out."""
        self._rows.take_up(luggage)

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """Raises SourceError when a row isn't what it was in the scan."""
        if kind is not Kind.ITEMS:
            return
        for block, columns in self._rows.read(self._used, self._seed, picks):
            for pick, record in self._read(columns, block, lambda _, problem: report(problem)):
                if record is not None:
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

    @cached_property
    def _key_columns(self) -> list[str]:
        return self._columns_of(self._reference_id.fields)

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

    # --- blocks of rows with nothing out of the ordinary ----------------------------------------------------------

    @cached_property
    def _columnwise(self) -> tuple[MakeColumn, ...]:
        """What makes reference ids, URLs, widths and heights."""
        spec = self._spec
        texts = text_column(self._reference_id), text_column(self._image_url)
        return *texts, _pixels_column("width", spec.width), _pixels_column("height", spec.height)

    @cached_property
    def _metadata_objects(self) -> Objects:
        tree = self._spec.metadata
        return Objects.of_columns(self._other_columns) if tree is None else Objects.of_tree(tree)

    def _typed_columns(self, names: list[str], columns: list[Column]) -> dict[str, Column]:
        types = self._spec.types
        return {
            name: column if name not in types and are_plain(column) else cells_as(name, column, types.get(name))
            for name, column in zip(names, columns, strict=True)
        }

    def _plain_keys(self, columns: list[Column], count: int) -> list[bytes] | None:
        """The keys of a block, if every row has one."""
        try:
            ids = self._columnwise[0](self._typed_columns(self._key_columns, columns), count)
        except (NotPlain, FieldError, CellError):
            return None
        if not _are_usable(ids):
            return None
        return [reference_id.encode() for reference_id in ids]

    def _plain_records(self, columns: list[Column], count: int) -> tuple[list[Item], bool] | None:
        """The records of a block, if every row makes one, and whether all of them are surely sound."""
        try:
            typed = self._typed_columns(self._used, columns)
            ids, urls, widths, heights = [make(typed, count) for make in self._columnwise]
            metadata, are_sound = self._metadata_objects.made(typed, count)
        except (NotPlain, FieldError, CellError):
            return None
        rows = zip(ids, urls, widths, heights, metadata, strict=True)
        records = [
            Item(reference_id=one, image_url=url, width=width, height=height, metadata=own)
            for one, url, width, height, own in rows
        ]
        return records, are_sound and _are_usable(ids) and all(url.startswith(REMOTE_SCHEMES) for url in urls)

    # --- rows and records -------------------------------------------------------------------------------------

    def _seen(
        self, columns: list[Column], raws: list[bytes], locators: list[bytes], complain: Complain
    ) -> Iterator[Seen]:
        """The rows of a block that have a key, by the columns that it is made from."""
        plain = self._plain_keys(columns, len(raws))
        if plain is not None:
            yield from zip(plain, raws, locators, strict=True)
            return
        for values, raw, locator in zip(rows_of(columns, len(raws)), raws, locators, strict=True):
            try:
                fields = self._typed(dict(zip(self._key_columns, values, strict=True)))
                key = item_key(_usable(self._reference_id.render(fields)))
            except (FieldError, CellError) as error:
                complain(locator, *_why(error))
            else:
                yield Seen(key, raw, locator)

    def _read(self, columns: list[Column], picks: list[Any], say: Say) -> Iterator[tuple[Any, Item | None]]:
        """The items of a block; None where one can't be sent."""
        plain = self._plain_records(columns, len(picks))
        if plain is not None and plain[1]:
            return zip(picks, plain[0], strict=True)
        return self._judged(picks, self._records(columns, picks, say) if plain is None else plain[0], say)

    def _judged(self, picks: list[Any], records: Iterable[Item | None], say: Say) -> Iterator[tuple[Any, Item | None]]:
        for pick, record in zip(picks, records, strict=True):
            if record is None or is_plainly_sound(record) or self._is_sound(record, pick, say):
                yield pick, record
            else:
                yield pick, None

    def _typed(self, cells: dict[str, Any]) -> dict[str, Any]:
        types = self._spec.types
        return {
            name: value if name not in types and type(value) in AS_THEY_ARE else cell(name, value, types.get(name))
            for name, value in cells.items()
        }

    def _records(self, columns: list[Column], picks: list[Any], say: Say) -> Iterator[Item | None]:
        """Row by row; None with the reason said."""
        for (key, _, locator), cells in zip(picks, rows_of(columns, len(picks)), strict=True):
            try:
                yield self._record(self._typed(dict(zip(self._used, cells, strict=True))))
            except (FieldError, CellError) as error:
                say(locator, self._problem(locator, *_why(error), key=key))
                yield None

    def _record(self, fields: dict[str, Any]) -> Item:
        metadata = self._metadata(fields)
        return Item(
            reference_id=self._reference_id.render(fields),
            image_url=self._image_url.render(fields),
            width=pixels("width", self._width(fields)),
            height=pixels("height", self._height(fields)),
            metadata={name: value for name, value in metadata.items() if value is not None},
        )

    def _is_sound(self, record: Item, pick: Any, say: Say) -> bool:
        key, _, locator = pick
        place = self.where(Kind.ITEMS, locator)
        return is_sound(record, key, self._source, place, place.position, partial(say, locator))

    def _complain(self, report: Report, locator: bytes, cause: str, detail: str) -> None:
        report(self._problem(locator, cause, detail))

    def _problem(self, locator: bytes, cause: str, detail: str, key: bytes | None = None) -> Problem:
        place = self.where(Kind.ITEMS, locator)
        return Problem(self._source, place, place.position, cause, detail, Severity.INVALID, key)


def _pixels_column(name: str, tree: str | None) -> MakeColumn:
    if tree is None:
        return lambda _, count: [UNSET] * count
    values = value_column(tree)
    return lambda columns, count: [pixels(name, value) for value in values(columns, count)]


def _are_usable(reference_ids: Column) -> bool:
    return all(reference_ids) and "\x00" not in "".join(reference_ids)


def _usable(reference_id: str) -> str:
    if not reference_id:
        raise CellError("reference_id is empty", "reference_id is empty")
    if "\x00" in reference_id:
        raise CellError("reference_id holds a NUL", "reference_id holds a NUL character")
    return reference_id


def _why(error: FieldError | CellError) -> tuple[str, str]:
    return (error.cause if isinstance(error, CellError) else str(error)), str(error)
