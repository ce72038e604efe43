"""Batches and their jobs: intent before act, and what became of it, each in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from nucleus_sync.ledger import known, manifest, rejections, streams
from nucleus_sync.ledger.bulk import Stamped
from nucleus_sync.ledger.database import Transaction
from nucleus_sync.ledger.journal import (
    OPEN_STATES,
    BatchState,
    IllegalMove,
    Move,
    finishing_move,
    leaves_doubt,
    next_state,
)
from nucleus_sync.ledger.manifest import BatchRow, Manifest
from nucleus_sync.ledger.rejections import Rejection


class Operation(StrEnum):
    """What a batch asks of Nucleus."""

    INGEST = "ingest"
    PROBE = "probe"
    """A first record of a source, to see that Nucleus can read it."""
    CLEAR = "clear"
    """Delete all records of some items in one stream; the rows' keys are the items'."""
    DELETE = "delete"
    """Delete items with all that hangs on them, in the streams named in `details["streams"]`."""


class NewBatch(Struct, frozen=True):
    """A batch as it is about to be sent."""

    address: str
    operation: str
    request_id: str
    job_type: str
    """As Nucleus lists it (docs/wire.md §7.4); empty where the call's own answer is the outcome."""
    rows: Sequence[BatchRow] | Manifest
    """Key, stamp and locator of each record, best sorted by key; packed already where they are many."""
    sources: Sequence[str] = ()
    details: dict[str, Any] = field(default_factory=dict)


class Batch(Struct, frozen=True):
    """A batch as the ledger remembers it; its rows are read apart."""

    id: int
    address: str
    operation: Operation
    state: BatchState
    request_id: str
    job_type: str
    job_id: str | None
    sources: tuple[str, ...]
    details: dict[str, Any]
    records: int
    confirmed: int
    rejected: int
    prepared_at: float
    submitted_at: float | None
    finished_at: float | None


_COLUMNS = (
    "id, address, operation, state, request_id, job_type, job_id, sources, details,"
    " records, confirmed, rejected, prepared_at, submitted_at, finished_at"
)


def prepare(tx: Transaction, batch: NewBatch, rows: Manifest) -> int:
    """Write down what is about to be sent; the batch's number."""
    streams.make(tx, batch.address)
    number = tx.conn.execute(
        "INSERT INTO batches (address, operation, state, request_id, job_type, sources, details, records, prepared_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            batch.address,
            Operation(batch.operation),
            BatchState.PREPARED,
            batch.request_id,
            batch.job_type,
            _json(list(batch.sources)),
            _json(batch.details),
            rows.count,
            tx.now,
        ),
    ).fetchone()[0]
    tx.conn.execute("INSERT INTO manifests VALUES (?, ?)", (number, rows.contents))
    return int(number)


def submitted(tx: Transaction, number: int, job_id: str) -> None:
    """Nucleus took the batch as a job."""
    batch = get(tx.conn, number)
    state = next_state(batch.state, Move.SUBMIT)
    tx.conn.execute(
        "UPDATE batches SET state = ?, job_id = ?, submitted_at = ? WHERE id = ?", (state, job_id, tx.now, number)
    )
    note_job(tx, job_id, batch.address, batch.job_type)


def unknown(tx: Transaction, number: int) -> None:
    """It can't be said what became of the batch."""
    state = next_state(get(tx.conn, number).state, Move.LOSE)
    tx.conn.execute("UPDATE batches SET state = ? WHERE id = ?", (state, number))


def finish(
    tx: Transaction,
    number: int,
    state: BatchState,
    refused: Sequence[Rejection],
    doubtful: Collection[bytes] | None,
    instead: Sequence[known.Row] = (),
) -> None:
    """End a batch, and let the known records say what it did."""
    batch = get(tx.conn, number)
    next_state(batch.state, finishing_move(state, has_job=bool(batch.job_type)))
    sent = _sent(tx.conn, number)
    if doubtful is None:
        doubtful = set(sent.keys) if leaves_doubt(batch.state, state) else ()
    excepted = {one.key for one in refused}.union(doubtful)
    good = sent.without(excepted) if excepted else sent
    if state is BatchState.FAILED:
        good = Stamped((), b"")
    stream = streams.make(tx, batch.address)
    if good:
        _carry_out(tx, batch, stream, good)
    known.confirm(tx, stream, Stamped.of(sorted(instead)))
    _leave_in_doubt(tx, batch, stream, sorted(doubtful))
    rejections.add(tx, stream, refused)
    tx.conn.execute("DELETE FROM manifests WHERE batch = ?", (number,))
    tx.conn.execute(
        "UPDATE batches SET state = ?, confirmed = ?, rejected = ?, finished_at = ? WHERE id = ?",
        (state, len(good), len(refused), tx.now, number),
    )


