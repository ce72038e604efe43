"""What can go wrong with the ledger's file, in the user's words, each with its way out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nucleus_sync.errors import LedgerError, Locked


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Turn SQLite's errors into ours, each with its way out."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error, str(path or "in memory")) from error


def _ours(error: sqlite3.Error, where: str) -> LedgerError | Locked:
    text = str(error)
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Locked("another process is writing the ledger", where=where, fix="wait until it is done, then repeat")
    if name.startswith("SQLITE_FULL"):
        return LedgerError("the disk is full", where=where, fix="free some space and repeat; nothing is lost")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return LedgerError(f"the ledger can't be opened or written: {text}", where=where, fix="check its permissions")
    if name.startswith("SQLITE_IOERR"):
        return LedgerError(f"the disk failed: {text}", where=where, fix="check the disk and its free space, repeat")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(where, text)
    return LedgerError(f"the ledger failed: {text}", where=where)


def damaged(where: str, detail: str) -> LedgerError:
    """The error for a file that is no sound ledger. The file is never touched: it may hold what can be saved."""
    return LedgerError(
        f"the ledger is damaged: {detail}",
        where=where,
        fix=f"put it aside (mv {where} {where}.damaged) or restore a copy; to rebuild it from what Nucleus holds: "
        "nucleus-sync import ADDRESS ID for each dataset and model, then nucleus-sync refresh --write",
    )
