"""Benchmarks: frozen sets of items with ground truth, in versions."""

from __future__ import annotations

import sqlite3
from typing import Any

from .refusals import Refused, missing
from .world import World, from_json, now_text, to_json

SOURCES = ("item_ids", "items", "slice_id", "slice_ids", "dataset_id", "dataset_ids", "scene_ids")
_TAXONOMY = (("rollupGroups", "rollup_groups"), ("allowed_label_matches_id",), ("class_agnostic",))


def create(world: World, body: dict[str, Any]) -> tuple[int, bool]:
    """Insert the row of a benchmark; gives its number, and whether members are still to be gathered."""
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise Refused(400, "A benchmark needs a name.")
    parent = find(world, body["parent_benchmark_id"]) if body.get("parent_benchmark_id") else None
    if body.get("removed_item_ids") is not None and parent is None:
        raise Refused(400, "removed_item_ids needs a parent_benchmark_id.")
    has_source = parent is not None or any(body.get(source) for source in SOURCES)
    draft = bool(body.get("draft"))
    if not has_source and not draft:
        raise Refused(400, "A benchmark needs at least one source, a parent, or draft.")
    major, minor = _version(body, parent)
    row = (
        name,
        body.get("description"),
        to_json(body.get("metadata")),
        "draft" if draft else "building",
        int(has_source),
        None if parent is None else parent["pk"],
        major,
        minor,
        body.get("version_label"),
        to_json(_taxonomy(body, {} if parent is None else from_json(parent["taxonomy"]))),
        now_text(),
    )
    with world.held.transaction() as c:
        pk = c.execute(
            "INSERT INTO benchmarks (name, description, metadata, status, building, skipped, parent,"
            " version_major, version_minor, version_label, taxonomy, created)"
            " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)",
            row,
        ).lastrowid
    return pk or 0, has_source


def _version(body: dict[str, Any], parent: sqlite3.Row | None) -> tuple[int, int]:
    major, minor = body.get("version_major"), body.get("version_minor")
    if parent is None:
        return (1 if major is None else int(major)), int(minor or 0)
    held = (parent["version_major"], parent["version_minor"])
    if major is None and minor is None:
        return (held[0] + 1, 0) if body.get("bump_type") == "major" else (held[0], held[1] + 1)
    given = (int(held[0] if major is None else major), int(minor or 0))
    if given <= held:
        raise Refused(400, "The version must exceed the parent's.")
    return given


def _taxonomy(body: dict[str, Any], inherited: dict[str, Any]) -> dict[str, Any]:
    given = {}
    for names in _TAXONOMY:
        for name in names:
            if name in body:
                given[names[-1]] = body[name]
    if len([value for value in given.values() if value is not None]) > 1:
        raise Refused(400, "At most one taxonomy may be given.")
    return given or inherited


def find(world: World, benchmark_id: str) -> sqlite3.Row:
    """A benchmark's row, or 404."""
    pk = world.ids.read("bm", benchmark_id)
    row = world.held.reader().execute("SELECT * FROM benchmarks WHERE pk = ?", (pk,)).fetchone()
    if row is None:
        raise missing("Benchmark", benchmark_id)
    return row  # type: ignore[no-any-return]


def find_draft(world: World, benchmark_id: str) -> sqlite3.Row:
    """A benchmark that may still be changed, or 409."""
    row = find(world, benchmark_id)
    if row["status"] != "draft":
        raise Refused(409, f"Benchmark {benchmark_id} is not a draft.")
    return row


def as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """A benchmark object."""
    counts = (
        world.held.reader()
        .execute(
            "SELECT count(*), count(DISTINCT i.dataset) FROM benchmark_members m JOIN items i ON i.pk = m.item"
            " WHERE m.benchmark = ?",
            (row["pk"],),
        )
        .fetchone()
    )
    taxonomy = from_json(row["taxonomy"])
    return {
        "benchmark_id": world.ids.spell("bm", row["pk"]),
        "name": row["name"],
        "description": row["description"],
        "metadata": from_json(row["metadata"]),
        "created_by_user_id": "emulator",
        "created_at": row["created"],
        "item_count": counts[0],
        "dataset_count": counts[1],
        "skipped_items_without_ground_truth": row["skipped"],
        "status": row["status"],
        "parent_benchmark_id": world.ids.spell("bm", row["parent"]) if row["parent"] else None,
        "version_major": row["version_major"],
        "version_minor": row["version_minor"],
        "version_label": row["version_label"],
        "allowed_label_matches_id": taxonomy.get("allowed_label_matches_id"),
        "class_agnostic": taxonomy.get("class_agnostic"),
    }


def listing(world: World) -> list[dict[str, Any]]:
    """Every benchmark, newest first."""
    rows = world.held.reader().execute("SELECT * FROM benchmarks ORDER BY pk DESC").fetchall()
    return [as_read(world, row) for row in rows]


