"""Datasets: made, described, tagged and deleted."""

from __future__ import annotations

import sqlite3
from typing import Any

from .refusals import Refused, missing
from .world import World, from_json, now_text, to_json


def create(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """A new dataset; names may repeat."""
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise Refused(400, "A dataset needs a name.")
    schemas = [body.get("annotation_metadata_schema"), body.get("item_metadata_schema")]
    if any(schema is not None and not isinstance(schema, dict) for schema in schemas):
        raise Refused(400, "A metadata schema must be an object.")
    row = (
        name,
        bool(body.get("is_scene")),
        bool(body.get("use_privacy_mode")),
        *(None if schema is None else to_json(schema) for schema in schemas),
        now_text(),
    )
    with world.held.transaction() as c:
        pk = c.execute(
            "INSERT INTO datasets (name, is_scene, privacy, annotation_schema, item_schema, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row,
        ).lastrowid
    return {"dataset_id": world.ids.spell("ds", pk or 0), "name": name}


def find(world: World, dataset_id: str) -> sqlite3.Row:
    """The dataset's row, or 404."""
    pk = world.ids.read("ds", dataset_id)
    row = world.held.reader().execute("SELECT * FROM datasets WHERE pk = ?", (pk,)).fetchone()
    if row is None:
        raise missing("Dataset", dataset_id)
    return row  # type: ignore[no-any-return]


def all_details(world: World) -> list[dict[str, Any]]:
    """Every dataset, oldest first."""
    rows = world.held.reader().execute("SELECT pk, name FROM datasets ORDER BY pk")
    return [{"id": world.ids.spell("ds", row["pk"]), "name": row["name"], "is_public": False} for row in rows]


def description(world: World, dataset_id: str) -> dict[str, Any]:
    """The answer of `dataset/{ds}/info`."""
    row = find(world, dataset_id)
    c = world.held.reader()
    slices = c.execute("SELECT pk FROM slices WHERE dataset = ? ORDER BY pk", (row["pk"],))
    return {
        "dataset_id": dataset_id,
        "name": row["name"],
        "length": size(world, row["pk"]),
        "model_run_ids": run_ids(world, row["pk"]),
        "slice_ids": [world.ids.spell("slc", each["pk"]) for each in slices],
        "annotation_metadata_schema": from_json(row["annotation_schema"]),
        "item_metadata_schema": from_json(row["item_schema"]),
        "tags": from_json(row["tags"]),
    }


def size(world: World, dataset: int) -> int:
    """How many items the dataset holds, those of scenes included."""
    query = "SELECT count(*) FROM items WHERE dataset = ?"
    return int(world.held.reader().execute(query, (dataset,)).fetchone()[0])


def run_ids(world: World, dataset: int) -> list[str]:
    """The model runs that cover the dataset; the hidden run of run-free predictions is none."""
    rows = world.held.reader().execute(
        "SELECT run FROM run_datasets JOIN runs ON runs.pk = run WHERE dataset = ? AND NOT free ORDER BY run",
        (dataset,),
    )
    return [world.ids.spell("run", row["run"]) for row in rows]


def change_tags(world: World, dataset_id: str, tags: object, *, remove: bool) -> list[str]:
    """Add tags, known ones once, or remove tags, passing over unknown ones; gives what is there then."""
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Refused(400, "tags must be a list of strings.")
    pk = find(world, dataset_id)["pk"]
    with world.held.transaction() as c:
        held = from_json(c.execute("SELECT tags FROM datasets WHERE pk = ?", (pk,)).fetchone()[0])
        left = [tag for tag in held if tag not in tags] if remove else list(dict.fromkeys([*held, *tags]))
        c.execute("UPDATE datasets SET tags = ? WHERE pk = ?", (to_json(left), pk))
    return left


def delete(c: sqlite3.Connection, dataset: int) -> None:
    """Remove the dataset and all that hangs on it; the schema's cascades do the work."""
    c.execute("DELETE FROM datasets WHERE pk = ?", (dataset,))


def labels(world: World, dataset: int) -> list[str]:
    """Every label of the dataset's annotations, sorted."""
    return _labels(world, "annotations", dataset)


def prediction_labels(world: World, dataset: int) -> list[str]:
    """Every label of the predictions on the dataset's items, sorted."""
    return _labels(world, "predictions", dataset)


def _labels(world: World, table: str, dataset: int) -> list[str]:
    c = world.held.reader()
    of_dataset = f"FROM {table} a JOIN items i ON i.pk = a.item WHERE i.dataset = ?"
    found = {row[0] for row in c.execute(f"SELECT DISTINCT a.label {of_dataset}", (dataset,))} - {None}
    for row in c.execute(f"SELECT a.record {of_dataset} AND a.label IS NULL", (dataset,)):
        record = from_json(row[0])
        found.update(record.get("labels", ()))
        found.update(segment["label"] for segment in record.get("annotations", ()))
    return sorted(found)
