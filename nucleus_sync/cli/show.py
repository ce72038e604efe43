"""`show`: prints a saved plan; touches neither spec, sources, ledger nor Nucleus."""

from __future__ import annotations

import click

from nucleus_sync.cli.call import Call, place_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import UsageError


@click.command("show", cls=Command)
@click.argument("plan_file", metavar="PLAN")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), help="Default: text.")
@place_flags
def command(plan_file: str, form: str | None) -> None:
    """Print a saved plan; touch nothing else, so that a stale one can be read, too."""
    from nucleus_sync.cli.plan import plan_in
    from nucleus_sync.cli.saved import read

    call = Call.current()
    if call.screen.json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other", fix="leave out one of them")
    chosen = form or ("json" if call.screen.json else "text")
    call.screen.answer(plan_in(chosen, read(call.path(plan_file)), call, 0))
