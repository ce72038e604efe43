"""What a ledger that is written for months forgets, and what it never does."""

from __future__ import annotations

from nucleus_sync.ledger.batches import NewBatch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.tidy import EVERY, KEPT, tidy

from .conftest import HandClock

ITEMS = "dataset.street.items"


def send(ledger: Ledger, number: int) -> int:
    key = f"r{number:06d}".encode()
    return ledger.prepare(NewBatch(ITEMS, "ingest", f"q{number}", "uploadDatasetItems", [(key, bytes(24), b"")]))


def test_the_newest_are_kept_and_what_is_known_or_open_always(ledger: Ledger, clock: HandClock) -> None:
    forgotten = send(ledger, 0)
    for number in range(1, 21):
        clock.now += 1
        run = ledger.begin_run("apply", "digest")
        batch = send(ledger, number)
        ledger.submitted(batch, f"job{number:02d}")
        ledger.finish(batch, BatchState.DONE)
        ledger.put_result("evaluation.nightly", f"in{number}", {})
        ledger.finish_run(run, 0, {})
    ledger.put_result("evaluation.weekly", "in", {})
    serial = ledger.serial
    with ledger.database.transaction() as tx:
        tidy(tx, kept=5, results_kept=3)
    assert [run.id for run in ledger.runs(100)] == [20, 19, 18, 17, 16]
    assert len(ledger.batches(100)) == 6
    assert ledger.job_ids() == {f"job{number:02d}" for number in range(16, 21)}
    assert [one.inputs for one in ledger.results("evaluation.nightly", 100)] == ["in20", "in19", "in18"]
    assert len(ledger.results("evaluation.weekly", 100)) == 1
    assert [batch.id for batch in ledger.open_batches()] == [forgotten]
    assert len(ledger.rows(forgotten)) == 1
    assert (ledger.count(ITEMS), ledger.serial) == (20, serial)


def test_beginning_a_run_tidies_now_and_then(ledger: Ledger) -> None:
    with ledger.database.transaction() as tx:
        rows = ((number,) for number in range(1, KEPT + EVERY))
        tx.conn.executemany("INSERT INTO runs VALUES (?, 'apply', '', 0, 0, 0, NULL)", rows)
    ledger.begin_run("apply", "digest")
    assert len(ledger.runs(2 * KEPT)) == KEPT
    ledger.begin_run("apply", "digest")
    assert len(ledger.runs(2 * KEPT)) == KEPT + 1
