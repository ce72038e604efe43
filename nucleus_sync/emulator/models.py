"""Models, their runs, and the predictions in them."""

from __future__ import annotations

import sqlite3
from typing import Any

from . import reading
from .refusals import Refused, missing
from .world import World, from_json, now_text, to_json


def add(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """A new model; a known reference id is answered by 200 with an error (1.4)."""
    name, reference_id = body.get("name"), body.get("reference_id")
    if not isinstance(name, str) or not isinstance(reference_id, str) or not reference_id:
        raise Refused(400, "A model needs a name and a reference_id.")
    row = (
        name,
        reference_id,
        to_json(body.get("metadata") or {}),
        to_json(body.get("tags") or []),
        to_json(body.get("trained_slice_ids") or []),
        body.get("bundle_name"),
        now_text(),
    )
    with world.held.transaction() as c:
        if c.execute("SELECT 1 FROM models WHERE reference_id = ?", (reference_id,)).fetchone():
            return {"error": f"A model with reference id {reference_id} already exists."}
        pk = c.execute(
            "INSERT INTO models (name, reference_id, metadata, tags, trained_slices, bundle, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        ).lastrowid
    return {"model_id": world.ids.spell("prj", pk or 0)}


def find(world: World, model_id: str) -> sqlite3.Row:
    """A model by its id, or by the id of one of its runs, or 404."""
    c = world.held.reader()
    query = "SELECT * FROM models WHERE pk = ?"
    row = c.execute(query, (world.ids.read("prj", model_id),)).fetchone()
    if row is None:
        query = "SELECT m.* FROM models m JOIN runs r ON r.model = m.pk WHERE r.pk = ?"
        row = c.execute(query, (world.ids.read("run", model_id),)).fetchone()
    if row is None:
        raise missing("Model", model_id)
    return row  # type: ignore[no-any-return]


def as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """A model object."""
    return {
        "id": world.ids.spell("prj", row["pk"]),
        "name": row["name"],
        "ref_id": row["reference_id"],
        "metadata": from_json(row["metadata"]),
        "tags": from_json(row["tags"]),
        "trained_slice_ids": from_json(row["trained_slices"]),
    }


def listing(world: World) -> dict[str, Any]:
    """The answer of `models/`."""
    rows = world.held.reader().execute("SELECT * FROM models ORDER BY pk")
    return {"models": [as_read(world, row) for row in rows]}


def delete(c: sqlite3.Connection, model: int) -> None:
    """Remove a model with its runs, their predictions and its evaluations."""
    c.execute("DELETE FROM evaluations WHERE model = ?", (model,))
    c.execute("DELETE FROM models WHERE pk = ?", (model,))


def change_list(
    world: World, model_id: str, column: str, values: object, *, remove: bool, strict: bool
) -> dict[str, Any]:
    """Add to or remove from the tags or trained slices; `strict` refuses to remove what is not there."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Refused(400, f"{column} must be a list of strings.")
    pk = find(world, model_id)["pk"]
    with world.held.transaction() as c:
        held = from_json(c.execute(f"SELECT {column} FROM models WHERE pk = ?", (pk,)).fetchone()[0])
        unknown = [value for value in values if value not in held]
        if remove and strict and unknown:
            raise Refused(400, f"The model does not have {', '.join(unknown)}.")
        left = [each for each in held if each not in values] if remove else list(dict.fromkeys([*held, *values]))
        c.execute(f"UPDATE models SET {column} = ? WHERE pk = ?", (to_json(left), pk))
    return {column: left}


def add_run(world: World, model: int, body: dict[str, Any], dataset: int | None = None) -> dict[str, Any]:
    """A new run, of a dataset or of none yet."""
    with world.held.transaction() as c:
        pk = insert_run(c, model, str(body.get("name") or ""), body.get("reference_id"), body.get("metadata"))
        if dataset is not None:
            c.execute("INSERT INTO run_datasets VALUES (?, ?)", (pk, dataset))
    return {"model_run_id": world.ids.spell("run", pk)}


def insert_run(
    c: sqlite3.Connection,
    model: int,
    name: str,
    reference_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    *,
    free: bool = False,
) -> int:
    """Insert the row of a run."""
    row = (model, name, reference_id, to_json(metadata or {}), free, now_text())
    query = "INSERT INTO runs (model, name, reference_id, metadata, free, created) VALUES (?, ?, ?, ?, ?, ?)"
    return int(c.execute(query, row).lastrowid or 0)


def find_run(world: World, run_id: str) -> sqlite3.Row:
    """A run by its id, or 404."""
    pk = world.ids.read("run", run_id)
    query = "SELECT * FROM runs WHERE pk = ? AND NOT free"
    row = world.held.reader().execute(query, (pk,)).fetchone()
    if row is None:
        raise missing("Model run", run_id)
    return row  # type: ignore[no-any-return]


def run_for_upload(c: sqlite3.Connection, model: int, dataset: int) -> int:
    """The newest run of the model that covers the dataset, made when there is none (10.3)."""
    row = c.execute(
        "SELECT r.pk FROM runs r JOIN run_datasets d ON d.run = r.pk"
        " WHERE r.model = ? AND d.dataset = ? AND NOT r.free ORDER BY r.pk DESC LIMIT 1",
        (model, dataset),
    ).fetchone()
    if row is not None:
        return int(row[0])
    held = c.execute("SELECT name FROM models WHERE pk = ?", (model,)).fetchone()
    if held is None:
        raise Refused(404, "The model does not exist.")
    run = insert_run(c, model, f"{held[0]} predictions")
    c.execute("INSERT INTO run_datasets VALUES (?, ?)", (run, dataset))
    return run


def free_run(c: sqlite3.Connection, model: int) -> int:
    """The hidden run that holds a model's run-free predictions (10.5)."""
    row = c.execute("SELECT pk FROM runs WHERE model = ? AND free", (model,)).fetchone()
    return int(row[0]) if row else insert_run(c, model, "", free=True)


def delete_run(world: World, run_id: str) -> dict[str, Any]:
    """Remove a run and all of its predictions, at once."""
    pk = find_run(world, run_id)["pk"]
    with world.held.transaction() as c:
        c.execute("DELETE FROM runs WHERE pk = ?", (pk,))
    return {"model_run_id": run_id, "message": "Model run deleted."}


def run_description(world: World, run_id: str) -> dict[str, Any]:
    """The answer of `modelRun/{run}/info`."""
    row = find_run(world, run_id)
    return {
        "model_id": world.ids.spell("prj", row["model"]),
        "name": row["name"],
        "status": "Committed" if row["committed"] else "Uncommitted",
        "metadata": from_json(row["metadata"]),
    }


def runs_of(world: World, model: int) -> list[int]:
    """The model's runs, oldest first, without the hidden one."""
    query = "SELECT pk FROM runs WHERE model = ? AND NOT free ORDER BY pk"
    return [row[0] for row in world.held.reader().execute(query, (model,))]


def predictions_of_item(world: World, item: sqlite3.Row, runs: list[int]) -> list[sqlite3.Row]:
    """The rows of an item's predictions in some runs."""
    return (
        world.held.reader()
        .execute(
            "SELECT * FROM predictions WHERE item = ? AND run IN (SELECT value FROM json_each(?)) ORDER BY pk",
            (item["pk"], to_json(runs)),
        )
        .fetchall()
    )


def all_predictions(world: World, runs: list[int], dataset: int | None) -> dict[str, Any]:
    """Every prediction of some runs, grouped by type; on one dataset, or on all of them."""
    rows = world.held.reader().execute(
        "SELECT p.*, i.reference_id, i.pk AS owner FROM predictions p JOIN items i ON i.pk = p.item"
        " WHERE p.run IN (SELECT value FROM json_each(?)) AND (?2 IS NULL OR i.dataset = ?2) ORDER BY p.pk",
        (to_json(runs), dataset),
    )
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        record = reading.record_as_read(row)
        record["reference_id"] = row["reference_id"]
        record["dataset_item_id"] = world.ids.spell("di", row["owner"])
        grouped.setdefault(reading.group_of(record), []).append(record)
    return grouped


def merge(c: sqlite3.Connection, runs: list[int], into: int) -> None:
    """Copy the predictions of several runs into a new one; ids that collide are rewritten (10.2)."""
    for run in runs:
        c.execute("INSERT OR IGNORE INTO run_datasets SELECT ?, dataset FROM run_datasets WHERE run = ?", (into, run))
        c.execute(
            "INSERT INTO predictions (item, run, slot, type, label, track, record) SELECT item, ?1, CASE WHEN"
            " EXISTS (SELECT 1 FROM predictions q WHERE q.item = p.item AND q.run = ?1 AND q.slot = p.slot)"
            " THEN slot || '-' || run ELSE slot END, type, label, track, record"
            " FROM predictions p WHERE run = ?2 ORDER BY pk",
            (into, run),
        )


def copy_from_run(world: World, model: int, run: int) -> tuple[int, int]:
    """(copied, left out for their type) of a run's predictions into the run-free ones (10.5)."""
    supported = "type IN ('box', 'polygon', 'cuboid')"
    with world.held.transaction() as c:
        total = c.execute("SELECT count(*) FROM predictions WHERE run = ?", (run,)).fetchone()[0]
        usable = c.execute(f"SELECT count(*) FROM predictions WHERE run = ? AND {supported}", (run,)).fetchone()[0]
        free = free_run(c, model)
        c.execute(
            "INSERT INTO predictions (item, run, slot, type, label, track, record)"
            f" SELECT item, ?, slot, type, label, track, record FROM predictions WHERE run = ? AND {supported}"
            " ON CONFLICT (item, run, slot) DO UPDATE SET type = excluded.type, label = excluded.label,"
            " track = excluded.track, record = excluded.record",
            (free, run),
        )
    return usable, total - usable
