"""Calls that meet trouble on their way."""

from __future__ import annotations

import asyncio

import pytest

from nucleus_sync.api.client import Api, ApiKey
from nucleus_sync.api.exchange import RetryNote
from nucleus_sync.api.retry import Policy
from nucleus_sync.errors import (
    ApiError,
    Conflict,
    CredentialsError,
    NotFound,
    OutcomeUnknown,
    Unreachable,
    UsageError,
)

from .conftest import FastTime
from .recorder import DROP, Recorder, Reply


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 524])
async def test_a_read_is_repeated_until_it_works(
    api: Api, recorder: Recorder, notes: list[RetryNote], status: int
) -> None:
    recorder.replies(Reply(status, b"<html><title>Bad day</title></html>"), DROP, [])
    assert await api.datasets.all() == []
    assert len(recorder.requests) == 3
    assert [(note.method, note.path, note.attempt) for note in notes] == [
        ("GET", "dataset/details", 1),
        ("GET", "dataset/details", 2),
    ]
    assert notes[0].reason == "Bad day"


@pytest.mark.parametrize("reply", [DROP, *(Reply(status) for status in (408, 500, 502, 503, 504, 520, 524))])
async def test_a_creation_without_a_clear_answer_is_sent_once(api: Api, recorder: Recorder, reply: object) -> None:
    recorder.replies(reply, {"dataset_id": "ds_1"})
    with pytest.raises(OutcomeUnknown, match="POST dataset/create"):
        await api.datasets.create("a")
    assert len(recorder.requests) == 1


async def test_a_creation_that_met_429_is_repeated(api: Api, recorder: Recorder) -> None:
    recorder.replies(Reply(429, {}, {"Retry-After": "3"}), {"dataset_id": "ds_1"})
    assert await api.datasets.create("a") == "ds_1"


async def test_a_creation_whose_answer_cannot_be_read_is_unknown(api: Api, recorder: Recorder) -> None:
    recorder.replies(Reply(200, b"<html>hello</html>"))
    with pytest.raises(OutcomeUnknown):
        await api.datasets.create("a")


async def test_a_redirect_is_not_followed_with_the_key(api: Api, recorder: Recorder) -> None:
    recorder.replies(Reply(301, b"", {"Location": "http://elsewhere.example/"}))
    with pytest.raises(ApiError, match="redirects"):
        await api.datasets.all()
    assert len(recorder.requests) == 1


async def test_retry_after_is_waited_for(api: Api, recorder: Recorder, time: FastTime) -> None:
    recorder.replies(Reply(429, {}, {"Retry-After": "7"}), [])
    await api.datasets.all()
    assert 7 <= sum(time.slept) < 9


async def test_an_outage_is_waited_out_with_few_requests(api: Api, recorder: Recorder, time: FastTime) -> None:
    recorder.script = lambda _: Reply(503, b"") if time.now < 1300 else []
    await asyncio.gather(*(api.datasets.all() for _ in range(40)))
    failed = len(recorder.requests) - 40
    assert failed < 16 + 40, "forty callers and five minutes: a probe now and then, not a storm"


async def test_patience_ends(api: Api, recorder: Recorder, time: FastTime) -> None:
    recorder.replies(Reply(503, b""))
    with pytest.raises(Unreachable) as caught:
        await asyncio.gather(*(api.datasets.all() for _ in range(5)))
    assert time.now - 1000 < 2 * Policy().patience
    assert caught.value.status in {503, None}


