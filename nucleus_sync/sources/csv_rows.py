"""Rows of a CSV or TSV file with their places."""

from __future__ import annotations

import csv
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, dropwhile
from typing import Any

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash
from nucleus_sync.sources.line_file import LineFile, without_mark
from nucleus_sync.sources.reader import FileState, Pick

Complain = Callable[[bytes, str, str], None]
"""Takes a locator, a cause and a detail."""

_LOCATOR = struct.Struct(">QIQ")
_SEPARATOR = "\x1f"


class CsvRows:
    """A header and rows in UTF-8; cells are text. Separated by tabs in `.tsv`, else by what the header holds."""

    binary_columns: frozenset[str] = frozenset()

    def __init__(self, file: LineFile, *, is_tsv: bool) -> None:
        self._file = file
        self._is_tsv = is_tsv
        self._header: list[str] | None = None
        self._delimiter = "\t" if is_tsv else ","

    def state(self) -> FileState:
        """Raises SourceError when the file is gone."""
        return self._file.state()

    def columns(self) -> list[str]:
        """The names in the header. Raises SourceError when there is none, or a name is there twice."""
        if self._header is None:
            lines = dropwhile(lambda line: not line.strip(), _Lines(self._file))
            first = next(lines, "")
            self._delimiter = "\t" if self._is_tsv else _delimiter(first)
            try:
                header = next(self._reader(chain([first], lines)), [])
            except csv.Error as error:
                raise SourceError(f"the header is malformed: {error}", where=self._file.name) from error
            self._header = self._checked_header(header)
        return self._header

    def scan(
        self,
        keys: list[str],
        used: list[str],  # noqa: ARG002 - a row is hashed as a whole
        seed: int,
        complain: Complain,
    ) -> Iterator[tuple[list[Any], bytes, bytes]]:
        """The `keys` columns' cells, the raw hash and the locator of every row."""
        header = self.columns()
        positions = [header.index(key) for key in keys]
        width = len(header)
        lines = _Lines(self._file)
        rows = self._reader(lines)
        next(row for row in rows if any(map(str.strip, row)))  # the header
        while True:
            offset, number = lines.offset, lines.number + 1
            try:
                row = next(rows, None)
            except csv.Error as error:
                self._stop_if_endless(error, number)
                complain(self._locator(lines, offset, number), "row is malformed", f"malformed: {error}")
                continue
            if row is None:
                return
            if len(row) != width and not (row := self._fitted(row, width, lines, offset, number, complain)):
                continue
            raw = raw_hash(_SEPARATOR.join(row).encode(), seed)
            yield [row[position] for position in positions], raw, self._locator(lines, offset, number)

    def read(self, used: list[str], seed: int, picks: Iterable[Pick]) -> Iterator[tuple[Pick, dict[str, Any]]]:
        """The `used` columns' cells of the picked rows. Raises SourceError when a row has changed."""
        header = self.columns()
        with self._file.pieces() as piece:
            for pick in picks:
                offset, length, _ = _LOCATOR.unpack(pick.locator)
                row = self._parsed(piece(offset, length), len(header))
                if pick.raw not in (LOOK_AGAIN, raw_hash(_SEPARATOR.join(row).encode(), seed)):
                    fix = "wait until it is complete, then try again"
                    raise SourceError("the file changed while it was read", where=self._file.name, fix=fix)
                fields = dict(zip(header, row, strict=False))
                yield pick, {name: fields[name] for name in used if name in fields}

    def position(self, locator: bytes) -> str:
        """`line 12`: where the row begins."""
        return f"line {_LOCATOR.unpack(locator)[2]}"

    # --- details ----------------------------------------------------------------------------------------------

    def _reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _parsed(self, content: bytes, width: int) -> list[str]:
        try:
            row = next(self._reader([content.decode()]), [])
        except (csv.Error, UnicodeDecodeError):
            return []
        return row[:width]

    def _checked_header(self, header: list[str]) -> list[str]:
        if not any(header):
            raise SourceError("the table is empty: it has no header", where=self._file.name)
        for position, name in enumerate(header):
            if name and name in header[:position]:
                raise SourceError(f"column {name!r} is there twice", where=self._file.name, fix="rename one of them")
        return header

    def _fitted(
        self, row: list[str], width: int, lines: _Lines, offset: int, number: int, complain: Complain
    ) -> list[str]:
        """The row cut to the header; empty where it is blank, or can't be cut and was complained about."""
        if not row:
            return []
        if len(row) > width and not any(row[width:]):
            return row[:width]
        detail = f"{len(row)} cells, but the header names {width} columns"
        complain(self._locator(lines, offset, number), "row doesn't fit the header", detail)
        return []

    def _stop_if_endless(self, error: csv.Error, number: int) -> None:
        """A quote that is never closed swallows all rows behind it."""
        if "unexpected end" in str(error) or "field larger" in str(error):
            what = (
                f"line {number}: a quote is never closed, or a cell is longer than {csv.field_size_limit():,} letters"
            )
            raise SourceError(what, where=self._file.name) from error

    def _locator(self, lines: _Lines, offset: int, number: int) -> bytes:
        return _LOCATOR.pack(offset, min(lines.offset - offset, 0xFFFFFFFF), number)


class _Lines:
    """Decoded lines of a file; `offset` and `number` say how far they have been taken."""

    def __init__(self, file: LineFile) -> None:
        self._name = file.name
        self._lines = file.lines()
        self.offset = 0
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, offset, line = next(self._lines)
        self.number, self.offset = number, offset + len(line)
        try:
            return (without_mark(line) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            what = f"line {number} is not UTF-8"
            raise SourceError(what, where=self._name, fix="save the table as UTF-8") from error


def _delimiter(header: str) -> str:
    return next((each for each in (",", ";", "\t") if each in header), ",")
