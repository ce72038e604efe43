"""How a run is watched: bars on a terminal, one line per phase elsewhere, JSON Lines under --json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nucleus_sync.cli.screen import Screen
    from nucleus_sync.events import Event

REJECTED_SHOWN = 3
"""Rejected records named per stream and reason; the others are counted, and `errors` names them all."""


class Shows(Protocol):
    """What a run tells its events to."""

    def show(self, event: Event) -> None:
        """Take one event."""


class EventLines:
    """Every event as a line of JSON on stdout."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def show(self, event: Event) -> None:
        """Write one event."""
        from nucleus_sync.render import json

        self._screen.answer(json.line(json.event_values(event)))


class StatusLines:
    """One line per phase on stderr; jobs only with --verbose; no more than a few rejected records of one kind."""

    def __init__(self, screen: Screen, below: Shows | None = None) -> None:
        self._screen = screen
        self._below = below
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._held: list[str] = []

    def show(self, event: Event) -> None:
        """Write one event, if it is worth a line."""
        from nucleus_sync.events import Evaluated, Finished, JobFinished, JobSubmitted, RecordRejected
        from nucleus_sync.render.run import event_text

        match event:
            case Finished():
                return
            case Evaluated():
                self._hold(event_text(event, self._screen.colors) + "\n\n")
                return
            case RecordRejected():
                kind = (event.address, event.reason)
                self._rejected[kind] += 1
                if self._rejected[kind] > REJECTED_SHOWN:
                    return
        if self._below is not None:
            self._below.show(event)
        elif isinstance(event, JobSubmitted | JobFinished):
            self._screen.detail(event_text(event, self._screen.aside_colors))
        else:
            self._screen.say(event_text(event, self._screen.aside_colors))

    def _hold(self, answer: str) -> None:
        # Bars and answers share a terminal: an answer waits until the bars are gone.
        if self._below is None:
            self._screen.answer(answer)
        else:
            self._held.append(answer)

    def release(self) -> None:
        """Write the answers that waited."""
        for answer in self._held:
            self._screen.answer(answer)
        self._held.clear()

    @property
    def unnamed_rejections(self) -> int:
        """How many rejected records were counted and not named."""
        return sum(max(0, number - REJECTED_SHOWN) for number in self._rejected.values())


@contextmanager
def show_progress(screen: Screen) -> Iterator[StatusLines]:
    """Bars on a live terminal, lines elsewhere; bars vanish at the end."""
    if not screen.is_live:
        yield StatusLines(screen)
        return
    from rich.console import Console

    from nucleus_sync.render.progress import LiveProgress

    console = Console(stderr=True, no_color=not screen.aside_colors.on, highlight=False)
    with LiveProgress(console, screen.aside_colors, verbose=screen.verbose) as live:
        lines = StatusLines(screen, live)
        yield lines
    lines.release()
