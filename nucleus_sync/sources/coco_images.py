"""The image entries of a COCO file: read, matched to the files of a folder, and made into items."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct

from nucleus_sync.records.facts import Facts
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.sources.coco_label import Id, named, plain_id
from nucleus_sync.sources.image_table import ImageRows, ImageTable, State, TableParts
from nucleus_sync.sources.json_slices import JsonFile, Section
from nucleus_sync.sources.media import path_fields, upload_name
from nucleus_sync.sources.names import Listing, Match, Miss, clean
from nucleus_sync.sources.template import FieldError, Template
from nucleus_sync.sources.walk import shown

_PATH_FIELDS = frozenset(("file_name", "path", "parent", "name", "stem", "suffix", "ext"))

_MOST_PIXELS = 1 << 31
_plain_name = re.compile(r"[\w-][\w.@+()-]*(?:/[\w-][\w.@+()-]*)*").fullmatch
"""A quick yes for names that are relative paths as they should be, and fit to be reference ids."""


class _Entry(Struct, gc=False):
    """What every image entry needs."""

    id: Id | None = None
    file_name: str | None = None
    width: int | float | None = None
    height: int | float | None = None


_entry = msgspec.json.Decoder(_Entry).decode
_entries = msgspec.json.Decoder(list[_Entry]).decode
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
        self._needs_all = not reference_id.fields <= _PATH_FIELDS

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

    def fields(self, content: bytes, offset: int, path: str) -> dict[str, Any]:
        """What templates over an entry may name: its own fields, and the parts of its path."""
        element = self._document.decoded(content, offset)
        own = element if isinstance(element, dict) else {}
        parts = path_fields(path)
        return {**own, **parts, "file_name": path, "ext": parts["suffix"]}

    def table(self, scratch: Path) -> ImageTable:
        """All images by id; a large table lies in a file of the scratch folder."""
        parts = TableParts(self._section.seams.firsts[-1])
        for number in range(len(self._section.seams)):
            parts.extend(self._plain_rows(number) or self._rows(number))
        return parts.settled(scratch)

    def _plain_rows(self, window: int) -> ImageRows | None:
        """The images of a window about which there is nothing to say; None where a closer look has to be taken."""
        if not self._is_plain or self._listing is not None:
            return None
        rows = ImageRows()
        try:
            for entry in _entries(b"[%b]" % self._document.text_of(self._section, window)):
                image_id, name = entry.id, entry.file_name
                if image_id is None or name is None or _plain_name(name) is None:
                    return None
                rows.add(image_id, name, _pixels(entry.width), _pixels(entry.height), name)
        except _errors:
            return None
        return rows

    def _rows(self, window: int) -> ImageRows:
        rows = ImageRows()
        for place, raw in self.all(range(window, window + 1)):
            image = self.image(raw, place.offset)
            if image.id is None:
                continue  # nothing can refer to it
            if image.state:
                state = image.state if image.reference_id else State.UNUSABLE
                rows.add_unusable(image.id, state, image.detail, image.reference_id or image.file_name)
            else:
                rows.add(image.id, image.reference_id, image.width, image.height, image.path)
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
        parts = path_fields(path)
        return {**parts, "file_name": path, "ext": parts["suffix"]}


MakeUrl = Callable[[Mapping[str, Any]], str]


def url_template(text: str) -> MakeUrl:
    """What makes an image's address. In http addresses the fields are percent-encoded, slashes stay."""
    render = Template(text).render
    if not text.lower().startswith(("http://", "https://")):
        return render
    return lambda fields: render({name: _quoted(value) for name, value in fields.items()})


def local_item(image: Image, metadata: dict[str, Any], place: str, facts: Facts) -> LocalItem:
    """The item of a file that is uploaded."""
    item = _item(image, metadata, upload_name(image.path), facts)
    return LocalItem(item=item, path=place, size=facts.size, digest=facts.digest)


def remote_item(image: Image, metadata: dict[str, Any], url: str, facts: Facts | None) -> Item:
    """The item of an image that Nucleus reads itself."""
    return _item(image, metadata, url, facts)


def size_note(image: Image, facts: Facts) -> tuple[str, str] | None:
    """(cause, detail) where the file's own size isn't the one that its entry says."""
    if not image.has_size or not facts.width or (image.width, image.height) == (facts.width, facts.height):
        return None
    if is_rotated(facts) and (image.height, image.width) == (facts.width, facts.height):
        return None  # said with the orientation
    detail = f"JSON says {image.width:g}x{image.height:g}, the file is {facts.width}x{facts.height}"
    return "size differs from the file's", detail


def is_rotated(facts: Facts) -> bool:
    """Whether EXIF turns the picture on its side."""
    return f"shown {facts.height}x{facts.width}" in facts.finding and facts.width != facts.height


def orientation_words(image: Image, facts: Facts) -> str:
    """Which of a turned picture's two sizes the file uses."""
    if not image.has_size or not is_rotated(facts):
        return ""
    shape = (image.width, image.height)
    if shape == (facts.width, facts.height):
        return "; JSON uses the stored size"
    return "; JSON uses the shown size" if shape == (facts.height, facts.width) else ""


def _item(image: Image, metadata: dict[str, Any], url: str, facts: Facts | None) -> Item:
    width, height = (image.width, image.height) if image.has_size else (facts.width, facts.height) if facts else (0, 0)
    return Item(
        metadata=metadata,
        reference_id=image.reference_id,
        width=_whole(width) or UNSET,
        height=_whole(height) or UNSET,
        image_url=url,
    )


def _match_note(found: Match) -> tuple[str, str] | None:
    return (f"file_name matched: {found.how}", found.note) if found.note else None


def _pixels(value: float | None) -> float:
    return value if value is not None and 0 < value <= _MOST_PIXELS else 0


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool | list | dict) else float(value)
    except (ValueError, OverflowError):
        return None


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _quoted(value: Any) -> Any:
    return quote(value, safe="/") if isinstance(value, str) else value