def change(world: World, benchmark_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change name, description and metadata, and of drafts the taxonomy."""
    row = find(world, benchmark_id)
    new = {key: body[key] for key in ("name", "description") if body.get(key) is not None}
    if body.get("metadata") is not None:
        new["metadata"] = to_json(body["metadata"])
    if any(name in body for names in _TAXONOMY for name in names):
        find_draft(world, benchmark_id)
        new["taxonomy"] = to_json(_taxonomy(body, {}))
    with world.held.transaction() as c:
        for column, value in new.items():
            c.execute(f"UPDATE benchmarks SET {column} = ? WHERE pk = ?", (value, row["pk"]))
    return as_read(world, find(world, benchmark_id))


def delete(world: World, benchmark_id: str) -> dict[str, Any]:
    """Remove a benchmark and its evaluations."""
    pk = find(world, benchmark_id)["pk"]
    with world.held.transaction() as c:
        c.execute("DELETE FROM evaluations WHERE benchmark = ?", (pk,))
        c.execute("DELETE FROM benchmarks WHERE pk = ?", (pk,))
    return {}


def members(world: World, benchmark_id: str, limit: int, offset: int) -> dict[str, Any]:
    """The answer of `GET benchmarks/{bm}/items`."""
    pk = find(world, benchmark_id)["pk"]
    c = world.held.reader()
    total = c.execute("SELECT count(*) FROM benchmark_members WHERE benchmark = ?", (pk,)).fetchone()[0]
    query = "SELECT item FROM benchmark_members WHERE benchmark = ? ORDER BY item LIMIT ? OFFSET ?"
    rows = c.execute(query, (pk, limit, offset))
    return {"item_ids": [world.ids.spell("di", row[0]) for row in rows], "total": total}


def remove_members(world: World, benchmark_id: str, item_ids: object) -> dict[str, Any]:
    """Take items out of a draft; unknown ones are passed over."""
    if not isinstance(item_ids, list):
        raise Refused(400, "item_ids must be a list.")
    pk = find_draft(world, benchmark_id)["pk"]
    with world.held.transaction() as c:
        c.executemany(
            "DELETE FROM benchmark_members WHERE benchmark = ? AND item = ?",
            [(pk, world.ids.read("di", name)) for name in item_ids],
        )
    return as_read(world, find(world, benchmark_id))


def finalize(world: World, benchmark_id: str) -> dict[str, Any]:
    """Freeze a draft."""
    row = find_draft(world, benchmark_id)
    if row["building"]:
        raise Refused(409, f"Benchmark {benchmark_id} has a job in flight.")
    if not as_read(world, row)["item_count"]:
        raise Refused(400, f"Benchmark {benchmark_id} is empty.")
    with world.held.transaction() as c:
        c.execute("UPDATE benchmarks SET status = 'ready' WHERE pk = ?", (row["pk"],))
    return as_read(world, find(world, benchmark_id))


def note_build(world: World, pk: int) -> None:
    """Count one more job in flight."""
    with world.held.transaction() as c:
        c.execute("UPDATE benchmarks SET building = building + 1 WHERE pk = ?", (pk,))


def build(c: sqlite3.Connection, world: World, pk: int, body: dict[str, Any], *, final: bool) -> tuple[int, int]:
    """Gather members from the sources; gives (added, skipped for lack of ground truth)."""
    row = c.execute("SELECT * FROM benchmarks WHERE pk = ?", (pk,)).fetchone()
    if row is None:
        raise Refused(404, "The benchmark is gone.")
    wanted = gather(c, world, body)
    removed = {world.ids.read("di", name) for name in body.get("removed_item_ids") or ()}
    if row["parent"] and final:
        query = "SELECT item FROM benchmark_members WHERE benchmark = ?"
        wanted |= {each[0] for each in c.execute(query, (row["parent"],))}
    wanted -= removed
    good = {
        each[0]
        for each in c.execute(
            "SELECT pk FROM items i WHERE pk IN (SELECT value FROM json_each(?))"
            " AND EXISTS (SELECT 1 FROM annotations a WHERE a.item = i.pk)",
            (to_json(sorted(wanted)),),
        )
    }
    c.executemany("INSERT OR IGNORE INTO benchmark_members VALUES (?, ?)", [(pk, item) for item in good])
    skipped = len(wanted) - len(good)
    c.execute(
        "UPDATE benchmarks SET building = max(building - 1, 0), skipped = skipped + ?,"
        " status = CASE status WHEN 'building' THEN 'ready' ELSE status END WHERE pk = ?",
        (skipped, pk),
    )
    return len(good), skipped


def gather(c: sqlite3.Connection, world: World, body: dict[str, Any]) -> set[int]:
    """The items that the sources in a request name."""
    found = _existing(c, {world.ids.read("di", name) for name in body.get("item_ids") or ()})
    for each in body.get("items") or ():
        row = c.execute(
            "SELECT pk FROM items WHERE dataset = ? AND reference_id = ?",
            (world.ids.read("ds", each.get("dataset_id")), each.get("ref_id") or each.get("reference_id")),
        ).fetchone()
        if row is None:
            raise Refused(400, f"Item with id {each.get('ref_id')} does not exist.")
        found.add(row[0])
    queries = (
        ("ds", ("dataset_id", "dataset_ids"), "SELECT pk FROM items WHERE dataset = ?"),
        ("slc", ("slice_id", "slice_ids"), "SELECT member FROM slice_members WHERE slice = ? AND kind = 'di'"),
        ("scn", ("scene_ids",), "SELECT pk FROM items WHERE scene = ?"),
    )
    for prefix, keys, query in queries:
        for name in _named(body, keys):
            found |= {row[0] for row in c.execute(query, (world.ids.read(prefix, name),))}
    return found


def _existing(c: sqlite3.Connection, items: set[int]) -> set[int]:
    query = "SELECT pk FROM items WHERE pk IN (SELECT value FROM json_each(?))"
    return {row[0] for row in c.execute(query, (to_json(sorted(items)),))}


def _named(body: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    names: list[str] = []
    for key in keys:
        value = body.get(key)
        names += [value] if isinstance(value, str) else list(value or ())
    return names
