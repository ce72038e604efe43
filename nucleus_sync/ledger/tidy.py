"""Keeps the history of what was done from growing for ever; what is known of Nucleus is never touched here."""

from __future__ import annotations

from nucleus_sync.ledger.database import Transaction
from nucleus_sync.ledger.journal import OPEN_STATES

EVERY = 500
"""Runs between two times of tidying."""
KEPT = 10_000
"""The newest runs, the newest batches and the newest jobs."""
RESULTS_KEPT = 1_000
"""Of each evaluation."""


def tidy(tx: Transaction, kept: int = KEPT, results_kept: int = RESULTS_KEPT) -> None:
    """Drop the oldest runs, batches, jobs and results. An open batch stays, however old.

    A job of ours that is forgotten is taken for a stranger's after a lost answer: its end is waited for, which came
    long ago. Pages that become free are used again: the file stays as large as it ever was.
    """
    tx.conn.execute("DELETE FROM runs WHERE id <= (SELECT max(id) FROM runs) - ?", (kept,))
    opened = ", ".join(f"'{state}'" for state in sorted(OPEN_STATES))
    tx.conn.execute(
        f"DELETE FROM batches WHERE id <= (SELECT max(id) FROM batches) - ? AND state NOT IN ({opened})", (kept,)
    )
    tx.conn.execute(
        "DELETE FROM jobs WHERE noted_at < (SELECT noted_at FROM jobs ORDER BY noted_at DESC LIMIT 1 OFFSET ?)",
        (kept - 1,),
    )
    for (address,) in tx.conn.execute("SELECT DISTINCT address FROM results").fetchall():
        tx.conn.execute(
            "DELETE FROM results WHERE address = ?1 AND id <"
            " (SELECT id FROM results WHERE address = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            (address, results_kept - 1),
        )
