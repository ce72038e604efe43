"""Progress on a terminal: a bar per stream with records, bytes, rate, time left and jobs, driven by events only."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from nucleus_sync.events import Event, JobFinished, JobSubmitted, Note, StepFinished, StepStarted
from nucleus_sync.render.run import event_text
from nucleus_sync.render.text import Palette, size, visible


@dataclass(slots=True)
class Flow:
    """How far the step of one stream is."""

    records: int
    confirmed: int = 0
    rejected: int = 0
    bytes: int = 0
    running: int = 0
    done: int = 0

    def take(self, event: JobSubmitted | JobFinished) -> None:
        """Count a job that was submitted or has finished."""
        match event:
            case JobSubmitted():
                self.running += 1
                self.bytes += event.bytes
            case JobFinished():
                self.running = max(0, self.running - 1)
                self.done += 1
                self.confirmed += event.records
                self.rejected += event.rejected

    def counts(self, seconds: float) -> str:
        """Records, bytes and rate."""
        rate = self.confirmed / seconds if seconds > 0.5 else 0.0
        parts = [f"{self.confirmed:,}/{self.records:,}", size(self.bytes)]
        parts += [f"{rate:,.0f}/s"] if rate else []
        parts += [f"{self.rejected:,} rejected"] if self.rejected else []
        return " · ".join(parts)

    def jobs(self) -> str:
        """Jobs by state."""
        return f"jobs {self.running} running, {self.done} done" if self.running or self.done else ""


class LiveProgress:
    """Bars while the run lasts; lines of other events scroll above them. Use as a context manager."""

    def __init__(self, console: Console, palette: Palette, *, verbose: bool = False) -> None:
        self._console = console
        self._palette = palette
        self._verbose = verbose
        self._flows: dict[str, tuple[TaskID, Flow]] = {}
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[jobs]}", markup=False),
            console=console,
            transient=True,
            # The bars are on stderr; what is written to stdout meanwhile must not end there, too.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._reading: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        """Move the bar that the event belongs to, or write its line above the bars."""
        match event:
            case Note() if event.text.startswith("reading "):
                self._read(f"{event.text} for {event.address}")
            case StepStarted():
                self._read(None)
                named = f"{event.action} {visible(event.address)}"
                task = self._bars.add_task(named, total=event.records or None, counts="", jobs="")
                self._flows[event.step] = (task, Flow(event.records))
            case JobSubmitted() | JobFinished():
                self._move(event)
            case StepFinished():
                self._end(event)
            case _:
                self._write(event)

    def _read(self, what: str | None) -> None:
        """One bar without an end for what is being read: the next source takes the place of the one before."""
        if self._reading is not None:
            self._bars.remove_task(self._reading)
        self._reading = None if what is None else self._bars.add_task(visible(what), total=None, counts="", jobs="")

    def _move(self, event: JobSubmitted | JobFinished) -> None:
        if self._verbose:
            self._write(event)
        if event.step in self._flows:
            task, flow = self._flows[event.step]
            flow.take(event)
            seconds = self._bars.tasks[self._bars.task_ids.index(task)].elapsed or 0.0
            sent = flow.confirmed + flow.rejected
            self._bars.update(task, completed=sent, counts=flow.counts(seconds), jobs=flow.jobs())

    def _end(self, event: StepFinished) -> None:
        if event.step in self._flows:
            self._bars.remove_task(self._flows.pop(event.step)[0])
        self._write(event)

    def _write(self, event: Event) -> None:
        self._console.print(Text.from_ansi(event_text(event, self._palette)), soft_wrap=True)
