"""One mask for each image of a COCO file: every label painted, with an index of its own."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from pathlib import Path

import msgspec

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import Segment
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash
from nucleus_sync.records.key import item_of, mask_key, reference_id
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Record
from nucleus_sync.sources import rle
from nucleus_sync.sources.coco_label import Label, Notes, Rle
from nucleus_sync.sources.coco_labels import LOCATOR, Labels
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.paint import MOST_OBJECTS, MOST_PIXELS, Layer, mask_record, painted
from nucleus_sync.sources.reader import Pick, Seen
from nucleus_sync.spool import Sorter

_VERSION = 1
_LOCATOR = struct.Struct(">QI")
_CROWD = {"iscrowd": 1}
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[bytes]).decode


@dataclass(frozen=True, slots=True)
class _Object:
    """A label that can be painted."""

    name: str
    index: int
    label: str
    layer: Layer
    is_crowd: bool


@dataclass(frozen=True, slots=True)
class Masks:
    """The labels of a section, painted: Nucleus holds one mask an item.

    Each label is an object with an index of its own, in the order of the file; names repeat. Where objects overlap,
    crowds lie below, then the smaller of two on top; of predictions the one with the higher score. Locators point
    into `listing`, which a scan leaves behind.
    """

    labels: Labels
    listing: Path
    scratch: Path

    def scan(self, report: Report) -> Iterator[Seen]:
        """Every image that has labels, in the order of the reference ids."""
        if self.labels.naming.noun == "result":
            self._say_that_scores_go(report)
        rows = Sorter(self.scratch)
        rows.extend((item_of(key), locator, raw) for key, raw, locator in self.labels.scan(report))
        with open(self.listing, "ab", buffering=0) as listing:
            for item, found in groupby(rows.sorted(), key=lambda row: row[0]):
                group = list(found)
                line = _pack([row[1] for row in group])
                listing.write(line)
                locator = _LOCATOR.pack(listing.tell() - len(line), len(line))
                yield Seen(mask_key(item.decode()), _raw(row[2] for row in group), locator)
        rows.close()

    def read(self, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The masks of the picked images."""
        for pick in picks:
            record = self._mask(pick, report)
            name = f"mask of {reference_id(pick.key)}"
            source, where = self.labels.naming.source, self.where(pick.locator)
            if record is not None and is_sound(record, pick.key, source, where, name, report):
                yield pick, record

    def where(self, locator: bytes) -> Where:
        """The first of the labels that a mask is painted from."""
        return self.labels.naming.where(LOCATOR.unpack(self._places(locator)[0])[2])

    # --- painting -----------------------------------------------------------------------------------------------

    def _mask(self, pick: Pick, report: Report) -> PaintedMask | None:
        size, objects = self._objects(pick, report)
        if not objects:
            return None
        if len(objects) > MOST_OBJECTS:
            cause = f"more than {MOST_OBJECTS} objects on an item"
            detail = f"{len(objects)} objects on one item: a mask has one byte a pixel, so {MOST_OBJECTS} at most"
            report(self._problem(pick, cause, detail, fix="geometry: polygon or box takes any number"))
            return None
        try:
            pixels, areas, seen = painted(*size, [each.layer for each in objects])
        except ValueError as error:
            report(self._problem(pick, "can't be painted", str(error)))
            return None
        for each, area, left in zip(objects, areas, seen, strict=True):
            if not left:
                said = (
                    "hidden under others: no pixel of it is left" if area else "smaller than a pixel: none is painted"
                )
                report(self._finding(pick, each.name, each.index, said))
        segments = [
            Segment(label=each.label, index=number, metadata=_CROWD if each.is_crowd else msgspec.UNSET)
            for number, each in enumerate(objects, start=1)
        ]
        return mask_record(reference_id(pick.key), segments, pixels, size)

    def _objects(self, pick: Pick, report: Report) -> tuple[tuple[int, int], list[_Object]]:
        """What can be painted, and on what size; the rest is reported."""
        labels, naming = self.labels, self.labels.naming
        objects: list[_Object] = []
        digests: list[bytes] = []
        size = (0, 0)
        for locator in self._places(pick.locator):
            offset, length, index, _ = LOCATOR.unpack(locator)
            content = labels.document.bytes_at(offset, length)
            notes = Notes()
            label = labels.decoded(content, offset, notes)
            place = labels.images.sound_place(label.image_id)
            category = labels.categories.get(label.category_id)  # type: ignore[arg-type]
            if place < 0 or category is None:
                raise self._changed(index)
            digests.append(raw_hash(content, labels.images.seeds[place] ^ category.seed))
            size = size if all(size) else _size(labels.images.size(place), label)
            _check(label, size, notes)
            name = naming.record(label.id, index)
            if notes.faults:
                report(_of_object(naming.source, naming.where(index), name, notes, pick.key))
                report(self._finding(pick, name, index, "left out of its image's mask"))
                continue
            assert label.segmentation is not None  # noqa: S101  (checked)
            is_crowd = bool(label.iscrowd)
            rank = label.score if label.score is not None else -1.0 if is_crowd else 0.0
            objects.append(_Object(name, index, category.label, Layer(label.segmentation, rank), is_crowd))
        if pick.raw not in (LOOK_AGAIN, _raw(digests)):
            raise self._changed(LOCATOR.unpack(self._places(pick.locator)[0])[2])
        return size, objects

    def _places(self, locator: bytes) -> list[bytes]:
        offset, length = _LOCATOR.unpack(locator)
        with open(self.listing, "rb") as listing:
            listing.seek(offset)
            return _unpack(listing.read(length))

    # --- saying what is wrong -----------------------------------------------------------------------------------

    def _say_that_scores_go(self, report: Report) -> None:
        naming = self.labels.naming
        said = "scores are left out: masks have none at Nucleus"
        report(Problem(naming.source, Where(naming.file), "the file", said, said, Severity.FINDING))

    def _problem(self, pick: Pick, cause: str, detail: str, *, fix: str | None = None) -> Problem:
        naming, name = self.labels.naming, f"mask of {reference_id(pick.key)}"
        where = self.where(pick.locator)
        return Problem(naming.source, where, name, cause, detail, Severity.INVALID, pick.key, fix)

    def _finding(self, pick: Pick, name: str, index: int, said: str) -> Problem:
        naming = self.labels.naming
        return Problem(naming.source, naming.where(index), name, said, said, Severity.FINDING, pick.key)

    def _changed(self, index: int) -> SourceError:
        fix = "wait until its writer is done, then try again"
        return SourceError("changed while it was read", where=str(self.labels.naming.where(index)), fix=fix)


