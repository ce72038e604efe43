"""How the service is: figures that events add up to, for probes, Prometheus and the status page."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from nucleus_sync.events import JobFinished, JobSubmitted, RecordRejected, StepFinished
from nucleus_sync.watch.happenings import Happening, Remark, RoundFinished, RoundStarted

_KEPT = 20
_GOOD_JOBS = ("completed", "done")


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the status page shows it."""

    address: str
    job_id: str
    records: int
    since: float
    status: str = "running"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that Nucleus refused."""

    address: str
    key: str
    reason: str
    where: str
    at: float


@dataclass
class Health:
    """Told of everything that happens; `limit` is how old the last good round may be, in seconds."""

    limit: float
    wall: Callable[[], float] = time.time
    started: float = 0.0
    last_good: float | None = None
    last: RoundFinished | None = None
    reason: str = ""
    """The last round's message, also where it was left out of the event because it had been said before."""
    running_round: int | None = None
    rounds: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    waiting: int = 0
    oldest: float | None = None
    """Since when the oldest change is known that isn't confirmed yet."""
    lags: dict[str, float] = field(default_factory=dict)
    """By stream: seconds from the first sign of a change to the confirmation of the last job."""
    running: dict[str, Job] = field(default_factory=dict)
    failed: deque[Job] = field(default_factory=lambda: deque(maxlen=_KEPT))
    failed_steps: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    rejected: deque[Rejected] = field(default_factory=lambda: deque(maxlen=_KEPT))
    remarks: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.started = self.wall()

    def ready(self) -> tuple[bool, str]:
        """Whether the last good round is young enough, and a sentence about it."""
        now = self.wall()
        why = f": {self.reason}" if self.reason else ""
        if self.last_good is None:
            return False, f"no good round yet{why}"
        age = now - self.last_good
        if age > self.limit:
            return False, f"the last good round was {age:.0f} s ago, the limit is {self.limit:.0f} s{why}"
        return True, f"the last good round was {age:.0f} s ago"

    @property
    def lag(self) -> float:
        """Seconds for which the oldest known change has been waiting; 0 when none does."""
        return max(0.0, self.wall() - self.oldest) if self.oldest is not None else 0.0

    def take(self, event: Happening) -> None:
        """Add one event."""
        with self.lock:
            self._take(event)

    def _take(self, event: Happening) -> None:
        now = self.wall()
        match event:
            case RoundStarted():
                self.running_round = event.round
            case RoundFinished():
                self._round_finished(event, now)
            case JobSubmitted():
                self.running[event.job_id] = Job(event.address, event.job_id, event.records, now)
                self.sent_bytes += event.bytes
            case JobFinished():
                self._job_finished(event, now)
            case RecordRejected():
                key = " ".join(event.key.values())
                self.rejected.appendleft(Rejected(event.address, key, event.reason, str(event.where), now))
            case StepFinished() if event.outcome == "failed":
                self.failed_steps.appendleft((now, event.step, event.error))
            case Remark():
                self.remarks.appendleft((now, event.text))

    def _round_finished(self, event: RoundFinished, now: float) -> None:
        self.running_round, self.last = None, event
        self.running.clear()
        self.rounds[event.outcome] += 1
        self.records.update(create=event.create, update=event.update, delete=event.delete, rejected=event.rejected)
        if event.outcome == "good" or (event.outcome == "partial" and not event.failed_steps):
            self.last_good = now

    def _job_finished(self, event: JobFinished, now: float) -> None:
        job = self.running.pop(event.job_id, None)
        since = job.since if job else now - event.seconds
        if event.rejected or event.status.lower() not in _GOOD_JOBS:
            self.failed.appendleft(
                Job(event.address, event.job_id, event.records + event.rejected, since, event.status)
            )
        if self.oldest is not None:
            self.lags[event.address] = max(0.0, now - self.oldest)
