"""A folder of images with a small file of labels for each, as items, annotations or predictions."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Protocol

from msgspec import Struct, msgpack

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.key import annotation_id, unnumbered_key
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label, Notes
from nucleus_sync.sources.coco_order import order_of
from nucleus_sync.sources.coco_shape import Frame, Shaping, record_of
from nucleus_sync.sources.images import ImagesReader
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.reader import FileState, Pick, Reader, Seen, Surroundings
from nucleus_sync.sources.walk import IMAGE_ENDINGS, Found, chooser, shown, walk
from nucleus_sync.spec.place import resolve
from nucleus_sync.spec.source import ImagesSource, KittiSource, VocSource, YoloSource

LabelSource = YoloSource | VocSource | KittiSource
Watched = Callable[[str], bool]
"""Whether a change of the file of this path means anything."""

MOST_BYTES = 64 << 20
"""Of one label file, which is read whole: a million lines."""
_VERSION = 1
_LOCATOR = struct.Struct(">QII")


class Pair(Struct, array_like=True, frozen=True, gc=False):
    """A label file and its image, both relative to their folders; pixels, zeros where the size isn't known."""

    labels: str
    image: str
    reference_id: str
    width: int
    height: int


class Mark(Struct, gc=False):
    """One label of a file: the `number`th line or object, in pixels, with all that is wrong with it."""

    number: int
    category: Category
    label: Label
    notes: Notes
    metadata: dict[str, object] = {}

    def content(self) -> bytes:
        """Everything that the record is made from."""
        wrong = [*self.notes.faults, *self.notes.findings]
        return _pack((self.category.label, self.category.points, self.label, self.metadata, wrong))


class LabelFiles(Protocol):
    """One format's label files."""

    noun: str
    """What a label is in its file: `line` or `object`."""

    def all(self, report: Report, *, scored: bool) -> Iterator[tuple[Pair, list[Mark]]]:
        """Every label file with its labels; files that can't be used, or have no image, go to `report`."""

    def again(self, pair: Pair, *, scored: bool) -> list[Mark]:
        """The labels of a file that was seen before. Raises ValueError where it can't be read any more."""


_pack = msgpack.Encoder(order="deterministic").encode
_unpack = msgpack.Decoder(Pair).decode


