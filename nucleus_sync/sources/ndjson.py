"""NDJSON whose lines are already in Nucleus's wire form."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import cache
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import Annotation, BoxGeometry, Mask
from nucleus_sync.records.check import complaints
from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.item import Item
from nucleus_sync.records.key import (
    annotation_id,
    annotation_key,
    category_key,
    is_unnumbered,
    item_key,
    mask_key,
    unnumbered_key,
)
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.records.scene import LidarScene, VideoScene
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.line_file import LineFile, PlacedLine, without_mark
from nucleus_sync.sources.reader import FileState, Pick, Portable, Seen, Surroundings
from nucleus_sync.sources.scene_line import scene_of
from nucleus_sync.sources.walk import shown
from nucleus_sync.sources.wire_errors import TYPES, Why, unknown_type, why_not_json, why_not_record
from nucleus_sync.spec.place import resolve

if TYPE_CHECKING:
    from nucleus_sync.spec.source import RecordsSource

_SEED = seed_of("records", 1)
_LOCATOR = struct.Struct(">QIQ")
_PEEKED_LINES = 1000
_EXACT_IN_JAVASCRIPT = 2**53
_BY_ITEM = ("category", "multicategory")
_NO_TYPE = object()
_NULLABLE = frozenset({"width", "height", "embedding_info", "taxonomy_name", "confidence", "class_pdf"}) | {
    *("frame_rate", "video_url", "frames", "tracks", "upload_to_scale")
}
"""Left out on the wire when unset; other programs write null."""
_TRANSPORT_KEYS = frozenset({"type", "update", "item_id", "dataset_id"})


class _Head(Struct, gc=False):
    """What a scan needs of a line; members that it doesn't name are skipped, not decoded."""

    reference_id: str | None = None
    type: Any = None
    annotation_id: str | None = None
    task_id: str | None = None
    taxonomy_name: str | None = None
    image_url: Raw = Raw(b"")
    frames: Raw = Raw(b"")
    video_url: Raw = Raw(b"")
    label: Raw = Raw(b"")
    geometry: Raw = Raw(b"")


_head = msgspec.json.Decoder(_Head).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_item: Callable[[bytes], Item] = msgspec.json.Decoder(Item).decode
_annotation: Callable[[bytes], Annotation] = msgspec.json.Decoder(Annotation).decode
# One of the vendor's own examples writes a mask's index as text.
_mask: Callable[[bytes], Mask] = msgspec.json.Decoder(Mask, strict=False).decode
_box: Callable[[Raw], BoxGeometry] = msgspec.json.Decoder(BoxGeometry).decode
_any = msgspec.json.decode
_encode = msgspec.json.encode


class _Sort(Enum):
    """What a line holds; which of annotation and prediction is decided by who asks."""

    ITEM = "item"
    SCENE = "scene"
    ANNOTATION = "annotation"


_WANTED = {Kind.ITEMS: _Sort.ITEM, Kind.SCENES: _Sort.SCENE}


