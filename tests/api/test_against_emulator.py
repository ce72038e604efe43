"""The client and the emulator, written apart, understand each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from nucleus_sync.api.client import Api, ApiKey
from nucleus_sync.api.file_pieces import FilePiece
from nucleus_sync.api.poller import JobOutcome
from nucleus_sync.api.states import Ending
from nucleus_sync.api.wire import Job
from nucleus_sync.emulator.server import Emulator
from nucleus_sync.errors import NotFound
from nucleus_sync.records.annotation import Box, BoxGeometry, Category
from nucleus_sync.records.item import Item
from nucleus_sync.records.record import Record, wire_line


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator", latency=0.0) as emulator:
        yield emulator


def _item(number: int) -> Item:
    return Item(reference_id=f"street/{number} ü.jpg", image_url=f"https://example.com/{number}.jpg", metadata={"n": 1})


def _box(reference_id: str) -> Box:
    geometry = BoxGeometry(x=1, y=2, width=3, height=4)
    return Box(label="car", geometry=geometry, reference_id=reference_id, annotation_id="b-1")


async def _put(api: Api, folder: Path, dataset_id: str, records: Sequence[Record]) -> str:
    spool = folder / uuid4().hex
    spool.write_bytes(b"".join(wire_line(record) + b"\n" for record in records))
    await api.uploads.ndjson(dataset_id, [FilePiece(spool, spool.stat().st_size)], spool.name)
    return spool.name


async def _ended(api: Api, job: Job) -> JobOutcome:
    return await api.poller.outcome(job.job_id, 30)


async def test_a_dataset_is_filled_read_and_emptied(emulator: Emulator, tmp_path: Path) -> None:
    async with Api(emulator.endpoint, ApiKey("any")) as api:
        checked = await api.check()
        assert checked.clock_skew_seconds is not None
        assert abs(checked.clock_skew_seconds) < 30
        ds = await api.datasets.create("Street")
        items = [_item(number) for number in range(25)]
        outcome = await _ended(api, await api.uploads.trigger_items(ds, await _put(api, tmp_path, ds, items), True))
        assert (outcome.ending, outcome.errors) == (Ending.DONE, ())
        assert {item.reference_id async for item in api.items.all(ds, page_size=7)} == {i.reference_id for i in items}

        boxes = [_box(item.reference_id) for item in items] + [_box("nowhere")]
        request_id = await _put(api, tmp_path, ds, boxes)
        outcome = await _ended(api, await api.uploads.trigger_annotations(ds, request_id, True))
        assert outcome.ending is Ending.DONE
        assert outcome.errors_complete
        assert [(error.reference_id, error.annotation_id, error.lacks_item) for error in outcome.errors] == [
            ("nowhere", "b-1", True)
        ]
        found = await api.items.get(ds, items[3].reference_id)
        assert [record["annotation_id"] for record in found.records] == ["b-1"]
        exported = [row async for row in api.items.export(ds, page_size=10)]
        assert sum(len(row.records) for row in exported) == 25

        job = await api.annotations.delete(ds, [items[3].reference_id])
        assert (await _ended(api, job)).ending is Ending.DONE
        assert (await api.items.get(ds, items[3].reference_id)).records == []
        await api.items.delete(ds, items[3].reference_id)
        with pytest.raises(NotFound):
            await api.items.get(ds, items[3].reference_id)


async def test_a_label_outside_its_taxonomy_fails_the_job(emulator: Emulator, tmp_path: Path) -> None:
    async with Api(emulator.endpoint, ApiKey("any")) as api:
        ds = await api.datasets.create("Street")
        await _ended(api, await api.uploads.trigger_items(ds, await _put(api, tmp_path, ds, [_item(1)]), True))
        assert not (await api.datasets.add_taxonomy(ds, "weather", ["rain"])).existed
        assert (await api.datasets.add_taxonomy(ds, "weather", ["rain"])).existed
        wrong = Category(label="frogs", reference_id=_item(1).reference_id, taxonomy_name="weather")
        request_id = await _put(api, tmp_path, ds, [wrong])
        outcome = await _ended(api, await api.uploads.trigger_annotations(ds, request_id, True))
        assert outcome.ending in {Ending.BAD_INPUT, Ending.FAILED}
        assert outcome.text or outcome.errors


async def test_predictions_are_sent_and_read(emulator: Emulator, tmp_path: Path) -> None:
    async with Api(emulator.endpoint, ApiKey("any")) as api:
        ds = await api.datasets.create("Street")
        await _ended(api, await api.uploads.trigger_items(ds, await _put(api, tmp_path, ds, [_item(1)]), True))
        model = await api.models.add("CNN", "cnn", metadata={"epochs": 12})
        assert (await api.models.find("cnn")) is not None
        request_id = await _put(api, tmp_path, ds, [_box(_item(1).reference_id)])
        outcome = await _ended(api, await api.uploads.trigger_predictions(ds, model, request_id, True))
        assert outcome.ending is Ending.DONE
        assert len(list(await api.predictions.all(ds, model))) == 1
        slice_id = await api.slices.create(ds, "all", [_item(1).reference_id])
        rows = [row async for row in api.slices.export_predictions(slice_id, model)]
        assert [len(row.records) for row in rows] == [1]
        assert [found.key for found in await api.slices.of_dataset(ds, name="all")] == [slice_id]
        assert {job.job_type for job in await api.jobs.listing(ds)} >= {"uploadDatasetItems", "uploadPredictions"}
