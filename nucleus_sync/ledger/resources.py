"""Resources that Nucleus holds for us, with those whose creation is under way."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from nucleus_sync.errors import UsageError
from nucleus_sync.ledger import batches, streams
from nucleus_sync.ledger.database import Transaction


class Resource(Struct, frozen=True):
    """Something declared that is no record, as it was last applied."""

    address: str
    kind: str
    nucleus_id: str | None
    digest: str
    """Of the declaration that was applied."""
    details: dict[str, Any]


class Creation(Struct, frozen=True):
    """A creation that was begun; while it is listed, nobody knows whether it took place."""

    address: str
    kind: str
    request: dict[str, Any]
    begun_at: float


_COLUMNS = "address, kind, nucleus_id, digest, details"
_ADDRESSED = ("resources", "creations", "streams", "batches", "jobs", "results")
_BENEATH = "(address = ?1 OR substr(address, 1, length(?1) + 1) = ?1 || '.')"


def get(conn: sqlite3.Connection, address: str) -> Resource | None:
    """One resource."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM resources WHERE address = ?", (address,)).fetchone()
    return None if row is None else _resource(row)


def beneath(conn: sqlite3.Connection, prefix: str | None) -> list[Resource]:
    """All resources, or the one at `prefix` with those beneath it; sorted by address."""
    where = "" if prefix is None else f"WHERE {_BENEATH}"
    query = f"SELECT {_COLUMNS} FROM resources {where} ORDER BY address"
    return [_resource(row) for row in conn.execute(query, () if prefix is None else (prefix,))]


def put(tx: Transaction, resource: Resource) -> None:
    """Write a resource as it is now at Nucleus."""
    tx.conn.execute(
        "INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?, ?, ?)",
        (
            resource.address,
            resource.kind,
            resource.nucleus_id,
            resource.digest,
            msgspec.json.encode(resource.details).decode(),
            tx.now,
        ),
    )
    tx.moves_plans()


def begin_creation(tx: Transaction, address: str, kind: str, request: Mapping[str, Any]) -> None:
    """Write down what is about to be created. One that is listed already keeps its time: it may be the one."""
    tx.conn.execute(
        "INSERT INTO creations VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET kind = excluded.kind, request = excluded.request",
        (address, kind, msgspec.json.encode(dict(request)).decode(), tx.now),
    )


def finish_creation(
    tx: Transaction, address: str, nucleus_id: str | None, digest: str, details: Mapping[str, Any]
) -> None:
    """The creation took place."""
    row = tx.conn.execute("DELETE FROM creations WHERE address = ? RETURNING kind", (address,)).fetchone()
    if row is None:
        raise ValueError(f"no creation of {address} was begun")
    put(tx, Resource(address, row[0], nucleus_id, digest, dict(details)))


def abandon_creation(tx: Transaction, address: str) -> None:
    """The creation certainly did not take place."""
    tx.conn.execute("DELETE FROM creations WHERE address = ?", (address,))


def creations(conn: sqlite3.Connection) -> list[Creation]:
    """Creations under way, the oldest first."""
    rows = conn.execute("SELECT address, kind, request, begun_at FROM creations ORDER BY begun_at, address")
    return [Creation(address, kind, msgspec.json.decode(request), at) for address, kind, request, at in rows]


def forget(tx: Transaction, address: str) -> None:
    """Forget a resource with everything beneath it; a dataset with the predictions on it as well."""
    tx.conn.execute(f"DELETE FROM resources WHERE {_BENEATH}", (address,))
    tx.conn.execute(f"DELETE FROM creations WHERE {_BENEATH}", (address,))
    found = tx.conn.execute(f"SELECT address FROM streams WHERE {_BENEATH}", (address,)).fetchall()
    gone = [stream for (stream,) in found + _predictions_on(tx.conn, address)]
    batches.abandon(tx, gone)
    for stream in gone:
        streams.forget(tx, streams.make(tx, stream))
    tx.moves_plans()


def move(tx: Transaction, address: str, new_address: str) -> None:
    """Call a resource and everything beneath it by another address. Raises UsageError when that is taken."""
    if not _anything_at(tx.conn, address):
        raise UsageError("the ledger has nothing there", where=address, fix="nucleus-sync state list shows what it has")
    if _anything_at(tx.conn, new_address):
        raise UsageError("the ledger has something there already", where=new_address)
    if batches.open_ones(tx.conn):  # their details speak of streams by address
        raise UsageError("batches are in flight", where=address, fix="let nucleus-sync apply finish them first")
    for (stream,) in _predictions_on(tx.conn, address):
        renamed = f"{stream.removesuffix(address.removeprefix('dataset.'))}{new_address.removeprefix('dataset.')}"
        for table in ("streams", "batches", "jobs"):
            tx.conn.execute(f"UPDATE {table} SET address = ? WHERE address = ?", (renamed, stream))
    for table in _ADDRESSED:
        tx.conn.execute(
            f"UPDATE {table} SET address = ?2 || substr(address, length(?1) + 1) WHERE {_BENEATH}",
            (address, new_address),
        )
    tx.moves_plans()


def _anything_at(conn: sqlite3.Connection, address: str) -> bool:
    queries = (f"SELECT 1 FROM {table} WHERE {_BENEATH} LIMIT 1" for table in ("resources", "streams"))
    return any(conn.execute(query, (address,)).fetchone() for query in queries)


def _predictions_on(conn: sqlite3.Connection, address: str) -> list[tuple[str]]:
    if not address.startswith("dataset.") or address.count(".") > 1:
        return []
    ending = ".predictions." + address.removeprefix("dataset.")
    return conn.execute(
        "SELECT address FROM streams WHERE address LIKE 'model.%' AND substr(address, -length(?1)) = ?1",
        (ending,),
    ).fetchall()


def _resource(row: tuple[Any, ...]) -> Resource:
    return Resource(row[0], row[1], row[2], row[3], msgspec.json.decode(row[4]))
