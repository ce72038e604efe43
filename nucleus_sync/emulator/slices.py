"""Slices: named sets of items, scenes or objects that only grow."""

from __future__ import annotations

import sqlite3
from typing import Any

from . import reading, scenes
from .refusals import Refused, missing
from .world import World, from_json, now_text, to_json

LIMIT = 10_000
"""Most reference ids that one call may name (1.6)."""

_TYPES = {"di": "dataset_item", "scn": "scene", "ann": "object", "pred": "object"}
_TABLES = {"di": "items", "scn": "scenes", "ann": "annotations", "pred": "predictions"}

Member = tuple[str, int]


def create(world: World, dataset: int, body: dict[str, Any]) -> dict[str, Any]:
    """A new slice from reference ids, from internal ids, or empty; a known name is refused."""
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise Refused(400, "A slice needs a name.")
    members = _members(world, dataset, body)
    kind = _TYPES[members[0][0]] if members else "dataset_item"
    with world.held.transaction() as c:
        if c.execute("SELECT 1 FROM slices WHERE dataset = ? AND name = ?", (dataset, name)).fetchone():
            raise Refused(400, f"A slice named {name} already exists in this dataset.")
        row = (dataset, name, kind, now_text())
        query = "INSERT INTO slices (dataset, name, type, created) VALUES (?, ?, ?, ?)"
        pk = int(c.execute(query, row).lastrowid or 0)
        _add(c, pk, members)
    return {"slice_id": world.ids.spell("slc", pk)}


