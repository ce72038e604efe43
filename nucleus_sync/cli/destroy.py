"""`destroy`: deletes at Nucleus what the ledger has made there, after asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command

if TYPE_CHECKING:
    from nucleus_sync.upkeep import Destruction


@click.command("destroy", cls=Command)
@click.option("--target", "targets", metavar="ADDRESS", multiple=True, help="Only this; repeatable.")
@click.option("-y", "--auto-approve", is_flag=True, help="Do not ask.")
@click.option("--include-imported", is_flag=True, help="Delete also what somebody else made and was imported.")
@click.option("--allow-deletes", is_flag=True, help="Delete datasets even with items that somebody else put there.")
@global_flags
def command(targets: tuple[str, ...], auto_approve: bool, include_imported: bool, allow_deletes: bool) -> None:
    """Delete at Nucleus what this ledger has made there, and forget it; the sources stay as they are.

    Evaluations go first, then slices, models and datasets. Asks first; only the whole word yes is taken for it.
    """
    from nucleus_sync import upkeep
    from nucleus_sync.render.destruction import destroyed_text, destruction_text
    from nucleus_sync.render.json import document

    call = Call.current()

    def approve(destruction: Destruction) -> None:
        text = destruction_text(values_of(destruction), call.screen.aside_colors)
        call.screen.warn(text) if call.screen.json else call.screen.answer(text)
        if destruction.doomed and not auto_approve:
            from nucleus_sync.cli.apply import ask

            ask(call.screen, "destroy")

    with call.workspace() as space:
        destruction = upkeep.destroy(
            space,
            call.note,
            targets=targets,
            include_imported=include_imported,
            allow_deletes=allow_deletes,
            approve=approve,
        )
    values = values_of(destruction)
    call.screen.answer(document(values) if call.screen.json else destroyed_text(values, call.screen.colors))


def values_of(destruction: Destruction) -> dict[str, Any]:
    """The document of `destroy --json`."""
    return {
        "format_version": 1,
        "destroyed": [
            {"address": one.address, "nucleus_id": one.nucleus_id, "records": dict(one.records)}
            for one in destruction.doomed
        ],
        "kept": list(destruction.kept),
    }
