"""The image entries of a COCO file: read, and matched to the files of a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from nucleus_sync.sources.coco_label import Id, named, plain_id
from nucleus_sync.sources.image_table import ImageRows, State
from nucleus_sync.sources.json_slices import JsonFile, Section
from nucleus_sync.sources.media import path_fields
from nucleus_sync.sources.names import Listing, Match, Miss, clean
from nucleus_sync.sources.template import FieldError, Template
from nucleus_sync.sources.walk import shown

PATH_FIELDS = frozenset(("file_name", "path", "parent", "name", "stem", "suffix", "ext"))
"""What templates may name of a path."""

_MOST_PIXELS = 1 << 31
_plain_name = re.compile(r"[\w-][\w.@+()-]*(?:/[\w-][\w.@+()-]*)*").fullmatch
"""A quick yes for names that are relative paths as they should be, and fit to be reference ids."""


class _Entry(Struct, gc=False):
    """What every image entry needs."""

    id: Id | None = None
    file_name: str | None = None
    width: int | float | None = None
    height: int | float | None = None


class Plain(Struct, gc=False):
    """An entry about which there is nothing to say: its name is its path and its reference id."""

    file_name: str
    id: Id | None = None
    width: int | float | None = None
    height: int | float | None = None

    def is_plain(self) -> bool:
        """Whether it is one; its size is pixels then, or zeros."""
        width, height = self.width, self.height
        if not (width.__class__ is int is height.__class__ and 0 < width <= _MOST_PIXELS >= height > 0):
            self.width, self.height = _pixels(width), _pixels(height)
        return _plain_name(self.file_name) is not None


_entry = msgspec.json.Decoder(_Entry).decode
_plain = msgspec.json.Decoder(Plain).decode
_plains = msgspec.json.Decoder(list[Plain]).decode
_errors = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Place(NamedTuple):
    """Where an entry lies in its file."""

    offset: int
    length: int
    number: int


@dataclass(frozen=True, slots=True)
class Image:
    """One image entry, matched: `path` is its file relative to the folder, or its cleaned name without one.

    An image whose file is missing has the reference id that it would have, empty where that can't be told.
    """

    id: Id | None
    file_name: str
    width: float
    height: float
    path: str
    reference_id: str
    note: tuple[str, str] | None = None
    """(cause, detail) of how the name was matched, where it wasn't to the letter."""
    state: State = State.SOUND
    cause: str = ""
    """Why it can't be used, for all of its kind."""
    detail: str = ""
    fix: str | None = None

    @property
    def called(self) -> str:
        """The image as its author would call it."""
        name = f" ({shown(self.file_name)})" if self.file_name else ""
        return f"image {'without id' if self.id is None else self.id}{name}"

    @property
    def has_size(self) -> bool:
        """Whether the entry says a size that can be one."""
        return self.width > 0 and self.height > 0


