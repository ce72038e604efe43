"""One writer: real processes that hold the lock, stop, and die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nucleus_sync.errors import Exit, Locked
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.lock import LEASE, Lock, peek

if TYPE_CHECKING:
    from .conftest import HandClock

HOLDER = """
import os, sys
from pathlib import Path
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.lock import Lock
with Ledger.open(Path(sys.argv[1]), endpoint="embedded", clock=lambda: 1_700_000_000.0) as ledger:
    story = Lock(ledger, owner="ada", host="elsewhere" if "elsewhere" in sys.argv else None).acquire()
    if "fork" in sys.argv and os.fork():
        os.waitpid(-1, 0)
    print(story, flush=True)
    sys.stdin.read()
    ledger.adopt("dataset.street.items", [(b"late", bytes(24))])
"""


@contextmanager
def holder(path: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends, and then writes."""
    command = [sys.executable, "-c", HOLDER, str(path), *flags]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "None\n"
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()


def test_a_second_process_is_refused_and_told_who_holds_it(ledger: Ledger, path: Path) -> None:
    with holder(path) as child, pytest.raises(Locked, match=f"ada, pid {child.pid} on .+, since 2023-11-14") as caught:
        Lock(ledger).acquire()
    assert caught.value.exit_code is Exit.LOCKED
    assert "last heartbeat 2023-11-14 22:13:20 UTC" in caught.value.what


def test_a_stopped_holder_keeps_its_lock_past_its_lease(ledger: Ledger, path: Path, clock: HandClock) -> None:
    with holder(path) as child:
        child.send_signal(signal.SIGSTOP)
        clock.now += LEASE * 100
        with pytest.raises(Locked):
            Lock(ledger).acquire()


def test_the_lock_of_a_killed_process_is_taken_over_and_told(ledger: Ledger, path: Path) -> None:
    with holder(path) as child:
        kill(child)
    story = Lock(ledger, owner="bob").acquire()
    assert story is not None
    assert f"took over the lock of ada, pid {child.pid}" in story


def test_a_forked_child_does_not_keep_its_dead_parents_lock(ledger: Ledger, path: Path) -> None:
    with holder(path, "fork") as child:
        kill(child)
        assert "took over" in (Lock(ledger).acquire() or "")


def test_force_takes_the_lock_of_the_living_whose_writes_are_then_refused(ledger: Ledger, path: Path) -> None:
    with holder(path) as child:
        assert "by force" in (Lock(ledger, owner="bob").acquire(force=True) or "")
        _, errors = child.communicate(input="")
    assert child.returncode != 0
    assert "the lock was taken away from this process by bob" in errors
    assert ledger.count("dataset.street.items") == 0


def test_asking_whether_the_lock_is_still_held_waits_for_no_transaction(ledger: Ledger) -> None:
    """It is asked before every request by the loop that sends them all."""
    begun, asked = threading.Event(), threading.Event()
    answered_within = []

    def write() -> None:
        with ledger.database.transaction():
            begun.set()
            answered_within.append(asked.wait(20))

    with Lock(ledger):
        thread = threading.Thread(target=write)
        thread.start()
        begun.wait(20)
        ledger.assure_held()
        asked.set()
        thread.join()
    assert answered_within == [True]


def test_a_lock_given_back_leaves_nothing_to_take_over(ledger: Ledger) -> None:
    with Lock(ledger):
        assert peek(ledger) is not None
    assert peek(ledger) is None
    assert Lock(ledger).acquire() is None


def test_taking_it_is_the_first_heartbeat(ledger: Ledger, clock: HandClock) -> None:
    lock = Lock(ledger, owner="ada", host="desk", pid=7)
    lock.acquire()
    taken = peek(ledger)
    clock.now += 30
    lock.beat()
    later = peek(ledger)
    assert taken is not None
    assert later is not None
    assert (taken.owner, taken.host, taken.pid, taken.since, taken.heartbeat) == (
        "ada",
        "desk",
        7,
        clock.now - 30,
        clock.now - 30,
    )
    assert (later.since, later.heartbeat, later.generation) == (taken.since, clock.now, taken.generation)
    lock.release()


def test_another_hosts_lease_holds_while_its_heart_beats(ledger: Ledger, path: Path, clock: HandClock) -> None:
    with holder(path, "elsewhere") as child:
        kill(child)
    clock.now += LEASE - 1
    with pytest.raises(Locked, match="on elsewhere"):
        Lock(ledger).acquire()


def test_another_hosts_lease_ends_without_heartbeats(ledger: Ledger, path: Path, clock: HandClock) -> None:
    with holder(path, "elsewhere") as child:
        kill(child)
    clock.now += LEASE
    assert "on elsewhere" in (Lock(ledger).acquire() or "")


def test_a_refused_second_lock_leaves_the_first_in_place(ledger: Ledger, path: Path) -> None:
    first = Lock(ledger)
    first.acquire()
    with Ledger.open(path, endpoint="embedded") as other, pytest.raises(Locked):
        Lock(other).acquire()
    first.beat()
    assert (first.held, os.path.exists(f"{path}.lock")) == (True, True)
    first.release()
