"""What a project of any bytes may come to: a plan, or an error of ours, in bounded time."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.workspace import Choices, Workspace

from .samples import Files, write

SECONDS = 20
"""Far more than a file of a few kilobytes takes."""


class TooSlow(AssertionError):
    """It took longer than any file of that size may."""


def probed(files: Files) -> str:
    """`planned`, or the name of our error. Everything else is raised."""
    with tempfile.TemporaryDirectory() as folder, _bounded():
        write(Path(folder), files)
        try:
            with Workspace(Path(folder) / "nucleus.yaml", environ={}, embedded=True) as space:
                prepared = space.prepare(Choices(), with_ledger=False)
                for _ in prepared.records():
                    pass
                str(prepared.plan.sources)
        except NucleusSyncError as error:
            str(error)
            return type(error).__name__
    return "planned"


@contextmanager
def _bounded() -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
