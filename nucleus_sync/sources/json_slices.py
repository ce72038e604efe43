"""The elements of a JSON file's top-level arrays, in windows that are cut without decoding them, in flat memory."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from msgspec import Raw

from nucleus_sync.errors import SourceError
from nucleus_sync.sources.json_cut import (
    SPACE,
    byte_in,
    end_of_value,
    first_key,
    fit,
    is_cut_off,
    offsets_of,
    raws_of,
    reason_of,
    tame,
)

WINDOW = 64 * 1024
"""Bytes; small enough to stay in a processor's cache, which doubles the speed against 1 MiB."""
LONGEST = 256 * 1024 * 1024
"""Bytes of one element or one value outside the arrays, beyond which a file is refused."""


class Window(NamedTuple):
    """Neighbouring elements: `raws[i]` lies at `offsets[i]` of the file and is element `first + i`."""

    raws: list[bytes]
    offsets: list[int]
    lengths: list[int]
    first: int

    def elements(self) -> Iterator[tuple[bytes, int, int]]:
        """Each element with its offset and length."""
        return zip(self.raws, self.offsets, self.lengths, strict=True)


class Seams:
    """Where the windows of an array lie, as they were cut when its end was looked for; 24 bytes a window."""

    def __init__(self) -> None:
        self.starts = array("Q")
        self.lengths = array("Q")
        self.firsts = array("Q", [0])
        """Number of the first element; one more than there are windows: the last is the number of all elements."""

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, start: int, length: int, count: int) -> None:
        """Note the next window."""
        self.starts.append(start)
        self.lengths.append(length)
        self.firsts.append(self.firsts[-1] + count)

    def stretches(self, about: int) -> Iterator[tuple[int, range]]:
        """All windows in groups of about so many elements: how many there are in truth, and the windows' numbers."""
        begin = 0
        for number in range(1, len(self) + 1):
            count = self.firsts[number] - self.firsts[begin]
            if count >= about or number == len(self):
                yield count, range(begin, number)
                begin = number


@dataclass(frozen=True, slots=True)
class Section:
    """A top-level value: the byte range `start` to `end`; `name` is empty for a list that is the whole file."""

    name: str
    kind: Literal["array", "object", "other"]
    start: int
    end: int
    seams: Seams = field(default_factory=Seams)


