"""What a watcher is told to do, and how patiently."""

from __future__ import annotations

from dataclasses import dataclass, field

from nucleus_sync.watch.rounds import Pace


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; seconds."""

    settle: float = 2.0
    pace: Pace = field(default_factory=Pace)
    poll: float | None = None
    """The interval of polling; None for the system's events."""
    grace: float = 30.0
    marker: str | None = None
    allow_deletes: bool = False
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    ready_limit: float = 900.0
    heartbeat: float = 300.0
    once: bool = False
    check: float = 1.0
    """How often folders are looked after: have they vanished, come back, or been made anew?"""
    fallback_poll: float = 10.0
    """The interval of polling where the system's events can't be had."""
