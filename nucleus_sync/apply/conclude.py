"""Turns the outcome of a job into what the ledger may claim: confirmed, rejected, in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import assert_never

from nucleus_sync.api.poller import JobOutcome
from nucleus_sync.api.states import Ending, JobError
from nucleus_sync.apply.image_check import KEPT, Suspect, kept_images
from nucleus_sync.apply.merging import METADATA_JOB
from nucleus_sync.apply.readback import missing_of
from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime, StepFailed, StepTally, noted, records
from nucleus_sync.apply.scene_readback import SCENE_JOBS, missing_scenes
from nucleus_sync.events import JobFinished, RecordRejected
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.ledger.manifest import BatchRow
from nucleus_sync.ledger.rejections import Rejection
from nucleus_sync.plan.steps import Step
from nucleus_sync.records.fingerprint import RAW_SIZE, with_other_image
from nucleus_sync.records.key import annotation_id, as_words, reference_id
from nucleus_sync.records.problem import Where
from nucleus_sync.records.record import Kind
from nucleus_sync.survey.change import CREATE, RESEND, UPDATE, Change

JOB_TYPES = {
    Kind.ITEMS: "uploadDatasetItems",
    Kind.ANNOTATIONS: "uploadAnnotations",
    Kind.PREDICTIONS: "uploadPredictions",
}
"""As Nucleus lists them (docs/wire.md §7.4)."""
_DID = {CREATE: "create", UPDATE: "update", RESEND: "resent"}


@dataclass(frozen=True)
class Sent:
    """A batch that was prepared in the ledger."""

    number: int
    request_id: str
    job_type: str
    dataset_id: str
    does: bytes
    """What is done with each record, in the order of the ledger's rows."""
    rows: Callable[[], Sequence[BatchRow]]
    where: Callable[[bytes], Where]
    model_id: str | None = None
    """Whose predictions they are; None for items and ground truth."""
    suspects: tuple[Suspect, ...] = ()
    """Items whose new image Nucleus may not have taken."""
    uploaded: bool = False
    """Whether the bytes of images were sent, and not their addresses."""

    @cached_property
    def changes(self) -> dict[bytes, Change]:
        """Its records by key; only asked for where not all of them simply went in."""
        return {
            key: Change(place, key, stamp, does, b"")
            for (key, stamp, place), does in zip(self.rows(), self.does, strict=True)
        }


@dataclass(frozen=True)
class Verdict:
    """What a job did with a batch's records: those named are out, those in doubt may be in, the rest is in."""

    state: BatchState
    rejections: tuple[Rejection, ...] = ()
    doubtful: frozenset[bytes] = frozenset()
    problem: str = ""
    instead: tuple[tuple[bytes, bytes], ...] = ()
    """Stamps of refused records of which Nucleus has taken a part."""


async def conclude(runtime: Runtime, step: Step, tally: StepTally, sent: Sent, job_id: str) -> None:
    """Wait for the job, decide, and write it down in one transaction."""
    begun = runtime.clock()
    outcome = await runtime.api.poller.outcome(job_id, JOB_DEADLINE)
    verdict = await judge(runtime, sent, outcome)
    if verdict.state is BatchState.UNKNOWN:
        await noted(runtime.ledger.unknown, sent.number)
        raise StepFailed(verdict.problem, where=step.address, fix="run apply again: it looks after the job first")
    status = outcome.status.raw_state if outcome.status else str(outcome.ending)
    await write_down(runtime, step, tally, sent, verdict, job_id=job_id, status=status, begun=begun)


async def write_down(
    runtime: Runtime,
    step: Step,
    tally: StepTally,
    sent: Sent,
    verdict: Verdict,
    *,
    job_id: str,
    status: str,
    begun: float,
) -> None:
    """Let the ledger and everybody who listens know how a batch ended; `job_id` is empty where there was no job."""
    finish = partial(
        runtime.ledger.finish, rejections=verdict.rejections, doubtful=verdict.doubtful, instead=verdict.instead
    )
    await noted(finish, sent.number, verdict.state)
    done = _count(tally, sent, verdict)
    for rejection in verdict.rejections:
        where = Where(rejection.file, rejection.position)
        runtime.emit(RecordRejected(step.address, as_words(rejection.key), rejection.reason, where))
    runtime.emit(
        JobFinished(step.address, step.id, job_id, status, done, len(verdict.rejections), runtime.clock() - begun)
    )
    if verdict.problem:
        tally.errors.append(verdict.problem)


