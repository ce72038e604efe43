"""The round under way: its thread, what became of it, and how it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from nucleus_sync.errors import Exit
from nucleus_sync.memory import give_back
from nucleus_sync.watch.bell import Bell
from nucleus_sync.watch.round import Ended, Round, state_of
from nucleus_sync.watch.rounds import Outcome

_CUT_OFF = 15.0
"""Seconds that an apply gets to write down what is in flight, once its grace is over."""


class UnderWay:
    """At most one round at a time, which rings "done" when it has ended."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._thread: threading.Thread | None = None
        self._ended: Ended | None = None
        self._stop_apply: Callable[[], None] | None = None
        self.stop_at: float | None = None
        """When the grace is over, on the monotonic clock; None while nobody has asked to stop."""

    @property
    def is_idle(self) -> bool:
        """Whether there is no round, nor one whose end was not taken."""
        return self._thread is None

    def start(self, one: Round, *, held: Ended | None, tidy: bool) -> None:
        """Begin in a thread. Where the state is still the one that was `held`, that is what becomes of it again.

        `tidy` gives memory back afterwards, as is done after every long round.
        """

        def run() -> None:
            begun = time.monotonic()
            if held is not None and state_of(one.opening) == held.held_state:
                self._ended = held
            else:
                self._ended = one.run()
            if tidy or time.monotonic() - begun > 1.0:
                give_back()
            self._bell.ring("done")

        self._thread = threading.Thread(target=run, name="round")
        self._thread.start()

    def take_stop(self, stop: Callable[[], None]) -> None:
        """Told by the round what stops its apply."""
        self._stop_apply = stop
        if self.stop_at is not None and self.stop_at <= time.monotonic():
            stop()

    def finish(self) -> Ended | None:
        """What became of the round that has ended; None where that was taken before."""
        thread, ended = self._thread, self._ended
        if thread is None or ended is None:
            return None
        thread.join()
        self._thread = self._ended = self._stop_apply = None
        return ended

    @property
    def is_overdue(self) -> bool:
        """Whether a round is still under way though its grace is over."""
        return self._thread is not None and self.stop_at is not None and time.monotonic() >= self.stop_at

    def cut_off(self) -> bool:
        """Stop the apply, and whether it ended; what is in flight is in the ledger by then."""
        if self._stop_apply is not None:
            self._stop_apply()
        if self._thread is not None:
            self._thread.join(_CUT_OFF)
        return self._thread is None or not self._thread.is_alive()


def held_again(held_state: str, message: str) -> Ended:
    """What becomes of a round that a guard would refuse as it did before, in the same words."""
    return Ended(Outcome.HELD, int(Exit.REFUSED), False, message=message, held_state=held_state)