class ImageEntries:
    """Reads image entries; `listing` is the folder that each file_name must be in, None where there is none."""

    def __init__(self, document: JsonFile, section: Section, reference_id: Template, listing: Listing | None) -> None:
        self._document = document
        self._section = section
        self._reference_id = reference_id
        self._listing = listing
        self._is_plain = reference_id.text == "{file_name}"
        self._may_be_plain = self._is_plain and listing is None
        self._needs_all = not reference_id.fields <= PATH_FIELDS

    def all(self, which: range | None = None) -> Iterator[tuple[Place, bytes]]:
        """Every entry's place and bytes, or those in some windows."""
        for window in self._document.windows(self._section, which):
            for number, raw in enumerate(window.raws):
                yield Place(window.offsets[number], window.lengths[number], window.first + number), raw

    def image(self, content: bytes, offset: int) -> Image:
        """One entry, matched; whatever is wrong is in its state, cause and detail."""
        try:
            entry = _entry(content)
        except _errors:
            entry, wrong = self._lenient(content, offset)
            if wrong:
                return Image(entry.id, "", 0, 0, "", "", None, State.UNUSABLE, *wrong)
        width, height = _pixels(entry.width), _pixels(entry.height)
        name = entry.file_name
        if not name:
            return Image(entry.id, "", width, height, "", "", None, State.UNUSABLE, "no file_name", "no file_name")
        path, note, miss = self._matched(name)
        if miss:
            cause, fix = "file not found", "bring the file, or correct file_name or `images`"
            meant = self._named(entry.id, name, width, height, clean(name), None, content, offset)
            return replace(meant, state=State.MISSING, cause=cause, detail=miss.note, fix=fix)
        return self._named(entry.id, name, width, height, path, note, content, offset)

    def plain(self, content: bytes) -> Plain | None:
        """An entry about which there is nothing to say; None where a closer look has to be taken."""
        if not self._may_be_plain:
            return None
        try:
            entry = _plain(content)
        except _errors:
            return None
        return entry if entry.is_plain() else None

    def fields(self, content: bytes, offset: int, path: str) -> dict[str, Any]:
        """What templates over an entry may name: its own fields, and the parts of its path."""
        element = self._document.decoded(content, offset)
        own = element if isinstance(element, dict) else {}
        return {**own, **fields_of(path)}

    def rows(self, window: int) -> ImageRows:
        """The images of a window as rows of their table."""
        plain = self._plain_rows(window) if self._may_be_plain else None
        if plain is not None:
            return plain
        rows = ImageRows()
        for place, raw in self.all(range(window, window + 1)):
            self.add(rows, self.image(raw, place.offset))
        return rows

    def add(self, rows: ImageRows, image: Image) -> None:
        """An image as a row of the table."""
        if image.id is None:
            return  # nothing can refer to it
        if image.state:
            state = image.state if image.reference_id else State.UNUSABLE
            rows.add_unusable(image.id, state, image.detail, image.reference_id or image.file_name)
        else:
            rows.add(image.id, image.reference_id, image.width, image.height, image.path)

    def _plain_rows(self, window: int) -> ImageRows | None:
        rows = ImageRows()
        try:
            for entry in _plains(b"[%b]" % self._document.text_of(self._section, window)):
                if not entry.is_plain():
                    return None
                add_plain(rows, entry)
        except _errors:
            return None
        return rows

    def _lenient(self, content: bytes, offset: int) -> tuple[_Entry, tuple[str, str] | None]:
        element = self._document.decoded(content, offset)
        if not isinstance(element, dict):
            return _Entry(), ("not an object", f"is {named(element)}, not an object")
        name = element.get("file_name")
        entry = _Entry(plain_id(element.get("id")), None, _number(element.get("width")), _number(element.get("height")))
        if not isinstance(name, str):
            return entry, ("file_name is not a text", f"file_name is {named(name)}, not a text")
        entry.file_name = name
        return entry, None

    def _matched(self, name: str) -> tuple[str, tuple[str, str] | None, Miss | None]:
        if self._listing is not None:
            found = self._listing.match(name)
            if isinstance(found, Miss):
                return "", None, found
            return found.path, _match_note(found), None
        path = clean(name)
        if not path:
            return "", None, Miss(None, f"file_name {shown(name)!r} names no file")
        return path, None if path == name else ("file_name was cleaned", f"{shown(name)} is taken as {path}"), None

    def _named(
        self,
        image_id: Id | None,
        name: str,
        width: float,
        height: float,
        path: str,
        note: tuple[str, str] | None,
        content: bytes,
        offset: int,
    ) -> Image:
        """The image with its reference id."""
        try:
            reference_id = (
                path if self._is_plain else self._reference_id.render(self._key_fields(content, offset, path))
            )
            reference_id.encode()
        except FieldError as error:
            wrong = ("reference_id can't be made", f"reference_id can't be made: {error}")
            return Image(image_id, name, width, height, path, "", note, State.UNUSABLE, *wrong)
        except UnicodeEncodeError:
            wrong = ("reference_id is not Unicode text", "reference_id holds half a character (a lone surrogate)")
            return Image(image_id, name, width, height, path, "", note, State.UNUSABLE, *wrong)
        if not reference_id or "\x00" in reference_id:
            wrong = ("reference_id is empty", "reference_id is empty or holds a NUL")
            return Image(image_id, name, width, height, path, "", note, State.UNUSABLE, *wrong)
        return Image(image_id, name, width, height, path, reference_id, note)

    def _key_fields(self, content: bytes, offset: int, path: str) -> dict[str, Any]:
        if self._needs_all:
            return self.fields(content, offset, path)
        return fields_of(path)


def fields_of(path: str) -> dict[str, Any]:
    """What templates may name of a path."""
    parts = path_fields(path)
    return {**parts, "file_name": path, "ext": parts["suffix"]}


def add_plain(rows: ImageRows, entry: Plain) -> None:
    """A plain entry as a row of the table."""
    if entry.id is not None:
        rows.add(entry.id, entry.file_name, entry.width or 0, entry.height or 0, entry.file_name)


def _match_note(found: Match) -> tuple[str, str] | None:
    return (f"file_name matched: {found.how}", found.note) if found.note else None


def _pixels(value: float | None) -> float:
    return value if value is not None and 0 < value <= _MOST_PIXELS else 0


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool | list | dict) else float(value)
    except (ValueError, OverflowError):
        return None
