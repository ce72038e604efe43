"""Killed at any durable step, the ledger is sound, keeps its invariants, and the next run ends where it should."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nucleus_sync.ledger.known import in_doubt
from nucleus_sync.ledger.ledger import Ledger

from . import story

STEPS = 25
"""Durable steps of the whole story; the first test sees to it that this is the number."""


def tell(path: Path, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, story.__file__, str(path), str(kill_at)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check_invariants(ledger: Ledger) -> None:
    """Whatever was cut short: counts are true, and only what is open has a manifest."""
    ledger.check()
    for stream in ledger.streams():
        stamps = [stamp for _, stamp in ledger.known(stream.address)]
        assert stream.count + stream.maybes == len(stamps)
        assert stream.maybes <= sum(map(in_doubt, stamps))
    opened = {batch.id for batch in ledger.open_batches()}
    assert {batch.id for batch in ledger.batches() if ledger.rows(batch.id)} == opened
    assert all(batch.job_id in ledger.job_ids() for batch in ledger.batches() if batch.job_id)


def check_end(ledger: Ledger) -> None:
    """Where the story ends, however it went."""
    kept = {address: [key for key in keys if key[:6] not in story.GONE] for address, keys in story.DESIRED.items()}
    kept[story.LABELS].remove(story.BAD)
    # The refused record may be there all the same when a batch with it was lost before.
    sure = {address: [row for row in ledger.known(address) if not in_doubt(row[1])] for address in kept}
    assert {key for address in kept for key, stamp in ledger.known(address) if in_doubt(stamp)} <= {story.BAD}
    assert sure == {address: [(key, story.STAMP) for key in keys] for address, keys in kept.items()}
    assert [one.key for _, one in ledger.rejections()] == [story.BAD]
    assert (ledger.open_batches(), ledger.creations()) == ([], [])
    resource = ledger.resource(story.DATASET)
    assert resource is not None
    assert resource.nucleus_id == "ds_1"


def test_the_story_told_without_interruption(path: Path) -> None:
    told = tell(path)
    assert told.returncode == 0, told.stderr
    assert len(told.stdout.splitlines()) == STEPS
    with Ledger.open(path, endpoint="embedded") as ledger:
        check_invariants(ledger)
        check_end(ledger)


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_killed_at_a_durable_step(path: Path, step: int) -> None:
    assert tell(path, step).returncode == -signal.SIGKILL
    with Ledger.open(path, endpoint="embedded") as ledger:
        check_invariants(ledger)
    assert tell(path).returncode == 0
    with Ledger.open(path, endpoint="embedded") as ledger:
        check_invariants(ledger)
        check_end(ledger)


def test_killed_again_and_again(path: Path) -> None:
    for step in (9, 4, 3, 2, 5):
        tell(path, step)
    assert tell(path).returncode == 0
    with Ledger.open(path, endpoint="embedded") as ledger:
        check_invariants(ledger)
        check_end(ledger)
