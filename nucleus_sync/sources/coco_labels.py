"""The labels of a COCO file, annotations or results alike: a fast scan over all, a careful read of some."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET
from xxhash import xxh3_64_digest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import Annotation
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash
from nucleus_sync.records.key import ANNOTATION, PROVISIONAL, UNNUMBERED
from nucleus_sync.records.problem import Report, Severity
from nucleus_sync.records.record import Record
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_homeless import Homeless
from nucleus_sync.sources.coco_label import (
    Id,
    Keys,
    Label,
    Notes,
    has_two_lists,
    leniently,
    missing_geometry,
    plain_id,
    storable,
    strictly,
)
from nucleus_sync.sources.coco_naming import Naming
from nucleus_sync.sources.coco_order import order_of, part_key
from nucleus_sync.sources.coco_plain import plain_record
from nucleus_sync.sources.coco_shape import Frame, Shaping, part_count, record_of
from nucleus_sync.sources.image_table import ImageTable
from nucleus_sync.sources.json_fetch import Fetch
from nucleus_sync.sources.json_slices import JsonFile, Section
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.reader import Pick, Say, Seen, SeenAndRead
from nucleus_sync.sources.template import FieldError, Template

LOCATOR = struct.Struct(">QIQH")
"""Offset, length, index and ring of an element."""

TOGETHER = 4096
"""Labels or images in a stretch, about."""
_MOST_PARTS = 0xFFFF
_PROVISIONAL = PROVISIONAL.decode()
_ONE: Sequence[int] = (0,)
_CROWD = {"iscrowd": 1}
_decoded_errors = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

MakeMetadata = Callable[[Mapping[str, Any]], dict[str, Any]]
_keys = msgspec.json.Decoder(Keys).decode
_NO_KEYS = Keys()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the spec says about labels."""

    shaping: Shaping
    annotation_id: Template | None
    metadata: MakeMetadata | None


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one section, with the images and categories that they refer to."""

    document: JsonFile
    section: Section
    images: ImageTable
    categories: Mapping[Id, Category]
    rules: Rules
    naming: Naming

    # --- scanning -----------------------------------------------------------------------------------------------

    def scan(self, report: Report, which: range | None = None) -> Iterator[Seen]:
        """Plain tuples in the shape of Seen: of all labels, or of those in some windows."""
        pack = LOCATOR.pack
        may_have_rings = self.rules.shaping.geometry in (None, "polygon")
        for _, raw, offset, length, index, _, category, digest, key, _ in self._homed(_keys, report, which):
            yield key, digest, pack(offset, length, index, 0)  # type: ignore[misc]
            if may_have_rings and has_two_lists(raw):
                for part in range(1, self._parts(raw, offset, category)):
                    yield part_key(key, part), digest, pack(offset, length, index, part)  # type: ignore[misc]

    def scan_and_read(self, report: Report, say: Say, which: range) -> Iterator[SeenAndRead]:
        """What `scan` and `read` give of some windows, from one decoding: key, raw hash, locator and record.

        A label that gets its number later has a provisional one. `say` gets locators with what is wrong at them.
        """
        pack, notes, shaping = LOCATOR.pack, Notes(), self.rules.shaping
        widths, heights = self.images.widths, self.images.heights
        may_be_plain, is_templated = self.rules.metadata is None, self.rules.annotation_id is not None
        prefix, image = b"", ("", 0.0, 0.0)
        for label, raw, offset, length, index, place, category, digest, key, item in self._homed(
            strictly, report, which
        ):
            if item is not prefix:
                prefix, image = item, (item[: -len(ANNOTATION)].decode(), widths[place], heights[place])
            waits = (label.id is None or label.id == "") and not is_templated
            is_strict, parts = label.__class__ is Label, _ONE
            if not is_strict:
                parts = range(self._parts(raw, offset, category))
            elif label.segmentation.__class__ is list and len(label.segmentation) > 1:
                parts = range(min(part_count(label, category, shaping), _MOST_PARTS))
            for part in parts:
                own, locator = part_key(key, part) if part else key, pack(offset, length, index, part)
                own_id = _PROVISIONAL if waits else own[len(item) :].decode()
                record: Record | None = None
                if is_strict and may_be_plain:
                    record = plain_record(label, part, category.label, image, own_id, shaping)
                if record is None:
                    frame = Frame(category, *image, own_id, part)
                    whole = label if is_strict else self.decoded(raw, offset, notes)
                    wanted, told = item + own_id.encode(), partial(say, locator)
                    record = self._record(wanted, whole, raw, offset, index, frame, notes, told)
                    notes = notes.cleared()
                yield own, digest, locator, record

    def _homed(
        self, decode: Callable[[bytes], Any], report: Report, which: range | None
    ) -> Iterator[tuple[Any, bytes, int, int, int, int, Category, bytes, bytes, bytes]]:
        """Labels with bytes, offset, length, index, image, category, raw hash, key, and the beginning of such keys.

        Homeless ones are reported.

        One loop with local names: it runs once for each of millions.
        """
        images, hashed = self.images, xxh3_64_digest
        find_image, find_category = images.sound_place, self.categories.get
        names, starts, seeds = images.names, images.starts, images.seeds
        is_templated = self.rules.annotation_id is not None
        homeless = Homeless(images, self.categories, self.naming, has_own_ids=not is_templated)
        image_id: Id | None = None
        place, prefix, image_seed = -1, b"", 0
        for window in self.document.windows(self.section, which):
            for index, (raw, offset, length) in enumerate(window.elements(), window.first):
                try:
                    keys = decode(raw)
                except _decoded_errors:
                    keys = self._lenient_keys(raw, offset)
                if keys.image_id != image_id:  # most files keep an image's labels together
                    image_id = keys.image_id
                    place = find_image(image_id)
                    prefix = names[starts[place] : starts[place + 1]] + ANNOTATION if place >= 0 else b""
                    image_seed = seeds[place] if place >= 0 else 0
                category = find_category(keys.category_id)
                if place < 0 or category is None:
                    report(homeless.problem(keys, raw, self.document.decoded(raw, offset), index))
                    continue
                digest = hashed(raw, image_seed ^ category.seed)
                if digest == LOOK_AGAIN:
                    digest = raw_hash(raw, image_seed ^ category.seed)
                own = keys.id
                if own.__class__ is int and not is_templated:
                    key = b"%b%d" % (prefix, own)
                elif own is None and not is_templated and keys.__class__ is Label:
                    key = prefix[: -len(ANNOTATION)] + UNNUMBERED + order_of(keys, category, digest)
                else:
                    made = self._key(keys, raw, offset, index, prefix, category, digest, report)
                    if made is None:
                        continue
                    key = made
                yield keys, raw, offset, length, index, place, category, digest, key, prefix

    def _lenient_keys(self, raw: bytes, offset: int) -> Keys:
        element = self.document.decoded(raw, offset)
        if not isinstance(element, dict):
            return _NO_KEYS
        own, image_id, category_id = (plain_id(element.get(name)) for name in ("id", "image_id", "category_id"))
        return Keys(own, image_id, category_id)

    def _parts(self, raw: bytes, offset: int, category: Category) -> int:
        label = self.decoded(raw, offset, Notes())
        return min(part_count(label, category, self.rules.shaping), _MOST_PARTS)

    def _key(
        self,
        keys: Keys | Label,
        raw: bytes,
        offset: int,
        index: int,
        prefix: bytes,
        category: Category,
        digest: bytes,
        report: Report,
    ) -> bytes | None:
        """The key of a label whose id isn't simply a number."""
        item, template = prefix[: -len(ANNOTATION)], self.rules.annotation_id
        if template is None:
            if keys.id is None or keys.id == "":
                label = keys if keys.__class__ is Label else self.decoded(raw, offset, Notes())
                return item + UNNUMBERED + order_of(label, category, digest)
            return prefix + storable(str(keys.id)).encode()
        try:
            fields = _fields(self.document.decoded(raw, offset), category, item.decode())
            return prefix + storable(template.render(fields)).encode()
        except FieldError as error:
            report(
                self.naming.problem(
                    self.naming.record(keys.id, index), index, "annotation_id can't be made", str(error)
                )
            )
            return None

    # --- reading ------------------------------------------------------------------------------------------------

    def read(self, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked labels as records, in the order of the picks."""
        images = self.images
        names, starts, seeds = images.names, images.starts, images.seeds
        find_image, find_category = images.sound_place, self.categories.get
        fetch, unpack, notes = Fetch(self.document).bytes_at, LOCATOR.unpack, Notes()
        image_id: Id | None = None
        place, own_at, reference_id, width, height, image_seed = -1, 0, "", 0.0, 0.0, 0
        for pick in picks:
            key, raw, locator = pick
            offset, length, index, part = unpack(locator)
            content = fetch(offset, length)
            try:
                label = strictly(content)
            except _decoded_errors:
                label = self.decoded(content, offset, notes)
            if label.image_id != image_id:
                image_id = label.image_id
                place = find_image(image_id)
                if place >= 0:
                    start, end = starts[place], starts[place + 1]
                    reference_id, own_at = names[start:end].decode(), end - start + 2  # behind NUL and "a"
                    width, height, image_seed = images.widths[place], images.heights[place], seeds[place]
            category = find_category(label.category_id)  # type: ignore[arg-type]
            if place < 0 or category is None:
                self._changed(index)
            if raw_hash(content, image_seed ^ category.seed) != raw and raw != LOOK_AGAIN:
                self._changed(index)
            frame = Frame(category, reference_id, width, height, key[own_at:].decode(), part)
            record = self._record(key, label, content, offset, index, frame, notes, report)
            notes = notes.cleared()
            if record is not None:
                yield pick, record

    def _record(
        self,
        key: bytes,
        label: Label,
        content: bytes,
        offset: int,
        index: int,
        frame: Frame,
        notes: Notes,
        report: Report,
    ) -> Record | None:
        """The record of a label; None with the reason reported where it can't be sent."""
        if self.rules.metadata is not None:
            self._add_metadata(frame, self.rules.metadata, content, offset, notes)
        record = record_of(label, frame, self.rules.shaping, notes)
        if notes.is_clean and _is_surely_sound(record):
            return record
        return record if self._judge(key, record, label, content, offset, index, frame.part, notes, report) else None

    def decoded(self, content: bytes, offset: int, notes: Notes) -> Label:
        """A label from its bytes, leniently where it has to be."""
        try:
            return strictly(content)
        except _decoded_errors:
            return leniently(self.document.decoded(content, offset), notes)

    def _add_metadata(self, frame: Frame, make: MakeMetadata, content: bytes, offset: int, notes: Notes) -> None:
        try:
            frame.metadata = make(_fields(self.document.decoded(content, offset), frame.category, frame.reference_id))
        except FieldError as error:
            notes.fault("metadata can't be made", str(error))

    def _judge(
        self,
        key: bytes,
        record: Annotation | None,
        label: Label,
        content: bytes,
        offset: int,
        index: int,
        part: int,
        notes: Notes,
        report: Report,
    ) -> bool:
        """Report what was noted and what the checks say; True if the record can be sent."""
        name = self.naming.record(label.id, index, part)
        if notes.faults:
            cause, detail, fix = notes.faults[0]
            if not cause:
                cause, detail = missing_geometry(self.document.decoded(content, offset))
            details = "; ".join(dict.fromkeys([detail, *(each[1] for each in notes.faults[1:])]))
            report(self.naming.problem(name, index, cause, details, key=key, fix=fix))
            return False
        for cause, detail, fix in notes.findings:
            report(self.naming.problem(name, index, cause, detail, severity=Severity.FINDING, key=key, fix=fix))
        if record is None:
            return False
        return is_sound(record, key, self.naming.source, self.naming.where(index), name, report)

    def _changed(self, index: int) -> NoReturn:
        raise SourceError(
            "changed while it was read",
            where=str(self.naming.where(index)),
            fix="wait until its writer is done, then try again",
        )


def _is_surely_sound(record: Any) -> bool:
    """A quick yes for the rest of a record whose geometry is sound; no means that the checks have to be asked."""
    confidence, metadata = record.confidence, record.metadata
    return (
        (confidence is UNSET or 0 <= confidence <= 1)
        and (not metadata or metadata == _CROWD)
        and bool(record.label and record.annotation_id)
    )


def _fields(element: Any, category: Category, reference_id: str) -> dict[str, Any]:
    """What templates over a label may name: its own fields first."""
    own = element if isinstance(element, dict) else {}
    return {"label": category.label, "category": category.label, "reference_id": reference_id, **own}