class RecordsReader:
    """Items, scenes, and annotations or predictions, one per line, mixed as they like.

    A line with an `image_url` is an item, one with `frames` or a `video_url` a scene, one with a `type` an annotation
    or prediction, whichever is asked for. A line that is broken belongs to what it looks like, or else to what the file
    begins with, so that it is reported once.
    """

    def __init__(self, spec: RecordsSource, surroundings: Surroundings) -> None:
        self._source = surroundings.name
        self._path = spec.path
        self._surroundings = surroundings
        self._file = LineFile(resolve(surroundings.folder, spec.path), spec.path, surroundings.scratch)

    def state(self) -> FileState:
        """Raises SourceError when the file is gone."""
        return self._file.state()

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every line of that kind, with the key that it spells out; one without an annotation id is unnumbered."""
        wanted = _WANTED.get(kind, _Sort.ANNOTATION)
        begins_with: _Sort | None = None
        pack = _LOCATOR.pack
        for number, offset, line in self._file.lines():
            if line.isspace():
                continue
            text = line.strip() if number > 1 else without_mark(line).strip()
            try:
                head = _head(text)
                sort = _sort_of(head)
                if sort is wanted and head.reference_id and (b"\\u0000" not in text or not _holds_nul(head)):
                    key = _key(head) if sort is _Sort.ANNOTATION else item_key(head.reference_id)
                    yield Seen(key, raw_hash(text, _SEED), pack(offset, len(line), number))
                    continue
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                sort = _looks_like(text)
            if sort is None:
                if begins_with is None:
                    begins_with = self._begins_with()
                sort = begins_with
            if sort is wanted:
                report(self._problem(number, _why_without_key(text)))

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """Raises SourceError when a line isn't what it was in the scan."""
        with self._file.pieces() as piece:
            for pick in picks:
                offset, length, number = _LOCATOR.unpack(pick.locator)
                text = without_mark(piece(offset, length)).strip()
                if pick.raw not in (LOOK_AGAIN, raw_hash(text, _SEED)):
                    fix = "wait until it is complete, then try again"
                    raise SourceError("the file changed while it was read", where=self._file.name, fix=fix)
                record = self._record(kind, text, pick.key, number, report)
                if record is not None:
                    yield pick, record

    def portable(self, kind: Kind) -> Portable | None:  # noqa: ARG002 - a line is a line
        """For files that are not compressed: the others can only be read from their beginning."""
        if not self._file.is_plain:
            return None
        return Portable(
            RecordsReader,
            SimpleNamespace(path=self._path),
            dataclasses.replace(self._surroundings, facts=NoFacts()),
            None,
        )

    def take_up(self, luggage: None) -> None:
        """There is nothing that a reader would have to know."""

    def where(self, kind: Kind, locator: bytes) -> Where:  # noqa: ARG002 - a line is a line
        """The file and the line."""
        return self._where(_LOCATOR.unpack(locator)[2])

    # --- decoding ---------------------------------------------------------------------------------------------

    def _record(self, kind: Kind, text: bytes, key: bytes, number: int, report: Report) -> Record | None:
        """The record of a line, with its final annotation id, or None with the reason reported."""
        found: list[Why] = []
        try:
            record = _decoded(kind, text, key, found)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            report(self._problem(number, _why(text, error), key=key))
            return None
        # Places are made only where there is something to say: it halves the time for sound records.
        if any(True for _ in complaints(record)) and not is_sound(
            record, key, self._source, self._where(number), f"line {number}", report
        ):
            return None
        for why in found:
            report(self._problem(number, why, Severity.FINDING, key))
        return record

    def _begins_with(self) -> _Sort:
        """What the first line that is sound holds."""
        for number, _, line in self._peek():
            try:
                sort = _sort_of(_head(without_mark(line) if number == 1 else line))
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                continue
            if sort is not None:
                return sort
        return _Sort.ITEM

    def _peek(self) -> Iterator[PlacedLine]:
        for placed in self._file.lines():
            if placed.number > _PEEKED_LINES:
                return
            yield placed

    def _where(self, number: int) -> Where:
        return Where(self._file.name, f"line {number}")

    def _problem(
        self, number: int, why: Why, severity: Severity = Severity.INVALID, key: bytes | None = None
    ) -> Problem:
        return Problem(self._source, self._where(number), f"line {number}", why.cause, why.detail, severity, key)


def _sort_of(head: _Head) -> _Sort | None:
    """None where a line is nothing of all that."""
    if head.image_url:
        return _Sort.ITEM
    if head.type is not None or head.geometry or head.label:
        return _Sort.ANNOTATION
    return _Sort.SCENE if head.frames or head.video_url else None


def _holds_nul(head: _Head) -> bool:
    """A key's parts are kept apart by NUL."""
    return any(
        "\x00" in (part or "") for part in (head.reference_id, head.annotation_id, head.task_id, head.taxonomy_name)
    )


def _looks_like(text: bytes) -> _Sort | None:
    """The same for a line that can't be decoded."""
    if b'"image_url"' in text:
        return _Sort.ITEM
    if b'"frames"' in text or b'"video_url"' in text:
        return _Sort.SCENE
    return _Sort.ANNOTATION if b'"type"' in text or b'"geometry"' in text else None


def _key(head: _Head) -> bytes:
    reference_id = head.reference_id or ""
    match head.type:
        case "mask":
            return mask_key(reference_id)
        case "category" | "multicategory":
            return category_key(reference_id, head.taxonomy_name)
    if head.annotation_id is not None:
        return annotation_key(reference_id, head.annotation_id, head.task_id or None)
    return unnumbered_key(reference_id, _order(head))


def _order(head: _Head) -> bytes:
    """Where a record without an id stands among its item's: by type and label, then by where its geometry begins.

    Not by its line, so that a file written in another order says the same.
    """
    first = b"".join(struct.pack(">d", number + 0.0) for number in islice(_numbers(head), 4))
    return b"\x00".join((f"{head.type}".encode(), bytes(head.label), first, raw_hash(head.geometry)))


def _numbers(head: _Head) -> Iterator[float]:
    if head.type == "box":
        try:
            box = _box(head.geometry)
        except msgspec.MsgspecError:
            return
        yield from (box.x, box.y, box.width, box.height)
    elif head.geometry:
        yield from _numbers_in(_any(head.geometry))


def _numbers_in(value: Any) -> Iterator[float]:
    match value:
        case bool():
            return
        case int() | float():
            yield float(value)
        case dict():
            for key in sorted(value):
                yield from _numbers_in(value[key])
        case list():
            for inner in value:
                yield from _numbers_in(inner)


def _decoded(kind: Kind, text: bytes, key: bytes, found: list[Why]) -> Record:
    """The record of a line; what is worth knowing goes to `found`."""
    members = _members(text)
    try:
        record = _as_asked(kind, text, members, key, found)
    except msgspec.ValidationError:
        given = {name: value for name, value in members.items() if name not in _NULLABLE or bytes(value) != b"null"}
        if len(given) == len(members):
            raise
        found.clear()
        return _decoded(kind, _encode(given), key, found)
    found += [*_unknown_keys(record, members), *_long_numbers(getattr(record, "metadata", UNSET))]
    return _as_ground_truth(record, found) if kind is Kind.ANNOTATIONS else record


