"""What the last reading of a stream's sources complained of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from nucleus_sync.ledger import streams
from nucleus_sync.ledger.database import Transaction
from nucleus_sync.records.problem import Problem, Severity, Where

MOST = 10_000
"""Problems that are kept of a stream; its totals count all."""

_COLUMNS = "source, file, position, record, cause, detail, severity, key, fix, count"


def replace(tx: Transaction, address: str, invalid: int, findings: int, found: Iterable[Problem]) -> None:
    """Forget the earlier reading's problems, keep these."""
    stream = streams.make(tx, address)
    tx.conn.execute("DELETE FROM problems WHERE stream = ?", (stream,))
    tx.conn.execute("UPDATE streams SET invalid = ?, findings = ? WHERE id = ?", (invalid, findings, stream))
    tx.conn.executemany(
        f"INSERT INTO problems (stream, number, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((stream, number, *_row(problem)) for number, problem in enumerate(islice(found, MOST))),
    )


def all_of(conn: sqlite3.Connection, address: str | None) -> Iterator[tuple[str, Problem]]:
    """Address and problem, sorted by address, then in the order of reading."""
    where = "" if address is None else "WHERE address = ?"
    rows = conn.execute(
        f"SELECT address, {_columns_of('problems')} FROM problems"
        f" JOIN streams ON streams.id = problems.stream {where} ORDER BY address, number",
        () if address is None else (address,),
    ).fetchall()
    return ((row[0], _problem(row[1:])) for row in rows)


def _columns_of(table: str) -> str:
    return ", ".join(f"{table}.{column}" for column in _COLUMNS.split(", "))


def _row(one: Problem) -> tuple[Any, ...]:
    where = (one.where.file, one.where.position)
    return (one.source, *where, one.record, one.cause, one.detail, one.severity, one.key, one.fix, one.count)


def _problem(row: tuple[Any, ...]) -> Problem:
    source, file, position, record, cause, detail, severity, key, fix, count = row
    return Problem(source, Where(file, position), record, cause, detail, Severity(severity), key, fix, count)
