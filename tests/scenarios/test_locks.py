"""One writer at a time: the second is told who the first is, and a dead one's lock can be cleared."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .project import Project

_HOLD = """
import sys
from pathlib import Path
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.lock import Lock
ledger = Ledger.open(Path(sys.argv[1]), endpoint=sys.argv[2])
Lock(ledger, owner="ada").acquire()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(project: Project) -> Iterator[int]:
    """Another process has the lock; its pid."""
    ledger = project.folder / ".nucleus-sync" / "ledger.db"
    endpoint = project.environ["NUCLEUS_ENDPOINT"]
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(ledger), endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_unlock_without_a_holder_says_so(applied: Project) -> None:
    assert applied.ok("unlock").out == "Nobody has the lock.\n"
    assert applied.ok("unlock", "--json").json()["held_by"] is None


def test_unlock_names_a_living_holder_and_leaves_it_alone(applied: Project) -> None:
    with holding(applied) as pid:
        answer = applied("unlock")
        assert answer.code == 11
        assert f"ada, pid {pid}" in answer.err
        assert applied("apply", "--auto-approve").code == 11


def test_a_living_holder_gives_way_to_force(applied: Project) -> None:
    with holding(applied) as pid:
        values = applied.ok("unlock", "--force", "--json").json()
        assert (values["living"], values["unlocked"], values["held_by"]["pid"]) == (True, True, pid)
        database = sqlite3.connect(applied.folder / ".nucleus-sync" / "ledger.db")
        assert database.execute("SELECT owner FROM lease").fetchone() == (None,)
        database.close()


def test_unlock_clears_the_lock_of_a_dead_process(applied: Project) -> None:
    with holding(applied) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        values = applied.ok("unlock", "--json").json()
    assert (values["living"], values["unlocked"], values["held_by"]["pid"]) == (False, True, pid)
    assert applied.ok("unlock").out == "Nobody has the lock.\n"
