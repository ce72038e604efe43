"""The state of one emulated Nucleus: its files, its ids and its two databases."""

from __future__ import annotations

import datetime
import errno
import fcntl
import json
import secrets
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import IO, Any

import msgspec

from .database import Database
from .ids import Ids, new_salt


class World:
    """Everything that is held, in one data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder)
        self.stopping = threading.Event()
        for name in ("uploads", "media"):
            (folder / name).mkdir(exist_ok=True)
        self.held = Database(folder / "world.db", "schema.sql")
        self.jobs = Database(folder / "jobs.db", "jobs.sql")
        self.ids = Ids(self._setting("salt", new_salt()))
        self.secret = self._setting("secret", secrets.token_hex(16))

    def close(self) -> None:
        """Close both databases."""
        self.held.close()
        self.jobs.close()
        self._lock.close()

    def clear(self) -> None:
        """Forget everything but the salt and the numbering, so that old ids stay dead."""
        for database in (self.jobs, self.held):
            with database.transaction() as c:
                c.execute("PRAGMA defer_foreign_keys = ON")
                for table in _tables(c):
                    c.execute(f"DELETE FROM {table}")
        for name in ("uploads", "media"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()

    def upload_path(self, dataset_id: str, request_id: str) -> Path:
        """Where the file of one upload lies."""
        return self.folder / "uploads" / f"{dataset_id}.{request_id.encode().hex()}.ndjson"

    def _setting(self, key: str, value: str) -> str:
        with self.held.transaction() as c:
            c.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (key, value))
            return str(c.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()[0])


def _lock(folder: Path) -> IO[str]:
    """Keep a second emulator out of the folder (OSError, EBUSY); the lock goes with the process."""
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OSError(errno.EBUSY, f"another emulator uses {folder}") from None
    return file


def _tables(c: sqlite3.Connection) -> list[str]:
    rows = c.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [row[0] for row in rows if row[0] != "settings"]


def now_text() -> str:
    """The time as Nucleus writes it, e.g. `2024-05-01T12:00:00.000Z`."""
    return time_text(datetime.datetime.now(datetime.UTC).timestamp())


def time_text(unix: float) -> str:
    """A Unix time as Nucleus writes it."""
    moment = datetime.datetime.fromtimestamp(unix, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_json(value: Any) -> str:
    """A value as JSON text, for a column."""
    try:
        return msgspec.json.encode(value).decode()
    except OverflowError:  # integers of more than 64 bits, which users may well have in their metadata
        return json.dumps(value)


def from_json(text: str | None) -> Any:
    """The value in a column of JSON text."""
    return None if text is None else msgspec.json.decode(text)
