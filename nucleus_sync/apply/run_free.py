"""Sends predictions that belong to no run: a synchronous call whose answer is the outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from nucleus_sync.api.states import parsed_error
from nucleus_sync.apply.batches import LineBatch
from nucleus_sync.apply.conclude import Sent, Verdict, matched, rejection
from nucleus_sync.apply.readback import missing_of
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.ledger.journal import BatchState

MOST_RECORDS = 5_000
"""In one call, as the official SDK has it: Nucleus gives up on any call after a minute."""
MOST_BYTES = 16 * 1024**2


async def send_at_once(runtime: Runtime, sent: Sent, batch: LineBatch, model_id: str) -> Verdict:
    """One call; where not every record was taken, the items are read back to see which were."""
    lines = await asyncio.to_thread(list, batch.lines())
    records: list[dict[str, Any]] = [msgspec.json.decode(line) for line in lines]
    # A reference id alone could be that of an item in another dataset.
    stamped = [{**record, "dataset_id": sent.dataset_id} for record in records]
    tally = await runtime.api.predictions.upload_without_run(model_id, stamped)
    errors = [parsed_error(text) for text in tally.errors or ()]
    rejections, unmatched = matched(sent, errors)
    told = {each.key for each in rejections}
    if tally.predictions_processed + tally.predictions_ignored + len(told) >= len(records) and not unmatched:
        return Verdict(BatchState.PARTIAL if rejections else BatchState.DONE, tuple(rejections))
    rest = [change for key, change in sent.changes.items() if key not in told]
    missing, doubtful = await missing_of(runtime, sent.dataset_id, rest, model_id, run_free=True)
    reason = unmatched[0].text if unmatched else "Nucleus doesn't hold it after it was sent"
    rejections += [rejection(sent, change, reason, lacks_item=False) for change in missing]
    state = BatchState.PARTIAL if rejections or doubtful else BatchState.DONE
    problem = (
        f"{len(doubtful):,} predictions could not be verified; the next apply sends them again" if doubtful else ""
    )
    return Verdict(state, tuple(rejections), doubtful, problem)
