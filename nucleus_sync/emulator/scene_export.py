"""Scenes with their boxes by track, as `exportForTrainingByScene` gives them (8.3)."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

from . import scenes
from .refusals import Refused
from .world import World, from_json

MOST_SCENES = 30
"""On one page (1.6)."""


def scenes_after(world: World, dataset: int, slice_pk: int | None, after: int, size: int) -> list[sqlite3.Row]:
    """The next scenes of a dataset; with a slice those that are in it, or have an item in it."""
    query = (
        "SELECT s.* FROM scenes s WHERE s.dataset = ?1 AND s.pk > ?2 AND (?4 IS NULL OR EXISTS (SELECT 1"
        " FROM slice_members m WHERE m.slice = ?4 AND (m.kind = 'scn' AND m.member = s.pk"
        " OR m.kind = 'di' AND m.member IN (SELECT pk FROM items WHERE scene = s.pk)))) ORDER BY s.pk LIMIT ?3"
    )
    return world.held.reader().execute(query, (dataset, after, size, slice_pk)).fetchall()


def row_of(world: World, scene: sqlite3.Row) -> dict[str, Any]:
    """A scene with its boxes by track; 400 where nothing ties the boxes of several frames together."""
    query = (
        "SELECT a.*, i.frame, i.reference_id, i.pk AS owner FROM annotations a JOIN items i ON i.pk = a.item"
        " WHERE i.scene = ? AND a.type = 'box' ORDER BY i.frame, a.pk"
    )
    rows = world.held.reader().execute(query, (scene["pk"],)).fetchall()
    tracks: dict[str, dict[str, Any]] = {}
    for row, name in zip(rows, _tracks_of(scene, rows), strict=True):
        track = tracks.setdefault(name, {"label": row["label"], "name": name, "frames": []})
        track["frames"].append(_frame(world, row))
    described = scenes.summary(world, scene) | {"fileLocation": scene["video_url"]}
    return {"scene": described, "annotations": tracks}


def _tracks_of(scene: sqlite3.Row, rows: list[sqlite3.Row]) -> list[str]:
    """The track of each box: its own, or one that its metadata names, or its annotation id where that recurs."""
    named = [_named(row) for row in rows]
    if any(named) or not rows:
        return [name or _annotation_id(row) for name, row in zip(named, rows, strict=True)]
    ids = [_annotation_id(row) for row in rows]
    if len({row["frame"] for row in rows}) > 1 and max(Counter(ids).values()) == 1:
        raise Refused(400, f"The annotations of scene {scene['reference_id']} can't be grouped into tracks.")
    return ids


def _named(row: sqlite3.Row) -> str | None:
    metadata = from_json(row["record"]).get("metadata") or {}
    found = row["track"] or metadata.get("track_reference_id") or metadata.get("track_id")
    return None if found is None else str(found)


def _annotation_id(row: sqlite3.Row) -> str:
    return str(row["slot"]).partition(":")[2].rpartition("\n")[2]


def _frame(world: World, row: sqlite3.Row) -> dict[str, Any]:
    record = from_json(row["record"])
    shape = record["geometry"]
    return {
        "left": shape["x"],
        "top": shape["y"],
        "width": shape["width"],
        "height": shape["height"],
        "key": str(row["frame"]),
        "dataset_item_id": world.ids.spell("di", row["owner"]),
        "metadata": record.get("metadata") or {},
    }
