"""Two real processes on one ledger: one writes, the other is told who does; who lost the lock sends nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from crash.conftest import _own_environment  # noqa: F401  (a fixture)
from crash.scene import Place
from simulation.town import Town, edit, first_town, held

from nucleus_sync.errors import Exit
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.lock import Lock


@pytest.fixture
def town() -> Town:
    return first_town()


@pytest.fixture
def place(tmp_path: Path, town: Town) -> Iterator[Place]:
    found = Place(tmp_path)
    town.write(found.project)
    with found:
        yield found


def until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait for it, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def is_stopped(process: subprocess.Popen[str]) -> bool:
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was said."""
    _, said = process.communicate(timeout=100)
    return process.returncode, said


@pytest.fixture
def stopped(place: Place) -> Iterator[Callable[[str, int], subprocess.Popen[str]]]:
    """Starts an apply that stops itself at a point, and makes sure that it doesn't outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def start(point: str, nth: int) -> subprocess.Popen[str]:
        process = place.start(point, str(nth), "SIGSTOP")
        started.append(process)
        until(lambda: is_stopped(process))
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()


def test_the_second_is_told_who_is_first(
    place: Place, town: Town, stopped: Callable[[str, int], subprocess.Popen[str]]
) -> None:
    """Also when the first one has been stopped: it lives."""
    first = stopped("batch prepared", 2)
    code, said = ended(place.start())
    assert code == Exit.LOCKED
    # Its heartbeat may have been stopped in the middle of a write: then nobody can read who it is.
    assert f"pid {first.pid}" in said or "another process is writing the ledger" in said
    os.kill(first.pid, signal.SIGCONT)
    assert ended(first)[0] == 0
    assert held(place.world()) == town.wanted()
    assert place.planned() == []


def test_both_start_at_once(place: Place, town: Town) -> None:
    processes = [place.start() for _ in range(3)]
    codes = sorted(ended(process)[0] for process in processes)
    assert codes[0] == 0
    assert set(codes) <= {0, Exit.LOCKED}
    assert held(place.world()) == town.wanted()
    assert place.created_twice() == []
    assert place.planned() == []


def test_a_dead_holder_is_taken_over(place: Place, town: Town) -> None:
    place.killed_at("batch submitted", 2)
    assert ended(place.start())[0] == 0
    assert held(place.world()) == town.wanted()


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("creation begun", 1),
        ("before POST dataset/create", 1),
        ("after POST dataset/create", 1),
        ("batch prepared", 2),
        ("before POST dataset/*/append", 1),
        ("after POST dataset/*/append", 2),
        ("before POST dataset/*/annotate", 1),
        ("before POST slice/*/append", 1),
        ("before POST benchmarks", 1),
        ("after POST benchmarks/*/evaluationsV2", 1),
    ],
)
def test_what_was_stopped_past_its_lease_is_fenced_off(
    point: str, nth: int, place: Place, town: Town, stopped: Callable[[str, int], subprocess.Popen[str]]
) -> None:
    """Its lock is taken by force, somebody else finishes, and then it is woken up."""
    first = stopped(point, nth)
    _take_by_force(place)
    assert ended(_with_own_lock(place))[0] == 0
    os.kill(first.pid, signal.SIGCONT)
    code, said = ended(first)
    assert (code, "taken away" in said) == (Exit.LOCKED, True)
    assert held(place.world()) == town.wanted()
    assert place.created_twice() == []
    assert place.planned() == []


def test_it_changes_nothing_that_was_written_meanwhile(
    place: Place, town: Town, stopped: Callable[[str, int], subprocess.Popen[str]]
) -> None:
    """The records of the stopped one are old by the time it wakes up."""
    assert place.apply() == 0
    town.boxes["r00", "b0"] = ("tram", 30)
    town.write(place.project)
    first = stopped("before POST dataset/*/annotate", 1)
    edit(town)
    town.boxes["r00", "b0"] = ("car", 40)
    town.write(place.project)
    _take_by_force(place)
    assert ended(_with_own_lock(place))[0] == 0
    os.kill(first.pid, signal.SIGCONT)
    assert ended(first)[0] == Exit.LOCKED
    assert held(place.world()) == town.wanted()
    assert place.planned() == []


def _take_by_force(place: Place) -> None:
    """As from another host: the operating system's lock stays with the one that is stopped."""
    with Ledger.open(place.ledger, endpoint=place.emulator.endpoint) as ledger:
        lock = Lock(ledger)
        lock.acquire(force=True)
        lock.release()


def _with_own_lock(place: Place) -> subprocess.Popen[str]:
    """An apply of another host, which doesn't see the operating system's lock of this one."""
    path = place.ledger.with_name(place.ledger.name + ".lock")
    path.rename(path.with_suffix(".other-host"))
    return place.start()