def _as_asked(kind: Kind, text: bytes, members: dict[str, Raw], key: bytes, found: list[Why]) -> Record:
    if kind is Kind.ITEMS:
        return _item(text)
    return scene_of(text, members) if kind is Kind.SCENES else _typed(text, members, key, found)


def _typed(text: bytes, members: dict[str, Raw], key: bytes, found: list[Why]) -> Annotation:
    kind = _any(members["type"]) if "type" in members else _NO_TYPE
    if kind not in (*TYPES, _NO_TYPE):
        raise _UnknownType(kind)
    if kind in _BY_ITEM or kind == "mask":
        return _mask(text) if kind == "mask" else _annotation(text)
    if bytes(members.get("annotation_id", b"null")) != b"null":
        return _annotation(text)
    numbered = annotation_id(key)
    if numbered is None or is_unnumbered(key):
        raise SourceError("a record without annotation_id was picked before it had its number")
    found.append(Why("no annotation_id: derived", f"no annotation_id: {numbered} derived, the same on every run"))
    return _annotation(_encode(members | {"annotation_id": Raw(_encode(numbered))}))


class _UnknownType(msgspec.ValidationError):
    def __init__(self, value: Any) -> None:
        super().__init__("unknown type")
        self.value = value


def _why_without_key(text: bytes) -> Why:
    """Why a line has no key: it isn't JSON, or its reference id isn't one."""
    try:
        members = _members(text)
        head = _head(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return _why(text, error)
    if "reference_id" not in members:
        return Why("reference_id is missing", "reference_id is missing")
    if head.reference_id is None:
        return Why("reference_id is null, not text", "reference_id is null, not text")
    if not head.reference_id:
        return Why("reference_id is empty", "reference_id is empty")
    if _sort_of(head) is None:
        wanted = "neither image_url (an item) nor frames or video_url (a scene) nor type (an annotation or prediction)"
        return Why("neither item nor annotation", f"the line has {wanted}")
    return Why("an id holds a NUL", "an id holds a NUL character")


def _why(text: bytes, error: Exception) -> Why:
    match error:
        case _UnknownType():
            return unknown_type(error.value)
        case msgspec.ValidationError() if "out of range" not in str(error):
            broken = _why_malformed(text)
            return broken or why_not_record(error)
        case _:
            return why_not_json(text, error)


def _why_malformed(text: bytes) -> Why | None:
    """A line can be malformed behind the place where it first stops to be a record: that comes first."""
    try:
        _any(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return why_not_json(text, error)
    return None


# --- findings ---------------------------------------------------------------------------------------------------


def _unknown_keys(record: Record, members: dict[str, Raw]) -> Iterator[Why]:
    """Members that Nucleus doesn't know are left out: say so, unless there is nothing in them."""
    unknown = members.keys() - _known_keys(type(record))
    if not unknown:
        return
    full = sorted(name for name in unknown if bytes(members[name]) not in (b"null", b"{}", b"[]", b'""'))
    if full:
        words = f"{_name_of(record)} has no {', '.join(map(shown, full))}"
        yield Why(f"unknown key: {words}", f"{words}: left out")


def _name_of(record: Record) -> str:
    if isinstance(record, LidarScene | VideoScene):
        return "a scene"
    return str(record.__struct_config__.tag or "item")


@cache
def _known_keys(kind: type[Record]) -> frozenset[str]:
    return frozenset(kind.__struct_fields__) | _TRANSPORT_KEYS


def _long_numbers(metadata: Any) -> Iterator[Why]:
    """Whole numbers that JavaScript would round, Nucleus's viewer perhaps too."""
    for path, number in _whole_numbers(metadata, ""):
        if abs(number) > _EXACT_IN_JAVASCRIPT:
            yield Why("number above 2^53", f"metadata key {shown(path)}: {number} is above 2^53: kept exact")


def _whole_numbers(value: Any, path: str) -> Iterator[tuple[str, int]]:
    match value:
        case bool():
            return
        case int():
            yield path, value
        case dict():
            for key, inner in value.items():
                yield from _whole_numbers(inner, f"{path}.{key}" if path else key)
        case list():
            for number, inner in enumerate(value):
                yield from _whole_numbers(inner, f"{path}[{number}]")


def _as_ground_truth(record: Record, found: list[Why]) -> Record:
    """A ground-truth record has no confidence on the wire (docs/wire.md §5.6)."""
    confidence = getattr(record, "confidence", UNSET)
    if confidence is UNSET and getattr(record, "class_pdf", UNSET) is UNSET:
        return record
    cause = "confidence on a ground-truth record"
    above = ", and above 1" if confidence is not UNSET and confidence > 1 else ""
    found.append(Why(cause, f"{cause}{above}: left out"))
    return replace(record, confidence=UNSET, class_pdf=UNSET)
