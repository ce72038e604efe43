"""A COCO panoptic file: one mask for each image, with an index for each segment."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from xxhash import xxh3_128_digest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import Segment
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.key import mask_key, reference_id
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.coco import CocoReader
from nucleus_sync.sources.coco_categories import Category, categories_of
from nucleus_sync.sources.coco_file import CocoFile
from nucleus_sync.sources.coco_label import Id, named, quoted_id
from nucleus_sync.sources.coco_naming import Naming
from nucleus_sync.sources.image_table import ImageTable
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.label_folder import folder_files, root_of
from nucleus_sync.sources.media import facts_of
from nucleus_sync.sources.names import Listing, Match
from nucleus_sync.sources.paint import MOST_OBJECTS, mask_record, segments_of_picture
from nucleus_sync.sources.reader import FileState, Pick, Seen, Surroundings
from nucleus_sync.sources.template import Template
from nucleus_sync.sources.walk import shown
from nucleus_sync.spec.source import CocoPanopticSource, CocoSource

_VERSION = 1
_LOCATOR = struct.Struct(">QIQ")


class _SegmentInfo(Struct, gc=False):
    id: int
    category_id: Id
    iscrowd: int | bool | None = None


class _Entry(Struct, gc=False):
    """One image's annotation."""

    image_id: Id
    file_name: str
    segments_info: list[_SegmentInfo]

    @property
    def called(self) -> str:
        """Its mask as its author would call it."""
        return f"mask of image {quoted_id(self.image_id)}"


