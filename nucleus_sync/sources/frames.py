"""Folders of frames, or of video files, as video scenes."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from msgspec import UNSET, Struct, msgpack
from msgspec.structs import replace

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.fingerprint import raw_hash, seed_of
from nucleus_sync.records.item import StagedFile
from nucleus_sync.records.key import item_key
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.records.scene import SceneItem, VideoScene
from nucleus_sync.sources.images import url_template
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.media import cause_and_detail, facts_of, findings, path_fields
from nucleus_sync.sources.natural_order import natural_order
from nucleus_sync.sources.reader import FileState, Pick, Seen, Surroundings
from nucleus_sync.sources.staged import file_at, staged_file
from nucleus_sync.sources.template import Template, value_template
from nucleus_sync.sources.walk import Found, Odd, chooser, shown, walk
from nucleus_sync.spec.place import resolve
from nucleus_sync.spec.scene_source import FramesSource
from nucleus_sync.spec.staging import read_at
from nucleus_sync.spool import Sorter

_VERSION = 1
_VIDEOS = ("*.[mM][pP]4", "*.[mM][oO][vV]", "*.[aA][vV][iI]", "*.[mM][kK][vV]", "*.[wW][eE][bB][mM]", "*.[mM]4[vV]")
_LOCATOR = struct.Struct(">QI")


class _Listed(Struct, array_like=True, frozen=True, gc=False):
    """One scene in the listing that a scan leaves behind: its files in order."""

    scene: str
    files: list[Found]


_pack = msgpack.Encoder().encode
_unpack = msgpack.Decoder(_Listed).decode


class FramesReader:
    """One video scene for each folder of frames, in the order in which people count, or for each video file.

    What a scan finds is sorted on disk; memory holds one scene.
    """

    def __init__(self, spec: FramesSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._root = os.path.abspath(resolve(surroundings.folder, spec.path))
        is_of_files = self._is_of_files = spec.is_of_videos
        self._wanted, self._skipped = chooser(spec.include or (_VIDEOS if is_of_files else ()), spec.exclude)
        self._scene = Template(spec.scene or ("{path}" if is_of_files else "{parent}")).render
        self._reference_id = Template(spec.reference_id).render
        self._image_url = url_template(spec.image_url) if spec.image_url else None
        self._video_url = url_template(spec.video_url) if spec.video_url else None
        self._read_at = read_at(spec)
        self._metadata = value_template(spec.metadata)
        self._seed = seed_of(_VERSION, spec.said(but=("on_invalid", "include", "exclude")))
        self._listing = surroundings.scratch / f"{surroundings.name}.scenes"

    def state(self) -> FileState:
        """Raises SourceError when the folder is gone."""
        return FileState.of(self._walk(lambda _: None))

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every scene, in the order of the reference ids."""
        if kind is not Kind.SCENES:
            return
        sorter = Sorter(self._surroundings.scratch)
        for found in self._walk(lambda odd: report(self._odd(odd))):
            scene = self._scene(path_fields(found.path))
            if scene:
                sorter.extend([(scene, natural_order(found.path), tuple(found))])
            else:
                detail = "reference_id of the scene is empty; `scene` says what it is made of"
                report(self._problem(found.path, "reference_id of the scene is empty", detail))
        with open(self._listing, "ab", buffering=0) as listing:
            for scene, rows in groupby(sorter.sorted(), key=itemgetter(0)):
                listed = _pack(_Listed(scene, [Found(*row[2]) for row in rows]))
                listing.write(listed)
                locator = _LOCATOR.pack(listing.tell() - len(listed), len(listed))
                yield Seen(item_key(scene), raw_hash(listed, self._seed), locator)
        sorter.close()

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """Looks into the frames for their sizes, unless they were looked at before."""
        if kind is not Kind.SCENES:
            return
        for pick in picks:
            listed = self._listed(pick.locator)
            scene = self._video(listed, pick.key, report)
            if scene is not None and is_sound(
                scene,
                pick.key,
                self._surroundings.name,
                self.where(kind, pick.locator),
                f"scene {listed.scene}",
                report,
            ):
                yield pick, scene

    def where(self, kind: Kind, locator: bytes) -> Where:  # noqa: ARG002  (every locator is a scene's)
        """The scene's first file."""
        return self._where(self._listed(locator).files[0].path)

    def files(self, kind: Kind, locator: bytes) -> list[StagedFile]:  # noqa: ARG002  (every locator is a scene's)
        """The files that must be put where Nucleus reads them before it is told of the scene."""
        if self._spec.upload_to is None:
            return []
        return [self._staged(found) for found in self._listed(locator).files]

    # --- making scenes ----------------------------------------------------------------------------------------

    def _video(self, listed: _Listed, key: bytes, report: Report) -> VideoScene | None:
        fields = {"scene": listed.scene, **path_fields(listed.files[0].path)}
        scene = VideoScene(reference_id=listed.scene, metadata=self._metadata(fields))
        if self._is_of_files:
            return self._filmed(scene, listed, key, report)
        frames = [self._frame(found, key, report) for found in listed.files]
        sound = [frame for frame in frames if frame is not None]
        return replace(scene, frame_rate=self._spec.frame_rate, frames=sound) if len(sound) == len(frames) else None

    def _filmed(self, scene: VideoScene, listed: _Listed, key: bytes, report: Report) -> VideoScene | None:
        if len(listed.files) > 1:
            others = ", ".join(shown(found.path) for found in listed.files[1:3])
            cause = "several video files make one scene"
            report(self._problem(listed.files[0].path, cause, f"{cause}: {others}", key=key))
            return None
        found = listed.files[0]
        url = self._video_url(path_fields(found.path)) if self._video_url else self._staged(found).url
        return replace(scene, video_url=url)

    def _frame(self, found: Found, key: bytes, report: Report) -> SceneItem | None:
        facts = self._facts(found)
        if facts.invalid:
            report(self._problem(found.path, *cause_and_detail(facts.invalid), key=key))
            return None
        for cause, detail in findings(facts):
            report(self._problem(found.path, cause, detail, Severity.FINDING, key))
        fields = path_fields(found.path)
        return SceneItem(
            reference_id=self._reference_id(fields),
            url=self._image_url(fields) if self._image_url else file_at(self._read_at, found.path, facts).url,
            type="image",
            width=facts.width or UNSET,
            height=facts.height or UNSET,
        )

    def _facts(self, found: Found) -> Facts:
        return facts_of(self._surroundings, self._spec.path, self._root, found.path, whole=not self._image_url)

    def _staged(self, found: Found) -> StagedFile:
        return staged_file(self._surroundings, self._spec.path, self._root, found.path, self._read_at)

    # --- looking at the files ---------------------------------------------------------------------------------

    def _walk(self, note: Callable[[Odd], None]) -> Iterator[Found]:
        if not os.path.isdir(self._root):
            what = "is not a folder" if os.path.exists(self._root) else "there is no such folder"
            raise SourceError(what, where=self._spec.path, fix="correct `path`, or bring the files back")
        return walk(self._root, self._wanted, note, skipped=self._skipped)

    def _listed(self, locator: bytes) -> _Listed:
        offset, length = _LOCATOR.unpack(locator)
        try:
            with open(self._listing, "rb") as listing:
                listing.seek(offset)
                return _unpack(listing.read(length))
        except OSError as error:
            raise SourceError(
                "the listing of the scan is gone", where=str(self._listing), fix="run it again"
            ) from error

    # --- saying what is wrong ---------------------------------------------------------------------------------

    def _where(self, path: str) -> Where:
        return Where(shown(f"{self._spec.path.rstrip('/')}/{path}"))

    def _problem(
        self, path: str, cause: str, detail: str, severity: Severity = Severity.INVALID, key: bytes | None = None
    ) -> Problem:
        return Problem(self._surroundings.name, self._where(path), shown(path), cause, detail, severity, key)

    def _odd(self, odd: Odd) -> Problem:
        where = self._where(odd.path)
        return Problem(self._surroundings.name, where, odd.path, odd.cause, odd.detail, odd.severity, None, odd.fix)
