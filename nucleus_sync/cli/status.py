"""`status`: what the ledger knows: resources, streams, jobs, evaluations, the last runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import UsageError

if TYPE_CHECKING:
    from nucleus_sync.ledger.batches import Batch
    from nucleus_sync.ledger.ledger import Ledger

_ENDED_BADLY = ("failed", "partial", "settled")
_BATCHES_LOOKED_AT = 100
_RUNS_SHOWN = 5


@click.command("status", cls=Command)
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), help="Default: text.")
@global_flags
def command(form: str | None) -> None:
    """Show resources, streams, counts, jobs, evaluations and the last runs, from the ledger alone."""
    from nucleus_sync.render.json import document
    from nucleus_sync.render.status import status_markdown, status_text

    call = Call.current()
    if call.screen.json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other", fix="leave out one of them")
    with call.workspace() as space:
        values = status_values(space.read_ledger())
    match form or ("json" if call.screen.json else "text"):
        case "json":
            call.screen.answer(document(values))
        case "markdown":
            call.screen.answer(status_markdown(values))
        case _:
            call.screen.answer(status_text(values, call.screen.colors))


def status_values(ledger: Ledger) -> dict[str, Any]:
    """The document of `status --json`."""
    evaluations = ledger.resources("evaluation")
    return {
        "format_version": 1,
        "ledger": {"lineage": ledger.lineage, "serial": ledger.serial, "path": str(ledger.path or "")},
        "resources": [
            {"address": one.address, "kind": one.kind, "nucleus_id": one.nucleus_id} for one in ledger.resources()
        ],
        "streams": [
            {
                "address": one.address,
                "confirmed": one.count,
                "unsure": one.maybes,
                "rejected": ledger.rejected_count(one.address),
                "invalid": one.invalid,
                "findings": one.findings,
            }
            for one in ledger.streams()
        ],
        "undecided": [{"address": one.address, "begun_at": moment(one.begun_at)} for one in ledger.creations()],
        "running": [_job(batch) for batch in ledger.open_batches()],
        "failed": [_job(one) for one in ledger.batches(_BATCHES_LOOKED_AT) if one.state in _ENDED_BADLY],
        "evaluations": [
            {
                "address": one.address,
                "at": moment(results[0].at),
                "metrics": results[0].result,
                "previous": results[1].result if len(results) > 1 else None,
            }
            for one in evaluations
            if (results := ledger.results(one.address, limit=2))
        ],
        "runs": [
            {
                "command": run.command,
                "started_at": moment(run.started_at),
                "finished_at": moment(run.finished_at),
                "exit_code": run.exit_code,
                "counts": run.counts,
            }
            for run in ledger.runs(_RUNS_SHOWN)
        ],
    }


def _job(batch: Batch) -> dict[str, Any]:
    return {
        "batch": batch.id,
        "address": batch.address,
        "operation": str(batch.operation),
        "state": str(batch.state),
        "job_id": batch.job_id,
        "records": batch.records,
        "confirmed": batch.confirmed,
        "rejected": batch.rejected,
        "prepared_at": moment(batch.prepared_at),
        "finished_at": moment(batch.finished_at),
    }


def moment(at: float | None) -> str | None:
    """A time as JSON has it, in UTC and whole seconds."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