async def test_nobody_listening_is_unreachable_and_says_where(time: FastTime) -> None:
    async with Api("http://127.0.0.1:9", None, clock=time.clock, sleep=time.sleep) as api:
        with pytest.raises(Unreachable, match="GET dataset/details: no usable answer: no connection") as caught:
            await api.check()
    assert "NUCLEUS_ENDPOINT" in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (Reply(401, {"error": "no such key"}), CredentialsError, "no such key"),
        (Reply(402, {"error": "pay"}), CredentialsError, "isn't enabled"),
        (Reply(403, b"forbidden"), CredentialsError, "more rights"),
        (Reply(404, b"<html><body><h1>Not Found</h1></body></html>"), NotFound, "Not Found"),
        (Reply(409, {"error": "not a draft"}), Conflict, "not a draft"),
        (Reply(400, {"error": "Slice with name x already exists"}), Conflict, "already exists"),
        (Reply(400, {"error": "Taxonomy x does not exist"}), ApiError, "does not exist"),
        (Reply(400, {"error": {"message": "deep"}}), ApiError, "deep"),
        (Reply(400, b"\xff\xfe\x00 not text"), ApiError, "not text"),
        (Reply(418, b""), ApiError, "answered 418"),
        (Reply(400, b"{broken"), ApiError, "{broken"),
        (Reply(400, b"<p>" + b"long " * 500), ApiError, "…"),
    ],
)
async def test_errors_are_translated_once(
    api: Api, recorder: Recorder, reply: Reply, error: type[Exception], said: str
) -> None:
    recorder.replies(reply)
    with pytest.raises(error) as caught:
        await api.slices.create("ds_1", "x", ["a"])
    assert type(caught.value) is error
    assert said in str(caught.value)
    assert str(caught.value).startswith("POST dataset/ds_1/create_slice: ")
    assert len(str(caught.value)) < 500
    if isinstance(caught.value, ApiError):
        assert caught.value.status == reply.status


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": "Model with reference id m already exists"}, Conflict),
        ({"error": "no"}, ApiError),
        ({"error": {"any": "thing"}}, ApiError),
        ({}, ApiError),
    ],
)
async def test_a_failure_inside_a_success_is_seen(
    api: Api, recorder: Recorder, answer: object, error: type[Exception]
) -> None:
    recorder.replies(answer)
    with pytest.raises(error) as caught:
        await api.models.add("m", "m")
    assert type(caught.value) is error


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (409, Conflict), (400, ApiError)])
async def test_the_old_run_route_tells_its_status_in_a_success(
    api: Api, recorder: Recorder, status: int, error: type[Exception]
) -> None:
    recorder.replies({"status_code": status, "error": "said so"})
    with pytest.raises(error) as caught:
        await api.models.create_run_on_dataset("ds_1", "run", "m")
    assert type(caught.value) is error


@pytest.mark.parametrize("body", [b"", b"[1,", b"nothing", b'{"x": NaN}', b"\xff", b"[" * 5000])
async def test_an_answer_that_cannot_be_read_is_an_error_with_a_place(
    api: Api, recorder: Recorder, body: bytes
) -> None:
    recorder.replies(Reply(200, body))
    with pytest.raises(ApiError, match="GET dataset/details: an answer that can't be read"):
        await api.datasets.all()


@pytest.mark.parametrize("answer", [{}, {"slice_id": None}, {"slice_id": 3}])
async def test_a_missing_field_is_an_error_with_a_place(api: Api, recorder: Recorder, answer: object) -> None:
    recorder.replies(answer)
    with pytest.raises(ApiError, match="slice_id"):
        await api.slices.create("ds_1", "x")


async def test_the_clocks_are_compared(api: Api, recorder: Recorder, time: FastTime) -> None:
    recorder.replies(Reply(200, [], {"Date": "Thu, 01 Jan 1970 00:17:40 GMT"}))
    checked = await api.check()
    assert checked.clock_skew_seconds == pytest.approx(60.5)
    assert checked.datasets == 0


@pytest.mark.parametrize("reference_ids", [[], [""], ["a", ""], "abc"])
async def test_the_annotation_delete_wants_names(api: Api, recorder: Recorder, reference_ids: list[str]) -> None:
    with pytest.raises(UsageError):
        await api.annotations.delete("ds_1", reference_ids)
    assert recorder.requests == []


async def test_the_annotation_delete_goes_in_chunks(api: Api, recorder: Recorder) -> None:
    recorder.replies({"job_id": "job_1"})
    jobs = [job async for job in api.annotations.delete_in_chunks("ds_1", [f"r{n}" for n in range(20_001)])]
    assert len(jobs) == 3
    assert [len(request.json["reference_ids"]) for request in recorder.requests] == [10_000, 10_000, 1]


@pytest.mark.parametrize("endpoint", ["", "api.scale.com", "ftp://x", "http://", "http://h?key=1", "http://h:99999"])
async def test_an_endpoint_that_cannot_be_called_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="endpoint"):
        Api(endpoint, None)


async def test_an_endpoint_with_credentials_is_refused_and_not_shown() -> None:
    with pytest.raises(CredentialsError) as caught:
        Api("https://user:secret@host/v1", ApiKey("k"))
    assert "secret" not in str(caught.value)


async def test_a_cancelled_call_gives_its_place_back(recorder: Recorder, time: FastTime) -> None:
    async with Api(recorder.url, None, connections=1, clock=time.clock, sleep=time.sleep) as api:
        recorder.replies([])
        calls = [asyncio.create_task(api.datasets.all()) for _ in range(5)]
        await asyncio.sleep(0)
        for call in calls[:4]:
            call.cancel()
        assert await calls[4] == []
