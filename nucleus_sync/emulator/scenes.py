"""Lidar and video scenes: taken in, read back, deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from . import taxonomies
from .records import metadata_kinds
from .refusals import UserFault, missing
from .shapes import LidarScene, SceneItem, SceneTrack, VideoScene
from .tally import Sabotage, Tally
from .validate import MetadataKinds, fault_of_lidar_scene, fault_of_video_scene
from .world import World, from_json, to_json

_lidar = msgspec.json.Decoder(LidarScene)
_video = msgspec.json.Decoder(VideoScene)

Placed = tuple[int, str | None, SceneItem]
"""An item of a scene with its frame and its sensor."""


def take_in(
    c: sqlite3.Connection,
    dataset: int,
    batches: Iterable[list[bytes]],
    sabotage: Sabotage,
    *,
    update: bool,
    video: bool,
) -> Tally:
    """Read all scenes into the open transaction. `processed` counts changed scenes, `created` the new ones."""
    held = c.execute("SELECT privacy FROM datasets WHERE pk = ?", (dataset,)).fetchone()
    if held is None:
        raise UserFault("The dataset does not exist.")
    intake = _Intake(c, dataset, sabotage, update=update, privacy=bool(held[0]))
    for batch in batches:
        for line in batch:
            intake.take(line, video=video)
    intake.finish()
    return intake.tally


class _Intake:
    def __init__(self, c: sqlite3.Connection, dataset: int, sabotage: Sabotage, *, update: bool, privacy: bool) -> None:
        self.tally = Tally()
        self._c = c
        self._dataset = dataset
        self._sabotage = sabotage
        self._update = update
        self._privacy = privacy
        self._kinds: dict[str, MetadataKinds] = {
            topic: metadata_kinds(c, dataset, topic) for topic in ("scene", "item")
        }
        self._urls: dict[str, str] = {}

    def take(self, line: bytes, *, video: bool) -> None:
        index = self.tally.total
        self.tally.total += 1
        try:
            scene = (_video if video else _lidar).decode(line)
        except msgspec.ValidationError as error:
            self.tally.refuse(f"Input validation failed for scene {index}: {error}")
            return
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UserFault(f"Line {index + 1} is not valid JSON: {error}") from error
        placed = _placed(scene)
        if fault := self._fault(scene, placed, index):
            self.tally.refuse(f"Scene {scene.reference_id}: {fault}")
            return
        query = "SELECT pk FROM scenes WHERE dataset = ? AND reference_id = ?"
        known = self._c.execute(query, (self._dataset, scene.reference_id)).fetchone()
        if known is None:
            self._create(scene, placed)
        elif self._update:
            self._change(known["pk"], scene, placed)
        else:
            self.tally.ignored += 1

    def finish(self) -> None:
        for topic, kinds in self._kinds.items():
            learned = [(self._dataset, topic, key, kind) for key, kind in kinds.learned.items()]
            self._c.executemany("INSERT OR IGNORE INTO metadata_kinds VALUES (?, ?, ?, ?)", learned)

    def _fault(self, scene: LidarScene | VideoScene, placed: list[Placed], index: int) -> str | None:
        if self._sabotage.refuses is not None and self._sabotage.refuses(index):
            return self._sabotage.text
        fault = (
            fault_of_lidar_scene(scene) if isinstance(scene, LidarScene) else fault_of_video_scene(scene, self._privacy)
        )
        if fault:
            return fault
        urls = [item.url for _, _, item in placed]
        if isinstance(scene, VideoScene):
            if any(self._urls.setdefault(url, scene.reference_id) != scene.reference_id for url in urls):
                return "Duplicate frames found across different videos"
            urls += [scene.video_url] if scene.video_url else []
        for url in urls:
            if self._sabotage.cannot_read(url) and not self._privacy:
                self.tally.unreachable += 1
                return f"Failed to fetch {url}"
        return self._fault_of_items(scene, placed)

    def _fault_of_items(self, scene: LidarScene | VideoScene, placed: list[Placed]) -> str | None:
        names = [item.reference_id for _, _, item in placed]
        taken = self._c.execute(
            "SELECT i.reference_id FROM items i LEFT JOIN scenes s ON s.pk = i.scene WHERE i.dataset = ?"
            " AND i.reference_id IN (SELECT value FROM json_each(?)) AND s.reference_id IS NOT ? LIMIT 1",
            (self._dataset, to_json(names), scene.reference_id),
        ).fetchone()
        if taken:
            return f"Item {taken[0]} already belongs to another scene."
        if fault := self._kinds["scene"].fault(scene.metadata):
            return fault
        faults = (self._kinds["item"].fault(_metadata(item)) for _, _, item in placed)
        return next((fault for fault in faults if fault), None)

    def _create(self, scene: LidarScene | VideoScene, placed: list[Placed]) -> None:
        video = isinstance(scene, VideoScene)
        row = (
            self._dataset,
            scene.reference_id,
            "video" if video else "lidar",
            to_json(scene.metadata or {}),
            getattr(scene, "frame_rate", None),
            getattr(scene, "video_url", None),
        )
        pk = self._c.execute(
            "INSERT INTO scenes (dataset, reference_id, type, metadata, frame_rate, video_url)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row,
        ).lastrowid
        self._c.executemany(
            "INSERT INTO items (dataset, reference_id, url, type, width, height, metadata, embedding, scene, frame,"
            " sensor) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_item_row(self._dataset, pk or 0, each) for each in placed],
        )
        self._add_tracks(pk or 0, scene.tracks or [])
        self.tally.created += 1
        self.tally.processed += 1

    def _change(self, pk: int, scene: LidarScene | VideoScene, placed: list[Placed]) -> None:
        """New metadata for the scene and its items; the structure is frozen (6.2)."""
        held = self._c.execute("SELECT reference_id FROM items WHERE scene = ?", (pk,))
        if placed and {row[0] for row in held} != {item.reference_id for _, _, item in placed}:
            self.tally.refuse(f"Scene {scene.reference_id}: the structure of an existing scene cannot be changed.")
            return
        metadata = to_json(scene.metadata or {})
        self._c.execute("UPDATE scenes SET metadata = ? WHERE pk = ?", (metadata, pk))
        self._c.executemany(
            "UPDATE items SET metadata = ? WHERE dataset = ? AND reference_id = ?",
            [(to_json(_metadata(item)), self._dataset, item.reference_id) for _, _, item in placed],
        )
        self._add_tracks(pk, scene.tracks or [])
        self.tally.processed += 1

    def _add_tracks(self, scene: int, tracks: list[SceneTrack]) -> None:
        self._c.executemany(
            "INSERT OR IGNORE INTO tracks (dataset, reference_id, metadata) VALUES (?, ?, ?)",
            [(self._dataset, track.reference_id, to_json(track.metadata or {})) for track in tracks],
        )
        self._c.executemany(
            "INSERT OR IGNORE INTO scene_tracks SELECT ?, pk FROM tracks WHERE dataset = ? AND reference_id = ?",
            [(scene, self._dataset, track.reference_id) for track in tracks],
        )


def _placed(scene: LidarScene | VideoScene) -> list[Placed]:
    if isinstance(scene, VideoScene):
        # A video file is not fetched, so its frames are not cut: such a scene has no items here.
        return [(number, None, item) for number, item in enumerate(scene.frames or [])]
    return [(number, sensor, item) for number, frame in enumerate(scene.frames) for sensor, item in frame.items()]


def _metadata(item: SceneItem) -> dict[str, Any]:
    metadata = dict(item.metadata or {})
    if item.camera_params is not None:
        metadata.setdefault("camera_params", item.camera_params)
    return metadata


def _item_row(dataset: int, scene: int, placed: Placed) -> tuple[Any, ...]:
    frame, sensor, item = placed
    metadata = to_json(_metadata(item))
    shape = (item.width, item.height, metadata, None if item.embedding_info is None else to_json(item.embedding_info))
    return (dataset, item.reference_id, item.url, item.type, *shape, scene, frame, sensor)


def find(world: World, dataset: int, reference_id: str) -> sqlite3.Row:
    """A scene by its reference id, or 404."""
    query = "SELECT * FROM scenes WHERE dataset = ? AND reference_id = ?"
    row = world.held.reader().execute(query, (dataset, reference_id)).fetchone()
    if row is None:
        raise missing("Scene", reference_id)
    return row  # type: ignore[no-any-return]


def find_of_item(world: World, dataset: int, reference_id: str) -> sqlite3.Row:
    """The scene that holds an item, or 404."""
    row = (
        world.held.reader()
        .execute(
            "SELECT s.* FROM scenes s JOIN items i ON i.scene = s.pk WHERE i.dataset = ? AND i.reference_id = ?",
            (dataset, reference_id),
        )
        .fetchone()
    )
    if row is None:
        raise missing("A scene with item", reference_id)
    return row  # type: ignore[no-any-return]


def as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """The answer of `GET dataset/{ds}/scene/{ref}`."""
    c = world.held.reader()
    items = c.execute("SELECT * FROM items WHERE scene = ? ORDER BY frame, pk", (row["pk"],)).fetchall()
    answer: dict[str, Any] = {
        "id": world.ids.spell("scn", row["pk"]),
        "reference_id": row["reference_id"],
        "metadata": from_json(row["metadata"]),
        "tracks": taxonomies.tracks_of_scene(world, row["pk"]),
    }
    if row["type"] == "video":
        answer["frames"] = [_item_as_read(world, item) for item in items]
        answer |= {key: row[key] for key in ("frame_rate", "video_url") if row[key] is not None}
        return answer
    frames: dict[int, dict[str, Any]] = {}
    for item in items:
        frames.setdefault(item["frame"], {})[item["sensor"]] = _item_as_read(world, item)
    answer["frames"] = list(frames.values())
    return answer


def _item_as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    place = "pointcloud_url" if row["type"] == "pointcloud" else "image_url"
    return {
        "reference_id": row["reference_id"],
        "dataset_item_id": world.ids.spell("di", row["pk"]),
        "url": row["url"],
        place: row["url"],
        "type": row["type"],
        "metadata": from_json(row["metadata"]),
    }


def listing(world: World, dataset: int) -> list[dict[str, Any]]:
    """The answer of `dataset/{ds}/scenes_list`."""
    rows = world.held.reader().execute("SELECT * FROM scenes WHERE dataset = ? ORDER BY pk", (dataset,))
    return [summary(world, row) for row in rows]


def summary(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """A scene without its frames."""
    return {
        "id": world.ids.spell("scn", row["pk"]),
        "reference_id": row["reference_id"],
        "type": row["type"],
        "metadata": from_json(row["metadata"]),
    }


def delete(c: sqlite3.Connection, scene: int) -> None:
    """Remove a scene, its items and what hangs on them."""
    c.execute("DELETE FROM scenes WHERE pk = ?", (scene,))
