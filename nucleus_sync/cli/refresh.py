"""`refresh`: compares the ledger with Nucleus, reports drift, and with --write lets the next plan repair it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import Exit

if TYPE_CHECKING:
    from nucleus_sync.refresh.report import Report
    from nucleus_sync.workspace import Workspace


@click.command("refresh", cls=Command)
@click.option("--target", "targets", metavar="ADDRESS", multiple=True, help="Only this address; repeatable.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Only N items of each dataset, at random.")
@click.option("--write", is_flag=True, help="Take what Nucleus holds for known, so that the next plan repairs it.")
@click.option("--records", metavar="FILE", help="Write every difference as JSON Lines; - is stdout.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when anything differs.")
@global_flags
def command(
    targets: tuple[str, ...], sample: int | None, write: bool, records: str | None, detailed_exitcode: bool
) -> int:
    """Read back what Nucleus holds and name what somebody else changed, deleted or added.

    Sends nothing that changes Nucleus. What can't be read back is said, never claimed.
    """
    from nucleus_sync.cli.json_lines import write_records
    from nucleus_sync.render.drift import drift_text
    from nucleus_sync.render.json import document

    call = Call.current()
    with call.workspace() as space:
        report = looked_at(call, space, targets, sample, write=write)
        code = Exit.CHANGES if detailed_exitcode and report.drift else Exit.DONE
        values = {**report.values(), "exit_code": int(code)}
        if records is not None:
            write_records(call, report.lines(), records)
    if records != "-":
        call.screen.answer(document(values) if call.screen.json else drift_text(values, call.screen.colors))
    return int(code)


def looked_at(
    call: Call, space: Workspace, targets: tuple[str, ...], sample: int | None = None, *, write: bool
) -> Report:
    """A look at Nucleus, with progress on stderr."""
    from nucleus_sync import upkeep
    from nucleus_sync.cli.progress import show_progress

    with show_progress(call.screen) as progress:
        look = upkeep.refresh if write else upkeep.look
        return look(space, progress.show, targets=targets, sample=sample)
