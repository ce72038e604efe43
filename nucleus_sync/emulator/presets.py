"""Evaluation presets: named rollup groups and exclusion rules."""

from __future__ import annotations

import sqlite3
from typing import Any

from .evaluations import either
from .refusals import Refused, missing
from .world import World, from_json, now_text, to_json

_COLUMNS = (("rollupGroups", "rollup_groups"), ("exclusionRules", "exclusion_rules"))


def listing(world: World) -> list[dict[str, Any]]:
    """Every preset, oldest first."""
    return [_as_read(world, row) for row in world.held.reader().execute("SELECT * FROM presets ORDER BY pk")]


def _as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": world.ids.spell("prev", row["pk"]),
        "name": row["name"],
        "rollup_groups": from_json(row["rollup_groups"]),
        "exclusion_rules": from_json(row["exclusion_rules"]),
        "created_by_user_id": "emulator",
        "created_at": row["created"],
        "updated_at": row["updated"],
        "deleted_at": None,
    }


def create(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """A new preset; its name must be new."""
    values = [either(body, camel, snake) for camel, snake in _COLUMNS]
    name = _name(body)
    row = (name, *(None if value is None else to_json(value) for value in values), now_text(), now_text())
    query = "INSERT INTO presets (name, rollup_groups, exclusion_rules, created, updated) VALUES (?, ?, ?, ?, ?)"
    with world.held.transaction() as c:
        _refuse_known(c, name, 0)
        pk = c.execute(query, row).lastrowid
    return _read(world, pk or 0)


def change(world: World, preset_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change what is named; null clears the groups or the rules."""
    pk = _find(world, preset_id)
    with world.held.transaction() as c:
        if "name" in body:
            name = _name(body)
            _refuse_known(c, name, pk)
            c.execute("UPDATE presets SET name = ? WHERE pk = ?", (name, pk))
        for camel, snake in _COLUMNS:
            if camel in body or snake in body:
                value = either(body, camel, snake)
                text = None if value is None else to_json(value)
                c.execute(f"UPDATE presets SET {snake} = ? WHERE pk = ?", (text, pk))
        c.execute("UPDATE presets SET updated = ? WHERE pk = ?", (now_text(), pk))
    return _read(world, pk)


def delete(world: World, preset_id: str) -> None:
    """Remove a preset."""
    pk = _find(world, preset_id)
    with world.held.transaction() as c:
        c.execute("DELETE FROM presets WHERE pk = ?", (pk,))


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Refused(400, "A preset needs a name.")
    return name


def _refuse_known(c: sqlite3.Connection, name: str, pk: int) -> None:
    if c.execute("SELECT 1 FROM presets WHERE name = ? AND pk != ?", (name, pk)).fetchone():
        raise Refused(400, f"A preset named {name} already exists.")


def _find(world: World, preset_id: str) -> int:
    pk = world.ids.read("prev", preset_id)
    if world.held.reader().execute("SELECT 1 FROM presets WHERE pk = ?", (pk,)).fetchone() is None:
        raise missing("Preset", preset_id)
    return pk


def _read(world: World, pk: int) -> dict[str, Any]:
    row = world.held.reader().execute("SELECT * FROM presets WHERE pk = ?", (pk,)).fetchone()
    return _as_read(world, row)