def _carry_out(tx: Transaction, batch: Batch, stream: int, good: Stamped) -> None:
    match batch.operation:
        case Operation.INGEST | Operation.PROBE:
            known.confirm(tx, stream, good)
            rejections.forget(tx, stream, good.keys)
            rejections.wake(tx, batch.address, good.keys)
            tx.conn.executemany(
                "INSERT OR IGNORE INTO probed VALUES (?, ?)", [(stream, source) for source in batch.sources]
            )
        case Operation.CLEAR:
            known.forget_items(tx, stream, good.keys)
        case Operation.DELETE:
            for each in _touched(tx, batch, stream):
                known.forget_items(tx, each, good.keys)
                rejections.forget_items(tx, each, good.keys)


def _leave_in_doubt(tx: Transaction, batch: Batch, stream: int, keys: Sequence[bytes]) -> None:
    match batch.operation:
        case Operation.INGEST | Operation.PROBE:
            known.doubt(tx, stream, keys)
        case Operation.CLEAR | Operation.DELETE:
            for each in _touched(tx, batch, stream):
                known.doubt_items(tx, each, keys)


def _touched(tx: Transaction, batch: Batch, stream: int) -> list[int]:
    """The streams from which a deletion takes: its own, and for items those that hang on them."""
    if batch.operation is Operation.CLEAR:
        return [stream]
    named = (streams.find(tx.conn, address) for address in batch.details.get("streams", ()))
    return sorted({stream, *(each for each in named if each is not None)})


def abandon(tx: Transaction, addresses: Collection[str]) -> None:
    """End the open batches of streams that are being forgotten: nobody asks any more what became of them."""
    for batch in open_ones(tx.conn):
        if batch.address in addresses:
            if batch.state is not BatchState.UNKNOWN:
                unknown(tx, batch.id)
            finish(tx, batch.id, BatchState.SETTLED, (), None)


def get(conn: sqlite3.Connection, number: int) -> Batch:
    """One batch."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM batches WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise IllegalMove(f"there is no batch {number}")
    return _batch(row)


def open_ones(conn: sqlite3.Connection) -> list[Batch]:
    """Batches whose end is not known, the oldest first."""
    states = ", ".join(f"'{state}'" for state in sorted(OPEN_STATES))
    found = conn.execute(f"SELECT {_COLUMNS} FROM batches WHERE state IN ({states}) ORDER BY id")
    return [_batch(row) for row in found]


def newest(conn: sqlite3.Connection, limit: int) -> list[Batch]:
    """The last batches, newest first."""
    found = conn.execute(f"SELECT {_COLUMNS} FROM batches ORDER BY id DESC LIMIT ?", (limit,))
    return [_batch(row) for row in found]


def rows(conn: sqlite3.Connection, number: int) -> list[BatchRow]:
    """What an open batch carries; empty once it is finished."""
    row = conn.execute("SELECT contents FROM manifests WHERE batch = ?", (number,)).fetchone()
    return [] if row is None else manifest.unpack(row[0])


def _sent(conn: sqlite3.Connection, number: int) -> Stamped:
    row = conn.execute("SELECT contents FROM manifests WHERE batch = ?", (number,)).fetchone()
    return Stamped((), b"") if row is None else Stamped(*manifest.unpack_known(row[0]))


def note_job(tx: Transaction, job_id: str, address: str, job_type: str) -> None:
    """Remember that a job is ours."""
    tx.conn.execute("INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, ?)", (job_id, address, job_type, tx.now))


def job_ids(conn: sqlite3.Connection, since: float) -> frozenset[str]:
    """Our jobs that became known at or after a time."""
    return frozenset(row[0] for row in conn.execute("SELECT job_id FROM jobs WHERE noted_at >= ?", (since,)))


def probed(conn: sqlite3.Connection, address: str) -> frozenset[str]:
    """Sources of which Nucleus has taken a record for this stream."""
    found = conn.execute("SELECT source FROM probed JOIN streams ON id = stream WHERE address = ?", (address,))
    return frozenset(row[0] for row in found)


def _batch(row: tuple[Any, ...]) -> Batch:
    number, address, operation, state, request_id, job_type, job_id, sources, details, *rest = row
    return Batch(
        number,
        address,
        Operation(operation),
        BatchState(state),
        request_id,
        job_type,
        job_id,
        tuple(msgspec.json.decode(sources)),
        msgspec.json.decode(details),
        *rest,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
