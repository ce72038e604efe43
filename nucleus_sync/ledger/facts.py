"""Facts about media files, kept beside the ledger in a file that may be deleted at any time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from nucleus_sync.errors import LedgerError
from nucleus_sync.ledger import disk
from nucleus_sync.records.facts import Facts

VERSION = 1
_FLUSH_AT = 20_000
_SCHEMA = """
CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE facts (
    folder   INTEGER NOT NULL,
    path     BLOB NOT NULL,    -- relative to the folder, as it is on disk
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    digest   BLOB NOT NULL,    -- XXH3-128, or empty
    width    INTEGER NOT NULL,
    height   INTEGER NOT NULL,
    invalid  TEXT NOT NULL,
    finding  TEXT NOT NULL,
    PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;
"""
# The place up to which facts were swept; made when that first happens.
_SWEPT = "CREATE TABLE IF NOT EXISTS swept (only INTEGER PRIMARY KEY, folder INTEGER, path BLOB) STRICT"
_START = (-(1 << 62), b"")
_SWEPT_AT_ONCE = 1_000
_SELECT = "SELECT size, mtime_ns, inode, digest, width, height, invalid, finding FROM facts WHERE folder=? AND path=?"
_Row = tuple[int, int, int, bytes, int, int, str, str]


class FileFacts:
    """A `FactsCache` in a SQLite file, or in memory. Whatever is wrong with that file, the work goes on without it.

    `resolve` says where a folder lies: then, for every file that was written down, closing looks after two others and
    forgets those that are gone, so that there are never many more facts than files.
    """

    def __init__(self, path: Path | None, resolve: Callable[[str], Path] | None = None) -> None:
        self._conn = _open(path)
        self._resolve = resolve
        self._written = 0
        self._is_first = _is_empty(self._conn)
        self._folders: dict[str, int] = {}
        self._fresh: dict[tuple[int, bytes], _Row] = {}

    def recall(self, folder: str, path: str) -> Facts | None:
        """What was found out about this file before, whatever its stat is now."""
        number = self._folders.get(folder) or self._folder(folder)
        name = os.fsencode(path)
        row = self._fresh.get((number, name))
        if row is None:
            try:
                row = self._conn.execute(_SELECT, (number, name)).fetchone()
            except sqlite3.Error:
                return None
        return None if row is None else Facts(*row)

    def remember(self, folder: str, path: str, facts: Facts) -> None:
        """Keep it; written in bulk, now and then and on closing."""
        number = self._folders.get(folder) or self._folder(folder)
        self._fresh[number, os.fsencode(path)] = _row(facts)
        if len(self._fresh) >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Write what is fresh. A write that fails loses facts, which costs time at most."""
        rows = [(*key, *row) for key, row in sorted(self._fresh.items())]
        self._fresh.clear()
        if not rows:
            return
        try:
            self._conn.execute("BEGIN IMMEDIATE")
            self._conn.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._conn.execute("COMMIT")
            self._written += len(rows)
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._conn.execute("ROLLBACK")

    def sweep(self, number: int) -> None:
        """Look after so many files, going on where the last sweep ended, and forget those that are gone."""
        if self._resolve is None or not number:
            return
        with suppress(sqlite3.Error):
            self._conn.execute(_SWEPT)
            for start in range(0, number, _SWEPT_AT_ONCE):
                if not self._sweep_some(self._resolve, min(_SWEPT_AT_ONCE, number - start)):
                    return

    def _sweep_some(self, resolve: Callable[[str], Path], number: int) -> bool:
        """Whether there is more to sweep before it begins anew."""
        begin = self._conn.execute("SELECT folder, path FROM swept").fetchone() or _START
        found = self._conn.execute(
            "SELECT folder, path FROM facts WHERE (folder, path) > (?, ?) ORDER BY folder, path LIMIT ?",
            (*begin, number),
        ).fetchall()
        names = self._conn.execute("SELECT id, path FROM folders").fetchall()
        roots = {folder: _root(resolve, name) for folder, name in names}
        gone = [row for row in found if (root := roots.get(row[0])) is not None and _is_gone(root, row[1])]
        more = len(found) == number
        with self._conn:
            self._conn.execute("BEGIN IMMEDIATE")
            self._conn.executemany("DELETE FROM facts WHERE folder = ? AND path = ?", gone)
            self._conn.execute("INSERT OR REPLACE INTO swept VALUES (1, ?, ?)", found[-1] if more else _START)
        return more

    def close(self) -> None:
        """Write what is fresh, then close the file."""
        self.flush()
        self._conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self._is_first:
            self.flush()
            self.sweep(2 * self._written)
        self.close()

    def _folder(self, folder: str) -> int:
        name = (os.fsencode(folder),)
        number = -1 - len(self._folders)  # of a folder that can't be written down
        with suppress(sqlite3.Error):
            self._conn.execute("INSERT OR IGNORE INTO folders (path) VALUES (?)", name)
        with suppress(sqlite3.Error):
            row = self._conn.execute("SELECT id FROM folders WHERE path = ?", name).fetchone()
            number = row[0] if row else number
        self._folders[folder] = number
        return number


def _open(path: Path | None) -> sqlite3.Connection:
    """The file; made anew when it is damaged or of another version; in memory when the folder can't be written."""
    if path is not None:
        try:
            return _open_to_write(path)
        except sqlite3.OperationalError:
            pass
        except sqlite3.DatabaseError:
            with suppress(sqlite3.Error, OSError, LedgerError):
                return _open_anew(path)
        except (OSError, LedgerError):
            pass
        with suppress(sqlite3.Error, OSError):
            return _open_to_read(path)
    conn = _connect(":memory:")
    conn.executescript(_SCHEMA)
    return conn


def _open_to_write(path: Path) -> sqlite3.Connection:
    if not os.access(path.parent, os.W_OK) and path.parent.exists():
        raise PermissionError
    disk.make_private_file(path)
    conn = _connect(str(path))
    try:
        # Beside a network file system's other users there is no log to share.
        conn.execute(f"PRAGMA journal_mode={'DELETE' if disk.network_filesystem(path) else 'WAL'}")
        conn.execute("PRAGMA synchronous=NORMAL")
        if conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            conn.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={VERSION:d}; COMMIT")
        return _checked(conn)
    except BaseException:
        conn.close()
        raise


def _open_anew(path: Path) -> sqlite3.Connection:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return _open_to_write(path)


def _open_to_read(path: Path) -> sqlite3.Connection:
    conn = _connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        return _checked(conn)
    except BaseException:
        conn.close()
        raise


def _checked(conn: sqlite3.Connection) -> sqlite3.Connection:
    if conn.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        raise sqlite3.DatabaseError("another version")
    conn.execute(_SELECT, (0, b"")).fetchone()
    return conn


def _connect(place: str, *, uri: bool = False) -> sqlite3.Connection:
    # Two seconds at most: waiting for a cache is worse than doing without.
    return sqlite3.connect(place, timeout=2.0, isolation_level=None, check_same_thread=False, uri=uri)


def _root(resolve: Callable[[str], Path], name: bytes) -> bytes | None:
    """Where a folder lies; None for one that isn't there or is empty, as where a share is not mounted just now."""
    with suppress(OSError, RuntimeError):
        root = os.fsencode(resolve(os.fsdecode(name)))
        with os.scandir(root) as entries:
            return root if next(entries, None) is not None else None
    return None


def _is_gone(root: bytes, path: bytes) -> bool:
    try:
        os.stat(os.path.join(root, path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _is_empty(conn: sqlite3.Connection) -> bool:
    try:
        return conn.execute("SELECT 1 FROM facts LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return True


def _row(facts: Facts) -> _Row:
    found = (facts.size, facts.mtime_ns, facts.inode, facts.digest, facts.width, facts.height)
    return (*found, facts.invalid, facts.finding)
