"""Ctrl-C and SIGTERM: nothing more is sent, what is in flight is noted, and the process ends within seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash.conftest import _own_environment  # noqa: F401  (a fixture)
from crash.scene import Place
from simulation.town import Town, first_town, held

from nucleus_sync.ledger.ledger import Ledger

from . import slow

BOTH = [signal.SIGINT, signal.SIGTERM]
BATCHES = 4
"""Of the town's items, which are sent side by side."""
SECONDS = 50.0
"""Less than the source takes that never ends (slow.py), and enough for a busy machine."""


@pytest.fixture
def town() -> Town:
    return first_town()


@pytest.fixture
def place(tmp_path: Path, town: Town) -> Iterator[Place]:
    found = Place(tmp_path)
    town.write(found.project)
    with found:
        yield found


@pytest.fixture
def _heard() -> Iterator[None]:
    """A shell's background jobs are started deaf to Ctrl-C, and hand that on to their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def started(place: Place, _heard: None) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def start(*command: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(Path(slow.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [sys.executable, *command],
            env=place.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def open_batches(place: Place) -> int:
    if not place.ledger.exists():
        return 0
    with Ledger.open(place.ledger, endpoint=place.emulator.endpoint, readonly=True) as ledger:
        return sum(1 for batch in ledger.open_batches() if batch.job_id)


@pytest.mark.parametrize("number", BOTH)
def test_an_apply_that_waits_for_jobs(
    number: signal.Signals, place: Place, town: Town, started: Callable[..., subprocess.Popen[str]]
) -> None:
    place.emulator.inject([{"match": {"job": "uploadDatasetItems"}, "effect": {"slow": 4.0}}])
    process = started("-m", "nucleus_sync", "-C", str(place.project), "apply", "--auto-approve")
    deadline = time.monotonic() + 90
    while open_batches(place) < BATCHES and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    sent = len(place.emulator.requests())
    code, said = _signalled(process, number)
    assert code == 130, said
    assert "Traceback" not in said
    later = [one["method"] for one in place.emulator.requests()[sent:]]
    assert set(later) <= {"GET", "POST"}
    place.assert_honest()
    place.emulator.inject(None)
    assert place.apply() == 0
    assert held(place.world()) == town.wanted()
    assert place.planned() == []


@pytest.mark.parametrize("number", BOTH)
def test_an_apply_that_reads_for_long(
    number: signal.Signals, place: Place, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started(slow.__file__, str(place.project))
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    code, said = _signalled(process, number)
    assert code == 130, said
    assert "Traceback" not in said


def _signalled(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    os.kill(process.pid, number)
    out, said = process.communicate(timeout=SECONDS)
    return process.returncode, out + said
