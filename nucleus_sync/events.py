"""What happens during a run, as values that anyone may render."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nucleus_sync.records.problem import Where


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step's turn has come."""

    address: str
    step: str
    action: str
    records: int = 0
    """How many records the step will send or delete."""


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """Nucleus took a batch and gave its job an id."""

    address: str
    step: str
    job_id: str
    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A job reached a final state and the ledger knows it."""

    address: str
    step: str
    job_id: str
    status: str
    records: int
    """How many records are confirmed by it."""
    rejected: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RecordRejected:
    """Nucleus refused a record."""

    address: str
    key: dict[str, str]
    reason: str
    where: Where


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended: `done`, `partial` (some records were refused), `failed`, or `skipped` because of another one."""

    address: str
    step: str
    action: str
    outcome: str
    records: dict[str, int] = field(default_factory=dict)
    """Counts that were really done: create, update, delete, resent, rejected."""
    error: str = ""
    because_of: str = ""
    """The step that a skipped one waited for in vain."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know while it happens: a retry, a wait, a takeover."""

    address: str
    text: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was sent was read back: `verified` of the `looked_at` records are at Nucleus as they should be."""

    address: str
    verified: int
    looked_at: int
    total: int
    """How many are known in all; more than were looked at where only a sample was drawn."""
    held: int | None = None
    """How many Nucleus counts itself, where it does."""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation has numbers."""

    address: str
    metrics: dict[str, Any]
    gates: list[dict[str, Any]] = field(default_factory=list)
    previous: dict[str, Any] | None = None
    """The numbers of the run before, if there was one."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a run: the counts that were really done."""

    create: int
    update: int
    delete: int
    unchanged: int
    rejected: int
    invalid: int
    failed_steps: int
    seconds: float
    exit_code: int
    resent: int = 0


Event = (
    StepStarted | JobSubmitted | JobFinished | RecordRejected | StepFinished | Note | Verified | Evaluated | Finished
)
