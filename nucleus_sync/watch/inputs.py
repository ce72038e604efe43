"""The files and folders that a spec's sources read, and which of them a path belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from nucleus_sync.errors import UsageError
from nucleus_sync.sources.walk import Wanted, chooser, is_junk
from nucleus_sync.spec.coco_source import CocoPanopticSource, CocoResultsSource, CocoSource
from nucleus_sync.spec.image_source import ImagesSource, KittiSource, VocSource, YoloSource
from nucleus_sync.spec.loaded import LoadedSpec
from nucleus_sync.spec.scene_source import FramesSource, Kitti3dSource
from nucleus_sync.spec.source import Source
from nucleus_sync.survey.declared import DeclaredStream, declared_streams


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """A source whose files count one by one."""

    source: str
    path: str
    shown: str
    wanted: Wanted
    skipped: Wanted
    reference_id: str
    """The template of its items' reference ids."""

    def relative(self, path: str) -> str | None:
        """A path as the source names it; None where it isn't one of its files."""
        if not path.startswith(self.path + "/"):
            return None
        name = path[len(self.path) + 1 :]
        parts = name.split("/")
        if any(map(is_junk, parts)) or any(self.skipped("/".join(parts[:end])) for end in range(1, len(parts))):
            return None
        return name if self.wanted(name) else None


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that counts as a whole."""

    source: str
    path: str
    shown: str
    format: str


@dataclass(frozen=True, slots=True)
class Place:
    """What is to be observed: a folder, with all folders below it or alone."""

    path: str
    recursive: bool


@dataclass(frozen=True)
class Inputs:
    """Everything that a spec reads. Paths are absolute."""

    folders: tuple[ImageFolder, ...]
    files: tuple[InputFile, ...]
    beside: tuple[tuple[str, str], ...]
    """(source, folder) of images that a file of labels names."""
    spec: str
    ledger_home: str
    streams: tuple[DeclaredStream, ...]

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """What to observe; a file by its folder, because it may be replaced."""
        whole = {folder.path for folder in self.folders} | {folder for _, folder in self.beside}
        alone = {os.path.dirname(path) for path in (*(file.path for file in self.files), self.spec)}
        return (
            *(Place(path, True) for path in sorted(whole)),
            *(Place(path, False) for path in sorted(alone - whole)),
        )

    def images(self, path: str) -> Iterator[tuple[ImageFolder, str]]:
        """The folder sources that a file belongs to, with its name there."""
        for folder in self.folders:
            if (name := folder.relative(path)) is not None:
                yield folder, name

    def is_whole(self, path: str) -> bool:
        """Whether it is a file that counts as a whole, or lies where such a file's images are."""
        return path in self._whole or any(path.startswith(folder + "/") for _, folder in self.beside)

    @cached_property
    def _whole(self) -> frozenset[str]:
        return frozenset(file.path for file in self.files)

    def is_aside(self, folder: str) -> bool:
        """Whether a folder is of no source: a hidden one, as the ledger's usually is, or a round's scratch folder."""
        if os.path.dirname(folder) == self.ledger_home and os.path.basename(folder).startswith("scratch-"):
            return True
        below = (folder[len(place.path) + 1 :] for place in self.places if folder.startswith(place.path + "/"))
        return any(any(map(is_junk, name.split("/"))) for name in below)

    def matters(self, path: str) -> bool:
        """Whether a change of this file can change a record."""
        if is_junk(os.path.basename(path)):
            return False
        return self.is_whole(path) or next(self.images(path), None) is not None


def inputs_of(loaded: LoadedSpec) -> Inputs:
    """What the declared streams read. Raises UsageError for standard input, which can't be watched."""
    streams = tuple(declared_streams(loaded.spec))
    names = dict.fromkeys(name for stream in streams for name in stream.sources)
    folders: list[ImageFolder] = []
    files: list[InputFile] = []
    beside: list[tuple[str, str]] = []

    def absolute(path: str) -> str:
        return os.path.abspath(loaded.resolve(path))

    ledger_home = os.path.dirname(absolute(loaded.spec.settings.ledger))
    for name in names:
        source = loaded.spec.sources[name]
        if source.path == "-":
            raise UsageError(
                f"source {name} is standard input, which can't be watched", fix="write a file, and name it"
            )
        if isinstance(source, ImagesSource):
            wanted, skipped = chooser(source.include, source.exclude)
            template = str(source.reference_id)
            folders.append(ImageFolder(name, absolute(source.path), source.path, wanted, skipped, template))
            continue
        inside, alone = _read_by(source)
        beside += [(name, absolute(path)) for path in inside]
        files += [InputFile(name, absolute(path), path, kind) for path, kind in alone]
    return Inputs(tuple(folders), tuple(files), tuple(beside), os.path.abspath(loaded.path), ledger_home, streams)


def _read_by(source: Source) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Folders whose files count together, and files with their formats, as the spec names them."""
    match source:
        case FramesSource():
            return (source.path,), ()
        case Kitti3dSource():
            return _named(source.path, source.calib), ()
        case VocSource() | KittiSource():
            return _named(source.path, source.images), ()
        case YoloSource():
            return _named(source.path, source.images), tuple((path, source.format) for path in _named(source.data))
        case CocoPanopticSource():
            return _named(source.masks, source.images), ((source.path, source.format),)
        case CocoSource():
            return _named(source.images), ((source.path, source.format),)
        case CocoResultsSource():
            return _named(source.images), ((source.path, source.format), (source.ground_truth, "coco"))
    return (), ((source.path, source.format),)


def _named(*paths: str | None) -> tuple[str, ...]:
    return tuple(path for path in paths if path is not None)


def ready_targets(loaded: LoadedSpec, held: frozenset[str]) -> tuple[str, ...] | None:
    """Addresses that can be applied while these streams are held back; () is everything, None is nothing."""
    spec = loaded.spec
    if not held:
        return ()
    streams = tuple(declared_streams(spec))
    without_items = {stream.dataset for stream in streams if stream.address == stream.items_address} & {
        stream.dataset for stream in streams if stream.address in held and stream.address == stream.items_address
    }
    without_records = {stream.dataset for stream in streams if stream.address in held}
    ready = [s.address for s in streams if s.address not in held and s.dataset not in without_items]
    for name, dataset in spec.datasets.items():
        if name not in without_items:
            ready += [f"dataset.{name}.taxonomy.{taxonomy}" for taxonomy in dataset.taxonomies]
            ready += [f"dataset.{name}.slice.{part}" for part in dataset.slices]
        if name not in without_records:  # a track is there once a record names it
            ready += [f"dataset.{name}.track.{track}" for track in dataset.tracks]
    return tuple(ready) or None
