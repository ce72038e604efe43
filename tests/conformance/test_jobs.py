"""Jobs through the official SDK."""

from __future__ import annotations

import datetime

import nucleus
import pytest
from nucleus import BoxAnnotation, DatasetItem
from nucleus.async_job import AsyncJob
from nucleus.errors import NucleusAPIError
from nucleus.job import CustomerJobTypes


def test_status_carries_nine_keys(dataset, items, finish) -> None:
    job = dataset.annotate([BoxAnnotation("car", 1, 2, 3, 4, "street/0.jpg")], asynchronous=True)
    assert set(job.status()) == {
        "job_id",
        "status",
        "message",
        "job_progress",
        "completed_steps",
        "total_steps",
        "job_type",
        "job_last_known_status",
        "job_creation_time",
    }
    finish(job)
    job.sleep_until_complete(verbose_std_out=False)


def test_jobs_are_listed_by_dataset_type_date_and_state(client, dataset, items, finish) -> None:
    finish(dataset.annotate([BoxAnnotation("car", 1, 2, 3, 4, "street/0.jpg")], asynchronous=True))
    assert dataset.jobs() == []
    listed = dataset.jobs(show_completed=True)
    assert [job.job_type for job in listed] == ["uploadAnnotations", "uploadDatasetItems"]
    (only,) = dataset.jobs(job_types=[CustomerJobTypes.UPLOAD_DATASET_ITEMS], show_completed=True)
    assert AsyncJob.from_id(only.job_id, client).job_type == "uploadDatasetItems"
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    assert dataset.jobs(show_completed=True, from_date=tomorrow) == []
    assert len(dataset.jobs(show_completed=True, from_date="2020-01-01", limit=1)) == 1
    assert only.job_id in [job.job_id for job in client.list_jobs(show_completed=True)]


def test_an_unknown_job_is_missing(client) -> None:
    with pytest.raises(NucleusAPIError) as caught:
        client.get_job("job_nobody")
    assert caught.value.status_code == 404


def test_metadata_conflicts_name_the_key(dataset, finish) -> None:
    made = [
        DatasetItem(f"s3://acme/{n}.jpg", reference_id=str(n), metadata={"speed": value, "free": [value]})
        for n, value in enumerate((12.5, "fast", 3, True))
    ]
    job = dataset.append(made)
    assert finish(job)["status"] == "Completed"
    (error,) = job.errors()
    assert "speed" in error
    assert "Item 1" in error
    assert dataset.size == 3


def test_the_default_client_reads_the_environment(emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_API_KEY", "from the environment")
    monkeypatch.setenv("NUCLEUS_ENDPOINT", emulator.endpoint)
    assert nucleus.NucleusClient().datasets is not None
