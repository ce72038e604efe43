"""Lines of a text file with their places: plain, gzip, Zstandard, or standard input."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import zstandard

from nucleus_sync.errors import SourceError
from nucleus_sync.sources.reader import FileState

LONGEST_LINE = 64 << 20
"""A longer line is no record, but a file of another kind or an attack."""

_BUFFER = 1 << 20
_BITE = 1 << 10
_FEW = 4 << 20
"""Bytes that one process scans before others have started."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_FREE_BYTES = 1 << 30
_MOST_EXPANSION = 1000
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)


Part = tuple[int, int, int]
"""Neighbouring lines of a plain file: where they begin, where they end, and the number of the first one."""


class PlacedLine(NamedTuple):
    """A line with its newline; `offset` is in the decompressed stream, `number` counts from 1."""

    number: int
    offset: int
    line: bytes


class LineFile:
    """A file of lines; `-` is standard input, which is copied to the scratch folder once."""

    def __init__(self, path: Path, shown: str, scratch: Path) -> None:
        self._path = path
        self._shown = shown
        self._spool = scratch / "stdin"

    @property
    def is_stdin(self) -> bool:
        """Whether the lines come from standard input."""
        return self._shown == "-"

    @property
    def name(self) -> str:
        """The file as the user wrote it."""
        return "standard input" if self.is_stdin else self._shown

    @property
    def is_plain(self) -> bool:
        """Whether any place of the file can be read without what lies before it."""
        if self.is_stdin:
            return False
        with self._opened() as (file, _):
            return isinstance(file, BufferedReader) and file.raw.__class__ is FileIO

    def state(self) -> FileState:
        """Raises SourceError when the file is gone."""
        try:
            stat = os.stat(self._place())
        except OSError as error:
            raise self._gone(error) from error
        identity = f"{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}"
        return FileState(identity.encode(), stat.st_mtime_ns, 1, stat.st_size)

    def lines(self, part: Part | None = None) -> Iterator[PlacedLine]:
        """Every line, or those of one part, in order, as plain tuples in the shape of PlacedLine.

        Raises SourceError for what can't be read, UTF-16, and lines without end.
        """
        offset, end, first = part or (0, None, 1)
        with self._opened() as (file, limit):
            if offset:
                file.seek(offset)
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), first):
                if offset == end:
                    return
                if len(line) >= LONGEST_LINE or offset > limit:
                    raise self._too_much(number, line)
                if number == 1:
                    self._check_encoding(line)
                yield number, offset, line  # type: ignore[misc]
                offset += len(line)

    def parts(self, begin: int = 0, number: int = 1) -> list[tuple[int, Part]]:
        """A large plain file, from an offset and the number of its line on, in parts, each with the count of its lines.

        None where only its beginning can be found. A line that is too long for a record is for `lines` to complain of.
        """
        if not self.is_plain or os.path.getsize(self._path) < _FEW:
            return []
        found: list[tuple[int, Part]] = []
        with self._opened() as (file, _):
            offset = begin
            file.seek(begin)
            while content := file.read(_BUFFER):
                end = offset + content.rfind(b"\n") + 1
                offset += len(content)
                if end > begin and b"\n" in content:
                    count = content.count(b"\n")
                    found.append((count, (begin, end, number)))
                    begin, number = end, number + count
                elif offset - begin >= LONGEST_LINE:
                    return []
            if offset > begin:
                found.append((1, (begin, offset, number)))
        return found

    @contextmanager
    def pieces(self) -> Iterator[Callable[[int, int], bytes]]:
        """What gives (offset, length) of the decompressed bytes, asked for in ascending order."""
        with self._opened() as (file, _):
            yield partial(_piece, file) if file.seekable() else _Forward(file).piece

    def _place(self) -> Path:
        if not self.is_stdin:
            return self._path
        if not self._spool.exists():
            with open(self._spool.with_suffix(".part"), "wb") as spool:
                shutil.copyfileobj(sys.stdin.buffer, spool, _BUFFER)
            os.replace(self._spool.with_suffix(".part"), self._spool)
        return self._spool

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, int]]:
        """The decompressed bytes, and how many of them are believable."""
        try:
            with open(self._place(), "rb", buffering=_BUFFER) as file:
                size = os.fstat(file.fileno()).st_size
                with _decompressed(file) as plain:
                    yield plain, max(_FREE_BYTES, _MOST_EXPANSION * size)
        except _BROKEN as error:
            what = f"the compressed file is damaged or cut off: {error}"
            raise SourceError(what, where=self.name, fix="write it again") from error
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: OSError) -> SourceError:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else f"can't be read: {error.strerror}"
        return SourceError(what, where=self.name, fix="correct `path`, or bring the file back")

    def _too_much(self, number: int, line: bytes) -> SourceError:
        if len(line) >= LONGEST_LINE:
            what = f"line {number} is longer than {LONGEST_LINE >> 20} MiB"
            return SourceError(what, where=self.name, fix="write one record per line")
        what = f"decompresses to more than {_MOST_EXPANSION} times its size"
        return SourceError(what, where=self.name, fix="if that is right, decompress it first")

    def _check_encoding(self, line: bytes) -> None:
        if line.startswith(_UTF16):
            raise SourceError("the file is UTF-16", where=self.name, fix="write it as UTF-8")


def without_mark(line: bytes) -> bytes:
    """A line without the byte order mark that some editors put before the first one."""
    return line.removeprefix(_BOM)


@contextmanager
def _decompressed(file: BinaryIO) -> Iterator[BinaryIO]:
    """Told by the content, not by the name."""
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(_GZIP):
        with gzip.GzipFile(fileobj=file) as unzipped, BufferedReader(cast(RawIOBase, unzipped), _BUFFER) as plain:
            yield cast(BinaryIO, plain)
    elif magic == _ZSTD:
        with BufferedReader(_Unzstd(file), _BUFFER) as plain:
            yield cast(BinaryIO, plain)
    else:
        yield file


def _piece(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


class _Forward:
    """Pieces of a stream that only goes on."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def piece(self, offset: int, length: int) -> bytes:
        while self._position < offset:
            skipped = len(self._file.read(min(_BUFFER, offset - self._position)))
            if not skipped:
                return b""
            self._position += skipped
        content = self._file.read(length)
        self._position += len(content)
        return content


class _Unzstd(RawIOBase):
    """Decompresses frame after frame; unlike the library's own stream it tells a cut-off file from a complete one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._is_inside = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._ready:
            # Small bites: a few bytes can decompress to megabytes.
            if not (bite := self._file.read(_BITE)):
                if self._is_inside:
                    raise EOFError("the last frame has no end")
                return 0
            self._ready = memoryview(b"".join(self._decompressed(bite)))
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decompressed(self, bite: bytes) -> Iterator[bytes]:
        while bite:
            yield self._frame.decompress(bite)
            self._is_inside = not self._frame.eof
            bite = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
