"""What a watcher tells beside the events of its rounds, as values that anyone may render."""

from __future__ import annotations

from dataclasses import dataclass, field

from nucleus_sync.events import Event


@dataclass(frozen=True, slots=True)
class Watching:
    """The watcher is ready."""

    spec: str
    folders: tuple[str, ...]
    how: str
    """`native` or `polling`."""
    health: str = ""
    """Where the status page is."""


@dataclass(frozen=True, slots=True)
class RoundStarted:
    """Something settled, or a look at everything is due."""

    round: int
    reason: str
    touched: int
    """Files that are looked at alone; 0 when everything is."""


@dataclass(frozen=True, slots=True)
class RoundFinished:
    """How a round ended, with the counts that were really done."""

    round: int
    outcome: str
    """`good`, `partial`, `waiting`, `held` or `failed`."""
    create: int = 0
    update: int = 0
    delete: int = 0
    unchanged: int = 0
    rejected: int = 0
    invalid: int = 0
    failed_steps: int = 0
    seconds: float = 0.0
    lag: float | None = None
    """Seconds from the first sign of the oldest change to now."""
    exit_code: int = 0
    """What an apply would have ended with."""
    message: str = ""
    next_try: float | None = None
    """Seconds until it is tried again by itself."""
    left_out: int = 0
    """Files that are still being written, or lack their end."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that an operator should know; `kind` is a word for programs."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened for a while, and all is as it should be, or not."""

    rounds: int
    outcome: str
    waiting: int
    """Files that are being followed until they settle."""
    since_good: float | None
    """Seconds since the last good round."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The last event: everything since the start."""

    rounds: int
    create: int
    update: int
    delete: int
    rejected: int
    failed_rounds: int
    seconds: float
    exit_code: int
    counts: dict[str, int] = field(default_factory=dict)
    """Rounds by outcome."""


Happening = Watching | RoundStarted | RoundFinished | Remark | Heartbeat | Summary | Event
