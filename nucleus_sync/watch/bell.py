"""Wakes the service: rung by threads and signal handlers alike, so that nobody has to look at a clock."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any


class Bell:
    """Only SimpleQueue may be used inside a signal handler; a flag keeps a flood of hints from filling it."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._hinted = False

    def ring(self, what: object) -> None:
        """Something that must not be lost."""
        self._queue.put(what)

    def hint(self) -> None:
        """Something has changed somewhere."""
        if not self._hinted:
            self._hinted = True
            self._queue.put(None)

    def wait(self, seconds: float | None) -> Iterator[object]:
        """Everything that was rung, after waiting for the first at most so long."""
        self._hinted = False
        try:
            found = self._queue.get(timeout=None if seconds is None else max(0.0, seconds))
            while True:
                if found is None:
                    self._hinted = False
                else:
                    yield found
                found = self._queue.get_nowait()
        except Empty:
            return
