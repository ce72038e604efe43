"""One SQLite file: a connection per thread for reading, one transaction at a time for writing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path


class Database:
    """Connections to one file, made on first use in each thread."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._local = threading.local()
        self._writing = threading.Lock()
        self._opened: list[sqlite3.Connection] = []
        self.reader().executescript(files(__package__).joinpath(schema).read_text("utf-8"))

    def reader(self) -> sqlite3.Connection:
        """The calling thread's connection, outside any transaction."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._open()
            self._local.connection = connection
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction; an exception rolls it back."""
        connection = self.reader()
        with self._writing:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close every thread's connection; the last one folds the WAL into the file."""
        while self._opened:
            self._opened.pop().close()
        self._local = threading.local()

    def _open(self) -> sqlite3.Connection:
        # Closed from the thread that stops the server, hence check_same_thread.
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=60)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32768")
        # A job of a million records leaves a large log behind; give its space back at the next checkpoint.
        connection.execute("PRAGMA journal_size_limit = 67108864")
        self._opened.append(connection)
        return connection
