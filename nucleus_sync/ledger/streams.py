"""The streams of the ledger: their small ids, counts, versions, and how they stood when last compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from nucleus_sync.ledger.database import Transaction


class StreamState(Struct, frozen=True):
    """A stream in numbers."""

    address: str
    count: int
    """Records that Nucleus confirmed."""
    maybes: int
    """Records that were sent and may be at Nucleus."""
    version: int
    """Raised by every change of the known records."""
    invalid: int
    findings: int


class Standing(Struct, frozen=True):
    """A state of a stream's sources that was found equal to what is known."""

    state: bytes
    counts: dict[str, int]
    at: float


def find(conn: sqlite3.Connection, address: str) -> int | None:
    """The id of a stream, or None where nothing was ever written about it."""
    row = conn.execute("SELECT id FROM streams WHERE address = ?", (address,)).fetchone()
    return None if row is None else row[0]


def make(tx: Transaction, address: str) -> int:
    """The id of a stream, new if need be."""
    tx.conn.execute("INSERT OR IGNORE INTO streams (address) VALUES (?)", (address,))
    number: int = tx.conn.execute("SELECT id FROM streams WHERE address = ?", (address,)).fetchone()[0]
    return number


def states(conn: sqlite3.Connection) -> list[StreamState]:
    """All streams, sorted by address."""
    rows = conn.execute("SELECT address, count, maybes, version, invalid, findings FROM streams ORDER BY address")
    return [StreamState(*row) for row in rows]


def number(conn: sqlite3.Connection, address: str, column: str) -> int:
    """One of a stream's numbers; 0 for a stream that nobody wrote about."""
    row = conn.execute(f"SELECT {column} FROM streams WHERE address = ?", (address,)).fetchone()
    return 0 if row is None else row[0]


def moved(tx: Transaction, stream: int, *, count: int = 0, maybes: int = 0) -> None:
    """Note that known records changed, and by how many."""
    tx.conn.execute(
        "UPDATE streams SET count = count + ?, maybes = maybes + ?, version = version + 1,"
        " standing = NULL, standing_counts = NULL, standing_at = NULL WHERE id = ?",
        (count, maybes, stream),
    )
    tx.moves_plans()


def unsettled(tx: Transaction, stream: int) -> None:
    """Note that something beside the known records changed that a plan depends on."""
    tx.conn.execute(
        "UPDATE streams SET standing = NULL, standing_counts = NULL, standing_at = NULL WHERE id = ?", (stream,)
    )
    tx.moves_plans()


def standing(conn: sqlite3.Connection, address: str) -> Standing | None:
    """How the stream stood when it was last compared, if nothing changed since."""
    row = conn.execute(
        "SELECT standing, standing_counts, standing_at FROM streams WHERE address = ? AND standing IS NOT NULL",
        (address,),
    ).fetchone()
    return None if row is None else Standing(row[0], msgspec.json.decode(row[1]), row[2])


def set_standing(tx: Transaction, address: str, state: bytes, counts: Mapping[str, int], serial: int | None) -> bool:
    """Keep a standing, unless the ledger moved on since `serial`; whether it was kept."""
    if serial is not None:
        current = tx.conn.execute("SELECT value FROM meta WHERE name = 'serial'").fetchone()[0]
        if current != serial:
            return False
    tx.conn.execute(
        "UPDATE streams SET standing = ?, standing_counts = ?, standing_at = ? WHERE id = ?",
        (state, msgspec.json.encode(dict(counts)).decode(), tx.now, make(tx, address)),
    )
    return True


def metadata_types(conn: sqlite3.Connection, address: str) -> dict[str, str]:
    """The type of each metadata key that was sent: `text` or `number`."""
    rows = conn.execute(
        "SELECT name, type FROM metadata_types JOIN streams ON id = stream WHERE address = ? ORDER BY name", (address,)
    )
    return dict(rows.fetchall())


def add_metadata_types(tx: Transaction, address: str, types: Mapping[str, str]) -> None:
    """Remember types; what is there already gives way."""
    stream = make(tx, address)
    tx.conn.executemany(
        "INSERT INTO metadata_types VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET type = excluded.type",
        [(stream, name, kind) for name, kind in types.items()],
    )


def forget(tx: Transaction, stream: int) -> None:
    """Forget a stream with everything that hangs on it."""
    tx.conn.execute("DELETE FROM known WHERE stream = ?", (stream,))
    tx.conn.execute("DELETE FROM streams WHERE id = ?", (stream,))
    tx.moves_plans()
