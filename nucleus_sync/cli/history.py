"""`history`: the commands that changed something, newest first, from the ledger alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.cli.status import moment

if TYPE_CHECKING:
    from nucleus_sync.ledger.history import Run


@click.command("history", cls=Command)
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs.")
@global_flags
def command(limit: int) -> None:
    """Show the last runs: when, what, how each ended, and what it did."""
    from nucleus_sync.render.json import document
    from nucleus_sync.render.state import history_text

    call = Call.current()
    with call.workspace() as space:
        values = {"format_version": 1, "runs": [run_values(run) for run in space.read_ledger().runs(limit)]}
    call.screen.answer(document(values) if call.screen.json else history_text(values, call.screen.colors))


def run_values(run: Run) -> dict[str, Any]:
    """One run of the document; `finished_at` is null while it runs, and for ever when it died."""
    return {
        "id": run.id,
        "command": run.command,
        "plan_digest": run.plan_digest,
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
        "exit_code": run.exit_code,
        "counts": run.counts,
    }
