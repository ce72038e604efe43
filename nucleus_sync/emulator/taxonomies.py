"""Taxonomies and tracks of a dataset."""

from __future__ import annotations

import sqlite3
from typing import Any

from .refusals import Refused, missing
from .world import World, from_json, to_json


def add(world: World, dataset: int, body: dict[str, Any]) -> dict[str, Any]:
    """Create a taxonomy, or append labels to a known one when `update` is set; labels are never removed."""
    name, labels = body.get("taxonomy_name"), body.get("labels")
    if not isinstance(name, str) or not name or not isinstance(labels, list) or not labels:
        raise Refused(400, "A taxonomy needs a taxonomy_name and labels.")
    if not all(isinstance(label, str) for label in labels):
        raise Refused(400, "labels must be strings.")
    kind = body.get("type")
    if kind not in ("category", "multicategory"):
        raise Refused(400, f"{kind} is not a type of taxonomy.")
    with world.held.transaction() as c:
        query = "SELECT pk, labels FROM taxonomies WHERE dataset = ? AND name = ?"
        known = c.execute(query, (dataset, name)).fetchone()
        if known is None:
            row = (dataset, name, kind, to_json(list(dict.fromkeys(labels))))
            c.execute("INSERT INTO taxonomies (dataset, name, type, labels) VALUES (?, ?, ?, ?)", row)
            return _status(world, dataset, name, "Taxonomy created")
        if not body.get("update"):
            return _status(world, dataset, name, "Taxonomy already exists")
        merged = list(dict.fromkeys([*from_json(known["labels"]), *labels]))
        c.execute("UPDATE taxonomies SET labels = ? WHERE pk = ?", (to_json(merged), known["pk"]))
    return _status(world, dataset, name, "Taxonomy updated")


def delete(world: World, dataset: int, name: str) -> dict[str, Any]:
    """Remove a taxonomy with its categories, of ground truth and of predictions."""
    with world.held.transaction() as c:
        if not c.execute("DELETE FROM taxonomies WHERE dataset = ? AND name = ?", (dataset, name)).rowcount:
            raise missing("Taxonomy", name)
        slot = f"c:{name}"
        for table in ("annotations", "predictions"):
            c.execute(
                f"DELETE FROM {table} WHERE slot = ? AND item IN (SELECT pk FROM items WHERE dataset = ?)",
                (slot, dataset),
            )
        c.execute(
            "DELETE FROM scene_categories WHERE slot = ? AND scene IN (SELECT pk FROM scenes WHERE dataset = ?)",
            (slot, dataset),
        )
    return _status(world, dataset, name, "Taxonomy successfully deleted")


def _status(world: World, dataset: int, name: str, status: str) -> dict[str, Any]:
    return {"dataset_id": world.ids.spell("ds", dataset), "taxonomy_name": name, "status": status}


def tracks(world: World, dataset: int) -> dict[str, Any]:
    """The answer of `GET dataset/{ds}/tracks`."""
    rows = world.held.reader().execute("SELECT * FROM tracks WHERE dataset = ? ORDER BY pk", (dataset,))
    return {"tracks": [_track_as_read(world, row) for row in rows]}


def tracks_of_scene(world: World, scene: int) -> list[dict[str, Any]]:
    """The tracks that a scene was uploaded with, as the dataset has them now."""
    query = "SELECT t.* FROM scene_tracks s JOIN tracks t ON t.pk = s.track WHERE s.scene = ? ORDER BY t.pk"
    return [_track_as_read(world, row) for row in world.held.reader().execute(query, (scene,))]


def _track_as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "reference_id": row["reference_id"],
        "dataset_id": world.ids.spell("ds", row["dataset"]),
        "metadata": from_json(row["metadata"]),
    }


def change_track(world: World, dataset: int, body: dict[str, Any]) -> dict[str, Any]:
    """Merge metadata into a track, or replace them when `overwrite` is set."""
    name, metadata = body.get("reference_id"), body.get("metadata") or {}
    with world.held.transaction() as c:
        query = "SELECT pk, metadata FROM tracks WHERE dataset = ? AND reference_id = ?"
        row = c.execute(query, (dataset, name)).fetchone()
        if row is None:
            raise missing("Track", str(name))
        merged = metadata if body.get("overwrite") else from_json(row["metadata"]) | metadata
        c.execute("UPDATE tracks SET metadata = ? WHERE pk = ?", (to_json(merged), row["pk"]))
    return {"reference_id": name, "metadata": merged}


def delete_tracks(world: World, dataset: int, body: dict[str, Any]) -> dict[str, Any]:
    """Remove tracks; their members lose the link and stay."""
    names = body.get("track_reference_ids")
    if not isinstance(names, list):
        raise Refused(400, "track_reference_ids must be a list.")
    with world.held.transaction() as c:
        for name in names:
            c.execute("DELETE FROM tracks WHERE dataset = ? AND reference_id = ?", (dataset, name))
            for table in ("annotations", "predictions"):
                c.execute(
                    f"UPDATE {table} SET track = NULL WHERE track = ?"
                    " AND item IN (SELECT pk FROM items WHERE dataset = ?)",
                    (name, dataset),
                )
    return {"deleted": names}
