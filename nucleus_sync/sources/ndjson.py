"""NDJSON whose lines are already in Nucleus's wire form."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct
from xxhash import xxh3_64_digest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import BoxGeometry
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.key import UNNUMBERED, annotation_key, category_key, mask_key, unnumbered_key
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.line_file import LineFile, Part, without_mark
from nucleus_sync.sources.reader import (
    FileState,
    Hearing,
    Pick,
    Portable,
    Say,
    Seen,
    SeenAndRead,
    Straight,
    Stretch,
    Surroundings,
)
from nucleus_sync.sources.record_line import BROKEN, decoded, members_of, plain_record, why_not
from nucleus_sync.sources.wire_errors import Why
from nucleus_sync.spec.place import resolve

if TYPE_CHECKING:
    from nucleus_sync.spec.source import RecordsSource

_SEED = seed_of("records", 1)
_LOCATOR = struct.Struct(">QIQ")
_PEEKED_LINES = 1000


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
_box: Callable[[Raw], BoxGeometry] = msgspec.json.Decoder(BoxGeometry).decode
_any = msgspec.json.decode


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

    says_numbers = True

    def __init__(self, spec: RecordsSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._source = surroundings.name
        self._path = spec.path
        self._surroundings = surroundings
        self._file = LineFile(resolve(surroundings.folder, spec.path), spec.path, surroundings.scratch)

    def state(self) -> FileState:
        """Raises SourceError when the file is gone."""
        return self._file.state()

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every line of that kind, with the key that it spells out; one without an annotation id is unnumbered."""
        return self.scan_stretch(kind, None, report)

    def stretches(self, kind: Kind) -> list[Stretch]:  # noqa: ARG002 - a line is a line
        """For large files that are not compressed."""
        return [Stretch(count, part) for count, part in self._file.parts()]

    def scan_stretch(self, kind: Kind, part: Part | None, report: Report) -> Iterator[Seen]:
        """Plain tuples in the shape of Seen."""
        pack = _LOCATOR.pack
        for key, digest, offset, line, number, _ in self._lines(kind, part, report):
            yield key, digest, pack(offset, len(line), number)  # type: ignore[misc]

    def scan_and_read(self, kind: Kind, part: Part, report: Report, say: Say) -> Iterator[SeenAndRead]:
        """Each line as what a scan sees of it and as its record."""
        pack = _LOCATOR.pack
        for key, digest, offset, line, number, text in self._lines(kind, part, report):
            locator = pack(offset, len(line), number)
            record = plain_record(kind, text)
            if record is None and UNNUMBERED not in key:
                record = self._record(kind, text, key, number, partial(say, locator))
            yield key, digest, locator, record

    def hearing(self, kind: Kind, report: Report) -> Hearing:  # noqa: ARG002 - a line is a line
        """Nothing is held back."""
        return Straight(report)

    def _lines(
        self, kind: Kind, part: Part | None, report: Report
    ) -> Iterator[tuple[bytes, bytes, int, bytes, int, bytes]]:
        """Lines of that kind with a key: key, raw hash, offset, line, number, and the text without blanks around it.

        One loop with local names: it runs once for each of millions.
        """
        wanted = _WANTED.get(kind, _Sort.ANNOTATION)
        begins_with: _Sort | None = None
        hashed = xxh3_64_digest
        for number, offset, line in self._file.lines(part):
            text = line.strip() if number > 1 else without_mark(line).strip()
            if not text and line.isspace():
                continue
            try:
                head = _head(text)
                sort = _Sort.ITEM if head.image_url else _sort_of(head)
                reference_id = head.reference_id
                if sort is wanted and reference_id and (b"\\u0000" not in text or not _holds_nul(head)):
                    key = reference_id.encode() if sort is not _Sort.ANNOTATION else _key(head)
                    digest = hashed(text, _SEED)
                    if digest == LOOK_AGAIN:
                        digest = raw_hash(text, _SEED)
                    yield key, digest, offset, line, number, text
                    continue
            except BROKEN:
                sort = _looks_like(text)
            if sort is None:
                if begins_with is None:
                    begins_with = self._begins_with()
                sort = begins_with
            if sort is wanted:
                report(self._problem(number, _why_without_key(text)))

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """Raises SourceError when a line isn't what it was in the scan."""
        unpack, hashed = _LOCATOR.unpack, xxh3_64_digest
        with self._file.pieces() as piece:
            for pick in picks:
                key, raw, locator = pick
                offset, length, number = unpack(locator)
                text = without_mark(piece(offset, length)).strip()
                if hashed(text, _SEED) != raw and raw != LOOK_AGAIN and raw_hash(text, _SEED) != raw:
                    fix = "wait until it is complete, then try again"
                    raise SourceError("the file changed while it was read", where=self._file.name, fix=fix)
                record = plain_record(kind, text) or self._record(kind, text, key, number, report)
                if record is not None:
                    yield pick, record

    def portable(self, kind: Kind) -> Portable | None:  # noqa: ARG002 - a line is a line
        """For files that are not compressed: the others can only be read from their beginning."""
        if not self._file.is_plain:
            return None
        return Portable(
            RecordsReader,
            self._spec,
            self._surroundings.elsewhere(),
            None,
        )

    def take_up(self, luggage: None) -> None:
        """There is nothing that a reader would have to know."""

    def where(self, kind: Kind, locator: bytes) -> Where:  # noqa: ARG002 - a line is a line
        """The file and the line."""
        return self._where(_LOCATOR.unpack(locator)[2])

    # --- decoding ---------------------------------------------------------------------------------------------

    def _record(self, kind: Kind, text: bytes, key: bytes, number: int, report: Report) -> Record | None:
        """The record of a line that isn't plain, with its final annotation id, or None with the reason reported."""
        found: list[Why] = []
        try:
            record = decoded(kind, text, key, found)
        except BROKEN as error:
            report(self._problem(number, why_not(text, error), key=key))
            return None
        if not is_sound(record, key, self._source, self._where(number), f"line {number}", report):
            return None
        for why in found:
            report(self._problem(number, why, Severity.FINDING, key))
        return record

    def _begins_with(self) -> _Sort:
        """What the first line that is sound holds."""
        for number, _, line in islice(self._file.lines(), _PEEKED_LINES):
            try:
                sort = _sort_of(_head(without_mark(line) if number == 1 else line))
            except BROKEN:
                continue
            if sort is not None:
                return sort
        return _Sort.ITEM

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


def _why_without_key(text: bytes) -> Why:
    """Why a line has no key: it isn't JSON, or its reference id isn't one."""
    try:
        members = members_of(text)
        head = _head(text)
    except BROKEN as error:
        return why_not(text, error)
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
