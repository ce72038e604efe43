"""The ledger's SQLite file: opened with care, read, and changed in transactions that carry the time."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from nucleus_sync.errors import LedgerError, Locked
from nucleus_sync.ledger import disk
from nucleus_sync.ledger.complaints import damaged, translated
from nucleus_sync.ledger.migrations import MIGRATIONS, VERSION, Migration, keep_copy, migrate
from nucleus_sync.ledger.oslock import is_held, lock_path
from nucleus_sync.records.fingerprint import VERSION as FINGERPRINT_VERSION

APPLICATION_ID = 0x4E53594E
"""`NSYN`, in the file's header."""
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
CACHE_KB = 32_768
"""Pages of the file that are kept in memory."""
PATIENCE = 15.0
"""Seconds to wait for another process's transaction."""

Clock = Callable[[], float]


class Transaction:
    """One change of the ledger: a connection in a transaction, and the time at which it happens."""

    __slots__ = ("_moved", "conn", "now")

    def __init__(self, conn: sqlite3.Connection, now: float) -> None:
        self.conn = conn
        self.now = now
        self._moved = False

    def moves_plans(self) -> None:
        """Say that something changed that a plan depends on: the serial rises once when this commits."""
        if not self._moved:
            self._moved = True
            self.conn.execute("UPDATE meta SET value = value + 1 WHERE name = 'serial'")


class Database:
    """An open ledger file. Safe to use from several threads; what they do is done one after the other."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        path: Path | None,
        clock: Clock,
        *,
        writable: bool,
        beside: sqlite3.Connection | None = None,
    ) -> None:
        """`beside` is a connection that reads while the other is in a transaction, where the file allows that."""
        self.path = path
        self.writable = writable
        self.fence: int | None = None
        """Generation of the lease that this process holds: every transaction makes sure that it still does."""
        self.warnings: list[str] = []
        self._conn = conn
        self._beside = beside
        self._clock = clock
        self._turn = threading.RLock()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, outside of any transaction of another thread."""
        with self._turn, translated(self.path):
            yield self._conn

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change something: all of it, or nothing."""
        if not self.writable:
            raise LedgerError("the ledger is open for reading only", where=str(self.path or "in memory"))
        with self._turn, translated(self.path):
            self._conn.execute("BEGIN IMMEDIATE")
            try:
                if self.fence is not None:
                    self._check_fence(self._conn)
                yield Transaction(self._conn, self._clock())
                self._conn.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already.
                if self._conn.in_transaction:
                    self._conn.execute("ROLLBACK")
                raise

    def meta(self, name: str) -> str | int | float:
        """One row of `meta`."""
        with self.reading() as conn:
            value: str | int | float = conn.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]
        return value

    def now(self) -> float:
        """The time, by the ledger's clock."""
        return self._clock()

    def keep_copy(self, name: str) -> Path:
        """Copy the file to `ledger.db.NAME.bak`. Raises LedgerError where there is no room for it."""
        assert self.path is not None  # noqa: S101  (only a file is ever mended by hand)
        with self._turn, translated(self.path):
            return keep_copy(self._conn, self.path, name)

    def check(self) -> None:
        """Read every page of the file. Raises LedgerError when it is damaged."""
        with self.reading() as conn:
            _quick_check(conn, "", str(self.path))

    def close(self) -> None:
        """Close the file. The write-ahead log goes into it, or whoever opens it next takes its writer for dead."""
        with self._turn:
            if self._beside is not None:
                self._beside.close()
            if self.writable:
                with suppress(sqlite3.Error):  # somebody who reads just now does no harm: it is tried, not waited for
                    self._conn.execute("PRAGMA busy_timeout=0")
                    self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._conn.close()

    def assure_fence(self) -> None:
        """Raise Locked when this process took the lock and somebody has taken it away since."""
        if self.fence is None:
            return
        if self._beside is None:
            with self.reading() as conn:
                self._check_fence(conn)
        else:  # asked before every request, by the loop that sends them all: it must not wait for a transaction
            with translated(self.path):
                self._check_fence(self._beside)

    def _check_fence(self, conn: sqlite3.Connection) -> None:
        row = conn.execute("SELECT generation, owner, host, pid FROM lease").fetchone()
        if row is None or row[0] != self.fence:
            taker = f"{row[1]} (pid {row[3]} on {row[2]})" if row and row[1] else "somebody"
            raise Locked(f"the lock was taken away from this process by {taker}", fix="start again when it is done")


