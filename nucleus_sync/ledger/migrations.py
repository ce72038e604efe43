"""The way from every older schema to the newest, one step a version."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

VERSION = 1
"""Of schema.sql."""

Migration = Callable[["Tables"], None]

MIGRATIONS: Mapping[int, Migration] = {}
"""The step that leads *to* each version from 2 on. Released schemas never change; add a step and raise VERSION."""


def migrate(conn: sqlite3.Connection, path: Path, version: int, steps: Mapping[int, Migration]) -> Path | None:
    """Bring the file to `version` in one transaction, after a copy; the copy's path, or None if it was up to date."""
    found: int = conn.execute("PRAGMA user_version").fetchone()[0]
    if found == version:
        return None
    copy = keep_copy(conn, path, f"v{found}")
    # Not needed on an ordinary start, where its import would be most of the time.
    from sqlite_utils import Database as Tables

    conn.execute("PRAGMA foreign_keys=OFF")  # a table that is rebuilt must not take its children with it
    conn.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        current: int = conn.execute("PRAGMA user_version").fetchone()[0]
        for number in range(current + 1, version + 1):
            steps[number](Tables(conn, execute_plugins=False, recursive_triggers=False))
        conn.execute(f"PRAGMA user_version={version:d}")
        if broken := conn.execute("PRAGMA foreign_key_check").fetchone():
            raise sqlite3.IntegrityError(f"migration left a dangling row in {broken[0]}")
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    finally:
        conn.execute("PRAGMA foreign_keys=ON")
    return copy


def keep_copy(conn: sqlite3.Connection, path: Path, name: str) -> Path:
    """Copy the ledger as it is, WAL included, to `ledger.db.NAME.bak`, private and durable."""
    target = path.with_name(f"{path.name}.{name}.bak")
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    copy = sqlite3.connect(unfinished)
    try:
        conn.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    finally:
        copy.close()
    with open(unfinished, "rb") as written:
        os.fsync(written.fileno())
    os.replace(unfinished, target)
    return target
