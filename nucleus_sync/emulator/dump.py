"""Everything that is held as one JSON document in a stable order, to compare two worlds with.

Server-made ids and times are left out, for they differ where nothing else does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec

from .reading import record_as_read
from .world import World, from_json


def counts(world: World) -> dict[str, Any]:
    """How much is held, by dataset and by model."""
    c = world.held.reader()
    return {
        "datasets": [_dataset_counts(c, row) for row in c.execute("SELECT * FROM datasets ORDER BY name, pk")],
        "models": [
            {"reference_id": row["reference_id"], "predictions": row["n"]}
            for row in c.execute(
                "SELECT m.reference_id, (SELECT count(*) FROM predictions p JOIN runs r ON r.pk = p.run"
                " WHERE r.model = m.pk) AS n FROM models m ORDER BY m.reference_id"
            )
        ],
        "benchmarks": c.execute("SELECT count(*) FROM benchmarks").fetchone()[0],
        "evaluations": c.execute("SELECT count(*) FROM evaluations").fetchone()[0],
        "metric_calls": c.execute("SELECT count(*) FROM metric_calls").fetchone()[0],
        "jobs": world.jobs.reader()
        .execute("SELECT count(*) FROM jobs WHERE type NOT LIKE '\\_%' ESCAPE '\\'")
        .fetchone()[0],
    }


def _dataset_counts(c: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    by_type = c.execute(
        "SELECT a.type, count(*) FROM annotations a JOIN items i ON i.pk = a.item WHERE i.dataset = ?"
        " GROUP BY a.type ORDER BY a.type",
        (row["pk"],),
    )
    return {
        "name": row["name"],
        "annotations": dict(tuple(each) for each in by_type),
        **{
            table: c.execute(f"SELECT count(*) FROM {table} WHERE dataset = ?", (row["pk"],)).fetchone()[0]
            for table in ("items", "scenes", "slices", "taxonomies", "tracks")
        },
    }


def write(world: World, file: IO[bytes]) -> None:
    """Write the document, piece by piece, so that a large world needs no memory."""
    c = world.held.reader()
    file.write(b'{"datasets":[')
    for comma, row in _commas(c.execute("SELECT * FROM datasets ORDER BY name, pk").fetchall()):
        file.write(comma + _head(_dataset(row)))
        for name, records in _dataset_parts(c, row["pk"]):
            file.write(b"," + msgspec.json.encode(name) + b":")
            _write_list(file, records)
        file.write(b"}")
    file.write(b'],"models":[')
    for comma, row in _commas(c.execute("SELECT * FROM models ORDER BY reference_id").fetchall()):
        file.write(comma + _head(_model(world, c, row)) + b',"predictions":')
        _write_list(file, _predictions(c, row["pk"]))
        file.write(b"}")
    file.write(b'],"benchmarks":')
    _write_list(file, _benchmarks(c))
    file.write(b',"metric_calls":')
    _write_list(file, _metric_calls(c))
    file.write(b"}")


def _commas(values: Iterable[Any]) -> Iterator[tuple[bytes, Any]]:
    for number, value in enumerate(values):
        yield (b"," if number else b""), value


def _head(value: dict[str, Any]) -> bytes:
    """An object that is still open, so that more keys can follow."""
    return _encode(value)[:-1]


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _write_list(file: IO[bytes], values: Iterable[Any]) -> None:
    file.write(b"[")
    for comma, value in _commas(values):
        file.write(comma + b"\n" + _encode(value))
    file.write(b"]")


def _dataset(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "name": row["name"],
        "is_scene": bool(row["is_scene"]),
        "use_privacy_mode": bool(row["privacy"]),
        "annotation_metadata_schema": from_json(row["annotation_schema"]),
        "item_metadata_schema": from_json(row["item_schema"]),
        "tags": from_json(row["tags"]),
    }


def _dataset_parts(c: sqlite3.Connection, pk: int) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    yield "items", _items(c, pk)
    yield "scenes", _scenes(c, pk)
    yield "annotations", _annotations(c, pk)
    yield "taxonomies", _taxonomies(c, pk)
    yield "tracks", _tracks(c, pk)
    yield "slices", _slices(c, pk)


def _items(c: sqlite3.Connection, pk: int) -> Iterator[dict[str, Any]]:
    query = (
        "SELECT i.*, s.reference_id AS scene_ref FROM items i LEFT JOIN scenes s ON s.pk = i.scene"
        " WHERE i.dataset = ? ORDER BY i.reference_id"
    )
    for row in c.execute(query, (pk,)):
        plain = ("reference_id", "url", "type", "width", "height", "sha256", "size", "frame", "sensor")
        yield {key: row[key] for key in plain} | {
            "metadata": from_json(row["metadata"]),
            "embedding_info": from_json(row["embedding"]),
            "scene": row["scene_ref"],
        }


def _scenes(c: sqlite3.Connection, pk: int) -> Iterator[dict[str, Any]]:
    for row in c.execute("SELECT * FROM scenes WHERE dataset = ? ORDER BY reference_id", (pk,)):
        plain = {key: row[key] for key in ("reference_id", "type", "frame_rate", "video_url")}
        query = "SELECT * FROM scene_categories WHERE scene = ? AND run = 0 ORDER BY slot"
        categories = [from_json(each["record"]) for each in c.execute(query, (row["pk"],))]
        query = "SELECT count(*) FROM scene_categories WHERE scene = ? AND run != 0"
        predicted = c.execute(query, (row["pk"],)).fetchone()[0]
        yield plain | {
            "metadata": from_json(row["metadata"]),
            "categories": categories,
            "predicted_categories": predicted,
        }


def _annotations(c: sqlite3.Connection, pk: int) -> Iterator[dict[str, Any]]:
    query = (
        "SELECT a.*, i.reference_id FROM annotations a JOIN items i ON i.pk = a.item WHERE i.dataset = ?"
        " ORDER BY i.reference_id, a.slot"
    )
    for row in c.execute(query, (pk,)):
        yield _record(row) | {"reference_id": row["reference_id"]}


def _record(row: sqlite3.Row) -> dict[str, Any]:
    record = record_as_read(row)
    if row["slot"].startswith("s:"):
        del record["annotation_id"]
    return record


def _taxonomies(c: sqlite3.Connection, pk: int) -> Iterator[dict[str, Any]]:
    for row in c.execute("SELECT * FROM taxonomies WHERE dataset = ? ORDER BY name", (pk,)):
        yield {"name": row["name"], "type": row["type"], "labels": from_json(row["labels"])}


def _tracks(c: sqlite3.Connection, pk: int) -> Iterator[dict[str, Any]]:
    for row in c.execute("SELECT * FROM tracks WHERE dataset = ? ORDER BY reference_id", (pk,)):
        yield {"reference_id": row["reference_id"], "metadata": from_json(row["metadata"])}


def _slices(c: sqlite3.Connection, pk: int) -> Iterator[dict[str, Any]]:
    members = (
        "SELECT i.reference_id FROM slice_members m JOIN {table} i ON i.pk = m.member"
        " WHERE m.slice = ? AND m.kind = ? ORDER BY i.reference_id"
    )
    for row in c.execute("SELECT * FROM slices WHERE dataset = ? ORDER BY name", (pk,)):
        found = {
            table: [each[0] for each in c.execute(members.format(table=table), (row["pk"], kind))]
            for table, kind in (("items", "di"), ("scenes", "scn"))
        }
        yield {"name": row["name"], "type": row["type"], "tags": from_json(row["tags"])} | found


def _model(world: World, c: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    slices = [world.ids.read("slc", name) for name in from_json(row["trained_slices"])]
    query = "SELECT filename, content_type, size, sha256 FROM weights WHERE model = ?"
    weights = c.execute(query, (row["pk"],)).fetchone()
    names = [c.execute("SELECT name FROM slices WHERE pk = ?", (pk,)).fetchone() for pk in slices]
    return {
        "reference_id": row["reference_id"],
        "name": row["name"],
        "metadata": from_json(row["metadata"]),
        "tags": from_json(row["tags"]),
        "trained_slices": [name[0] if name else None for name in names],
        "runs": c.execute("SELECT count(*) FROM runs WHERE model = ? AND NOT free", (row["pk"],)).fetchone()[0],
        "weights": dict(weights) if weights else None,
    }


def _predictions(c: sqlite3.Connection, model: int) -> Iterator[dict[str, Any]]:
    query = (
        "SELECT p.*, i.reference_id, d.name AS dataset_name, r.name AS run_name, r.free FROM predictions p"
        " JOIN items i ON i.pk = p.item JOIN datasets d ON d.pk = i.dataset JOIN runs r ON r.pk = p.run"
        " WHERE r.model = ? ORDER BY d.name, i.reference_id, r.free, r.name, p.slot"
    )
    for row in c.execute(query, (model,)):
        names = {"dataset": row["dataset_name"], "reference_id": row["reference_id"]}
        yield _record(row) | names | {"run": None if row["free"] else row["run_name"]}


def _benchmarks(c: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    members = (
        "SELECT d.name, i.reference_id FROM benchmark_members m JOIN items i ON i.pk = m.item"
        " JOIN datasets d ON d.pk = i.dataset WHERE m.benchmark = ? ORDER BY d.name, i.reference_id"
    )
    for row in c.execute("SELECT * FROM benchmarks ORDER BY name, version_major, version_minor, pk"):
        evaluations = c.execute("SELECT count(*) FROM evaluations WHERE benchmark = ?", (row["pk"],)).fetchone()
        yield {
            "name": row["name"],
            "status": row["status"],
            "version": [row["version_major"], row["version_minor"]],
            "items": [list(each) for each in c.execute(members, (row["pk"],))],
            "evaluations": evaluations[0],
        }


def _metric_calls(c: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    query = (
        "SELECT d.name, m.reference_id, k.options FROM metric_calls k JOIN datasets d ON d.pk = k.dataset"
        " JOIN models m ON m.pk = k.model ORDER BY k.pk"
    )
    for row in c.execute(query):
        yield {"dataset": row[0], "model": row[1], "options": from_json(row[2])}