def open_database(
    path: Path,
    *,
    endpoint: str,
    clock: Clock,
    spec: str | None = None,
    version: int = VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> Database:
    """Open the ledger for writing, or make a new one. Raises LedgerError with the way out."""
    _check_sqlite()
    left_behind = _has_left_log(path) and not is_held(lock_path(path))  # its writer died
    disk.make_private_file(path)
    with translated(path):
        conn = _connect(str(path))
        try:
            network = disk.network_filesystem(path)
            _prepare(conn, network)
            if _is_empty(conn):
                _create(conn, endpoint, clock())
            _identify(conn, path, endpoint, spec, version)
            copy = migrate(conn, path, version, migrations)
            if spec is not None:
                conn.execute("INSERT OR IGNORE INTO meta VALUES ('spec', ?)", (spec,))
            _quick_check(conn, "" if left_behind else "resources", str(path))
        except BaseException:
            conn.close()
            raise
    database = Database(conn, path, clock, writable=True, beside=None if network else _connect(str(path)))
    if network:
        database.warnings.append(
            f"{path} lies on a network file system ({network}): locks may not reach other hosts; use a local disk"
        )
    if copy:
        database.warnings.append(f"the ledger was brought to schema {version}; the older file is kept as {copy}")
    return database


def open_to_read(
    path: Path, *, endpoint: str | None, clock: Clock, spec: str | None = None, cache_kb: int = CACHE_KB
) -> Database:
    """Open the ledger without changing a byte, also in a folder that can't be written.

    Without an endpoint it may be of any: what is only told about it holds wherever it is of.

    A ledger that isn't there is an empty one, in memory: its lineage is empty and its serial 0.
    """
    _check_sqlite()
    if not path.exists() or path.stat().st_size == 0:
        return _in_memory(endpoint or "", clock)
    if path.is_dir():
        raise LedgerError("this is a folder, no ledger", where=str(path), fix="set another path with settings.ledger")
    with translated(path):
        # SQLite wants to make its shared-memory file; where it can't, nobody can be writing either.
        sealed = not os.access(path.parent, os.W_OK) and not _has_left_log(path)
        mode = "mode=ro&immutable=1" if sealed else "mode=ro"
        conn = _connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
        conn.execute(f"PRAGMA cache_size=-{cache_kb:d}")
        try:
            if _is_empty(conn):  # somebody is just making it
                conn.close()
                return _in_memory(endpoint or "", clock)
            found = _identify(conn, path, endpoint, spec, VERSION)
            if found < VERSION:
                raise LedgerError(
                    f"the ledger has the older schema {found}",
                    where=str(path),
                    fix="make its folder writable and run any command, which brings it to the newest schema",
                )
        except BaseException:
            conn.close()
            raise
    return Database(conn, path, clock, writable=False)


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit before it starts."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _check_sqlite() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE[:2]))
        raise LedgerError(f"this Python has SQLite {sqlite3.sqlite_version}; the ledger needs {wanted} or newer")


def _connect(place: str, *, uri: bool = False) -> sqlite3.Connection:
    conn = sqlite3.connect(
        place, timeout=PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=256, uri=uri
    )
    conn.execute("PRAGMA foreign_keys=ON")
    conn.execute(f"PRAGMA cache_size=-{CACHE_KB:d}")
    return conn


def _has_left_log(path: Path) -> bool:
    """Whether a write-ahead log lies beside the file: somebody has it open, or died."""
    with suppress(OSError):
        return path.with_name(path.name + "-wal").stat().st_size > 0
    return False


def _prepare(conn: sqlite3.Connection, network: str | None) -> None:
    conn.execute("PRAGMA page_size=8192")  # matters to a new file only; bulk inserts like it better than 4096
    # A write-ahead log needs memory that all processes share, which a network file system doesn't give.
    conn.execute(f"PRAGMA journal_mode={'DELETE' if network else 'WAL'}")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("PRAGMA wal_autocheckpoint=4000")  # 32 MB: a batch of 100,000 records stays in one log
    conn.execute("PRAGMA journal_size_limit=67108864")
    conn.execute("PRAGMA secure_delete=OFF")  # some builds overwrite with zeros, through the log, whatever is deleted


def _is_empty(conn: sqlite3.Connection) -> bool:
    tables: int = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application: int = conn.execute("PRAGMA application_id").fetchone()[0]
    return tables == 0 and application == 0


def _create(conn: sqlite3.Connection, endpoint: str, now: float, *, lineage: str | None = None) -> None:
    conn.execute("BEGIN IMMEDIATE")
    if _is_empty(conn):  # nobody was faster
        for statement in statements(Path(__file__).with_name("schema.sql").read_text("utf-8")):
            conn.execute(statement)
        rows = {
            "lineage": os.urandom(16).hex() if lineage is None else lineage,
            "serial": 0,
            "endpoint": endpoint,
            "created_at": now,
            "fingerprint_version": FINGERPRINT_VERSION,
        }
        conn.executemany("INSERT INTO meta VALUES (?, ?)", rows.items())
        conn.execute(f"PRAGMA application_id={APPLICATION_ID:d}")
        conn.execute(f"PRAGMA user_version={VERSION:d}")
    conn.execute("COMMIT")


def _in_memory(endpoint: str, clock: Clock) -> Database:
    conn = _connect(":memory:")
    _create(conn, endpoint, clock(), lineage="")
    return Database(conn, None, clock, writable=False)


def _identify(conn: sqlite3.Connection, path: Path, endpoint: str | None, spec: str | None, version: int) -> int:
    """Refuse what isn't ours; the schema that was found."""
    where = str(path)
    if conn.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise LedgerError(
            "this SQLite file is no ledger of nucleus-sync", where=where, fix="set another path with settings.ledger"
        )
    found: int = conn.execute("PRAGMA user_version").fetchone()[0]
    if found > version:
        raise LedgerError(
            f"the ledger has schema {found}, newer than the {version} that this nucleus-sync knows",
            where=where,
            fix="use the nucleus-sync that wrote it, or a newer one",
        )
    written = dict(conn.execute("SELECT name, value FROM meta WHERE name IN ('endpoint', 'spec')").fetchall())
    if endpoint is not None and written["endpoint"] != endpoint:
        raise LedgerError(
            f"the ledger is of {written['endpoint']}, not of {endpoint}: what it says does not hold there",
            where=where,
            fix="set NUCLEUS_ENDPOINT back, or give each endpoint its own ledger with settings.ledger",
        )
    if spec is not None and written.get("spec", spec) != spec:
        raise LedgerError(
            f"the ledger belongs to another spec, {written['spec']}, not to {spec}",
            where=where,
            fix="give each spec its own ledger with settings.ledger; a spec that moved must keep its place beside it",
        )
    return found


def _quick_check(conn: sqlite3.Connection, table: str, where: str) -> None:
    """Look for damage: in one small table, or everywhere (a second for ten million records)."""
    verdict = conn.execute(f"PRAGMA quick_check({table or 1})").fetchone()[0]
    if verdict != "ok":
        raise damaged(where, verdict)
