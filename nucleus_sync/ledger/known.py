"""What Nucleus is known to hold: one stamp a record, written by finished jobs only.

Two stamps mean doubt. Their raw part is zeros (`fingerprint.LOOK_AGAIN`), and no content hashes to theirs, so a
comparison always finds a difference and sends the record again, or deletes it where the source dropped it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from nucleus_sync.ledger import bulk, streams
from nucleus_sync.ledger.bulk import Stamped
from nucleus_sync.ledger.database import Database, Transaction
from nucleus_sync.records.fingerprint import CONTENT_UNKNOWN, MAYBE_THERE, STAMP_SIZE

Row = tuple[bytes, bytes]
"""Key and stamp."""

_PAGE = 2_000  # a page that fits the processor's cache is read fastest


def in_doubt(stamp: bytes) -> bool:
    """Whether a stamp is one of those that mean doubt."""
    return stamp in (MAYBE_THERE, CONTENT_UNKNOWN)


def rows_after(database: Database, address: str, after: bytes | None) -> Iterator[Row]:
    """All records beyond a key, sorted."""
    for page in pages_after(database, address, after):
        yield from page


def pages_after(database: Database, address: str, after: bytes | None) -> Iterator[list[Row]]:
    """The same page by page: writers are never held up, nor is the log kept."""
    with database.reading() as conn:
        stream = streams.find(conn, address)
    if stream is None:
        return
    query = f"SELECT key, stamp FROM known WHERE stream = {stream:d} AND key > ? ORDER BY key LIMIT {_PAGE}"
    # Every key is above the empty blob.
    last = b"" if after is None else after
    while True:
        with database.reading() as conn:
            page = conn.execute(query, (last,)).fetchall()
        yield page
        if len(page) < _PAGE:
            return
        last = page[-1][0]


def between(conn: sqlite3.Connection, address: str, low: bytes, high: bytes | None) -> list[Row]:
    """The records from one key on and before another, sorted; all that follow where there is none."""
    stream = streams.find(conn, address)
    query = f"SELECT key, stamp FROM known WHERE stream = ? AND key >= ?{'' if high is None else ' AND key < ?'}"
    keys = (low,) if high is None else (low, high)
    return conn.execute(f"{query} ORDER BY key", (stream, *keys)).fetchall()


def of_item(conn: sqlite3.Connection, address: str, item: bytes) -> list[Row]:
    """The records of one item, sorted."""
    stream = streams.find(conn, address)
    return conn.execute(
        "SELECT key, stamp FROM known WHERE stream = ? AND key >= ? AND key < ? ORDER BY key", (stream, *span(item))
    ).fetchall()


def stamp(conn: sqlite3.Connection, address: str, key: bytes) -> bytes | None:
    """The stamp of one record."""
    stream = streams.find(conn, address)
    row = conn.execute("SELECT stamp FROM known WHERE stream = ? AND key = ?", (stream, key)).fetchone()
    return None if row is None else row[0]


def span(item: bytes) -> tuple[bytes, bytes]:
    """From which key on, and before which, everything belongs to this item: itself, or item NUL more."""
    return item, item + b"\x01"


def confirm(tx: Transaction, stream: int, records: Stamped) -> None:
    """Insert or replace. Records that are sorted by key cost half as much."""
    if not records:
        return
    fewer_maybes = _drop_maybes(tx, stream, records.keys)
    if _looks_known(tx, stream, records.keys):
        added = 0 if touch(tx, stream, records) == len(records) else _insert(tx, stream, records)
    else:
        added = _insert(tx, stream, records)
        if added < len(records):
            touch(tx, stream, records)
    streams.moved(tx, stream, count=added, maybes=-fewer_maybes)


def touch(tx: Transaction, stream: int, records: Stamped) -> int:
    """Replace the stamps of confirmed records; how many there are.

    By itself, for records that say the same in other bytes: to a plan, nothing happened.
    """
    before = tx.conn.total_changes
    # An UPDATE with FROM would look through all of `known` for each record; CROSS JOIN keeps the order that is written.
    tx.conn.executemany(
        f"INSERT INTO known SELECT {stream:d}, before.key, {bulk.STAMP} FROM {bulk.EACH} CROSS JOIN known AS before"
        f" WHERE before.stream = {stream:d} AND before.key = {bulk.KEY} AND before.stamp <> zeroblob({STAMP_SIZE})"
        " ON CONFLICT DO UPDATE SET stamp = excluded.stamp",
        records.bound(),
    )
    return tx.conn.total_changes - before


def forget(tx: Transaction, stream: int, keys: Iterable[bytes]) -> int:
    """Forget records that Nucleus no longer holds; how many there were."""
    wanted = list(keys)
    maybes = _drop_maybes(tx, stream, wanted)
    gone = _delete(tx, f"DELETE FROM known WHERE stream = {stream:d} AND key = ?", [(key,) for key in wanted])
    if maybes or gone:
        streams.moved(tx, stream, count=-gone, maybes=-maybes)
    return maybes + gone


def forget_items(tx: Transaction, stream: int, items: Iterable[bytes]) -> int:
    """Forget everything of these items in a stream; how much there was."""
    spans = [span(item) for item in items]
    of_items = f"DELETE FROM known WHERE stream = {stream:d} AND key >= ? AND key < ?"
    maybes = _delete(tx, f"{of_items} AND stamp = zeroblob({STAMP_SIZE})", spans) if _maybes(tx, stream) else 0
    gone = _delete(tx, of_items, spans)
    if maybes or gone:
        streams.moved(tx, stream, count=-gone, maybes=-maybes)
    return maybes + gone


def doubt(tx: Transaction, stream: int, keys: Iterable[bytes]) -> None:
    """Records that were sent with unknown outcome: new ones may be there, known ones may have changed."""
    wanted = list(keys)
    if not wanted:
        return
    added = _insert(tx, stream, Stamped(wanted, MAYBE_THERE * len(wanted)))
    if added < len(wanted):
        tx.conn.executemany(
            f"UPDATE known SET stamp = ?2 WHERE stream = {stream:d} AND key = ?1 AND stamp <> ?3",
            ((key, CONTENT_UNKNOWN, MAYBE_THERE) for key in wanted),
        )
    streams.moved(tx, stream, maybes=added)


def doubt_items(tx: Transaction, stream: int, items: Iterable[bytes]) -> None:
    """Everything of these items was perhaps deleted."""
    turned = _delete(
        tx,
        f"UPDATE known SET stamp = zeroblob({STAMP_SIZE}) WHERE stream = {stream:d}"
        f" AND key >= ? AND key < ? AND stamp <> zeroblob({STAMP_SIZE})",
        [span(item) for item in items],
    )
    if turned:
        streams.moved(tx, stream, count=-turned, maybes=turned)


def _looks_known(tx: Transaction, stream: int, keys: Sequence[bytes]) -> bool:
    """A guess that saves one of two passes: batches are mostly all new, or all changes."""
    query = f"SELECT 1 FROM known WHERE stream = {stream:d} AND key = ?"
    sample = (keys[0], keys[len(keys) // 2], keys[-1])
    return all(tx.conn.execute(query, (key,)).fetchone() for key in sample)


def _insert(tx: Transaction, stream: int, records: Stamped) -> int:
    before = tx.conn.total_changes
    tx.conn.executemany(
        f"INSERT OR IGNORE INTO known SELECT {stream:d}, {bulk.KEY}, {bulk.STAMP} FROM {bulk.EACH}", records.bound()
    )
    return tx.conn.total_changes - before


def _drop_maybes(tx: Transaction, stream: int, keys: Sequence[bytes]) -> int:
    """Forget those of these records that were in doubt."""
    if not _maybes(tx, stream):
        return 0
    where = f"stream = {stream:d} AND key = ? AND stamp = zeroblob({STAMP_SIZE})"
    return _delete(tx, f"DELETE FROM known WHERE {where}", [(key,) for key in keys])


def _maybes(tx: Transaction, stream: int) -> int:
    row = tx.conn.execute("SELECT maybes FROM streams WHERE id = ?", (stream,)).fetchone()
    return 0 if row is None else row[0]


def _delete(tx: Transaction, statement: str, rows: Sequence[tuple[bytes, ...]]) -> int:
    before = tx.conn.total_changes
    tx.conn.executemany(statement, rows)
    return tx.conn.total_changes - before