def _raw(digests: Iterable[bytes]) -> bytes:
    return raw_hash(b"".join(digests), _VERSION)


def _of_object(source: str, where: Where, name: str, notes: Notes, key: bytes) -> Problem:
    cause, _, fix = notes.faults[0]
    details = "; ".join(dict.fromkeys(each[1] for each in notes.faults))
    return Problem(source, where, name, cause, details, Severity.INVALID, key, fix)


def _size(said: tuple[float, float], label: Label) -> tuple[int, int]:
    """The image's size; where the file doesn't say it, that of the run-length mask, which is height first."""
    if all(said) or not isinstance(label.segmentation, Rle) or len(label.segmentation.size) != 2:
        return int(said[0]), int(said[1])
    return label.segmentation.size[1], label.segmentation.size[0]


def _check(label: Label, size: tuple[int, int], notes: Notes) -> None:
    """Note why a label can't be painted."""
    if notes.faults:
        return
    shape = label.segmentation
    if not shape:
        held = "a box" if label.bbox is not None else "keypoints" if label.keypoints else "no geometry"
        notes.fault("nothing to paint", f"no segmentation, only {held}", "set geometry to box, or leave it out")
    elif not all(size):
        notes.fault("image size unknown", "the file says no width and height of its image")
    elif size[0] * size[1] > MOST_PIXELS:
        notes.fault("too large for a mask", f"{size[0]}x{size[1]} pixels are too many for a mask")
    elif isinstance(shape, Rle):
        if wrong := rle.fault(shape.size, shape.counts, size):
            notes.fault(*wrong)
    else:
        _check_rings(shape, notes)


def _check_rings(rings: list[list[float]], notes: Notes) -> None:
    for ring in rings:
        if len(ring) % 2:
            notes.fault("odd number of coordinates", f"ring of {len(ring)} numbers, odd: x and y are missing a partner")
        elif len(ring) < 6:
            notes.fault("polygon of fewer than 3 points", f"polygon of {len(ring) // 2} points")
        elif not isfinite(sum(ring)):
            notes.fault("number is not finite", "a ring holds a number that is not finite")
