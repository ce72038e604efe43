"""Sends painted masks ten at a time: the answer is the outcome, and there is no job."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from nucleus_sync.api.states import parsed_error
from nucleus_sync.api.uploads import LocalMask
from nucleus_sync.api.wire import UploadTally
from nucleus_sync.apply.conclude import Sent, Verdict, matched, rejection, write_down
from nucleus_sync.apply.readback import missing_of
from nucleus_sync.apply.runtime import Runtime, StepTally
from nucleus_sync.errors import ApiError, OutcomeUnknown
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.plan.steps import Step
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.sources.paint import write_png
from nucleus_sync.spool import Row

MASKS_PER_REQUEST = 10
"""Nucleus takes no more files in one multipart request (docs/wire.md §1.6)."""


@dataclass(frozen=True, slots=True)
class MaskBatch:
    """Painted masks that go up in one multipart request; their PNGs lie in the scratch folder."""

    rows: list[Row]
    masks: list[LocalMask]

    def add(self, row: Row, mask: LocalMask) -> None:
        """One more."""
        self.rows.append(row)
        self.masks.append(mask)

    @property
    def size(self) -> int:
        """Bytes of the PNGs."""
        return sum(mask.size for mask in self.masks)

    def discard(self) -> None:
        """Give the disk space back."""
        for mask in self.masks:
            Path(mask.path).unlink(missing_ok=True)


def written(record: PaintedMask, scratch: Path) -> LocalMask:
    """The mask as a PNG in the scratch folder."""
    with tempfile.NamedTemporaryFile(dir=scratch, suffix=".png", delete=False) as file:
        path = Path(file.name)
    return LocalMask(mask=record.mask, path=str(path), size=write_png(record, path))


async def deliver_masks(
    runtime: Runtime, step: Step, tally: StepTally, sent: Sent, masks: list[LocalMask], run_id: str | None
) -> None:
    """Upload, predicted ones into the named run if there is one, and write down what the answer says.

    Raises ApiError where there was none.
    """
    begun = runtime.clock()
    uploads, dataset_id = runtime.api.uploads, sent.dataset_id
    try:
        if sent.model_id is None:
            answer = await uploads.masks(dataset_id, masks)
        elif run_id is not None:
            answer = await uploads.predicted_run_masks(dataset_id, run_id, masks)
        else:
            answer = await uploads.predicted_masks(dataset_id, sent.model_id, masks)
    except OutcomeUnknown:
        # The same masks once more change nothing: the next plan finds them in doubt, and sends them again.
        runtime.ledger.unknown(sent.number)
        runtime.ledger.finish(sent.number, BatchState.SETTLED)
        raise
    except ApiError:
        runtime.ledger.finish(sent.number, BatchState.FAILED, doubtful=())
        raise
    verdict = await judge_answer(runtime, sent, answer)
    await write_down(runtime, step, tally, sent, verdict, job_id="", status="answered", begun=begun)


async def judge_answer(runtime: Runtime, sent: Sent, answer: UploadTally) -> Verdict:
    """What a count of processed records means; where it isn't all of them and no error says why, Nucleus is read."""
    processed = answer.annotations_processed + answer.predictions_processed
    errors = [parsed_error(text) for text in answer.errors or ()]
    if processed == len(sent.does) and not errors:
        return Verdict(BatchState.DONE)
    rejections, unmatched = matched(sent, errors)
    told = {each.key for each in rejections}
    doubtful: frozenset[bytes] = frozenset()
    if unmatched or processed + len(told) < len(sent.does):
        rest = [change for key, change in sent.changes.items() if key not in told]
        missing, doubtful = await missing_of(runtime, sent.dataset_id, rest, sent.model_id)
        reason = unmatched[0].text if unmatched else "Nucleus doesn't hold it after the upload"
        rejections += [rejection(sent, change, reason, lacks_item=False) for change in missing]
    state = BatchState.PARTIAL if rejections or doubtful else BatchState.DONE
    problem = f"{len(doubtful):,} masks could not be verified; the next apply sends them again" if doubtful else ""
    return Verdict(state, tuple(rejections), doubtful, problem)
