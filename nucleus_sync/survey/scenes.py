"""What a dataset makes of its sources' scenes: their kind and privacy, and which items are inside them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace
from xxhash import xxh3_128_digest

from nucleus_sync.records.complaint import Complaint
from nucleus_sync.records.item import StagedFile
from nucleus_sync.records.key import item_key
from nucleus_sync.records.problem import Problem, Report, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.records.scene import Scene, VideoScene, items_of_scene
from nucleus_sync.records.scene_check import scene_complaints
from nucleus_sync.sources.reader import FileState, Pick, Reader, Seen
from nucleus_sync.spool import Sorter

if TYPE_CHECKING:
    from nucleus_sync.spec.model import Dataset


@dataclass
class SceneReader:
    """A source's scenes as one dataset takes them; those in `refused` are reported and left out."""

    name: str
    reader: Reader
    dataset: Dataset
    refused: dict[bytes, Complaint] = field(default_factory=dict)

    def state(self) -> FileState:
        """What stat says of the source's files now."""
        return self.reader.state()

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every scene."""
        return self.reader.scan(kind, report)

    def where(self, kind: Kind, locator: bytes) -> Where:
        """The file and position behind a locator."""
        return self.reader.where(kind, locator)

    def files(self, kind: Kind, locator: bytes) -> list[StagedFile]:
        """The files that must be put where Nucleus reads them before it is told of a scene."""
        return self.reader.files(kind, locator) if hasattr(self.reader, "files") else []

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked scenes, video scenes with `upload_to_scale` as the dataset's privacy mode has it."""
        for pick, scene in self.reader.read(kind, picks, report):
            fitted = self._fitted(scene)  # type: ignore[arg-type]
            complaint = self.refused.get(pick.key) or next(self._complaints(fitted), None)
            if complaint is None:
                yield pick, fitted
            else:
                where = self.where(kind, pick.locator)
                cause, detail = complaint.cause, complaint.detail
                report(Problem(self.name, where, f"scene {scene.reference_id}", cause, detail, key=pick.key))

    def _fitted(self, scene: Scene) -> Scene:
        if isinstance(scene, VideoScene) and scene.upload_to_scale is UNSET:
            return replace(scene, upload_to_scale=not self.dataset.privacy_mode)
        return scene

    def _complaints(self, scene: Scene) -> Iterator[Complaint]:
        kind = "video" if isinstance(scene, VideoScene) else "lidar"
        if kind != self.dataset.kind:
            said = f"a {kind} scene in a {self.dataset.kind} dataset"
            yield Complaint(said, said)
        if isinstance(scene, VideoScene):
            if scene.upload_to_scale is self.dataset.privacy_mode:
                said = f"upload_to_scale is {str(scene.upload_to_scale).lower()}"
                yield Complaint("upload_to_scale contradicts privacy_mode", f"{said}, the opposite of privacy_mode")
            yield from (each for each in scene_complaints(scene) if each.grave)
        if self.dataset.privacy_mode:
            yield from _without_size(scene)


def _without_size(scene: Scene) -> Iterator[Complaint]:
    for item in items_of_scene(scene):
        if item.type == "image" and UNSET in (item.width, item.height):
            cause = "image without width and height in privacy mode"
            yield Complaint(cause, f"item {item.reference_id} has no width and height, which privacy mode needs")


@dataclass
class Census:
    """Who is inside a dataset's scenes."""

    inside: Sorter
    """Rows (item key, scene key)."""
    frames: Sorter
    """Rows (digest of a URL, scene key) of videos."""
    scenes: set[bytes] = field(default_factory=set)
    uncut: set[bytes] = field(default_factory=set)
    """Videos in one file: Nucleus cuts their frames and names them, so nobody here knows their items."""

    def keys(self) -> Iterator[bytes]:
        """All scenes and items, ascending: scene categories hang on the former, everything else on the latter."""
        last = None
        for key in merge(sorted(self.scenes), (row[0] for row in self.inside.sorted())):
            if key != last:
                yield key
            last = key

    def with_items(self, scenes: Collection[bytes]) -> frozenset[bytes]:
        """These scenes and all that is inside them."""
        if not scenes:
            return frozenset()
        return frozenset(scenes) | {item for item, scene in self.inside.sorted() if scene in scenes}

    def around(self, items: Collection[bytes]) -> frozenset[bytes]:
        """The scenes among these items, and those that contain one of them."""
        if not items:
            return frozenset()
        return frozenset(self.scenes.intersection(items)) | {
            scene for item, scene in self.inside.sorted() if item in items
        }

    def conflicts(self) -> dict[bytes, Complaint]:
        """Scenes that contain what belongs to another one that sorts before."""
        found: dict[bytes, Complaint] = {}
        for item, scene, other in _shared(self.inside):
            detail = f"item {item.decode()} is in scene {other.decode()}, too"
            found.setdefault(scene, Complaint("an item is in two scenes", detail))
        for _, scene, other in _shared(self.frames):
            detail = f"a frame's URL is in scene {other.decode()}, too: Nucleus refuses that"
            found.setdefault(scene, Complaint("a frame's URL is in two videos", detail))
        return found


def _shared(rows: Sorter) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(what, scene, the first scene that has it)."""
    first: tuple[bytes, bytes] = (b"", b"")
    for what, scene in rows.sorted():
        if what != first[0]:
            first = what, scene
        elif scene != first[1]:
            yield what, scene, first[1]


def take_census(scenes: Iterable[Scene], scratch: Path) -> Census:
    """Count everybody; memory holds the scenes' names only."""
    census = Census(Sorter(scratch), Sorter(scratch))
    for scene in scenes:
        key = item_key(scene.reference_id)
        census.scenes.add(key)
        items = items_of_scene(scene)
        census.inside.extend((item_key(item.reference_id), key) for item in items)
        if isinstance(scene, VideoScene):
            census.frames.extend((xxh3_128_digest(item.url.encode()), key) for item in items)
            if not items:
                census.uncut.add(key)
    return census