_decode = msgspec.json.Decoder(_Entry).decode
_decode_errors = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class CocoPanopticReader:
    """Items from the section `images`, masks from `annotations` and the PNGs that they name. Serves one run."""

    def __init__(self, spec: CocoPanopticSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._naming = Naming(surroundings.name, "mask", spec.path, "annotations")
        self._masks = spec.masks or os.path.splitext(spec.path)[0]
        self._file = CocoFile(spec.path, spec.images, Template(spec.reference_id), surroundings)
        self._items = CocoReader(_items_source(spec), surroundings)

    def state(self) -> FileState:
        """The state of the file and its images with that of the PNGs."""
        own = self._items.state()
        digest, newest, files, size = own.digest, own.newest_mtime_ns, own.files, own.bytes
        for found in folder_files(self._surroundings, self._masks, _is_png):
            line = f"{found.path}\0{found.size}\0{found.mtime_ns}\0{found.inode}\0".encode()
            digest = xxh3_128_digest(digest + line)
            newest, files, size = max(newest, found.mtime_ns), files + 1, size + found.size
        return FileState(digest, newest, files, size)

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every image, or every mask, in the order of the file."""
        if kind is Kind.ITEMS:
            yield from self._items.scan(kind, report)
            return
        images, categories, pngs = self._file.table(), self._categories(), self._listing()
        section = self._file.section("annotations", "the file has no annotations: list it under items only")
        for window in self._file.document.windows(section):
            for index, (raw, offset, length) in enumerate(window.elements(), window.first):
                entry = self._entry(raw, offset, index, images, report)
                facts = self._png(entry, index, pngs, report) if entry else None
                if entry and facts:
                    key = mask_key(images.called(images.sound_place(entry.image_id)))
                    digest = raw_hash(raw, self._seed(entry, images, categories, facts))
                    yield Seen(key, digest, _LOCATOR.pack(offset, length, index))

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked records. Raises SourceError when a file has changed since the scan."""
        if kind is Kind.ITEMS:
            yield from self._items.read(kind, picks, report)
            return
        images, categories, pngs = self._file.table(), self._categories(), self._listing()
        for pick in picks:
            offset, length, index = _LOCATOR.unpack(pick.locator)
            raw = self._file.document.bytes_at(offset, length)
            entry = self._entry(raw, offset, index, images, _ignore)
            facts = self._png(entry, index, pngs, _ignore) if entry else None
            if entry is None or facts is None:
                raise self._changed(index)
            if pick.raw not in (LOOK_AGAIN, raw_hash(raw, self._seed(entry, images, categories, facts))):
                raise self._changed(index)
            record = self._record(pick, entry, index, images, categories, pngs, report)
            name = f"mask of {reference_id(pick.key)}"
            if record is not None and is_sound(
                record, pick.key, self._surroundings.name, self._naming.where(index), name, report
            ):
                yield pick, record

    def where(self, kind: Kind, locator: bytes) -> Where:
        """The element's place in its section."""
        if kind is Kind.ITEMS:
            return self._items.where(kind, locator)
        return self._naming.where(_LOCATOR.unpack(locator)[2])

    # --- one mask -----------------------------------------------------------------------------------------------

    def _record(
        self,
        pick: Pick,
        entry: _Entry,
        index: int,
        images: ImageTable,
        categories: dict[Id, Category],
        pngs: Listing,
        report: Report,
    ) -> Record | None:
        wrong = _wrong_segments(entry, categories)
        if wrong:
            report(self._naming.problem(entry.called, index, *wrong, key=pick.key))
            return None
        numbers = {segment.id: number for number, segment in enumerate(entry.segments_info, start=1)}
        match = pngs.match(entry.file_name)
        assert isinstance(match, Match)  # noqa: S101  (its facts were found)
        try:
            place = os.path.join(pngs.folder, match.path)
            pixels, size, strange, known = segments_of_picture(place, numbers)
        except ValueError as error:
            report(
                self._naming.problem(
                    entry.called, index, "PNG can't be decoded", f"{shown(entry.file_name)} {error}", key=pick.key
                )
            )
            return None
        said = images.size(images.sound_place(entry.image_id))
        if all(said) and said != size:
            detail = f"the mask is {size[0]}x{size[1]}, its image {said[0]:g}x{said[1]:g}"
            report(
                self._naming.problem(entry.called, index, "mask of another size than its image", detail, key=pick.key)
            )
            return None
        for finding in _remarks(entry, strange, known):
            report(self._naming.problem(entry.called, index, *finding, severity=Severity.FINDING, key=pick.key))
        segments = [
            Segment(
                label=categories[segment.category_id].label,
                index=numbers[segment.id],
                metadata={"iscrowd": 1} if segment.iscrowd else UNSET,
            )
            for segment in entry.segments_info
        ]
        return mask_record(reference_id(pick.key), segments, pixels, size)

    def _seed(self, entry: _Entry, images: ImageTable, categories: dict[Id, Category], facts: Facts) -> int:
        seeds = [category.seed for segment in entry.segments_info if (category := categories.get(segment.category_id))]
        return seed_of(_VERSION, images.seeds[images.sound_place(entry.image_id)], seeds, facts.digest)

    # --- what belongs together ----------------------------------------------------------------------------------

    def _entry(self, raw: bytes, offset: int, index: int, images: ImageTable, report: Report) -> _Entry | None:
        """An annotation whose image is sound; otherwise it is reported."""
        try:
            entry = _decode(raw)
        except _decode_errors as error:
            element = self._file.document.decoded(raw, offset)
            what = f"is {named(element)}" if not isinstance(element, dict) else f"is no panoptic annotation: {error}"
            name, cause = f"annotation at index {index}", "not a panoptic annotation"
            report(Problem(self._surroundings.name, self._naming.where(index), name, cause, what))
            return None
        if images.sound_place(entry.image_id) >= 0:
            return entry
        place = images.place(entry.image_id)
        reason = images.reason(place) if place is not None else ""
        if place is None:
            said = "image_id is not in images", f"image_id {quoted_id(entry.image_id)} is not in images"
        else:
            said = "its image is missing", f"its image is missing: {reason}" if reason else "its image is missing"
        report(self._naming.problem(entry.called, index, *said))
        return None

    def _png(self, entry: _Entry, index: int, pngs: Listing, report: Report) -> Facts | None:
        """Facts of an annotation's PNG; otherwise it is reported."""
        match = pngs.match(entry.file_name)
        if not isinstance(match, Match):
            report(
                self._naming.problem(
                    entry.called, index, "mask not found", match.note.replace("file not found", "mask not found")
                )
            )
            return None
        facts = facts_of(self._surroundings, self._masks, pngs.folder, match.path, whole=True)
        if facts.invalid:
            detail = f"{shown(entry.file_name)}: {facts.invalid}"
            report(self._naming.problem(entry.called, index, "mask is unusable", detail))
            return None
        return facts

    def _listing(self) -> Listing:
        for _ in folder_files(self._surroundings, self._masks, _is_png):
            return Listing(root_of(self._surroundings, self._masks))
        raise SourceError("holds no PNG", where=self._masks, fix="set `masks` to the folder of the panoptic PNGs")

    def _categories(self) -> dict[Id, Category]:
        section = self._file.section("categories", "segments get their labels from it")
        return categories_of(self._file.document, section, self._spec.path, _VERSION)

    # --- saying what is wrong -----------------------------------------------------------------------------------

    def _changed(self, index: int) -> SourceError:
        fix = "wait until its writer is done, then try again"
        return SourceError("changed while it was read", where=str(self._naming.where(index)), fix=fix)


def _wrong_segments(entry: _Entry, categories: dict[Id, Category]) -> tuple[str, str] | None:
    """Why a mask can't be made at all, as (cause, detail)."""
    count = len(entry.segments_info)
    if count > MOST_OBJECTS:
        detail = f"{count} segments on one item: a mask has one byte a pixel, so {MOST_OBJECTS} at most"
        return f"more than {MOST_OBJECTS} objects on an item", detail
    unknown = next((each for each in entry.segments_info if each.category_id not in categories), None)
    if unknown is not None:
        said = f"category_id {quoted_id(unknown.category_id)} is not in categories"
        return "category_id is not in categories", said
    ids = [each.id for each in entry.segments_info]
    if len(set(ids)) < count:
        twice = next(each for each in ids if ids.count(each) > 1)
        return "segments share an id", f"two segments share the id {twice}"
    return None


def _remarks(entry: _Entry, strange: set[int], known: set[int]) -> Iterator[tuple[str, str]]:
    if strange:
        yield (
            "pixels of segments that the file doesn't list",
            f"pixels of {len(strange)} segments that the file doesn't list, {min(strange)} among them: index 0",
        )
    absent = [each.id for each in entry.segments_info if each.id not in known]
    if absent:
        yield "segments without a pixel", f"{len(absent)} segments have no pixel in the PNG, {absent[0]} among them"


def _items_source(spec: CocoPanopticSource) -> CocoSource:
    return CocoSource(
        format="coco",
        path=spec.path,
        images=spec.images,
        image_url=spec.image_url,
        reference_id=spec.reference_id,
        metadata=spec.metadata,
        on_invalid=spec.on_invalid,
    )


def _is_png(path: str) -> bool:
    return path.lower().endswith(".png")


def _ignore(_: Any) -> None:
    """It was said when the file was scanned."""