def _count(tally: StepTally, sent: Sent, verdict: Verdict) -> int:
    """Adds what is confirmed to the tally; how many records that is."""
    out = {rejection.key for rejection in verdict.rejections} | verdict.doubtful
    good: Counter[str] = Counter()
    if verdict.state is not BatchState.FAILED and not out:
        good.update({did: sent.does.count(does) for does, did in _DID.items() if does in sent.does})
    elif verdict.state is not BatchState.FAILED:
        good.update(_DID[change.does] for key, change in sent.changes.items() if key not in out)
    tally.counts.update(good)
    tally.counts["rejected"] += len(verdict.rejections)
    return good.total()


async def judge(runtime: Runtime, sent: Sent, outcome: JobOutcome) -> Verdict:
    """What an outcome means for the records of a batch; new images are read back."""
    verdict = await _judged(runtime, sent, outcome)
    if not sent.suspects or verdict.state not in (BatchState.DONE, BatchState.PARTIAL):
        return verdict
    out = {rejection.key for rejection in verdict.rejections} | verdict.doubtful
    suspects = [one for one in sent.suspects if one.key not in out]
    kept = await kept_images(runtime, sent.dataset_id, suspects, uploaded=sent.uploaded)
    if not kept:
        return verdict
    refused = tuple(rejection(sent, sent.changes[key], KEPT, lacks_item=False) for key in sorted(kept))
    instead = tuple((one.key, with_other_image(one.stamp[RAW_SIZE:], kept[one.key])) for one in refused)
    return replace(verdict, state=BatchState.PARTIAL, rejections=verdict.rejections + refused, instead=instead)


async def _judged(runtime: Runtime, sent: Sent, outcome: JobOutcome) -> Verdict:
    match outcome.ending:
        case Ending.DONE | Ending.PARTIAL if sent.job_type == METADATA_JOB:
            return _merged(sent, outcome)
        case Ending.DONE | Ending.PARTIAL:
            return await _mostly_in(runtime, sent, outcome)
        case Ending.STUCK | Ending.LOST:
            return Verdict(BatchState.UNKNOWN, problem=f"job {outcome.job_id} is {outcome.ending}")
        case Ending.FAILED | Ending.SERVER_FAULT | Ending.BAD_INPUT:
            return _failed(sent, outcome)
        case Ending.CANCELLED | Ending.HANGING | Ending.RETRIED:
            return _failed(sent, outcome)
        case _:
            assert_never(outcome.ending)


async def _mostly_in(runtime: Runtime, sent: Sent, outcome: JobOutcome) -> Verdict:
    """Named records are rejected. Where the names don't account for all that failed, Nucleus is read back."""
    rejections, unmatched = matched(sent, outcome.errors)
    told = {rejection.key for rejection in rejections}
    failed = (outcome.counts.errored if outcome.counts else None) or 0
    accounted = outcome.errors_complete and not unmatched and failed <= len(told)
    if outcome.ending is Ending.PARTIAL and not told:
        accounted = False
    if sent.job_type in SCENE_JOBS and outcome.counts and outcome.counts.ignored:
        accounted = False  # a scene of another structure is passed over without an error (docs/wire.md §6.2)
    doubtful: frozenset[bytes] = frozenset()
    if not accounted:
        rest = [change for key, change in sent.changes.items() if key not in told]
        if sent.job_type in SCENE_JOBS:
            missing, doubtful = await missing_scenes(runtime, sent.dataset_id, rest)
        else:
            missing, doubtful = await missing_of(runtime, sent.dataset_id, rest, sent.model_id)
        rejections += [
            rejection(sent, change, _reason(change, unmatched, outcome), lacks_item=False) for change in missing
        ]
    state = BatchState.PARTIAL if rejections or doubtful else BatchState.DONE
    problem = f"{records(len(doubtful))} could not be verified: sent again by the next apply" if doubtful else ""
    return Verdict(state, tuple(rejections), doubtful, problem)


