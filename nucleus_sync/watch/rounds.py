"""When the next round is due and what it looks at: coalesced, backed off, or held after a refusal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from nucleus_sync.errors import Exit


class Outcome(StrEnum):
    """What became of a round."""

    GOOD = "good"
    PARTIAL = "partial"
    """Nucleus rejected records, which rest; or steps failed, which are tried again."""
    WAITING = "waiting"
    """A source isn't ready: gone, half-written, or broken until somebody mends it."""
    HELD = "held"
    """A guard said no: nothing is tried until something changes."""
    FAILED = "failed"
    """Nucleus, the network, the disk or the key: tried again after a while."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds."""

    rescan: float = 300.0
    first_backoff: float = 1.0
    longest_backoff: float = 300.0


@dataclass(frozen=True, slots=True)
class Task:
    """One round to do."""

    reason: str
    touched: frozenset[str] | None
    """Look at these files alone; None for everything."""
    gone: int = 0
    """Files that are known to have gone for good."""
    second_look: bool = False
    """A look before this one has found the same deletions."""


@dataclass
class Agenda:
    """Told what happened and when; asked what is due. Times are seconds of one clock."""

    pace: Pace
    touched: set[str] = field(default_factory=set)
    gone: int = 0
    reason: str = "start"
    everything: bool = True
    not_before: float = 0.0
    failures: int = 0
    held: bool = False
    second_look_at: float | None = None
    last_look: float | None = None
    """When everything was looked at."""

    def settled(self, files: Iterable[str], gone: int, *, whole: bool) -> None:
        """Files have settled; `whole` where one counts as a whole source, so that everything must be looked at."""
        self.touched.update(files)
        self.gone += gone
        if whole or gone:
            self.need_everything("files are gone" if gone and not whole else "a file has changed")
        elif not self.everything:
            self.reason = "files have settled"
        self.held = False

    def need_everything(self, reason: str, *, at_once: bool = False) -> None:
        """Look at everything; `at_once` lifts a backoff too: somebody has mended something."""
        if not self.everything:
            self.everything, self.reason = True, reason
        self.held = False
        if at_once:
            self.not_before = 0.0
            self.failures = 0

    def due(self, now: float) -> float | None:
        """When the next round should start; None when nothing is known to be due."""
        times = []
        if (self.everything or self.touched) and not self.held:
            times.append(max(now, self.not_before))
        if self.second_look_at is not None:
            times.append(max(self.second_look_at, self.not_before))
        if self.last_look is not None:
            times.append(max(self.last_look + self.pace.rescan, self.not_before))
        return min(times, default=None)

    def take(self, now: float, *, may_narrow: bool) -> Task:
        """The round that is due now."""
        second = self.second_look_at is not None and self.second_look_at <= now
        rescan = self.last_look is not None and self.last_look + self.pace.rescan <= now
        if second:
            self.reason = "a second look before anything is deleted"
        elif rescan and not self.everything and not self.touched:
            self.reason = "a look at everything is due"
        narrow = may_narrow and not (self.everything or second or rescan) and bool(self.touched)
        task = Task(self.reason, frozenset(self.touched) if narrow else None, self.gone, second)
        if not narrow:
            self.last_look = now
            self.second_look_at = None
        self.touched.clear()
        self.everything, self.gone, self.reason = False, 0, "files have settled"
        return task

    def finished(self, outcome: Outcome, now: float, *, retry: bool) -> float | None:
        """Note how it ended; returns after how many seconds it is tried again by itself, if it is."""
        if outcome is Outcome.HELD:
            self.held = not (self.everything or self.touched)
            return None
        self.held = False
        if not retry:
            self.failures = 0
            self.not_before = 0.0
            return None
        self.failures += 1
        wait = min(self.pace.first_backoff * float(2 ** min(self.failures - 1, 30)), self.pace.longest_backoff)
        self.not_before = now + wait
        self.everything, self.reason = True, "trying again"
        return wait

    def look_twice(self, at: float) -> None:
        """Files seem to be gone of which nothing was heard: look again before anything is deleted."""
        self.second_look_at = at


def judged(code: int, *, failed_steps: int) -> tuple[Outcome, bool]:
    """Outcome of a round that ended with an exit code, and whether to try again by itself."""
    match code:
        case Exit.DONE:
            return Outcome.GOOD, False
        case Exit.GATE_FAILED:
            return Outcome.PARTIAL, False
        case Exit.PARTIAL:
            return Outcome.PARTIAL, failed_steps > 0
        case Exit.INVALID:
            return Outcome.WAITING, False
        case Exit.REFUSED:
            return Outcome.HELD, False
        case _:
            return Outcome.FAILED, True
