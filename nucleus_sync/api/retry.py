"""When a failed request is sent again, and after which wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

FAULTS = frozenset({408, 500})
OUTAGES = frozenset({429, 502, 503, 504, 520, 524})
PASSING = FAULTS | OUTAGES
NEVER_DONE = frozenset({429})
"""Statuses that prove that nothing was done: a 503 or 504 may come from a proxy that gave up on work that went on."""


class Safety(StrEnum):
    """What a second sending of the same request would do."""

    IDEMPOTENT = "idempotent"
    """Nothing that matters: reads, and writes that say how things should be."""
    UPSERT = "upsert"
    """The same work once more under the same keys: the caller decides, after looking."""
    CREATE = "create"
    """A second thing of the same name."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that did not work: `sent` is False where it provably never left, `status` is None without an answer."""

    reason: str
    status: int | None = None
    sent: bool = True
    retry_after: float | None = None
    hopeless: bool = False
    """No wait will mend it, such as a certificate that can't be verified."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to go on; waits and limits in seconds.

    `attempts` limits failures of the request itself (408, 500), `outage_attempts` those that everybody sees.
    """

    attempts: int = 6
    outage_attempts: int = 80
    patience: float = 600.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0


ONCE = Policy(attempts=1, outage_attempts=1)


class Verdict(StrEnum):
    """Why it is not sent again."""

    REFUSED = "refused"
    """The server's answer stands."""
    UNREACHABLE = "unreachable"
    """Attempts or patience are used up, and no harm was done."""
    UNKNOWN = "unknown"
    """It may have been done, and must not be repeated blindly."""


@dataclass(frozen=True, slots=True)
class Again:
    """Send it again after so many seconds."""

    wait: float


def next_move(
    policy: Policy, safety: Safety, failure: Failure, *, attempt: int, elapsed: float, chance: float
) -> Again | Verdict:
    """What follows from the failure of attempt number `attempt` (from 1); `chance` is a number from 0 to 1."""
    if _may_have_been_done(safety, failure):
        return Verdict.UNKNOWN
    if failure.hopeless:
        return Verdict.UNREACHABLE
    if failure.status is not None and failure.status not in PASSING:
        return Verdict.REFUSED
    is_fault = failure.status in FAULTS
    wait = wait_before_next(policy, failure, attempt=attempt, chance=chance)
    if attempt >= (policy.attempts if is_fault else policy.outage_attempts) or elapsed + wait > policy.patience:
        return Verdict.REFUSED if failure.status == 500 else Verdict.UNREACHABLE
    return Again(wait)


def _may_have_been_done(safety: Safety, failure: Failure) -> bool:
    if safety is Safety.IDEMPOTENT or not failure.sent:
        return False
    if failure.status is None:
        return True
    is_server_side = failure.status >= 500 and failure.status != 501
    return (is_server_side or failure.status in PASSING) and failure.status not in NEVER_DONE


def wait_before_next(policy: Policy, failure: Failure, *, attempt: int, chance: float) -> float:
    """Full jitter below an exponential ceiling; never less than what the server asked for, up to a cap."""
    ceiling: float = min(policy.longest_wait, policy.first_wait * 2.0 ** min(attempt - 1, 30))
    asked = min(failure.retry_after or 0.0, policy.longest_retry_after)
    return asked + chance * (ceiling if not asked else min(ceiling, 1.0))


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds from a `Retry-After` header, which is a number or an HTTP date; `now` is seconds since 1970."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        at = http_date(value)
        seconds = at - now if at is not None else -1.0
    return seconds if 0.0 <= seconds < float("inf") else None


def http_date(value: str | None) -> float | None:
    """Seconds since 1970 from an HTTP date; None for anything else."""
    try:
        at: datetime = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp()