class LabelFolderReader:
    """Labels have no ids: their records get their position among their item's, in the order of their content.

    Each label becomes a label of COCO first, so that bounds, closed rings and words are the same for all formats.
    """

    def __init__(self, spec: LabelSource, surroundings: Surroundings, files: LabelFiles, watched: Watched) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._files = files
        self._watched = watched
        self._items: Reader = ImagesReader(images_source(spec), surroundings)
        self._listing = surroundings.scratch / f"{surroundings.name}.labels"

    def state(self) -> FileState:
        """What stat says of all images, label files and lists of names. Raises SourceError when a folder is gone."""
        folders = dict.fromkeys((self._spec.path, self._spec.images or self._spec.path))
        found = (folder_files(self._surroundings, folder, self._watched) for folder in folders)
        return FileState.of(chain.from_iterable(found))

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every image, or every label in the order of the files' names."""
        if kind is Kind.ITEMS:
            yield from self._items.scan(kind, report)
            return
        with open(self._listing, "ab", buffering=0) as listing:
            for pair, marks in self._files.all(report, scored=kind is Kind.PREDICTIONS):
                line = _pack(pair)
                listing.write(line)
                offset = listing.tell() - len(line)
                seed = self._seed(pair)
                for mark in marks:
                    digest = raw_hash(mark.content(), seed)
                    key = unnumbered_key(pair.reference_id, order_of(mark.label, mark.category, digest))
                    yield Seen(key, digest, _LOCATOR.pack(offset, len(line), mark.number))

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked records; raises SourceError when a file has changed since the scan."""
        if kind is Kind.ITEMS:
            yield from self._items.read(kind, picks, report)
            return
        shaping = Shaping(None, self._spec.out_of_bounds, scored=kind is Kind.PREDICTIONS)
        opened: tuple[bytes, Pair, dict[int, Mark]] | None = None
        for pick in picks:
            place = pick.locator[:12]
            if opened is None or opened[0] != place:
                opened = place, *self._opened(kind, pick.locator)
            _, pair, marks = opened
            mark = marks.get(_LOCATOR.unpack(pick.locator)[2])
            if mark is None or (pick.raw != LOOK_AGAIN and raw_hash(mark.content(), self._seed(pair)) != pick.raw):
                raise self._changed(kind, pick.locator)
            record = self._record(pick, pair, mark, shaping, report)
            if record is not None:
                yield pick, record

    def where(self, kind: Kind, locator: bytes) -> Where:
        """The image, or the line or object of a label file."""
        if kind is Kind.ITEMS:
            return self._items.where(kind, locator)
        return self._where(self._pair(locator), _LOCATOR.unpack(locator)[2])

    def _opened(self, kind: Kind, locator: bytes) -> tuple[Pair, dict[int, Mark]]:
        pair = self._pair(locator)
        try:
            marks = self._files.again(pair, scored=kind is Kind.PREDICTIONS)
        except ValueError:
            raise self._changed(kind, locator) from None
        return pair, {mark.number: mark for mark in marks}

    def _record(self, pick: Pick, pair: Pair, mark: Mark, shaping: Shaping, report: Report) -> Record | None:
        """The record, with everything that is to be said of it; None where it can't be sent."""
        notes, where = mark.notes, self._where(pair, mark.number)
        own_id = annotation_id(pick.key) or ""
        width, height = pair.width, pair.height
        frame = Frame(mark.category, pair.reference_id, width, height, own_id, 0, mark.metadata)
        record = None if notes.faults else record_of(mark.label, frame, shaping, notes)
        name, source = f"{self._files.noun} {mark.number}", self._surroundings.name
        if notes.faults:
            cause, _, fix = notes.faults[0]
            details = "; ".join(dict.fromkeys(each[1] for each in notes.faults))
            report(Problem(source, where, name, cause, details, Severity.INVALID, pick.key, fix))
            return None
        findings = [*notes.findings]
        if mark.label.score is not None and not shaping.scored:
            said = "a confidence on ground truth: left out"
            findings.append((said, said, "list the source under a model's predictions to send it"))
        for cause, detail, fix in findings:
            report(Problem(source, where, name, cause, detail, Severity.FINDING, pick.key, fix))
        return record if record is not None and is_sound(record, pick.key, source, where, name, report) else None

    def _seed(self, pair: Pair) -> int:
        return seed_of(_VERSION, self._spec.out_of_bounds, pair.reference_id, pair.width, pair.height)

    def _pair(self, locator: bytes) -> Pair:
        offset, length, _ = _LOCATOR.unpack(locator)
        with open(self._listing, "rb") as listing:
            listing.seek(offset)
            return _unpack(listing.read(length))

    def _where(self, pair: Pair, number: int) -> Where:
        return Where(shown(f"{self._spec.path.rstrip('/')}/{pair.labels}"), f"{self._files.noun} {number}")

    def _changed(self, kind: Kind, locator: bytes) -> SourceError:
        fix = "wait until its writer is done, then try again"
        return SourceError("changed while it was read", where=str(self.where(kind, locator)), fix=fix)


def images_source(spec: LabelSource) -> ImagesSource:
    """The images of a label folder as a source of their own."""
    return ImagesSource(
        format="images",
        path=spec.images or spec.path,
        exclude=spec.exclude,
        reference_id=spec.reference_id,
        image_url=spec.image_url,
        metadata=spec.metadata,
        on_invalid=spec.on_invalid,
    )


def folder_files(surroundings: Surroundings, folder: str, wanted: Watched) -> Iterator[Found]:
    """The wanted files of a folder. Raises SourceError when it is gone."""
    root = root_of(surroundings, folder)
    if not os.path.isdir(root):
        what = "is not a folder" if os.path.exists(root) else "there is no such folder"
        raise SourceError(what, where=folder, fix="correct it, or bring the files back")
    return walk(root, wanted, lambda _: None, skipped=lambda _: False)


def root_of(surroundings: Surroundings, folder: str) -> str:
    """Where a folder of the spec lies on this machine."""
    return os.path.abspath(resolve(surroundings.folder, folder))


def image_files(spec: LabelSource, surroundings: Surroundings) -> Iterator[Found]:
    """The images that are the source's items."""
    wanted, _ = chooser((), spec.exclude)
    return folder_files(surroundings, spec.images or spec.path, wanted)


def is_image(path: str) -> bool:
    """Whether a file is named as an image."""
    return path.lower().endswith(IMAGE_ENDINGS)


def bytes_of(surroundings: Surroundings, folder: str, path: str) -> bytes:
    """A label file's bytes. Raises ValueError with the reason where it can't be read."""
    place = os.path.join(root_of(surroundings, folder), path)
    try:
        with open(place, "rb") as file:
            if os.fstat(file.fileno()).st_size <= MOST_BYTES:
                return file.read()
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    raise ValueError(f"is longer than {MOST_BYTES >> 20} MiB, which no label file is")


def text_of(content: bytes) -> str:
    """A label file's text. Raises ValueError where it is none."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    if "\x00" in text:
        raise ValueError("holds NUL bytes: no text")
    return text