def _merged(sent: Sent, outcome: JobOutcome) -> Verdict:
    """What became of a merge of metadata, whose message nobody has described: all errors must name a record.

    An item that is gone is no reason to refuse its record: it is sent whole by the next apply.
    """
    rejections, unmatched = matched(sent, outcome.errors)
    gone = {rejection.key for rejection in rejections if rejection.lacks_item}
    rejections = [rejection for rejection in rejections if rejection.key not in gone]
    told = gone.union(rejection.key for rejection in rejections)
    accounted = outcome.errors_complete and not unmatched and (outcome.ending is Ending.DONE or told)
    doubtful = frozenset(gone if accounted else sent.changes.keys() - {one.key for one in rejections})
    if not doubtful:
        return Verdict(BatchState.PARTIAL if rejections else BatchState.DONE, tuple(rejections))
    problem = f"{records(len(doubtful))} not merged: sent whole by the next apply"
    return Verdict(BatchState.PARTIAL, tuple(rejections), doubtful, problem)


def _reason(change: Change, unmatched: Sequence[JobError], outcome: JobOutcome) -> str:
    """The error that names a record's reference id in its text, or else the first one."""
    reference = reference_id(change.key)
    said = next((error.text for error in unmatched if reference in error.text), None)
    return said or (unmatched[0].text if unmatched else outcome.text or "Nucleus doesn't hold it after its job")


def _failed(sent: Sent, outcome: JobOutcome) -> Verdict:
    """The job as a whole failed: what it took all the same is in doubt, and is sent again."""
    rejections, unmatched = matched(sent, outcome.errors)
    texts = [error.text for error in (unmatched or outcome.errors)][:3]
    said = "; ".join(dict.fromkeys([outcome.text, *texts]) if outcome.text else texts) or "no reason was given"
    told = frozenset(rejection.key for rejection in rejections)
    return Verdict(
        BatchState.FAILED,
        tuple(rejections),
        frozenset(sent.changes) - told,
        f"job {outcome.job_id} ended as {outcome.status.raw_state if outcome.status else outcome.ending}: {said}",
    )


def matched(sent: Sent, errors: Sequence[JobError]) -> tuple[list[Rejection], list[JobError]]:
    """Errors joined with the records that they speak of, by their ids; and those that name no record of ours."""
    if not errors:
        return [], []
    by_ids: dict[tuple[str, str | None], list[Change]] = {}
    by_item: dict[str, list[Change]] = {}
    for key, change in sent.changes.items():
        reference = reference_id(key)
        by_ids.setdefault((reference, annotation_id(key)), []).append(change)
        by_item.setdefault(reference, []).append(change)
    rejections: dict[bytes, Rejection] = {}
    unmatched = []
    for error in errors:
        reference = error.reference_id or ""
        found = by_ids.get((reference, error.annotation_id), [])
        if not found and error.annotation_id is None:
            of_item = by_item.get(reference, [])
            found = of_item if error.lacks_item or len(of_item) == 1 else _item_named(error.text, by_item)
        for change in found:
            rejections[change.key] = rejection(sent, change, error.text, lacks_item=error.lacks_item)
        if not found:
            unmatched.append(error)
    return list(rejections.values()), unmatched


def _item_named(text: str, by_item: Mapping[str, list[Change]]) -> list[Change]:
    """The record of the item with which a plain text begins: `Item street/1.jpg: can't be read`."""
    words = text.removeprefix("Item ")
    end = words.find(": ") if words != text else -1
    while end >= 0:
        found = by_item.get(words[:end], [])
        if found:
            return found if len(found) == 1 else []
        end = words.find(": ", end + 1)
    return []


def rejection(sent: Sent, change: Change, reason: str, *, lacks_item: bool) -> Rejection:
    """A refused record with its place in the source."""
    where = sent.where(change.place)
    return Rejection(change.key, change.stamp, reason, where.file, where.position, lacks_item)
