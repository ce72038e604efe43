"""An apply that kills itself at a point: `driver.py FOLDER TRACE [POINT NTH]`; started as a script.

Every point that it passes is written to the file TRACE, one name a line.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.workspace import Choices, Workspace

_IDS = re.compile(r"\b(?:[a-z0-9]{2,8}_[0-9a-z]{10,}|[0-9a-f]{32})\b")
_LAST = re.compile(r"(refloc)/[^/]+$")


class Fuse:
    """Counts the points that are passed, and kills the process, or does something else to it, at one of them."""

    def __init__(self, trace: IO[str], point: str = "", nth: int = 0, blow: int = signal.SIGKILL) -> None:
        self._trace = trace
        self._point = point
        self._nth = nth
        self._blow = blow
        self._turn = threading.Lock()
        self.ledger: Ledger | None = None

    def _between_writes(self) -> AbstractContextManager[object]:
        """A process that is stopped, not killed, would keep SQLite's lock if another thread were writing."""
        stops = self._blow == signal.SIGSTOP and self.ledger is not None
        return self.ledger.database.reading() if stops and self.ledger else nullcontext()

    def __call__(self, name: str) -> None:
        named = point_of(name)
        with self._turn:
            self._trace.write(named + "\n")
            self._trace.flush()
            if named == self._point:
                self._nth -= 1
                if self._nth == 0:
                    with self._between_writes():
                        # To this thread, which then returns from the call when all is over: one that the whole process
                        # gets may stop another thread first, and let this one run on out of the `with`.
                        signal.pthread_kill(threading.get_ident(), self._blow)


class Watched(Workspace):
    """Tells the fuse which ledger it is about."""

    fuse: Fuse

    def open_ledger(self, *, create: bool) -> Ledger:
        self.fuse.ledger = super().open_ledger(create=create)
        return self.fuse.ledger


def point_of(name: str) -> str:
    """A name without what differs from run to run."""
    return _LAST.sub(r"\1/*", _IDS.sub("*", name))


def main(folder: str, trace: str, point: str = "", nth: str = "0", blow: str = "SIGKILL") -> int:
    """The exit code of the apply."""
    with open(trace, "a", encoding="utf-8") as file:
        fuse = Fuse(file, point, int(nth), signal.Signals[blow])
        try:
            with Watched(Path(folder) / "nucleus.yaml", environ=os.environ, checkpoint=fuse) as space:
                space.fuse = fuse
                return int(space.apply(Choices(), lambda plan: True, lambda event: None).exit_code)
        except NucleusSyncError as error:
            print(error, file=sys.stderr)
            return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
