"""The newest images of a spec's sources, with the shapes that its annotations draw on them."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xxhash import xxh3_64_hexdigest

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.records.annotation import Box, Keypoints, Line, Polygon
from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.key import item_of
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.media import examine, path_fields
from nucleus_sync.sources.open import open_reader
from nucleus_sync.sources.reader import Pick, Surroundings
from nucleus_sync.sources.template import Template
from nucleus_sync.sources.walk import IMAGE_ENDINGS, Found, is_inside, walk
from nucleus_sync.spec.loaded import LoadedSpec
from nucleus_sync.spec.source import CocoSource
from nucleus_sync.watch.inputs import Inputs, inputs_of

SHOWN = 12
_LARGEST_LABELS = 64 << 20
"""Bytes of a file of labels above which nothing is drawn: it would be read for a handful of shapes."""
_LARGEST_PICTURE = 32 << 20
_MOST_SHAPES = 200
_REST = 20.0
"""How many times longer than it took to look, the next look is put off."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Points in pixels; closed for a box or polygon, open for a line, single points otherwise."""

    kind: str
    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One image with what is drawn on it."""

    token: str
    reference_id: str
    path: str
    width: int
    height: int
    shapes: tuple[Shape, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Image:
    dataset: str
    root: str
    path: str
    mtime_ns: int
    reference_id: str


class Gallery:
    """Looks when asked, and no more often than is cheap."""

    def __init__(self, scratch: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._scratch = scratch
        self._clock = clock
        self._lock = threading.Lock()
        self._pictures: list[Picture] = []
        self._good_until = float("-inf")
        self._of: LoadedSpec | None = None

    def pictures(self, loaded: LoadedSpec) -> list[Picture]:
        """The newest first."""
        with self._lock:
            if self._of is not loaded or self._clock() >= self._good_until:
                begun = self._clock()
                self._pictures = list(self._look(loaded))
                self._of, self._good_until = loaded, self._clock() + 1.0 + _REST * (self._clock() - begun)
            return self._pictures

    def bytes_of(self, token: str) -> bytes | None:
        """An image that is being shown; None for any other."""
        found = next((picture for picture in self._pictures if picture.token == token), None)
        if found is None:
            return None
        try:
            with open(found.path, "rb") as file:
                return file.read(_LARGEST_PICTURE + 1)[:_LARGEST_PICTURE]
        except OSError:
            return None

    def _look(self, loaded: LoadedSpec) -> Iterator[Picture]:
        inputs = inputs_of(loaded)
        newest = heapq.nlargest(SHOWN, _images(loaded, inputs), key=lambda image: image.mtime_ns)
        shapes, notes = self._shapes(loaded, newest)
        for image in newest:
            try:
                facts = examine(image.path, whole=False)
            except NucleusSyncError:
                continue
            if facts.width and facts.height:
                drawn = tuple(shapes.get((image.dataset, image.reference_id.encode()), ()))
                token = xxh3_64_hexdigest(os.fsencode(f"{image.path}\0{image.mtime_ns}"))
                note = notes.get(image.dataset, "")
                yield Picture(token, image.reference_id, image.path, facts.width, facts.height, drawn, note)

    def _shapes(
        self, loaded: LoadedSpec, images: list[_Image]
    ) -> tuple[dict[tuple[str, bytes], list[Shape]], dict[str, str]]:
        found: dict[tuple[str, bytes], list[Shape]] = {}
        notes: dict[str, str] = {}
        for dataset in {image.dataset for image in images}:
            wanted = {image.reference_id.encode() for image in images if image.dataset == dataset}
            for name in loaded.spec.datasets[dataset].annotations:
                try:
                    for item, shape in self._drawn(loaded, name, wanted):
                        shapes = found.setdefault((dataset, item), [])
                        if len(shapes) < _MOST_SHAPES:
                            shapes.append(shape)
                except (NucleusSyncError, OSError, ValueError) as error:
                    notes[dataset] = f"{name} can't be drawn: {error}".split("\n", 1)[0]
        return found, notes

    def _drawn(self, loaded: LoadedSpec, name: str, wanted: set[bytes]) -> Iterator[tuple[bytes, Shape]]:
        source = loaded.spec.sources[name]
        if os.path.getsize(loaded.resolve(source.path)) > _LARGEST_LABELS:
            raise ValueError("the file is too large to be read for a picture")
        around = Surroundings(name, loaded.folder, self._scratch, NoFacts())
        reader = open_reader(source, around)
        seen = (row for row in reader.scan(Kind.ANNOTATIONS, lambda _: None) if item_of(row[0]) in wanted)
        picks = sorted((Pick(*row) for row in seen), key=lambda pick: pick.locator)
        for pick, record in reader.read(Kind.ANNOTATIONS, picks, lambda _: None):
            shape = shape_of(record)
            if shape is not None:
                yield item_of(pick.key), shape


def shape_of(record: Record) -> Shape | None:
    """What a record draws; None for masks, categories and cuboids."""
    match record:
        case Box(geometry=box):
            right, low = box.x + box.width, box.y + box.height
            return Shape("box", record.label, ((box.x, box.y), (right, box.y), (right, low), (box.x, low)))
        case Polygon():
            return Shape("polygon", record.label, tuple((point.x, point.y) for point in record.geometry.vertices))
        case Line():
            return Shape("line", record.label, tuple((point.x, point.y) for point in record.geometry.vertices))
        case Keypoints():
            points = ((point.x, point.y) for point in record.geometry.keypoints)
            placed = tuple((x, y) for x, y in points if x is not None and y is not None)
            return Shape("keypoints", record.label, placed)
    return None


def _images(loaded: LoadedSpec, inputs: Inputs) -> Iterator[_Image]:
    """Every image of the sources of items, by its name alone: nothing is opened."""
    for dataset, declared in loaded.spec.datasets.items():
        for folder in inputs.folders:
            if folder.source in declared.items:
                reference_id = Template(folder.reference_id).render
                for found in _walked(folder.path, folder.wanted, folder.skipped):
                    path = os.path.join(folder.path, found.path)
                    named = reference_id(path_fields(found.path))
                    yield _Image(dataset, folder.path, path, found.mtime_ns, named)
        for name, root in inputs.beside:
            source = loaded.spec.sources[name]
            if name in declared.items and isinstance(source, CocoSource):
                whole = source.reference_id in ("{file_name}", "{path}")
                for found in _walked(root, lambda path: path.lower().endswith(IMAGE_ENDINGS), lambda _: False):
                    named = found.path if whole else os.path.basename(found.path)
                    yield _Image(dataset, root, os.path.join(root, found.path), found.mtime_ns, named)


def _walked(root: str, wanted: Callable[[str], bool], skipped: Callable[[str], bool]) -> Iterator[Found]:
    """Links aren't followed, so that nothing outside the source is shown."""
    real = os.path.realpath(root)
    try:
        for found in walk(root, wanted, lambda _: None, skipped=skipped):
            if is_inside(os.path.realpath(os.path.join(root, os.path.dirname(found.path))), real):
                yield found
    except (NucleusSyncError, OSError):
        return
