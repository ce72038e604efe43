"""Sends predictions that belong to no run: a synchronous call whose answer is the outcome."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from nucleus_sync.apply.conclude import Sent, Verdict, rejection
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import ApiError
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.records.key import annotation_id, reference_id

MOST_RECORDS = 5_000
"""In one call, as the official SDK has it: Nucleus gives up on any call after a minute."""
MOST_BYTES = 16 * 1024**2


async def send_at_once(runtime: Runtime, sent: Sent, path: Path, model_id: str) -> Verdict:
    """One call; where not every record was taken, the items are read back to see which were."""
    lines = await asyncio.to_thread(path.read_bytes)
    records: list[dict[str, Any]] = [msgspec.json.decode(line) for line in lines.splitlines()]
    # A reference id alone could be that of an item in another dataset.
    stamped = [{**record, "dataset_id": sent.dataset_id} for record in records]
    tally = await runtime.api.predictions.upload_without_run(model_id, stamped)
    if tally.predictions_processed + tally.predictions_ignored == len(records):
        return Verdict(BatchState.DONE)
    held = await _held(runtime, model_id, sorted({str(record["reference_id"]) for record in records}))
    reason = (tally.errors or ["Nucleus doesn't hold it after it was sent"])[0]
    refused = [
        rejection(sent, change, reason, lacks_item=False)
        for key, change in sent.changes.items()
        if (reference_id(key), annotation_id(key)) not in held
    ]
    return Verdict(BatchState.PARTIAL if refused else BatchState.DONE, tuple(refused))


async def _held(runtime: Runtime, model_id: str, references: list[str]) -> set[tuple[str, str | None]]:
    held: set[tuple[str, str | None]] = set()
    for reference in references:
        try:
            found = await runtime.api.predictions.without_run_on_item(model_id, reference)
        except ApiError:
            continue
        held |= {(reference, record.get("annotation_id")) for record in found}
    return held
