"""The right to write a ledger: a lock of the operating system, with a lease in the ledger that says whose it is."""

from __future__ import annotations

import getpass
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from msgspec import Struct

from nucleus_sync.errors import LedgerError, Locked, NucleusSyncError
from nucleus_sync.ledger import disk
from nucleus_sync.ledger.database import Database, Transaction
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.oslock import OsLock, lock_path

LEASE = 120.0
"""Seconds without a heartbeat after which a holder on another host counts as dead."""
BEAT = 15.0
"""Seconds between heartbeats."""


class Holder(Struct, frozen=True):
    """Whoever has the lock, or had it when it died."""

    owner: str
    host: str
    pid: int
    since: float
    heartbeat: float
    generation: int

    def __str__(self) -> str:
        since, beat = _clock_time(self.since), _clock_time(self.heartbeat)
        return f"{self.owner}, pid {self.pid} on {self.host}, since {since}, last heartbeat {beat}"


class Lock:
    """Held for the length of an apply, watch or other command that writes.

    On one host the operating system decides, which knows when a holder has died, and that a stopped one hasn't. The
    lease says who it is, decides between hosts that share a disk, and gives each holder a number: with it, writes of
    a process whose lock was forced away are refused.
    """

    def __init__(
        self, ledger: Ledger, *, owner: str | None = None, host: str | None = None, pid: int | None = None
    ) -> None:
        if ledger.path is None:
            raise LedgerError("a ledger in memory can't be locked")
        self._database = ledger.database
        self._os_lock = OsLock(lock_path(ledger.path))
        self._owner = owner or _user()
        self._host = host or os.uname().nodename
        self._pid = pid or os.getpid()

    @property
    def held(self) -> bool:
        """Whether this process has it, as far as it knows."""
        return self._database.fence is not None

    def acquire(self, *, force: bool = False) -> str | None:
        """Take the lock; the text says whom it was taken over from. Raises Locked while somebody living has it.

        `force` takes it from the living as well.
        """
        try:
            alone = self._os_lock.acquire()
        except OSError as error:
            raise disk.unwritable(self._os_lock.path, error) from error
        try:
            with self._database.transaction() as tx:
                earlier = _read(tx.conn)
                if not force:
                    self._refuse(earlier, alone, tx.now)
                generation = self._write(tx)
        except BaseException:
            self._os_lock.release()
            raise
        self._database.fence = generation
        return None if earlier is None else self._story(earlier, alone)

    def beat(self) -> None:
        """Say that this process lives. Raises Locked when the lock was forced away."""
        with self._database.transaction() as tx:
            tx.conn.execute("UPDATE lease SET heartbeat = ?", (tx.now,))

    def release(self) -> None:
        """Give the lock back; nothing happens when it isn't held, or was forced away."""
        if self._database.fence is not None:
            fence, self._database.fence = self._database.fence, None
            with self._database.transaction() as tx:
                tx.conn.execute(
                    "UPDATE lease SET owner = NULL, host = NULL, pid = NULL, since = NULL, heartbeat = NULL"
                    " WHERE generation = ?",
                    (fence,),
                )
        self._os_lock.release()

    def __enter__(self) -> Self:
        if not self.held:
            self.acquire()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.release()

    def _refuse(self, earlier: Holder | None, alone: bool | None, now: float) -> None:
        """Raise Locked when somebody living has the lock."""
        if alone is False:
            raise _locked(earlier)
        if earlier is None:
            return
        here = earlier.host == self._host
        # Where the operating system has given us its lock, a holder of this host is dead.
        living = _lives(earlier.pid) if alone is None else False
        if living if here else now - earlier.heartbeat < LEASE:
            raise _locked(earlier)

    def _write(self, tx: Transaction) -> int:
        row = tx.conn.execute(
            "INSERT INTO lease VALUES (1, ?1, ?2, ?3, ?4, ?4, 1) ON CONFLICT DO UPDATE SET"
            " owner = ?1, host = ?2, pid = ?3, since = ?4, heartbeat = ?4, generation = generation + 1"
            " RETURNING generation",
            (self._owner, self._host, self._pid, tx.now),
        ).fetchone()
        return int(row[0])

    def _story(self, earlier: Holder, alone: bool | None) -> str:
        if alone is False:
            return f"took the lock by force from {earlier}"
        return f"took over the lock of {earlier}, which is gone"


@contextmanager
def beating(lock: Lock) -> Iterator[None]:
    """A thread of its own keeps the lease alive, also while a person thinks about the plan."""
    over = threading.Event()

    def beat() -> None:
        # A lock that was forced away shows at the next write, which is refused.
        with suppress(NucleusSyncError):
            while not over.wait(BEAT):
                lock.beat()

    thread = threading.Thread(target=beat, name="nucleus-sync-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def peek(ledger: Ledger) -> Holder | None:
    """Who has the lock, or died with it; None when it was given back."""
    return _peek(ledger.database)


def _peek(database: Database) -> Holder | None:
    with database.reading() as conn:
        return _read(conn)


def _read(conn: sqlite3.Connection) -> Holder | None:
    row = conn.execute(
        "SELECT owner, host, pid, since, heartbeat, generation FROM lease WHERE owner IS NOT NULL"
    ).fetchone()
    return None if row is None else Holder(*row)


def _locked(holder: Holder | None) -> Locked:
    who = str(holder) if holder else "a process that is just starting"
    return Locked(
        f"the ledger is locked by {who}",
        fix="wait until it is done; if it hangs, end that process, or take its lock away: nucleus-sync unlock --force",
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _clock_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
