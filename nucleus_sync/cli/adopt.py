"""`import`: takes over a dataset or model that exists already, with what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command

if TYPE_CHECKING:
    from nucleus_sync.refresh.report import Report


@click.command("import", cls=Command)
@click.argument("address")
@click.argument("nucleus_id", metavar="ID")
@click.option("--no-refresh", is_flag=True, help="Only the thing itself, not what is in it.")
@global_flags
def command(address: str, nucleus_id: str, no_refresh: bool) -> None:
    """Take over a dataset (dataset.NAME ds_…) or model (model.NAME prj_…) that exists, with all that is in it.

    Nothing is sent. What the sources have just so needs no upload then; what they don't have is known, so that prune
    deletes it where the spec says prune. destroy leaves alone what was imported.
    """
    from nucleus_sync import upkeep
    from nucleus_sync.cli.progress import show_progress
    from nucleus_sync.render.drift import adopted_text
    from nucleus_sync.render.json import document

    call = Call.current()
    with call.workspace() as space:
        with show_progress(call.screen) as progress:
            report = upkeep.adopt(space, address, nucleus_id, progress.show, with_records=not no_refresh)
        values = adopted_values(address, nucleus_id, report)
    call.screen.answer(document(values) if call.screen.json else adopted_text(values))


def adopted_values(address: str, nucleus_id: str, report: Report | None) -> dict[str, Any]:
    """The document of `import --json`: how many records were found and are known now."""
    return {
        "format_version": 1,
        "address": address,
        "nucleus_id": nucleus_id,
        "streams": report.values()["streams"] if report else [],
        "remarks": report.values()["remarks"] if report else [],
    }