def append(world: World, slice_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Add members by reference id; `new_items` names those that were not in it."""
    row = find(world, slice_id)
    members = _by_reference(world, row["dataset"], body.get("reference_ids"))
    with world.held.transaction() as c:
        held = {
            (each["kind"], each["member"])
            for each in c.execute("SELECT kind, member FROM slice_members WHERE slice = ?", (row["pk"],))
        }
        new = [member for member in dict.fromkeys(members) if member not in held]
        if new and not held:
            c.execute("UPDATE slices SET type = ? WHERE pk = ?", (_TYPES[new[0][0]], row["pk"]))
        _add(c, row["pk"], new)
    return {"slice_id": slice_id, "new_items": [world.ids.spell(*member) for member in new]}


def _add(c: sqlite3.Connection, pk: int, members: list[Member]) -> None:
    c.executemany(
        "INSERT OR IGNORE INTO slice_members (slice, kind, member) VALUES (?, ?, ?)",
        [(pk, *member) for member in members],
    )


def fill(c: sqlite3.Connection, pk: int, items: list[int]) -> None:
    """Put items into a slice, those of them that are still there."""
    query = "SELECT pk FROM items WHERE pk IN (SELECT value FROM json_each(?)) ORDER BY pk"
    _add(c, pk, [("di", row[0]) for row in c.execute(query, (to_json(items),)).fetchall()])


def _members(world: World, dataset: int, body: dict[str, Any]) -> list[Member]:
    if body.get("reference_ids") is not None:
        return _by_reference(world, dataset, body["reference_ids"])
    given = [body[key] for key in ("dataset_item_ids", "scene_ids", "object_ids") if body.get(key)]
    if len(given) == 1:
        return [_by_id(world, dataset, each) for each in given[0]]
    if not given and body.get("allow_empty"):
        return []
    raise Refused(400, "A slice needs exactly one of reference_ids, dataset_item_ids, scene_ids, object_ids.")


def _by_reference(world: World, dataset: int, names: object) -> list[Member]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(400, "reference_ids must be a list of strings.")
    if len(names) > LIMIT:
        raise Refused(400, f"At most {LIMIT} reference_ids may be given at once.")
    found: dict[str, Member] = {}
    for kind in ("di", "scn"):
        rows = world.held.reader().execute(
            f"SELECT reference_id, pk FROM {_TABLES[kind]} WHERE dataset = ?"
            " AND reference_id IN (SELECT value FROM json_each(?))",
            (dataset, to_json(names)),
        )
        for row in rows:
            found.setdefault(row[0], (kind, row[1]))
    for name in names:
        if name not in found:
            raise Refused(400, f"Item with id {name} does not exist.")
    return [found[name] for name in names]


def _by_id(world: World, dataset: int, name: str) -> Member:
    kind = str(name).split("_", maxsplit=1)[0]
    pk = world.ids.read(kind, name)
    if kind in ("di", "scn"):
        query = f"SELECT pk FROM {_TABLES[kind]} WHERE pk = ? AND dataset = ?"
    elif kind in _TABLES:
        query = f"SELECT a.pk FROM {_TABLES[kind]} a JOIN items i ON i.pk = a.item WHERE a.pk = ? AND i.dataset = ?"
    else:
        raise Refused(400, f"{name} is no id of a member.")
    if world.held.reader().execute(query, (pk, dataset)).fetchone() is None:
        raise Refused(400, f"{name} does not exist in this dataset.")
    return kind, pk


def find(world: World, slice_id: str) -> sqlite3.Row:
    """A slice's row, or 404."""
    pk = world.ids.read("slc", slice_id)
    row = world.held.reader().execute("SELECT * FROM slices WHERE pk = ?", (pk,)).fetchone()
    if row is None:
        raise missing("Slice", slice_id)
    return row  # type: ignore[no-any-return]


def listing(world: World, dataset: int | None, name: str | None, kind: str | None) -> list[dict[str, Any]]:
    """Slices of a dataset, or all of them, by name and type where given."""
    # The SDK sends `type=SliceType.DATASET_ITEM` on newer Pythons.
    kind = kind.removeprefix("SliceType.").lower() if kind else None
    rows = world.held.reader().execute(
        "SELECT * FROM slices WHERE (?1 IS NULL OR dataset = ?1) AND (?2 IS NULL OR name = ?2)"
        " AND (?3 IS NULL OR type = ?3) ORDER BY pk",
        (dataset, name, kind),
    )
    return [{"id": world.ids.spell("slc", row["pk"])} | _shared(world, row) for row in rows]


def _shared(world: World, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "name": row["name"],
        "dataset_id": world.ids.spell("ds", row["dataset"]),
        "type": row["type"],
        "created_at": row["created"],
        "pending_job_count": 0,
    }


def description(world: World, slice_id: str) -> dict[str, Any]:
    """The answer of `slice/{slc}/info`."""
    row = find(world, slice_id)
    extra = {"slice_id": slice_id, "description": "", "tags": from_json(row["tags"])}
    return _shared(world, row) | extra


def add_tags(world: World, slice_id: str, tags: object) -> dict[str, Any]:
    """Add tags; there is no way to take one away."""
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Refused(400, "slice_tags must be a list of strings.")
    row = find(world, slice_id)
    merged = list(dict.fromkeys([*from_json(row["tags"]), *tags]))
    with world.held.transaction() as c:
        c.execute("UPDATE slices SET tags = ? WHERE pk = ?", (to_json(merged), row["pk"]))
    return {"slice_id": slice_id, "tags": merged}


def delete(world: World, slice_id: str) -> dict[str, Any]:
    """Remove a slice; its members stay where they are."""
    pk = find(world, slice_id)["pk"]
    with world.held.transaction() as c:
        c.execute("DELETE FROM slices WHERE pk = ?", (pk,))
    return {}


def items_after(world: World, pk: int, after: int, size: int) -> list[sqlite3.Row]:
    """The next items of a slice in the order they joined; those of its scenes and objects are not listed."""
    return (
        world.held.reader()
        .execute(
            "SELECT i.*, m.pk AS place FROM slice_members m JOIN items i ON i.pk = m.member"
            " WHERE m.slice = ? AND m.kind = 'di' AND m.pk > ? ORDER BY m.pk LIMIT ?",
            (pk, after, size),
        )
        .fetchall()
    )


def members(world: World, slice_id: str) -> dict[str, Any]:
    """The answer of `GET slice/{slc}`: every member with its id; scenes without frames."""
    row = find(world, slice_id)
    query = "SELECT kind, member FROM slice_members WHERE slice = ? ORDER BY pk"
    found = world.held.reader().execute(query, (row["pk"],)).fetchall()
    read = (_member_as_read(world, each["kind"], each["member"]) for each in found)
    return {"items": [each for each in read if each is not None]}


def _member_as_read(world: World, kind: str, pk: int) -> dict[str, Any] | None:
    c = world.held.reader()
    answer: dict[str, Any] = {"id": world.ids.spell(kind, pk)}
    row = c.execute(f"SELECT * FROM {_TABLES[kind]} WHERE pk = ?", (pk,)).fetchone()
    if row is None:  # an annotation or prediction that is gone
        return None
    if kind == "scn":
        return answer | scenes.summary(world, row)
    if kind == "di":
        return answer | reading.item_as_read(world, row) | {"ref_id": row["reference_id"]}
    item = c.execute("SELECT * FROM items WHERE pk = ?", (row["item"],)).fetchone()
    names = {"reference_id": item["reference_id"], "dataset_item_id": world.ids.spell("di", item["pk"])}
    return answer | reading.record_as_read(row) | names


def raw_objects(world: World, slice_id: str) -> list[dict[str, Any]]:
    """The answer of `slice/{slc}/export_raw_json`: each object with its item and its scene, of object slices only."""
    row = find(world, slice_id)
    c = world.held.reader()
    query = "SELECT kind, member FROM slice_members WHERE slice = ? ORDER BY pk"
    found = c.execute(query, (row["pk"],)).fetchall()
    if any(each["kind"] not in ("ann", "pred") for each in found):
        raise Refused(400, "Only slices of objects can be exported as raw JSON.")
    return [read for each in found if (read := _object_in_place(world, each["kind"], each["member"])) is not None]


def _object_in_place(world: World, kind: str, pk: int) -> dict[str, Any] | None:
    read = _member_as_read(world, kind, pk)
    if read is None:
        return None
    c = world.held.reader()
    query = f"SELECT i.* FROM items i JOIN {_TABLES[kind]} a ON a.item = i.pk WHERE a.pk = ?"
    item = c.execute(query, (pk,)).fetchone()
    answer = {"item": reading.item_as_read(world, item), "annotation" if kind == "ann" else "prediction": read}
    scene = c.execute("SELECT * FROM scenes WHERE pk = ?", (item["scene"],)).fetchone()
    return answer | ({"scene": scenes.summary(world, scene)} if scene is not None else {})


def raw_items(world: World, slice_id: str) -> dict[str, Any]:
    """The answer of `slice/{slc}/exportRawItems`."""
    rows = items_after(world, find(world, slice_id)["pk"], 0, -1)
    return {
        "raw_dataset_items": [
            {
                "id": world.ids.spell("di", row["pk"]),
                "ref_id": row["reference_id"],
                "metadata": from_json(row["metadata"]),
                "original_url": row["url"],
                "scale_url": None,
            }
            for row in rows
        ]
    }
