"""Runs one command and says what it took: wall, CPU of it and its children, and their memory together."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_PAUSE = 0.2
_FIRST_PAUSE = 0.01


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took. `rss` counts pages that processes share once for each, `pss` once."""

    wall: float
    cpu: float
    rss: int
    pss: int


class Failed(Exception):
    """A measured command did not succeed, so that its figures mean nothing."""


def run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Cost:
    """Run it to its end. CPU is that of the process and of all children that it has waited for."""
    log = folder / "log"
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environ}, stdout=output, stderr=subprocess.STDOUT
        )
        watch = _Watch(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    rss, pss = watch.end()
    if process.returncode:
        raise Failed(f"{' '.join(command)}: exit code {process.returncode}\n{log.read_text()[-2000:]}")
    # Not ru_maxrss: it starts from what this process itself had when it forked.
    return Cost(wall, usage.ru_utime + usage.ru_stime, rss, pss)


class _Watch:
    """Adds up the memory of a process and its descendants, again and again."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._rss = self._pss = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        pause = _FIRST_PAUSE
        while not self._over.wait(pause):
            pause = min(_PAUSE, pause * 2)
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(self._pid)
                self._add([process, *process.children(recursive=True)])

    def _add(self, processes: list[psutil.Process]) -> None:
        rss = pss = 0
        for process in processes:
            with contextlib.suppress(psutil.Error):
                full = process.memory_full_info() if sys.platform == "linux" else process.memory_info()
                rss += full.rss
                pss += getattr(full, "pss", full.rss)
        self._rss, self._pss = max(self._rss, rss), max(self._pss, pss)

    def end(self) -> tuple[int, int]:
        """The highest sums."""
        self._over.set()
        self._thread.join()
        return self._rss, self._pss
