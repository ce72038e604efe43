"""Rows of a CSV or TSV file with their places."""

from __future__ import annotations

import csv
import io
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain, count, islice
from typing import Any

from xxhash import xxh3_64_digest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash
from nucleus_sync.sources.line_file import LineFile, Part, without_mark
from nucleus_sync.sources.reader import FileState, Pick, Stretch, Stretches

Complain = Callable[[bytes, str, str], None]
"""Takes a locator, a cause and a detail."""
Block = tuple[list[list[Any]], list[bytes], list[bytes]]
"""Some rows: columns of their cells, their raw hashes, their locators."""

_LOCATOR = struct.Struct(">QIQ")
_SEPARATOR = "\x1f"
_TOGETHER = 1024
_LONGEST = 16 << 20
"""Bytes of neighbouring rows that are looked through for where quotes end."""


class CsvRows:
    """A header and rows in UTF-8; cells are text. Separated by tabs in `.tsv`, else by what the header holds."""

    binary_columns: frozenset[str] = frozenset()

    def __init__(self, file: LineFile, *, is_tsv: bool) -> None:
        self._file = file
        self._is_tsv = is_tsv
        self._header: list[str] | None = None
        self._delimiter = "\t" if is_tsv else ","
        self._behind_header = 0, 1
        """The offset and the number of the line behind the header, once that was read."""

    def state(self) -> FileState:
        """Raises SourceError when the file is gone."""
        return self._file.state()

    def columns(self) -> list[str]:
        """The names in the header. Raises SourceError when there is none, or a name is there twice."""
        if self._header is None:
            lines = _Lines(self._file)
            first = next(filter(str.strip, lines), "")
            self._delimiter = "\t" if self._is_tsv else _delimiter(first)
            try:
                header = next(self._reader(chain([first], lines)), [])
            except csv.Error as error:
                raise SourceError(f"the header is malformed: {error}", where=self._file.name) from error
            self._behind_header = lines.offset, lines.number + 1
            self._header = self._checked_header(header)
        return self._header

    @property
    def has_picks_everywhere(self) -> bool:
        """Whether any row can be read without those before it."""
        return self._file.is_plain

    def stretches(self, used: list[str]) -> Stretches:  # noqa: ARG002 - the rows are not looked at
        """For large files that are not compressed; none where a quote stays open for too long."""
        self.columns()
        found: list[Stretch] = []
        with self._file.pieces() as piece:
            rows, begin, number, content = 0, *self._behind_header, b""
            for lines, (start, end, _) in self._file.parts(*self._behind_header):
                content += piece(start, end - start)
                rows += lines
                if self._stays_open(content):
                    if len(content) > _LONGEST:
                        return []
                    continue
                found.append(Stretch(rows, (begin, end, number)))
                rows, begin, number, content = 0, end, number + rows, b""
            return found if not content else []

    def _stays_open(self, content: bytes) -> bool:
        """Whether some lines end inside of quotes."""
        if b'"' not in content:
            return False
        rows = self._reader(io.StringIO(content.decode("latin-1"), newline="\n"))
        while True:
            try:
                deque(rows, maxlen=0)
            except csv.Error as error:
                if _is_endless(error):
                    return True
            else:
                return False

    def luggage(self) -> Any:
        """What another process would find out anew."""
        return self.columns(), self._delimiter, self._behind_header

    def take_up(self, luggage: Any) -> None:
        """Begin with what another process found out."""
        self._header, self._delimiter, self._behind_header = luggage

    def scan(
        self,
        keys: list[str],
        used: list[str],  # noqa: ARG002 - a row is hashed as a whole
        seed: int,
        complain: Complain,
        part: Part | None = None,
    ) -> Iterator[Block]:
        """The `keys` columns, the raw hashes and the locators of all rows, or those of a stretch.

        What is told to `complain` comes after the rows before it.
        """
        header = self.columns()
        positions = [header.index(key) for key in keys]
        width = len(header)
        found: list[list[str]]
        locators: list[bytes]
        if part is not None and (plain := self._plain_rows(part, width)):
            found, locators = plain
            for start in range(0, len(found), _TOGETHER):
                some = slice(start, start + _TOGETHER)
                yield _block(found[some], locators[some], positions, seed)
            return
        lines = _Lines(self._file, part)
        rows = self._reader(lines)
        if part is None:
            next(row for row in rows if any(map(str.strip, row)))  # the header
        found, locators = [], []
        while True:
            offset, number = lines.offset, lines.number + 1
            wrong = None
            try:
                row = next(rows, None)
            except csv.Error as error:
                self._stop_if_endless(error, number)
                wrong = ("row is malformed", f"malformed: {error}")
            else:
                if row is None:
                    break
                if len(row) == width or (len(row) > width and not any(row[width:])):
                    found.append(row[:width])
                    locators.append(self._locator(lines, offset, number))
                elif row:
                    detail = f"{len(row)} cells, but the header names {width} columns"
                    wrong = ("row doesn't fit the header", detail)
            if wrong or len(found) == _TOGETHER:
                yield _block(found, locators, positions, seed)
                found, locators = [], []
            if wrong:
                complain(self._locator(lines, offset, number), *wrong)
        yield _block(found, locators, positions, seed)

    def _plain_rows(self, part: Part, width: int) -> tuple[list[list[str]], list[bytes]] | None:
        """The rows of a stretch and their locators, if every line is a row, which is found out at once."""
        begin, end, number = part
        if end - begin > _LONGEST:
            return None
        with self._file.pieces() as piece:
            content = piece(begin, end - begin)
        lines = content.split(b"\n")
        sizes = [len(line) + 1 for line in lines[:-1]] + ([len(lines[-1])] if lines[-1] else [])
        try:
            rows = list(self._reader(content.decode().split("\n")[: len(sizes)]))
        except (csv.Error, UnicodeDecodeError):
            return None
        # A row with line ends inside of quotes takes several lines.
        if len(rows) != len(sizes) or set(map(len, rows)) != {width}:
            return None
        return rows, list(map(_LOCATOR.pack, accumulate(sizes, initial=begin), sizes, count(number)))

    def read(self, used: list[str], seed: int, picks: Iterable[Pick]) -> Iterator[tuple[list[Pick], list[list[Any]]]]:
        """Blocks of picks with their `used` columns. Raises SourceError when a row has changed."""
        header = self.columns()
        positions = [header.index(name) for name in used]
        with self._file.pieces() as piece:
            picks = iter(picks)
            while some := list(islice(picks, _TOGETHER)):
                rows = [self._picked(pick, piece, len(header), seed) for pick in some]
                yield some, [[row[position] for row in rows] for position in positions]

    def _picked(self, pick: Pick, piece: Callable[[int, int], bytes], width: int, seed: int) -> list[str]:
        _, raw, locator = pick
        offset, length, _ = _LOCATOR.unpack(locator)
        row = self._parsed(piece(offset, length), width)
        if len(row) != width or (raw != LOOK_AGAIN and raw != raw_hash(_SEPARATOR.join(row).encode(), seed)):
            fix = "wait until it is complete, then try again"
            raise SourceError("the file changed while it was read", where=self._file.name, fix=fix)
        return row

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

    def _stop_if_endless(self, error: csv.Error, number: int) -> None:
        """A quote that is never closed swallows all rows behind it."""
        if _is_endless(error):
            what = (
                f"line {number}: a quote is never closed, or a cell is longer than {csv.field_size_limit():,} letters"
            )
            raise SourceError(what, where=self._file.name) from error

    def _locator(self, lines: _Lines, offset: int, number: int) -> bytes:
        return _LOCATOR.pack(offset, min(lines.offset - offset, 0xFFFFFFFF), number)


class _Lines:
    """Decoded lines of a file; `offset` and `number` say how far they have been taken."""

    def __init__(self, file: LineFile, part: Part | None = None) -> None:
        self._name = file.name
        self._lines = file.lines(part)
        self.offset, self.number = (part[0], part[2] - 1) if part else (0, 0)

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


def _block(rows: list[list[str]], locators: list[bytes], positions: list[int], seed: int) -> Block:
    columns: list[list[Any]] = [[row[position] for row in rows] for position in positions]
    raws = [xxh3_64_digest(_SEPARATOR.join(row).encode(), seed) for row in rows]
    if LOOK_AGAIN in raws:
        raws = [raw_hash(_SEPARATOR.join(row).encode(), seed) for row in rows]
    return columns, raws, locators


def _is_endless(error: csv.Error) -> bool:
    return "unexpected end" in str(error) or "field larger" in str(error)


def _delimiter(header: str) -> str:
    return next((each for each in (",", ";", "\t") if each in header), ",")
