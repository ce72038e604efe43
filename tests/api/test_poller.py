"""Waiting for jobs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from nucleus_sync.api.client import Api
from nucleus_sync.api.exchange import RetryNote
from nucleus_sync.api.poller import CROWD
from nucleus_sync.api.states import Ending, JobState
from nucleus_sync.errors import CredentialsError

from .conftest import FastTime
from .recorder import DROP, Recorder, Reply, Request

CLEAN = {"annotation_upload": {"total": 1, "errored": 0, "ignored": 0, "processed": 1}}


class Server:
    """Jobs by id, each with the statuses that it answers in turn; the last one stays."""

    def __init__(self, time: FastTime) -> None:
        self.time = time
        self.statuses: dict[str, list[Any]] = {}
        self.errors: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.ends_at: dict[str, float] = {}
        self.listing: Any = None

    def __call__(self, request: Request) -> Any:
        parts = request.target.strip("/").split("/")
        if request.method == "POST":
            self.asked["listing"] += 1
            return self.listing if self.listing is not None else self._open()
        if parts[-1] == "errors":
            self.asked[f"{parts[1]} errors"] += 1
            return self.errors.get(parts[1], [])
        self.asked[parts[1]] += 1
        return self._status(parts[1])

    def _open(self) -> list[dict[str, str]]:
        return [
            {"job_id": job, "job_last_known_status": "Running"}
            for job, end in self.ends_at.items()
            if end > self.time.now
        ]

    def _status(self, job: str) -> Any:
        if job in self.ends_at:
            state = "Running" if self.ends_at[job] > self.time.now else "Completed"
            return {"job_id": job, "status": state, "message": CLEAN}
        left = self.statuses[job]
        reply = left.pop(0) if len(left) > 1 else left[0]
        return {"job_id": job, "status": reply, "message": CLEAN} if isinstance(reply, str) else reply


@pytest.fixture
def server(recorder: Recorder, time: FastTime) -> Server:
    server = Server(time)
    recorder.script = server
    return server


async def test_a_job_is_followed_to_its_end(api: Api, server: Server, time: FastTime) -> None:
    server.statuses["job_1"] = ["Queued", "Running", "Mystery", "Completed"]
    outcome = await api.poller.outcome("job_1", 600)
    assert outcome.ending is Ending.DONE
    assert outcome.status is not None
    assert outcome.status.state is JobState.COMPLETED
    assert server.asked == {"job_1": 4}
    assert time.slept == sorted(time.slept)
    assert time.slept[0] <= 0.125


async def test_waits_grow_to_a_few_seconds(api: Api, server: Server, time: FastTime) -> None:
    server.ends_at["job_1"] = time.now + 300
    await api.poller.outcome("job_1", 600)
    assert max(time.slept) <= 6.25
    assert server.asked["job_1"] < 80


async def test_many_wait_for_one_job_with_the_requests_of_one(api: Api, server: Server) -> None:
    server.statuses["job_1"] = ["Running", "Completed"]
    outcomes = await asyncio.gather(*(api.poller.outcome("job_1", 600) for _ in range(20)))
    assert {outcome.ending for outcome in outcomes} == {Ending.DONE}
    assert server.asked["job_1"] == 2
    assert api.poller.open_jobs == 0


async def test_rejected_records_of_a_completed_job_are_read(api: Api, server: Server) -> None:
    counts = {"annotation_upload": {"total": 2, "errored": 1, "ignored": 0, "processed": 1}}
    server.statuses["job_1"] = [{"status": "Completed", "message": counts}]
    server.errors["job_1"] = [
        json.dumps({"annotation": {"referenceId": "a", "annotationId": "b"}, "error": "Item with id a does not exist."})
    ]
    outcome = await api.poller.outcome("job_1", 600)
    assert outcome.ending is Ending.DONE
    assert outcome.errors_complete
    assert [(error.reference_id, error.annotation_id, error.lacks_item) for error in outcome.errors] == [
        ("a", "b", True)
    ]


async def test_a_job_without_counts_is_asked_for_errors(api: Api, server: Server) -> None:
    server.statuses["job_1"] = [{"status": "Completed", "message": "fine"}]
    outcome = await api.poller.outcome("job_1", 600)
    assert server.asked["job_1 errors"] == 1
    assert (outcome.errors, outcome.errors_complete, outcome.counts) == ((), True, None)


@pytest.mark.parametrize(
    ("errors", "errored"), [(["x"] * 10_000, 10_000), (["x"], 2), ([], None), (Reply(404, {"error": "x"}), None)]
)
async def test_an_error_list_that_cannot_be_all_is_said_to_be_incomplete(
    api: Api, server: Server, errors: Any, errored: int | None
) -> None:
    message = {"annotation_upload": {"total": 20_000, "errored": errored, "processed": 0}}
    server.statuses["job_1"] = [{"status": "Errored_Partial", "message": message}]
    server.errors["job_1"] = errors
    outcome = await api.poller.outcome("job_1", 600)
    assert outcome.ending is Ending.PARTIAL
    assert not outcome.errors_complete


async def test_a_job_past_its_deadline_is_stuck(api: Api, server: Server, time: FastTime) -> None:
    server.statuses["job_1"] = ["Running"]
    outcome = await api.poller.outcome("job_1", 60)
    assert outcome.ending is Ending.STUCK
    assert outcome.status is not None
    assert time.now == pytest.approx(1060)


async def test_failures_that_pass_are_waited_out(api: Api, server: Server) -> None:
    server.statuses["job_1"] = [DROP, Reply(503, b""), Reply(500, b""), Reply(404, b""), "Running", "Completed"]
    assert (await api.poller.outcome("job_1", 600)).ending is Ending.DONE


async def test_a_job_that_nobody_knows_is_lost(api: Api, server: Server) -> None:
    server.statuses["job_1"] = [Reply(404, {"error": "no job"})]
    assert (await api.poller.outcome("job_1", 600)).ending is Ending.LOST


async def test_a_refused_key_is_raised_to_everybody(api: Api, server: Server) -> None:
    server.statuses["job_1"] = [Reply(401, {"error": "key"})]
    outcomes = await asyncio.gather(*(api.poller.outcome("job_1", 600) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [CredentialsError] * 3


async def test_many_jobs_are_followed_by_the_listing(api: Api, server: Server, time: FastTime) -> None:
    jobs = [f"job_{number}" for number in range(300)]
    server.ends_at = dict.fromkeys(jobs, time.now + 10_000)
    waiting = [asyncio.create_task(api.poller.outcome(job, 1e6)) for job in jobs]
    while server.asked["listing"] < 20:
        await asyncio.sleep(0.001)
    asked = sum(server.asked.values()) - server.asked["listing"]
    server.ends_at = dict.fromkeys(jobs, time.now)
    outcomes = await asyncio.gather(*waiting)
    assert {outcome.ending for outcome in outcomes} == {Ending.DONE}
    assert asked <= 300 * 2


async def test_a_listing_that_is_not_there_is_done_without(api: Api, server: Server) -> None:
    jobs = [f"job_{number}" for number in range(CROWD + 5)]
    server.statuses = {job: ["Running", "Completed"] for job in jobs}
    server.listing = Reply(404, b"no such route")
    outcomes = await asyncio.gather(*(api.poller.outcome(job, 1e6) for job in jobs))
    assert {outcome.ending for outcome in outcomes} == {Ending.DONE}
    assert server.asked["listing"] == 1


async def test_a_listing_that_is_behind_does_not_hide_an_end(api: Api, server: Server) -> None:
    jobs = [f"job_{number}" for number in range(CROWD + 5)]
    server.statuses = {job: ["Completed"] for job in jobs}
    server.listing = [{"job_id": job, "job_last_known_status": "Running"} for job in jobs]
    outcomes = await asyncio.gather(*(api.poller.outcome(job, 1e6) for job in jobs))
    assert {outcome.ending for outcome in outcomes} == {Ending.DONE}


async def test_one_who_stops_waiting_leaves_the_others(api: Api, server: Server, time: FastTime) -> None:
    server.ends_at["job_1"] = time.now + 50
    first, second = (asyncio.create_task(api.poller.outcome("job_1", 600)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).ending is Ending.DONE
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_nobody_waiting_means_nobody_asking(api: Api, server: Server) -> None:
    server.statuses["job_1"] = ["Running"]
    waiting = asyncio.create_task(api.poller.outcome("job_1", 1e9))
    while not server.asked["job_1"]:
        await asyncio.sleep(0.001)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert api.poller.open_jobs == 0


async def test_the_listing_asks_for_everything_by_name(api: Api, recorder: Recorder) -> None:
    recorder.replies([])
    await api.jobs.listing("ds_1", ["uploadAnnotations"])
    assert recorder.requests[0].said == (
        "POST",
        "/jobs/",
        {
            "dataset_id": "ds_1",
            "job_types": ["uploadAnnotations"],
            "from_date": None,
            "to_date": None,
            "limit": 50_000,
            "show_completed": True,
        },
    )


async def test_an_outage_while_jobs_are_waited_for_is_told_once_a_minute(
    api: Api, server: Server, time: FastTime, notes: list[RetryNote]
) -> None:
    server.statuses["job_1"] = [*[Reply(503, b"away")] * 60, "Completed"]
    begun = time.now
    assert (await api.poller.outcome("job_1", 3600)).ending is Ending.DONE
    minutes = (time.now - begun) / 60
    assert minutes > 3
    assert 3 <= len(notes) <= minutes + 1
    assert {note.path for note in notes} == {"job/job_1"}
