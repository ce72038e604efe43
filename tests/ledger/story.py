"""A run of the ledger's life that can be killed at any durable step and taken up again; started as a script.

    story.py LEDGER [NUMBER]    SIGKILL itself at the NUMBERth durable step

It acts like an apply: it settles what is open, then does what is still missing, and ends in the same ledger however
often it was killed on the way.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from nucleus_sync.ledger.batches import Batch, NewBatch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.ledger.known import in_doubt
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.lock import Lock
from nucleus_sync.ledger.rejections import Rejection

DATASET = "dataset.street"
ITEMS = "dataset.street.items"
LABELS = "dataset.street.annotations"
STAMP = bytes(range(24))
DESIRED = {
    ITEMS: [b"img%03d" % number for number in range(60)],
    LABELS: [b"img%03d\x00a%d" % (number, box) for number in range(60) for box in range(3)],
}
GONE = [b"img%03d" % number for number in range(50, 60)]
BAD = b"img007\x00a1"


class Killer:
    """Dies at the given durable step."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0

    def __call__(self, name: str) -> None:
        self.steps += 1
        print(f"{self.steps} {name}", flush=True)
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def settle(ledger: Ledger) -> None:
    for batch in ledger.open_batches():
        if batch.state is BatchState.SUBMITTED or batch.operation == "delete":
            finish(ledger, batch)
        else:
            if batch.state is BatchState.PREPARED:
                ledger.unknown(batch.id)
            ledger.finish(batch.id, BatchState.SETTLED)


def finish(ledger: Ledger, batch: Batch) -> None:
    bad = [key for key, _, _ in ledger.rows(batch.id) if key == BAD]
    refused = [Rejection(key, STAMP, "no", "labels.json", "annotations[22]") for key in bad]
    ledger.finish(batch.id, BatchState.PARTIAL if bad else BatchState.DONE, rejections=refused)


def create(ledger: Ledger) -> None:
    if ledger.resource(DATASET) is None:
        ledger.begin_creation(DATASET, "dataset", {"name": "Street"})
        ledger.finish_creation(DATASET, "ds_1", "digest")


def ingest(ledger: Ledger, address: str) -> None:
    sure = {key for key, stamp in ledger.known(address) if not in_doubt(stamp)}
    sure |= {key for key, _ in ledger.rejected_keys(address)}
    gone = set(GONE) if ledger.runs(1)[0].command == "prune" else set()
    missing = [key for key in DESIRED[address] if key not in sure and key[:6] not in gone]
    for start in range(0, len(missing), 40):
        rows = [(key, STAMP, b"") for key in missing[start : start + 40]]
        number = ledger.prepare(NewBatch(address, "ingest", "r", "upload", rows, ["images"]))
        ledger.submitted(number, f"job_{number}")
        finish(ledger, ledger.batch(number))


def prune(ledger: Ledger) -> None:
    left = [key for key in GONE if ledger.stamp(ITEMS, key) is not None]
    if left:
        rows = [(key, STAMP, b"") for key in left]
        number = ledger.prepare(NewBatch(ITEMS, "delete", "r", "", rows, [], {"streams": [LABELS]}))
        finish(ledger, ledger.batch(number))


def main(path: Path, kill_at: int) -> None:
    killer = Killer(kill_at)
    with Ledger.open(path, endpoint="embedded", checkpoint=killer) as ledger, Lock(ledger):
        settle(ledger)
        create(ledger)
        if not any(run.command == "prune" for run in ledger.runs()):
            ledger.begin_run("apply", "p")
            ingest(ledger, ITEMS)
            ingest(ledger, LABELS)
            ledger.begin_run("prune", "p")
        prune(ledger)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
