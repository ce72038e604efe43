"""Sends the changed records of one stream as asynchronous jobs and confirms them one job at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter

from nucleus_sync.apply.anew import delete_first
from nucleus_sync.apply.batches import Batch, Cutter, LineBatch, PhotoBatch, without
from nucleus_sync.apply.conclude import JOB_TYPES, Sent, conclude, write_down
from nucleus_sync.apply.held_metadata import with_held
from nucleus_sync.apply.image_check import Suspect, suspect
from nucleus_sync.apply.lost import send_until_known
from nucleus_sync.apply.masks import MaskBatch, deliver_masks
from nucleus_sync.apply.merging import METADATA_JOB, MetadataBatch
from nucleus_sync.apply.run_free import MOST_BYTES, MOST_RECORDS, send_at_once
from nucleus_sync.apply.runtime import Runtime, StepFailed, StepTally, Together, noted
from nucleus_sync.apply.scene_categories import as_scene_categories
from nucleus_sync.apply.staging import stage
from nucleus_sync.apply.target import Target, target_of
from nucleus_sync.errors import ApiError, OutcomeUnknown, SourceError
from nucleus_sync.events import JobSubmitted
from nucleus_sync.ledger.batches import NewBatch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.ledger.manifest import Manifest
from nucleus_sync.plan.steps import Step
from nucleus_sync.records.fingerprint import LOOK_AGAIN
from nucleus_sync.records.problem import Where
from nucleus_sync.records.record import Kind
from nucleus_sync.spool import Row
from nucleus_sync.survey.change import CREATE, Change
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.metadata_names import remember_names

_key = itemgetter(1)
_BEFORE = Change._fields.index("before")
_PHOTO_UPLOADS = 16
_PHOTO_JOBS = 256
"""Requests of ten images in flight, and their jobs that may be open: each is a small thing for both sides."""


async def ingest(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """Cut, send, wait and confirm until nothing is left; several batches are in flight at once."""
    changes = runtime.changes[step.address]
    settings = runtime.spec.settings
    target = await target_of(runtime, step.address)
    most_bytes, most_records = settings.batch.max_bytes, settings.batch.max_records
    if target.is_run_free:
        most_bytes, most_records = min(most_bytes, MOST_BYTES), min(most_records, MOST_RECORDS)
    leave_out = runtime.confirmed_early[step.address]
    cutter = Cutter(changes, runtime.scratch, most_bytes, most_records, leave_out)
    sender = _Sender(runtime, step, tally, target, settings.concurrency)
    remember_types(runtime, changes)
    await sender.send_all(cutter.batches())


def remember_types(runtime: Runtime, changes: ChangeSet) -> None:
    """Metadata keys and their types are remembered before they are sent: Nucleus may have seen them if we crash."""
    if changes.metadata_types:
        runtime.ledger.add_metadata_types(changes.address, changes.metadata_types)
    remember_names(runtime.ledger, changes)


async def probe(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """One item of every source whose images Nucleus has to read: wrong permissions show in seconds."""
    changes = runtime.changes[step.address]
    remember_types(runtime, changes)
    for source in step.wanted["sources"]:
        change = changes.remote[source]
        single = _only(changes, change.key)
        sender = _Sender(runtime, step, tally, await target_of(runtime, step.address), 1, operation="probe")
        await sender.send_all(Cutter(single, runtime.scratch, 1 << 29, 1).batches())
        if tally.errors or tally.counts["rejected"]:
            raise StepFailed(
                f"Nucleus can't take the first image of source {source}; nothing else of it was sent",
                where=step.address,
                fix="check that Nucleus may read the bucket or URL: nucleus-sync errors shows what it said",
            )
        runtime.confirmed_early[step.address].add(change.key)


def _only(changes: ChangeSet, key: bytes) -> ChangeSet:
    single = changes.without_rows()
    for row in changes.sent:
        if row[1] == key:
            single.sent.add(row)
            break
    return single


def _job_type_of(batch: Batch, target: Target) -> str:
    match batch:
        case MaskBatch():
            return ""
        case MetadataBatch():
            return METADATA_JOB
        case _:
            return target.job_type


def _suspect(row: Row) -> Suspect | None:
    """An item that is made anew was deleted before; all others that are known are updated."""
    if not row[_BEFORE]:  # new, as a first apply's items are by the million
        return None
    change = Change(*row)
    is_known = change.does != CREATE or not any(change.before)
    return suspect(change.key, change.place, change.stamp, LOOK_AGAIN + change.before) if is_known else None


@dataclass(frozen=True)
class _Intent:
    """A batch as it is written down before its first byte leaves, and what concluding it takes beside that."""

    batch: NewBatch
    does: bytes
    suspects: tuple[Suspect, ...]
    where: Callable[[bytes], Where]


@dataclass
class _Sender:
    runtime: Runtime
    step: Step
    tally: StepTally
    target: Target
    concurrency: int
    operation: str = "ingest"
    _bulk: asyncio.Semaphore = field(init=False)
    _uploads: asyncio.Semaphore = field(init=False)
    _photos: asyncio.Semaphore = field(init=False)
    _unpacked: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._bulk = asyncio.Semaphore(self.concurrency)
        self._uploads = asyncio.Semaphore(max(self.concurrency, _PHOTO_UPLOADS))
        self._photos = asyncio.Semaphore(_PHOTO_JOBS)
        # The rows of a batch take 30 MB until they are packed for its intent: the next one is cut after that.
        self._unpacked = asyncio.Semaphore(1)

    async def send_all(self, batches: Iterator[Batch]) -> None:
        """The next batch is only cut once there is room for it."""
        async with Together() as group:
            async for batch in self._when_there_is_room(batches):
                group.create_task(self._send(batch))

    async def _when_there_is_room(self, batches: Iterator[Batch]):  # type: ignore[no-untyped-def]
        while True:
            await self._unpacked.acquire()
            async with self._bulk:
                batch = await asyncio.to_thread(next, batches, None)
            if batch is None:
                return
            if not self._is_written_first(batch):
                self._unpacked.release()
            room = self._photos if isinstance(batch, PhotoBatch) else self._bulk
            await room.acquire()
            yield batch

    def _is_written_first(self, batch: Batch) -> bool:
        """Whether its intent comes before all else that is asked of Nucleus for it."""
        changes = self.runtime.changes[self.step.address]
        return isinstance(batch, LineBatch) and not (batch.staged or changes.merges or changes.made_anew)

    async def _send(self, batch: Batch) -> None:
        room = self._photos if isinstance(batch, PhotoBatch) else self._bulk
        turn = ExitStack()
        if self._is_written_first(batch):
            turn.callback(self._unpacked.release)
        try:
            if isinstance(batch, LineBatch | PhotoBatch):
                changes = self.runtime.changes[self.step.address]
                batch = await with_held(self.runtime, self.target.dataset_id, changes, batch)
                batch = await self._with_deleted(batch)
            if batch.rows:
                await self._deliver(batch, turn.close)
        except (ApiError, SourceError, StepFailed) as error:
            # Of this batch only: those in flight beside it go on.
            self.tally.errors.append(str(error))
        finally:
            turn.close()
            batch.discard()
            room.release()

    async def _with_deleted(self, batch: LineBatch | PhotoBatch) -> LineBatch | PhotoBatch:
        """Deletes the items that are made anew; what is still there then is left out."""
        changes = self.runtime.changes[self.step.address]
        if changes.kind is not Kind.ITEMS or not changes.made_anew:
            return batch
        keys = changes.made_anew.intersection(row[1] for row in batch.rows)
        left = await delete_first(self.runtime, self.step, self.tally, sorted(keys))
        return without(batch, left, self.runtime.scratch) if left else batch

    async def _deliver(self, batch: Batch, packed: Callable[[], None]) -> None:
        """Raises ApiError and its like for this batch alone; `packed` is called once its rows take little room."""
        if isinstance(batch, LineBatch) and batch.staged:
            await stage(self.runtime, self.target.declared.sources, batch.staged)
        if isinstance(batch, LineBatch) and self.target.holds_categories_of_scenes:
            batch = await asyncio.to_thread(as_scene_categories, batch, self._is_scene, self.runtime.scratch)
        intent = await asyncio.to_thread(self._intent, batch, _job_type_of(batch, self.target))
        packed()
        sent = self._sent(intent, await noted(self.runtime.ledger.prepare, intent.batch))
        if isinstance(batch, MaskBatch):
            await deliver_masks(self.runtime, self.step, self.tally, sent, batch.masks, self.target.run_id)
            return
        if self.target.is_run_free:
            await self._deliver_at_once(batch, sent)
            return
        try:
            job_id = await send_until_known(
                self.runtime, sent.dataset_id, sent.job_type, lambda: self._upload(batch, sent.request_id)
            )
        except OutcomeUnknown:
            await noted(self.runtime.ledger.unknown, sent.number)
            raise
        except ApiError:
            await noted(partial(self.runtime.ledger.finish, doubtful=()), sent.number, BatchState.FAILED)
            raise
        await noted(self.runtime.ledger.submitted, sent.number, job_id)
        self.runtime.emit(JobSubmitted(self.step.address, self.step.id, job_id, len(sent.does), batch.size))
        await conclude(self.runtime, self.step, self.tally, sent, job_id)

    def _is_scene(self, reference_id: bytes) -> bool:
        return self.runtime.ledger.stamp(self.target.declared.items_address, reference_id) is not None

    async def _deliver_at_once(self, batch: Batch, sent: Sent) -> None:
        assert isinstance(batch, LineBatch)  # noqa: S101  (predictions have no photos)
        assert self.target.model_id is not None  # noqa: S101  (predictions belong to a model)
        begun = self.runtime.clock()
        try:
            verdict = await send_at_once(self.runtime, sent, batch, self.target.model_id)
        except ApiError:
            # Part of it may have been taken: all of it is in doubt, and sent again under the same keys.
            await noted(self.runtime.ledger.unknown, sent.number)
            await noted(self.runtime.ledger.finish, sent.number, BatchState.SETTLED)
            raise
        await write_down(self.runtime, self.step, self.tally, sent, verdict, job_id="", status="answered", begun=begun)

    def _intent(self, batch: Batch, job_type: str) -> _Intent:
        """What is about to be sent; no `job_type` where the answer will be the outcome. The batch loses its rows."""
        changes = batch.rows
        stream = self.runtime.changes[self.step.address].stream
        assert stream is not None  # noqa: S101  (its changes come from it)
        changes.sort(key=_key)
        places, keys, stamps = [row[0] for row in changes], [row[1] for row in changes], [row[2] for row in changes]
        uploaded = {"uploaded": True} if isinstance(batch, PhotoBatch) else {}
        new = NewBatch(
            address=self.step.address,
            operation=self.operation,
            request_id=self.runtime.new_id(),
            job_type=job_type,
            rows=Manifest.of_columns(keys, stamps, places),
            sources=sorted({stream.source_of(bytes([source])) for source in set(map(itemgetter(0), places))}),
            details={"dataset_id": self.target.dataset_id, **uploaded},
        )
        suspects = filter(None, map(_suspect, changes)) if job_type == JOB_TYPES[Kind.ITEMS] else ()
        intent = _Intent(new, bytes([row[3] for row in changes]), tuple(suspects), stream.where)
        changes.clear()  # from here on they are in the ledger, and only looked up where something went wrong
        return intent

    def _sent(self, intent: _Intent, number: int) -> Sent:
        return Sent(
            number,
            intent.batch.request_id,
            intent.batch.job_type,
            self.target.dataset_id,
            intent.does,
            partial(self.runtime.ledger.rows, number),
            intent.where,
            self.target.model_id,
            intent.suspects,
            bool(intent.batch.details.get("uploaded")),
        )

    async def _upload(self, batch: PhotoBatch | LineBatch | MetadataBatch, request_id: str) -> str:
        uploads, dataset_id = self.runtime.api.uploads, self.target.dataset_id
        match batch:
            case MetadataBatch():
                return (await self.runtime.api.items.start_metadata_merge(dataset_id, batch.metadata)).job_id
            case PhotoBatch():
                async with self._uploads:
                    return (await uploads.images(dataset_id, batch.items, True)).job_id
            case LineBatch():
                await uploads.ndjson(dataset_id, batch.pieces, request_id)
                return await self._trigger(request_id)

    async def _trigger(self, request_id: str) -> str:
        uploads, dataset_id = self.runtime.api.uploads, self.target.dataset_id
        match self.target.declared.kind:
            case Kind.ITEMS:
                job = await uploads.trigger_items(dataset_id, request_id, True)
            case Kind.SCENES if self.target.dataset_kind == "lidar":
                job = await uploads.trigger_lidar_scenes(dataset_id, request_id, True)
            case Kind.SCENES:
                job = await uploads.trigger_video_scenes(dataset_id, request_id, True)
            case Kind.ANNOTATIONS:
                job = await uploads.trigger_annotations(dataset_id, request_id, True)
            case Kind.PREDICTIONS:
                assert self.target.model_id is not None  # noqa: S101  (predictions belong to a model)
                if self.target.run_id is not None:
                    job = await uploads.trigger_run_predictions(dataset_id, self.target.run_id, request_id, True)
                else:
                    job = await uploads.trigger_predictions(dataset_id, self.target.model_id, request_id, True)
        return job.job_id
