"""`resolve`: decides a creation of which nobody can tell whether it took place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import Undecided, UsageError

if TYPE_CHECKING:
    from nucleus_sync.workspace import Workspace


@click.command("resolve", cls=Command)
@click.argument("address")
@click.option("--adopt", metavar="ID", help="It took place, and this is what it made.")
@click.option("--retry", is_flag=True, help="It did not take place: the next apply creates it.")
@click.option("--forget", is_flag=True, help="Forget it with all that the ledger has beneath its address.")
@global_flags
def command(address: str, adopt: str | None, retry: bool, forget: bool) -> None:
    """Decide what became of a creation whose answer was lost (exit 8); without a flag, show what it may have made."""
    call = Call.current()
    if (adopt is not None) + retry + forget > 1:
        raise UsageError("--adopt, --retry and --forget exclude each other", fix="say one of them")
    with call.workspace() as space:
        if adopt is not None:
            values = _adopted(call, space, address, adopt)
        elif retry or forget:
            values = _dropped(space, address, forget=forget)
        else:
            from nucleus_sync import upkeep

            raise Undecided(address, upkeep.candidates_of(space, address, call.note))
    _answer(call, values)


def _adopted(call: Call, space: Workspace, address: str, nucleus_id: str) -> dict[str, Any]:
    from nucleus_sync import upkeep

    upkeep.resolve(space, address, nucleus_id, call.note)
    return {"address": address, "decision": "adopted", "nucleus_id": nucleus_id}


def _dropped(space: Workspace, address: str, *, forget: bool) -> dict[str, Any]:
    from nucleus_sync import upkeep

    upkeep.drop_creation(space, address, forget=forget)
    return {"address": address, "decision": "forgotten" if forget else "retried", "nucleus_id": None}


_SAID = {
    "adopted": "{address} is {nucleus_id}.",
    "retried": "{address} was not created; the next apply creates it.",
    "forgotten": "{address} is forgotten; whatever is at Nucleus is left alone.",
}


def _answer(call: Call, values: dict[str, Any]) -> None:
    from nucleus_sync.render.json import document
    from nucleus_sync.render.text import visible

    text = _SAID[values["decision"]].format(**{name: visible(str(value)) for name, value in values.items()})
    call.screen.answer(document({"format_version": 1, **values}) if call.screen.json else text + "\n")
