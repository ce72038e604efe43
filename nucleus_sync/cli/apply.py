"""`apply`: plans, asks, does; or does exactly what a saved plan says."""

from __future__ import annotations

import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn, Self

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.cli.screen import Screen
from nucleus_sync.errors import Exit, NucleusSyncError, UsageError

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from nucleus_sync.events import Event, Finished
    from nucleus_sync.plan.plan import Plan


_GLANCE = 0.2
"""Seconds after which a waiting question looks whether it was stopped."""


@click.command("apply", cls=Command)
@click.argument("plan_file", metavar="[PLAN]", required=False)
@click.option("-y", "--auto-approve", is_flag=True, help="Do not ask.")
@click.option("--target", "targets", metavar="ADDRESS", multiple=True, help="Only this address; repeatable.")
@click.option("--allow-deletes", is_flag=True, help="Delete even more than delete_limit.")
@click.option("--retry-rejected", is_flag=True, help="Send records again that Nucleus rejected before.")
@click.option("--no-cache", is_flag=True, help="Read files again that have not changed.")
@click.option("--verify", is_flag=True, help="Read back what was sent: all of it, or a sample of large streams.")
@global_flags
def command(
    plan_file: str | None,
    auto_approve: bool,
    targets: tuple[str, ...],
    allow_deletes: bool,
    retry_rejected: bool,
    no_cache: bool,
    verify: bool,
) -> int:
    """Plan, ask, and do it; with a saved PLAN do exactly that, or refuse a stale one.

    A saved plan counts as approved, and takes none of the flags that decide what is planned.
    """
    from nucleus_sync.workspace import Choices

    call = Call.current()
    saved = _saved_plan(call, plan_file, planning=bool(targets or retry_rejected or no_cache))
    choices = Choices(
        targets=saved.targets if saved else targets,
        trust_cache=not no_cache,
        allow_deletes=allow_deletes,
        retry_rejected=retry_rejected,
        verify=verify,
    )
    watch = _Watch(call.screen, saved, auto_approve=auto_approve)
    with call.workspace() as space, watch:
        finished = space.apply(choices, watch.approve, watch.emit)
    watch.close(finished)
    return finished.exit_code


def _saved_plan(call: Call, plan_file: str | None, *, planning: bool) -> Plan | None:
    if plan_file is None:
        return None
    if planning:
        raise UsageError(
            "a saved plan takes no --target, --retry-rejected or --no-cache",
            fix="plan again with them, or apply without a saved plan",
        )
    from nucleus_sync.cli.saved import read

    return read(call.path(plan_file))


class _Watch:
    """One apply as the user sees it: the plan, the question, what happens, the end."""

    def __init__(self, screen: Screen, saved: Plan | None, *, auto_approve: bool) -> None:
        from nucleus_sync.cli.progress import EventLines, StatusLines

        self._screen = screen
        self._saved = saved
        self._auto_approve = auto_approve
        self._bars = ExitStack()
        self._lines = StatusLines(screen)
        self._events = EventLines(screen) if screen.json else None
        self._nothing_to_do = False
        self._blocked = False
        self._summed_up = False

    def __enter__(self) -> Self:
        self._start_bars()
        return self

    def _start_bars(self) -> None:
        from nucleus_sync.cli.progress import show_progress

        self._lines = self._bars.enter_context(show_progress(self._screen))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()

    def approve(self, plan: Plan) -> bool:
        """Show the plan and get leave to do it. Raises StalePlan, UsageError, or what a refusal is."""
        self._bars.close()
        if self._saved is not None:
            from nucleus_sync.cli.saved import check_fresh

            check_fresh(self._saved, plan)
        self._show(plan)
        self._blocked = bool(plan.invalid_streams)
        if self._blocked:
            return False
        self._nothing_to_do = plan.is_empty
        if not (plan.is_empty or self._auto_approve or self._saved):
            ask(self._screen)
        self._start_bars()
        return True

    def _show(self, plan: Plan) -> None:
        from nucleus_sync.render.plan import plan_text

        if self._events is None:
            self._screen.answer(plan_text(plan, self._screen.colors) + ("" if plan.is_empty else "\n"))
        elif plan.invalid_streams or (self._screen.can_ask and not self._auto_approve):
            self._screen.warn(plan_text(plan, self._screen.aside_colors))
        if plan.invalid_streams:
            from nucleus_sync.cli.plan import say_what_blocks

            say_what_blocks(self._screen, plan)

    def emit(self, event: Event) -> None:
        """Show one event."""
        from nucleus_sync.events import Finished

        self._summed_up = self._summed_up or isinstance(event, Finished)
        if self._events is not None:
            self._events.show(event)
        else:
            self._lines.show(event)

    def close(self, finished: Finished) -> None:
        """The last line, after all bars are gone."""
        from nucleus_sync.render.run import finished_text

        if self._events is not None:
            if not self._summed_up:
                self._events.show(finished)
            return
        if self._blocked:
            return
        if not (self._nothing_to_do and finished.exit_code == 0):
            self._screen.answer(finished_text(finished, self._screen.colors) + "\n")
        if finished.exit_code == Exit.GATE_FAILED:
            self._screen.warn("error: an evaluation's gate failed; nucleus-sync status shows the numbers")
        if finished.rejected:
            unnamed = self._lines.unnamed_rejections
            more = f" ({unnamed:,} more than named above)" if unnamed else ""
            self._screen.warn(f"Nucleus rejected {finished.rejected:,} records{more}; see: nucleus-sync errors")


def ask(screen: Screen, command: str = "apply") -> None:
    """Only the whole word `yes` is leave. Raises UsageError where nobody can answer, Declined for any other word."""
    if not screen.can_ask:
        saved = ", or approve a saved plan: nucleus-sync plan --out FILE; nucleus-sync apply FILE"
        raise UsageError(
            f"{command} needs approval, and nobody can answer here; nothing was done",
            fix="add --auto-approve" + (saved if command == "apply" else ""),
        )
    with _stoppable():
        sys.stderr.write("Do this? Only 'yes' is taken for it: ")
        sys.stderr.flush()
        # The system may hand a signal to any thread, and then it interrupts no read of this one.
        while not select.select([sys.stdin], [], [], _GLANCE)[0]:
            pass
        said = sys.stdin.readline()
    if said.strip() != "yes":
        raise Declined("not approved; nothing was done")


@contextmanager
def _stoppable() -> Iterator[None]:
    """While a question waits, one Ctrl-C or SIGTERM ends it: an event loop would only take note and go on waiting."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


class Declined(NucleusSyncError):
    """The user said no."""
