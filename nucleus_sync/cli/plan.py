"""`plan`: shows what would be done, record by record; sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import Exit, UsageError

if TYPE_CHECKING:
    from nucleus_sync.cli.screen import Screen
    from nucleus_sync.plan.plan import Plan
    from nucleus_sync.workspace import Workspace


@click.command("plan", cls=Command)
@click.option("--out", metavar="FILE", help="Save the plan; apply FILE does exactly that, or refuses.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there is something to do.")
@click.option("--target", "targets", metavar="ADDRESS", multiple=True, help="Only this address; repeatable.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), help="Default: text.")
@click.option("--records", metavar="FILE", help="Write every change as JSON Lines; - is stdout.")
@click.option("--no-cache", is_flag=True, help="Read files again that have not changed.")
@click.option("--refresh", is_flag=True, help="First look at Nucleus, and write down what somebody changed there.")
@global_flags
def command(
    out: str | None,
    detailed_exitcode: bool,
    targets: tuple[str, ...],
    form: str | None,
    records: str | None,
    no_cache: bool,
    refresh: bool,
) -> int:
    """Show what would be done, in which order and why; send nothing."""
    from nucleus_sync.cli.progress import show_progress
    from nucleus_sync.render.error import refusal_text
    from nucleus_sync.render.text import visible
    from nucleus_sync.workspace import Choices

    call = Call.current()
    form = _form(form, call, records)
    with call.workspace() as space:
        if refresh:
            _refresh(call, space, targets)
        with show_progress(call.screen) as progress:
            prepared = space.prepare(Choices(targets=targets, trust_cache=not no_cache), emit=progress.show)
        if records is not None:
            from nucleus_sync.cli.json_lines import write_records

            write_records(call, prepared.records(), records)
    plan = prepared.plan
    if out is not None:
        from nucleus_sync.cli.saved import save

        save(plan, call.path(out))
    code = _exit_code(plan, detailed=detailed_exitcode)
    if records != "-":
        call.screen.answer(plan_in(form, plan, call, int(code)))
    if plan.invalid_streams:
        say_what_blocks(call.screen, plan)
    if prepared.refusal is not None:
        call.screen.warn(refusal_text(prepared.refusal))
    if out is not None:
        shown = visible(out)
        call.screen.say(f"Saved {shown}, digest {plan.digest()}; do it with: nucleus-sync apply {shown}")
    return int(code)


def _refresh(call: Call, space: Workspace, targets: tuple[str, ...]) -> None:
    """Look at Nucleus under the lock; the ledger then says what is there. Before the first apply there is nothing."""
    from nucleus_sync.cli.refresh import looked_at
    from nucleus_sync.render.drift import drift_text

    if not space.ledger_path.exists():
        call.screen.say("Nothing was applied yet: there is nothing to look at.")
        return
    report = looked_at(call, space, targets, write=True)
    if report.drift:
        call.screen.say(drift_text(report.values(), call.screen.aside_colors))


def _form(form: str | None, call: Call, records: str | None) -> str:
    if call.screen.json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other", fix="leave out one of them")
    chosen = form or ("json" if call.screen.json else "text")
    if records == "-" and form is not None:
        raise UsageError(
            "--records - takes stdout for itself", fix="write the records to a file, or leave out --format"
        )
    return chosen


def plan_in(form: str, plan: Plan, call: Call, exit_code: int) -> str:
    """The plan as text, as a JSON document, or as Markdown."""
    match form:
        case "json":
            from nucleus_sync.cli.saved import plan_values
            from nucleus_sync.render.json import document

            return document({**plan_values(plan), "exit_code": exit_code})
        case "markdown":
            from nucleus_sync.render.markdown import plan_markdown

            return plan_markdown(plan)
        case _:
            from nucleus_sync.render.plan import plan_text

            return plan_text(plan, call.screen.colors)


def _exit_code(plan: Plan, *, detailed: bool) -> Exit:
    if plan.invalid_streams:
        return Exit.INVALID
    return Exit.CHANGES if detailed and not plan.is_empty else Exit.DONE


def say_what_blocks(screen: Screen, plan: Plan) -> None:
    """Name the streams that can't be applied, and the way out."""
    from nucleus_sync.render.problems import blocked_text

    screen.warn(blocked_text(plan))