class JsonFile:
    """A JSON file whose top-level arrays are read in slices. Raises SourceError for whatever is wrong with it."""

    def __init__(self, path: Path, shown: str) -> None:
        """`shown` is the file as the user wrote it."""
        self.path = path
        self.shown = shown
        self._descriptor = -1
        self._sections: dict[str, Section] | None = None
        self._stat: tuple[int, int, int] = (0, 0, 0)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)

    @property
    def size(self) -> int:
        """Bytes in the file as it was opened."""
        return self._stat[0]

    def sections(self) -> dict[str, Section]:
        """The top-level values by name; a file that is a list has one section with an empty name."""
        if self._sections is None or self._changed():
            self._open()
            self._sections = self._index()
        return self._sections

    def index(self) -> tuple[tuple[int, int, int], dict[str, Section]]:
        """Where the sections lie in the file as it is now, for another process to `adopt`."""
        sections = self.sections()
        return self._stat, sections

    def adopt(self, index: tuple[tuple[int, int, int], dict[str, Section]]) -> None:
        """Take over an index; where it is of an older file it is made anew when it is used."""
        self._open()
        stat, sections = index
        self._sections = sections if stat == self._stat else None

    def value(self, section: Section) -> Any:
        """A section decoded as a whole: for small ones."""
        return self.decoded(self.bytes_at(section.start, section.end - section.start), section.start)

    def decoded(self, element: bytes | Raw, offset: int) -> Any:
        """One element or value decoded; NaN and Infinity become what they say."""
        return decoded(element, lambda byte, why: self.broken(offset + byte, why))

    def windows(self, section: Section, which: range | None = None) -> Iterator[Window]:
        """The elements of an array, in order: all, or those of some windows."""
        seams = section.seams
        for number in range(len(seams)) if which is None else which:
            text, start = self.text_of(section, number), seams.starts[number]
            raws = raws_of(text, len(text))
            if raws is None:
                raise SourceError("changed while it was read", where=self.shown, fix="wait until its writer is done")
            elements = list(map(bytes, raws))
            lengths = list(map(len, elements))
            yield Window(elements, offsets_of(text, elements, lengths, start), lengths, seams.firsts[number])

    def text_of(self, section: Section, window: int) -> bytes:
        """The elements of a window as they stand in the file."""
        return self.bytes_at(section.seams.starts[window], section.seams.lengths[window])

    def bytes_at(self, offset: int, length: int) -> bytes:
        """Bytes of the file; SourceError when it has become shorter."""
        parts = []
        while length > 0:
            part = os.pread(self._descriptor, length, offset)
            if not part:
                raise SourceError(
                    "became shorter while it was read", where=self.shown, fix="wait until its writer is done"
                )
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Where a byte lies, as an editor counts: from 1, columns in characters."""
        line, line_start, position = 1, 0, 0
        while position < offset:
            part = self.bytes_at(position, min(1 << 20, offset - position))
            newlines = part.count(b"\n")
            if newlines:
                line, line_start = line + newlines, position + part.rindex(b"\n") + 1
            position += len(part)
        before = self.bytes_at(max(line_start, offset - (1 << 20)), min(offset - line_start, 1 << 20))
        text = before.decode("utf-8", "replace")
        return line, len(text.removeprefix("\ufeff")) + 1

    def broken(self, offset: int, why: str) -> NoReturn:
        """Raise SourceError: the JSON is broken at this byte."""
        if offset >= self.size:
            self._truncated()
        line, column = self.line_and_column(offset)
        raise SourceError(
            f"not valid JSON: {why}",
            where=f"{self.shown}: line {line}, column {column}",
            fix="export the file again, or mend it at that place",
        )

    # --- opening ------------------------------------------------------------------------------------------------

    def _changed(self) -> bool:
        try:
            stat = os.stat(self.path)
        except OSError:
            return True
        return (stat.st_size, stat.st_mtime_ns, stat.st_ino) != self._stat

    def _open(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            stat = os.fstat(self._descriptor)
            os.pread(self._descriptor, 1, 0)
        except OSError as error:
            raise unreadable(error, self.shown) from None
        self._stat = (stat.st_size, stat.st_mtime_ns, stat.st_ino)

    def _index(self) -> dict[str, Section]:
        start = self._skip_blanks(self._after_mark())
        if start >= self.size:
            raise SourceError(
                "is empty" if self.size == 0 else "holds nothing but blanks",
                where=self.shown,
                fix="check the export that should have written it",
            )
        match self._byte(start):
            case b"{":
                sections, end = self._index_object(start)
            case b"[":
                section = self._section("", start)
                sections, end = {"": section}, section.end
            case _:
                section = self._section("", start)
                raise SourceError(
                    f"holds {_named_value(self.bytes_at(start, min(40, section.end - start)))} instead of an object",
                    where=self.shown,
                    fix='a COCO file is an object with "images", "annotations" and "categories"',
                )
        end = self._skip_blanks(end)
        if end < self.size:
            self.broken(end, "there is something after the end of the document")
        return sections

    def _after_mark(self) -> int:
        """Where the text starts; SourceError for what is not UTF-8."""
        head = self.bytes_at(0, min(4, self.size))
        if head[:3] == b"\xef\xbb\xbf":
            return 3
        encoding = _foreign_encoding(head)
        if encoding:
            raise SourceError(f"is {encoding}, not JSON in UTF-8", where=self.shown, fix=_way_out(encoding))
        return 0

    def _index_object(self, start: int) -> tuple[dict[str, Section], int]:
        sections: dict[str, Section] = {}
        position = self._skip_blanks(start + 1)
        if self._byte(position) == b"}":
            return sections, position + 1
        while True:
            if self._byte(position) != b'"':
                self.broken(position, "expected a key in double quotes")
            name, position = self._key(position)
            if name in sections:
                self.broken(position, f'the key "{name}" is there twice')
            section = sections[name] = self._section(name, self._skip_blanks(position))
            position = self._skip_blanks(section.end)
            match self._byte(position):
                case b",":
                    position = self._skip_blanks(position + 1)
                case b"}":
                    return sections, position + 1
                case _:
                    self.broken(position, "expected a comma or the end of the object")

    def _key(self, start: int) -> tuple[str, int]:
        end = self._value_end(start)
        name = self.decoded(self.bytes_at(start, end - start), start)
        colon = self._skip_blanks(end)
        if self._byte(colon) != b":":
            self.broken(colon, f'expected a colon after the key "{name}"')
        return name, colon + 1

    def _section(self, name: str, start: int) -> Section:
        match self._byte(start):
            case b"[":
                seams = Seams()
                return Section(name, "array", start, self._array_end(start, seams), seams)
            case b"{":
                return Section(name, "object", start, self._value_end(start))
            case _:
                return Section(name, "other", start, self._value_end(start))

    def _array_end(self, start: int, seams: Seams) -> int:
        end = self._skip_blanks(start + 1)
        for count, offset, length in self._slices(start):
            end = offset + length
            seams.add(offset, length, count)
        return self._skip_blanks(end) + 1

    def _value_end(self, start: int) -> int:
        """The end of a value that isn't sliced: decoded as raw, the decoder says where it ends."""
        size = 4096
        while True:
            text = self._some(start, size)
            end = end_of_value(tame(text))
            if isinstance(end, int) and (end < len(text) or start + len(text) >= self.size):
                return start + end
            if isinstance(end, str):
                self._complain(start, text, end)
            if size > LONGEST:
                self.broken(start, f"a value of more than {LONGEST >> 20} MiB")
            size *= 4

    # --- slicing ------------------------------------------------------------------------------------------------

    def _slices(self, start: int) -> Iterator[tuple[int, int, int]]:
        """How many elements of the array at `start` lie where: the offset of the first one, and the bytes of them."""
        position = self._skip_blanks(start + 1)
        if self._byte(position) == b"]":
            return
        limit = self.size
        size = WINDOW
        hint = b""
        while True:
            text = self._some(position, min(size, limit - position))
            found = fit(text, hint, whole=position + len(text) >= limit)
            if isinstance(found, str):
                self._complain(position - 1, b"[" + text, found)
                if size > LONGEST:
                    self.broken(position, f"an element of more than {LONGEST >> 20} MiB")
                size *= 4
                continue
            yield found.count, position, found.length
            if found.last:
                return
            hint = hint or first_key(text)
            position = self._skip_blanks(self._skip_blanks(position + found.length) + 1)
            size = WINDOW

    def _complain(self, start: int, text: bytes, why: str) -> None:
        """Raise SourceError unless more text may help: a number or word that is cut looks broken, too."""
        at_end = start + len(text) >= self.size
        if not is_cut_off(why, b"" if at_end else text):
            self.broken(start + byte_in(why), reason_of(why))
        if at_end:
            self._truncated()

    def _truncated(self) -> NoReturn:
        line, column = self.line_and_column(self.size)
        raise SourceError(
            "the JSON is cut off: the file ends in the middle",
            where=f"{self.shown}: line {line}, column {column}",
            fix="it may still be being written: try again once its writer is done, or export it again",
        )

    def _some(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def _byte(self, offset: int) -> bytes:
        found = self._some(offset, 1)
        if not found:
            self._truncated()
        return found

    def _skip_blanks(self, offset: int) -> int:
        """The first byte from here that isn't a blank; the file's size at its end."""
        while True:
            text = self._some(offset, 256)
            found = len(text) - len(text.lstrip(SPACE))
            offset += found
            if found < len(text) or not text:
                return offset


def decoded(element: bytes | Raw, broken: Any) -> Any:
    """One JSON value as Python has it; `broken(byte, why)` is called when it is none."""
    import json

    content = bytes(element)
    try:
        return json.loads(content.decode("utf-8", "surrogatepass"))
    except json.JSONDecodeError as error:
        return broken(len(error.doc[: error.pos].encode("utf-8", "surrogatepass")), _first_lower(error.msg))
    except UnicodeDecodeError as error:
        return broken(error.start, "bytes that are not UTF-8")
    except RecursionError:
        return broken(0, "nested too deeply")
    except ValueError as error:  # a number of more than 4300 digits
        return broken(0, str(error).partition(";")[0])


def unreadable(error: OSError, shown: str) -> SourceError:
    """What the system's refusal to open a file means for the user."""
    match error:
        case FileNotFoundError():
            return SourceError("the file is not there", where=shown, fix="correct `path`, or bring the file back")
        case IsADirectoryError():
            return SourceError("is a folder, not a file", where=shown, fix="name the JSON file in it")
        case PermissionError():
            return SourceError("may not be read", where=shown, fix="give this user permission to read it")
        case _:
            return SourceError(f"can't be read: {error.strerror or error}", where=shown)


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _named_value(text: bytes) -> str:
    if text[:1] == b'"':
        return "a text"
    return "null" if text == b"null" else text.decode("utf-8", "replace")


def _foreign_encoding(head: bytes) -> str:
    if head[:4] in (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"):
        return "UTF-32"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (b"\x00" in head[:2] and len(head) > 1):
        return "UTF-16"
    return {b"\x1f\x8b": "compressed (gzip)", b"\x28\xb5": "compressed (zstd)", b"PK": "a ZIP archive"}.get(
        head[:2], ""
    )


def _way_out(encoding: str) -> str:
    if encoding.startswith("UTF"):
        return f"convert it: iconv -f {encoding} -t UTF-8 OLD.json > NEW.json"
    return "unpack it, and name the JSON file itself"
