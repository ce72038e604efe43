"""A folder in KITTI's layout as lidar scenes, and its labels as cuboids in the lidar's own coordinates."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import UNSET

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import Cuboid, CuboidGeometry, Point3
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.item import StagedFile
from nucleus_sync.records.key import annotation_id, item_key, unnumbered_key
from nucleus_sync.records.problem import Problem, Report, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.records.scene import LidarScene, SceneItem
from nucleus_sync.sources.images import url_template
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.kitti import label_metadata, label_values
from nucleus_sync.sources.kitti_calib import Calibration, CalibrationError, parse_calibration
from nucleus_sync.sources.media import cause_and_detail, facts_of
from nucleus_sync.sources.natural_order import natural_order
from nucleus_sync.sources.point_cloud import PointCloudError, convert
from nucleus_sync.sources.reader import FileState, Pick, Seen, Surroundings
from nucleus_sync.sources.staged import file_at, staged_file
from nucleus_sync.sources.template import Template, value_template
from nucleus_sync.sources.walk import Found, Odd, shown, walk
from nucleus_sync.spec.place import resolve
from nucleus_sync.spec.scene_source import Kitti3dSource
from nucleus_sync.spec.staging import read_at

_VERSION = 1
_CLOUD = "velodyne"
_LABELS = "label_2"
_CALIB = "calib"
_FILE = re.compile(
    r"(?:(?P<folder>.*)/)?(?:(?P<sensor>velodyne|image_\d)/(?P<frame>[^/]+)\.(?:bin|pcd|json|png|jpe?g)"
    r"|(?P<text>calib|label_2)/(?P<other>[^/]+)\.txt)",
    re.I | re.S,
)
_SCENE = struct.Struct(">I")
_LABEL = struct.Struct(">II")


@dataclass
class _Frame:
    """Files of one frame by the folders in which they lie."""

    folder: str
    frame: str
    files: dict[str, Found] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, str]:
        path = f"{self.folder}/{self.frame}" if self.folder else self.frame
        return {"path": path, "folder": self.folder, "frame": self.frame}

    @property
    def sensors(self) -> list[str]:
        return [name for name in sorted(self.files) if name.startswith("image_")]


class _Unusable(ValueError):
    """What is wrong with a frame: (cause, detail, relative path of the file)."""


class Kitti3dReader:
    """Scenes of the frames that have a point cloud; cuboids of all that have labels.

    Everything stays in the coordinates of the lidar, which stands at the origin of each frame. Memory holds the names
    of all files.
    """

    def __init__(self, spec: Kitti3dSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._root = os.path.abspath(resolve(surroundings.folder, spec.path))
        self._calib_path = spec.calib or spec.path
        self._calib_root = os.path.abspath(resolve(surroundings.folder, self._calib_path))
        self._converted = resolve(surroundings.folder, spec.convert_to) if spec.convert_to else None
        self._scene_id = Template(spec.scene).render
        self._item_id = Template(spec.reference_id).render
        self._cloud_url = url_template(spec.pointcloud_url) if spec.pointcloud_url else None
        self._image_url = url_template(spec.image_url) if spec.image_url else None
        self._read_at = read_at(spec)
        self._metadata = value_template(spec.metadata)
        self._seed = seed_of(_VERSION, spec.said(but=("on_invalid",)))
        self._frames: list[_Frame] = []
        self._scenes: list[tuple[str, list[_Frame]]] = []
        self._calibration = lru_cache(16)(self._read_calibration)
        self._labels = lru_cache(16)(self._read_labels)

    def state(self) -> FileState:
        """Raises SourceError when a folder is gone."""
        roots = dict.fromkeys((self._root, self._calib_root))
        return FileState.of(found for root in roots for found in self._walk(root, lambda _: None))

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every scene, or every line of every label file but those of regions that nobody cares for."""
        self._calibration.cache_clear()
        self._labels.cache_clear()
        self._frames = self._found(report)
        if kind is Kind.SCENES:
            yield from self._scan_scenes(report)
        elif kind in (Kind.ANNOTATIONS, Kind.PREDICTIONS):
            yield from self._scan_labels(report)

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """Scenes with their cameras, converted where that is asked for; or cuboids."""
        make = self._scene if kind is Kind.SCENES else self._cuboid
        for pick in picks:
            where, name = self.where(kind, pick.locator), self._name(kind, pick.locator)
            try:
                record = make(kind, pick)
            except _Unusable as problem:
                cause, detail, path = problem.args
                report(Problem(self._surroundings.name, self._where(path), name, cause, detail, key=pick.key))
                continue
            if is_sound(record, pick.key, self._surroundings.name, where, name, report):
                yield pick, record

    def where(self, kind: Kind, locator: bytes) -> Where:
        """A scene's first point cloud, or a label's file and line."""
        if kind is Kind.SCENES:
            _, frames = self._scenes[_SCENE.unpack(locator)[0]]
            return self._where(frames[0].files[_CLOUD].path)
        frame, line = _LABEL.unpack(locator)
        return self._where(self._frames[frame].files[_LABELS].path, f"line {line}")

    def files(self, kind: Kind, locator: bytes) -> list[StagedFile]:
        """The files that must be put where Nucleus reads them before it is told of the scene."""
        if self._spec.upload_to is None or kind is not Kind.SCENES:
            return []
        _, frames = self._scenes[_SCENE.unpack(locator)[0]]
        files = [self._staged_cloud(frame) for frame in frames]
        if self._image_url is None:
            images = (frame.files[sensor].path for frame in frames for sensor in frame.sensors)
            around, folder = self._surroundings, self._spec.path
            files += [staged_file(around, folder, self._root, path, self._read_at) for path in images]
        return files

    def _name(self, kind: Kind, locator: bytes) -> str:
        if kind is Kind.SCENES:
            return f"scene {self._scenes[_SCENE.unpack(locator)[0]][0]}"
        return f"line {_LABEL.unpack(locator)[1]}"

    # --- looking at the files ---------------------------------------------------------------------------------

    def _walk(self, root: str, note: Callable[[Odd], None]) -> Iterator[Found]:
        if not os.path.isdir(root):
            what = "is not a folder" if os.path.exists(root) else "there is no such folder"
            shown_path = self._spec.path if root == self._root else self._calib_path
            raise SourceError(what, where=shown_path, fix="correct the path, or bring the files back")
        return walk(root, lambda path: _FILE.fullmatch(path) is not None, note, skipped=lambda _: False)

    def _found(self, report: Report) -> list[_Frame]:
        frames: dict[tuple[str, str], _Frame] = {}
        own = self._walk(self._root, lambda odd: report(self._odd(odd)))
        calibs = own if self._calib_root == self._root else self._walk(self._calib_root, lambda _: None)
        for found in own:
            self._add(frames, found)
        for found in calibs:
            place = _FILE.fullmatch(found.path)
            if place and place["text"] and place["text"].lower() == _CALIB:
                self._add(frames, found)
        return sorted(frames.values(), key=lambda frame: natural_order(frame.fields["path"]))

    def _add(self, frames: dict[tuple[str, str], _Frame], found: Found) -> None:
        place = _FILE.fullmatch(found.path)
        if place is not None:
            key = (place["folder"] or "", place["frame"] or place["other"])
            frames.setdefault(key, _Frame(*key)).files[(place["sensor"] or place["text"]).lower()] = found

    def _scan_scenes(self, report: Report) -> Iterator[Seen]:
        scenes: dict[str, list[_Frame]] = {}
        for frame in self._frames:
            if _CLOUD in frame.files:
                scenes.setdefault(self._scene_id(frame.fields), []).append(frame)
        self._scenes = list(scenes.items())
        for number, (name, frames) in enumerate(self._scenes):
            if name:
                files = [tuple(found) for frame in frames for _, found in sorted(frame.files.items())]
                yield Seen(item_key(name), raw_hash(repr(files).encode(), self._seed), _SCENE.pack(number))
            else:
                cause = "reference_id of the scene is empty"
                where = self._where(frames[0].files[_CLOUD].path)
                report(Problem(self._surroundings.name, where, frames[0].fields["path"], cause, cause))

    def _scan_labels(self, report: Report) -> Iterator[Seen]:
        for number, frame in enumerate(self._frames):
            if _LABELS not in frame.files:
                continue
            reference = self._item_id({"sensor": _CLOUD, **frame.fields})
            if not reference:
                cause = "reference_id is empty"
                where = self._where(frame.files[_LABELS].path)
                report(Problem(self._surroundings.name, where, frame.fields["path"], cause, cause))
                continue
            calib = frame.files.get(_CALIB)
            seed = self._seed if calib is None else seed_of(self._seed, tuple(calib))
            for line, text in self._labels(frame.files[_LABELS].path).items():
                raw = raw_hash(text.encode(), seed) if calib else LOOK_AGAIN
                yield Seen(unnumbered_key(reference, _order(text)), raw, _LABEL.pack(number, line))

    def _read_labels(self, path: str) -> dict[int, str]:
        """The lines that say something, by their numbers from 1."""
        try:
            lines = Path(self._root, path).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            said = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"can't be read: {error.strerror}"
            raise SourceError(said, where=str(self._where(path))) from None
        found = ((number, line.strip()) for number, line in enumerate(lines, 1))
        return {number: line for number, line in found if line and line.split()[0] != "DontCare"}

    def _calibration_of(self, frame: _Frame) -> Calibration:
        found = frame.files.get(_CALIB)
        if found is None:
            path = "/".join(filter(None, (frame.folder, _CALIB, f"{frame.frame}.txt")))
            raise _Unusable("its calibration is missing", f"there is no {path}", path)
        return self._calibration(found.path)

    def _read_calibration(self, path: str) -> Calibration:
        try:
            return parse_calibration(Path(self._calib_root, path).read_text("utf-8"))
        except CalibrationError as error:
            raise _Unusable("its calibration can't be used", f"calibration: {error}", path) from None
        except (OSError, UnicodeDecodeError) as error:
            raise _Unusable("its calibration can't be read", f"calibration can't be read: {error}", path) from None

    # --- making records ---------------------------------------------------------------------------------------

    def _scene(self, _kind: Kind, pick: Pick) -> LidarScene:
        number = _SCENE.unpack(pick.locator)[0]
        if number >= len(self._scenes) or item_key(self._scenes[number][0]) != pick.key:
            fix = "wait until it is complete, then try again"
            raise SourceError("the folder changed while it was read", where=self._spec.path, fix=fix)
        name, frames = self._scenes[number]
        metadata = self._metadata({"scene": name, **frames[0].fields})
        return LidarScene(reference_id=name, frames=[self._sensors(frame) for frame in frames], metadata=metadata)

    def _sensors(self, frame: _Frame) -> dict[str, SceneItem]:
        fields = {"sensor": _CLOUD, **frame.fields}
        self._convert(frame)
        url = self._cloud_url(fields) if self._cloud_url else self._staged_cloud(frame).url
        items = {_CLOUD: SceneItem(reference_id=self._item_id(fields), url=url, type="pointcloud")}
        if self._image_url or self._spec.upload_to:
            items |= {sensor: self._camera(frame, sensor) for sensor in frame.sensors}
        return items

    def _staged_cloud(self, frame: _Frame) -> StagedFile:
        """The point cloud as Nucleus reads it: as it was converted, or as it lies there."""
        path, folder, root = frame.files[_CLOUD].path, self._spec.path, self._root
        if not path.lower().endswith(".json"):
            assert self._converted is not None  # noqa: S101  (the spec holds upload_to to it)
            path, folder, root = f"{frame.fields['path']}.json", self._spec.convert_to or "", str(self._converted)
        return staged_file(self._surroundings, folder, root, path, self._read_at)

    def _camera(self, frame: _Frame, sensor: str) -> SceneItem:
        found = frame.files[sensor]
        whole = self._image_url is None
        facts = facts_of(self._surroundings, self._spec.path, self._root, found.path, whole=whole)
        if facts.invalid:
            raise _Unusable(*cause_and_detail(facts.invalid), found.path)
        try:
            camera = self._calibration_of(frame).camera(sensor.removeprefix("image_"))
        except CalibrationError as error:
            raise _Unusable(
                "its calibration can't be used", f"calibration: {error}", frame.files[_CALIB].path
            ) from None
        fields = {"sensor": sensor, **frame.fields}
        return SceneItem(
            reference_id=self._item_id(fields),
            url=self._image_url({"file": found.path, **fields})
            if self._image_url
            else file_at(self._read_at, found.path, facts).url,
            type="image",
            width=facts.width or UNSET,
            height=facts.height or UNSET,
            metadata={"camera_params": camera},
            camera_params=camera,
        )

    def _convert(self, frame: _Frame) -> None:
        """Writes the point cloud as Nucleus reads it, unless that was done since the file was written."""
        found = frame.files[_CLOUD]
        if self._converted is None or found.path.lower().endswith(".json"):
            return
        target = self._converted / f"{frame.fields['path']}.json"
        try:
            if not target.exists() or target.stat().st_mtime_ns < found.mtime_ns:
                convert(Path(self._root, found.path), target)
        except PointCloudError as error:
            raise _Unusable("not a point cloud that is read", f"point cloud: {error}", found.path) from None
        except OSError as error:
            raise SourceError(f"can't be converted: {error.strerror}", where=str(self._where(found.path))) from None

    def _cuboid(self, kind: Kind, pick: Pick) -> Cuboid:
        number, line = _LABEL.unpack(pick.locator)
        frame = self._frames[number]
        path = frame.files[_LABELS].path
        text = self._labels(path).get(line, "")
        values = label_values(text.split())
        if values is None:
            detail = f"{len(text.split())} fields: KITTI has 15, or 16 with a score, numbers but the first"
            raise _Unusable("not a line of KITTI", detail, path)
        label = " ".join(text.split()[: -len(values)])
        return Cuboid(
            label=label,
            geometry=_geometry(values, self._calibration_of(frame)),
            reference_id=self._item_id({"sensor": _CLOUD, **frame.fields}),
            annotation_id=annotation_id(pick.key) or "",
            metadata=label_metadata(values) or UNSET,
            confidence=_score(kind, values),
        )

    # --- saying what is wrong ---------------------------------------------------------------------------------

    def _where(self, path: str, position: str = "") -> Where:
        return Where(shown(f"{self._spec.path.rstrip('/')}/{path}"), position)

    def _odd(self, odd: Odd) -> Problem:
        where = self._where(odd.path)
        return Problem(self._surroundings.name, where, odd.path, odd.cause, odd.detail, odd.severity, None, odd.fix)


def _geometry(values: list[float], calibration: Calibration) -> CuboidGeometry:
    """KITTI gives height, width and length, the middle of the bottom, and an angle about the camera's y axis."""
    height, width, length, x, y, z, rotation_y = values[7:14]
    return CuboidGeometry(
        position=Point3(*calibration.point(x, y - height / 2, z)),
        dimensions=Point3(length, width, height),
        yaw=calibration.yaw(rotation_y),
    )


def _score(kind: Kind, values: list[float]) -> Any:
    return values[14] if kind is Kind.PREDICTIONS and len(values) > 14 else UNSET


def _order(text: str) -> bytes:
    """By label and place rather than by line, so that a file written in another order says the same."""
    return text.encode()
