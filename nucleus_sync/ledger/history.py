"""What was done when: the runs of commands, the results of evaluations."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from nucleus_sync.ledger.database import Transaction


class Run(Struct, frozen=True):
    """One command that was to change something; unfinished while it runs, and for ever when it died."""

    id: int
    command: str
    plan_digest: str
    started_at: float
    finished_at: float | None
    exit_code: int | None
    counts: dict[str, int]


class Result(Struct, frozen=True):
    """What an evaluation said."""

    inputs: str
    """Digest of everything that went in."""
    result: dict[str, Any]
    at: float


def begin_run(tx: Transaction, command: str, plan_digest: str) -> int:
    """Note that a command starts; the run's number."""
    statement = "INSERT INTO runs (command, plan_digest, started_at) VALUES (?, ?, ?) RETURNING id"
    return int(tx.conn.execute(statement, (command, plan_digest, tx.now)).fetchone()[0])


def finish_run(tx: Transaction, run: int, exit_code: int, counts: Mapping[str, int]) -> None:
    """Note how it ended."""
    tx.conn.execute(
        "UPDATE runs SET finished_at = ?, exit_code = ?, counts = ? WHERE id = ?",
        (tx.now, int(exit_code), msgspec.json.encode(dict(counts)).decode(), run),
    )


def runs(conn: sqlite3.Connection, limit: int) -> list[Run]:
    """The last runs, newest first."""
    rows = conn.execute(
        "SELECT id, command, plan_digest, started_at, finished_at, exit_code, coalesce(counts, '{}')"
        " FROM runs ORDER BY id DESC LIMIT ?",
        (limit,),
    )
    return [_run(row) for row in rows]


def put_result(tx: Transaction, address: str, inputs: str, result: Mapping[str, Any]) -> None:
    """Keep what an evaluation said."""
    tx.conn.execute(
        "INSERT INTO results (address, inputs, result, at) VALUES (?, ?, ?, ?)",
        (address, inputs, msgspec.json.encode(dict(result)).decode(), tx.now),
    )
    tx.moves_plans()


def results(conn: sqlite3.Connection, address: str, limit: int) -> list[Result]:
    """What an evaluation said, newest first."""
    rows = conn.execute(
        "SELECT inputs, result, at FROM results WHERE address = ? ORDER BY id DESC LIMIT ?", (address, limit)
    )
    return [Result(inputs, msgspec.json.decode(result), at) for inputs, result, at in rows]


def _run(row: tuple[Any, ...]) -> Run:
    number, command, plan_digest, started_at, finished_at, exit_code, counts = row
    return Run(number, command, plan_digest, started_at, finished_at, exit_code, msgspec.json.decode(counts))
