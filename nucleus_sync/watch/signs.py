"""Signs of life: events for the caller, figures for the health port, lines for systemd."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nucleus_sync.events import Finished
from nucleus_sync.watch.happenings import Happening, Heartbeat, Remark, RoundFinished, Summary
from nucleus_sync.watch.health import Health
from nucleus_sync.watch.notify import Notifier
from nucleus_sync.watch.round import Ended
from nucleus_sync.watch.rounds import Outcome
from nucleus_sync.watch.settle_files import LeftOut

if TYPE_CHECKING:
    from nucleus_sync.watch.metrics import Metrics


class Signs:
    """`tell` is told of everything, by several threads but never at the same time; times in seconds."""

    def __init__(
        self, tell: Callable[[Happening], None], environ: Mapping[str, str], *, ready_limit: float, heartbeat: float
    ) -> None:
        self.health = Health(limit=ready_limit)
        self.notifier = Notifier(environ)
        self.metrics: Metrics | None = None
        """Figures for Prometheus, where the health port is open."""
        self.said = ""
        """The last round's message."""
        self._tell = tell
        self._one_at_a_time = threading.Lock()
        self._every = heartbeat
        self.next_beat = time.monotonic() + heartbeat
        """On the monotonic clock."""

    def emit(self, event: Happening) -> None:
        """Tell everybody."""
        with self._one_at_a_time:
            self.health.take(event)
            if self.metrics is not None:
                self.metrics.take(event)
            self._tell(event)

    def remark(self, kind: str, text: str) -> None:
        """Tell something that an operator should know; `kind` is a word for programs."""
        self.emit(Remark(kind, text))

    def beat(self, now: float, rounds: int, waiting: int) -> None:
        """Say that all is as it should be, or not, where that is due."""
        if now < self.next_beat:
            return
        self.next_beat = now + self._every
        last, good = self.health.last, self.health.last_good
        since = None if good is None else round(time.time() - good, 1)
        self.emit(Heartbeat(rounds, last.outcome if last else "starting", waiting, since))

    def round_finished(
        self, number: int, ended: Ended, left: LeftOut, *, lag: float | None, wait: float | None
    ) -> None:
        """Say how a round ended; a message that was said before is not repeated while nothing goes on."""
        done = ended.finished or Finished(0, 0, 0, 0, 0, 0, 0, 0.0, ended.exit_code)
        message = ended.message or _named(left.incomplete, left.incomplete_count)
        repeated = ended.outcome in (Outcome.HELD, Outcome.WAITING) and message and message == self.said
        self.said = self.health.reason = message
        event = RoundFinished(
            round=number,
            outcome=str(ended.outcome),
            create=done.create,
            update=done.update,
            delete=done.delete,
            unchanged=done.unchanged,
            rejected=done.rejected,
            invalid=done.invalid,
            failed_steps=done.failed_steps,
            seconds=round(done.seconds, 3),
            lag=None if lag is None else round(lag, 3),
            exit_code=ended.exit_code,
            message="" if repeated else message,
            next_try=wait,
            left_out=left.young + left.incomplete_count,
        )
        self.emit(event)
        self.notifier.status(f"round {number}: {ended.outcome}" + (f": {message}" if message else ""))

    def sum_up(self, rounds: int, *, seconds: float, exit_code: int) -> None:
        """The last event."""
        health = self.health
        failed = sum(number for outcome, number in health.rounds.items() if outcome not in ("good", "partial"))
        self.emit(
            Summary(
                rounds=rounds,
                create=health.records["create"],
                update=health.records["update"],
                delete=health.records["delete"],
                rejected=health.records["rejected"],
                failed_rounds=failed,
                seconds=round(seconds, 3),
                exit_code=exit_code,
                counts=dict(health.rounds),
            )
        )


def _named(incomplete: tuple[tuple[str, str], ...], count: int) -> str:
    if not count:
        return ""
    more = f", and {count - len(incomplete)} more" if count > len(incomplete) else ""
    return "waiting for the rest of " + ", ".join(f"{path} ({why})" for path, why in incomplete) + more
