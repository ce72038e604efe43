"""A lock that the operating system frees when its holder dies, however that happens."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock_path(ledger: Path) -> Path:
    """The lock's file beside a ledger. It stays there: removing it would make two locks of one."""
    return ledger.with_name(ledger.name + ".lock")


class OsLock:
    """An exclusive `flock` on a file of its own, for the life of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._handle is not None

    def acquire(self) -> bool | None:
        """Take it. False: another process has it. None: this file system knows no locks."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError:
            os.close(handle)
            return None
        self._handle = handle
        _held_here.add(self)
        return True

    def release(self) -> None:
        """Give it back; nothing happens when it isn't held."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.forsake()

    def forsake(self) -> None:
        """Close the file without unlocking it for others who share it."""
        _held_here.discard(self)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


_held_here: set[OsLock] = set()


def _forsake_all() -> None:
    """A forked child shares its parent's locks, and would keep them after the parent's death."""
    for lock in list(_held_here):
        lock.forsake()


# Once for all locks: what is registered here is never forgotten, and a watcher makes a lock every round.
os.register_at_fork(after_in_child=_forsake_all)


def is_held(path: Path) -> bool:
    """Whether a living process on this host holds the lock."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
