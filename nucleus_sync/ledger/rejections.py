"""Records that Nucleus refused: they rest until they change, or until the item that they lacked appears."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from nucleus_sync.ledger import known, streams
from nucleus_sync.ledger.database import Database, Transaction
from nucleus_sync.records.key import item_of

_PAGE = 5_000
_COLUMNS = "key, stamp, reason, file, position, lacks_item"


class Rejection(Struct, frozen=True):
    """One record that Nucleus refused."""

    key: bytes
    stamp: bytes
    """Of the record as it was sent."""
    reason: str
    file: str
    position: str
    lacks_item: bool = False


def all_of(database: Database, address: str | None) -> Iterator[tuple[str, Rejection]]:
    """Address and rejection, sorted by address and key."""
    with database.reading() as conn:
        addresses = [address] if address is not None else [state.address for state in streams.states(conn)]
    for name in addresses:
        for key, stamp, reason, file, position, lacks_item in _pages(database, name, _COLUMNS):
            yield name, Rejection(key, stamp, reason, file, position, bool(lacks_item))


def keys(database: Database, address: str) -> Iterator[tuple[bytes, bytes]]:
    """Key and stamp, sorted by key."""
    return ((key, stamp) for key, stamp in _pages(database, address, "key, stamp"))


def count(conn: sqlite3.Connection, address: str | None) -> int:
    """How many there are, of one stream or of all."""
    query = "SELECT count(*) FROM rejections"
    if address is None:
        found: int = conn.execute(query).fetchone()[0]
    else:
        found = conn.execute(f"{query} WHERE stream = ?", (streams.find(conn, address),)).fetchone()[0]
    return found


def add(tx: Transaction, stream: int, refused: Iterable[Rejection]) -> None:
    """Keep rejections; a newer one replaces the older of its key."""
    rows = [
        (stream, one.key, one.stamp, one.reason, one.file, one.position, int(one.lacks_item), tx.now) for one in refused
    ]
    if rows:
        tx.conn.executemany("INSERT OR REPLACE INTO rejections VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        streams.unsettled(tx, stream)


def place(tx: Transaction, stream: int, places: Iterable[tuple[bytes, str, str]]) -> None:
    """Say anew where rejected records lie: (key, file, position)."""
    tx.conn.executemany(
        "UPDATE rejections SET file = ?1, position = ?2 WHERE stream = ?3 AND key = ?4"
        " AND (file IS NOT ?1 OR position IS NOT ?2)",
        ((file, position, stream, key) for key, file, position in places),
    )


def forget(tx: Transaction, stream: int, gone: Iterable[bytes] | None) -> None:
    """Drop the rejections of these keys, or all of the stream."""
    if not tx.conn.execute("SELECT 1 FROM rejections WHERE stream = ? LIMIT 1", (stream,)).fetchone():
        return
    if gone is None:
        _change(tx, stream, "", [()])
    else:
        _change(tx, stream, "AND key = ?", [(key,) for key in gone])


def forget_items(tx: Transaction, stream: int, items: Iterable[bytes]) -> None:
    """Drop the rejections of everything that belongs to these items."""
    if tx.conn.execute("SELECT 1 FROM rejections WHERE stream = ? LIMIT 1", (stream,)).fetchone():
        _change(tx, stream, "AND key >= ? AND key < ?", [known.span(item) for item in items])


def wake(tx: Transaction, items_address: str, confirmed: Iterable[bytes]) -> None:
    """Items have appeared: what was refused for lack of them may be sent again."""
    lacking = tx.conn.execute(
        "SELECT id, address FROM streams WHERE id IN (SELECT stream FROM rejections WHERE lacks_item = 1)"
    ).fetchall()
    hanging = [stream for stream, address in lacking if hangs_on(address, items_address)]
    items = frozenset(confirmed) if hanging else frozenset()
    for stream in hanging:
        resting = tx.conn.execute(
            "SELECT key FROM rejections WHERE stream = ? AND lacks_item = 1", (stream,)
        ).fetchall()
        _change(tx, stream, "AND key = ?", [row for row in resting if item_of(row[0]) in items])


def hangs_on(address: str, items_address: str) -> bool:
    """Whether the records of one stream belong to the items of another.

    `dataset.street.items` has `dataset.street.annotations` and `model.cnn.predictions.street` hanging on it.
    """
    if not (items_address.startswith("dataset.") and items_address.endswith(".items")):
        return False
    name = items_address.removeprefix("dataset.").removesuffix(".items")
    return address == f"dataset.{name}.annotations" or (
        address.startswith("model.") and address.endswith(f".predictions.{name}")
    )


def _change(tx: Transaction, stream: int, where: str, rows: list[tuple[bytes, ...]]) -> None:
    before = tx.conn.total_changes
    tx.conn.executemany(f"DELETE FROM rejections WHERE stream = {stream:d} {where}", rows)
    if tx.conn.total_changes > before:
        streams.unsettled(tx, stream)


def _pages(database: Database, address: str, columns: str) -> Iterator[tuple[Any, ...]]:
    last = b""
    with database.reading() as conn:
        stream = streams.find(conn, address)
    query = f"SELECT {columns} FROM rejections WHERE stream = ? AND key > ? ORDER BY key LIMIT {_PAGE}"
    while stream is not None:
        with database.reading() as conn:
            page = conn.execute(query, (stream, last)).fetchall()
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1][0]
