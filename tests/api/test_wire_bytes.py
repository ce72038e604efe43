"""What leaves the machine, byte for byte."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from nucleus_sync import __version__
from nucleus_sync.api.client import Api, ApiKey, LimitedKey
from nucleus_sync.api.file_pieces import FilePiece
from nucleus_sync.api.uploads import LocalMask
from nucleus_sync.errors import ApiError, OutcomeUnknown, SourceError, UsageError
from nucleus_sync.records.annotation import Mask, Segment
from nucleus_sync.records.item import Item, LocalItem

from .conftest import KEY, FastTime
from .recorder import DROP, Recorder, Reply

JOB = {"job_id": "job_1", "job_last_known_status": "Queued", "job_type": "x", "job_creation_time": "now"}
JPEG = b"\xff\xd8\xff\xe0" + b"j" * 100
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 50


async def test_a_full_key_is_the_user_name_of_basic_and_nothing_else(api: Api, recorder: Recorder) -> None:
    recorder.replies([])
    await api.datasets.all()
    request = recorder.requests[0]
    assert request.headers["authorization"] == "Basic " + b64encode(f"{KEY}:".encode()).decode()
    assert "x-limited-access-key" not in request.headers
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"nucleus-sync/{__version__}"


async def test_a_limited_key_has_its_own_header_and_no_other(recorder: Recorder) -> None:
    recorder.replies([])
    async with Api(recorder.url, LimitedKey(KEY)) as api:
        await api.datasets.all()
    assert recorder.requests[0].headers["x-limited-access-key"] == KEY
    assert "authorization" not in recorder.requests[0].headers


async def test_no_credentials_send_no_header(recorder: Recorder) -> None:
    recorder.replies([])
    async with Api(recorder.url, None) as api:
        await api.datasets.all()
    assert not {"authorization", "x-limited-access-key"} & set(recorder.requests[0].headers)


async def test_an_endpoint_with_a_path_keeps_it(recorder: Recorder) -> None:
    recorder.replies([])
    async with Api(recorder.url + "/v1/nucleus/", ApiKey(KEY)) as api:
        await api.datasets.all()
    assert recorder.requests[0].target == "/v1/nucleus/dataset/details"


async def test_a_delete_has_a_json_body_even_when_there_is_nothing_to_say(api: Api, recorder: Recorder) -> None:
    await api.datasets.delete("ds_1")
    request = recorder.requests[0]
    assert (request.method, request.target, request.body) == ("DELETE", "/dataset/ds_1", b"{}")
    assert request.headers["content-length"] == "2"


@pytest.mark.parametrize(
    ("reference_id", "segment"),
    [
        ("a/b.jpg", "a%2Fb.jpg"),
        ("what? #1", "what%3F%20%231"),
        ("50%", "50%25"),
        ("a%2Fb", "a%252Fb"),
        ("ümläut", "%C3%BCml%C3%A4ut"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a&b;c=d+e:f@g", "a%26b%3Bc%3Dd%2Be%3Af%40g"),
        ("日本\n", "%E6%97%A5%E6%9C%AC%0A"),
    ],
)
async def test_every_segment_is_encoded(api: Api, recorder: Recorder, reference_id: str, segment: str) -> None:
    await api.items.delete("ds_1", reference_id)
    assert recorder.requests[0].target == f"/dataset/ds_1/refloc/{segment}"


async def test_names_in_paths_and_queries_are_encoded(api: Api, recorder: Recorder) -> None:
    recorder.replies({}, [])
    await api.datasets.remove_taxonomy("ds_1", "weather/day")
    await api.slices.of_dataset("ds_1", name="a b&c", kind="dataset_item")
    assert recorder.requests[0].target == "/dataset/ds_1/taxonomy/weather%2Fday"
    assert recorder.requests[1].target == "/dataset/ds_1/slices?name=a+b%26c&type=dataset_item"


async def test_a_put_has_a_length_and_neither_credentials_nor_content_type(
    api: Api, recorder: Recorder, tmp_path: Path
) -> None:
    spool = tmp_path / "batch.jsonl"
    spool.write_bytes(b'{"a":1}\n' * 400_000)
    size = spool.stat().st_size
    signed = "/bucket/key%2Fwith?X-Amz-Signature=a%2Fb+c&X-Amz-Date='now'&e=%7e~"
    recorder.routes({"GET": {"signed_url": recorder.url + signed}, "PUT": Reply(200, b"")})
    await api.uploads.ndjson("ds_1", [FilePiece(spool, size)], "req1")
    asked, put = recorder.requests
    assert asked.target == "/dataset/ds_1/signedUrl/req1"
    assert put.target == signed
    assert put.headers["content-length"] == str(size)
    assert put.body == spool.read_bytes()
    unwanted = {"transfer-encoding", "authorization", "x-limited-access-key", "content-type", "expect"}
    assert not unwanted & set(put.headers)


async def test_a_put_that_fails_is_repeated_with_a_fresh_url(api: Api, recorder: Recorder, tmp_path: Path) -> None:
    spool = tmp_path / "batch.jsonl"
    spool.write_bytes(b"{}\n")
    urls = iter(range(9))
    puts = iter([DROP, Reply(403, b"<Error><Code>AccessDenied</Code></Error>"), Reply(503, b""), Reply(200, b"")])
    recorder.routes(
        {"GET": lambda _: {"signed_url": f"{recorder.url}/s?sig={next(urls)}"}, "PUT": lambda _: next(puts)}
    )
    await api.uploads.ndjson("ds_1", [FilePiece(spool, 3)], "req1")
    assert [r.target for r in recorder.requests if r.method == "PUT"] == [f"/s?sig={n}" for n in range(4)]


async def test_storage_that_is_away_is_waited_for_as_long_as_nucleus(
    api: Api, recorder: Recorder, tmp_path: Path, time: FastTime
) -> None:
    spool = tmp_path / "batch.jsonl"
    spool.write_bytes(b"{}\n")
    recorder.routes(
        {"GET": {"signed_url": f"{recorder.url}/s"}, "PUT": lambda _: Reply(503 if time.now < 1200 else 200, b"")}
    )
    await api.uploads.ndjson("ds_1", [FilePiece(spool, 3)], "req1")
    assert len(recorder.requests) < 80


@pytest.mark.parametrize(("status", "puts"), [(403, 6), (501, 1), (411, 1)])
async def test_storage_that_refuses_is_an_error_of_its_own(
    api: Api, recorder: Recorder, tmp_path: Path, status: int, puts: int
) -> None:
    spool = tmp_path / "batch.jsonl"
    spool.write_bytes(b"{}\n")
    refusal = Reply(status, b"<Error><Code>No</Code><Message>not so</Message></Error>")
    recorder.routes({"GET": {"signed_url": f"{recorder.url}/s"}, "PUT": refusal})
    with pytest.raises(ApiError, match=f"PUT 127.0.0.1: storage answered .{status}.: No: not so") as caught:
        await api.uploads.ndjson("ds_1", [FilePiece(spool, 3)], "req1")
    assert caught.value.exit_code == 1
    assert sum(request.method == "PUT" for request in recorder.requests) == puts


async def test_a_spool_of_another_size_is_not_sent(api: Api, recorder: Recorder, tmp_path: Path) -> None:
    spool = tmp_path / "batch.jsonl"
    spool.write_bytes(b"{}\n")
    with pytest.raises(SourceError, match="has 3 bytes and had 4"):
        await api.uploads.ndjson("ds_1", [FilePiece(spool, 4)], "req1")
    assert recorder.requests == []


def _image(folder: Path, name: str, content: bytes = JPEG, **metadata: object) -> LocalItem:
    path = folder / name
    path.write_bytes(content)
    item = Item(reference_id=f"street/{name}", image_url=f"street/{name}", metadata=dict(metadata), width=4, height=3)
    return LocalItem(item=item, path=str(path), size=len(content), digest=b"")


async def test_images_go_as_multipart_with_a_length(api: Api, recorder: Recorder, tmp_path: Path) -> None:
    recorder.replies(JOB)
    items = [_image(tmp_path, "a.jpg", night=True), _image(tmp_path, "ö b.jpeg", PNG)]
    job = await api.uploads.images("ds_1", items)
    assert job.job_id == "job_1"
    request = recorder.requests[0]
    assert request.target == "/dataset/ds_1/append?async=1"
    assert "transfer-encoding" not in request.headers
    boundary = request.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    first = (
        b'[{"metadata":{"night":true},"reference_id":"street/a.jpg","width":4,"height":3,'
        b'"image_url":"street_a.jpg","update":true},'
        b'{"metadata":{},"reference_id":"street/\\u00f6 b.jpeg","width":4,"height":3,'
        b'"image_url":"street_=C3=B6=20b.jpeg","update":true}]'
    )
    assert request.body == (
        f"--{boundary}\r\n".encode()
        + b'Content-Disposition: form-data; name="items"\r\nContent-Type: application/json\r\n\r\n'
        + first
        + f"\r\n--{boundary}\r\n".encode()
        + b'Content-Disposition: form-data; name="image"; filename="street_a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        + JPEG
        + f"\r\n--{boundary}\r\n".encode()
        + b'Content-Disposition: form-data; name="image"; filename="street_=C3=B6=20b.jpeg"\r\n'
        + b"Content-Type: image/png\r\n\r\n"
        + PNG
        + f"\r\n--{boundary}--\r\n".encode()
    )
    assert len(request.body) == int(request.headers["content-length"])


async def test_local_paths_do_not_leave_the_machine(api: Api, recorder: Recorder, tmp_path: Path) -> None:
    recorder.replies(JOB)
    await api.uploads.images("ds_1", [_image(tmp_path, "a.jpg")])
    assert str(tmp_path).encode() not in recorder.requests[0].body


async def test_two_images_of_one_name_get_two_file_names(api: Api, recorder: Recorder, tmp_path: Path) -> None:
    recorder.replies(JOB)
    item = _image(tmp_path, "a.jpg")
    await api.uploads.images("ds_1", [item, item])
    assert recorder.requests[0].body.count(b'filename="street_a.jpg"') == 1
    assert recorder.requests[0].body.count(b'filename="1-street_a.jpg"') == 1


async def test_an_image_that_changed_is_not_sent(api: Api, recorder: Recorder, tmp_path: Path) -> None:
    item = _image(tmp_path, "a.jpg")
    Path(item.path).write_bytes(JPEG + b"more")
    with pytest.raises(SourceError, match="changed since it was read"):
        await api.uploads.images("ds_1", [item])
    assert recorder.requests == []


@pytest.mark.parametrize("content", [b"no image", b""])
async def test_what_is_no_image_is_not_sent(api: Api, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match="no image"):
        await api.uploads.images("ds_1", [_image(tmp_path, "a.jpg", content)])


@pytest.mark.parametrize("number", [0, 11])
async def test_a_request_holds_one_to_ten_images(api: Api, tmp_path: Path, number: int) -> None:
    with pytest.raises(UsageError, match="files in one request"):
        await api.uploads.images("ds_1", [_image(tmp_path, "a.jpg")] * number)


async def test_masks_go_beside_their_payloads(api: Api, recorder: Recorder, tmp_path: Path) -> None:
    recorder.replies({"dataset_id": "ds_1", "annotations_processed": 1, "annotations_ignored": 0})
    path = tmp_path / "m.png"
    path.write_bytes(PNG)
    mask = Mask(mask_url="m.png", annotations=[Segment(label="road", index=1)], annotation_id="m", reference_id="a")
    tally = await api.uploads.masks("ds_1", [LocalMask(mask=mask, path=str(path), size=len(PNG))])
    assert tally.annotations_processed == 1
    request = recorder.requests[0]
    assert request.target == "/dataset/ds_1/annotate"
    assert b'name="serialized_request"\r\nContent-Type: application/json\r\n\r\n{"segmentations":[{' in request.body
    assert b'name="mask"; filename="m.png"\r\nContent-Type: image/png\r\n\r\n' + PNG in request.body


async def test_a_creation_uses_a_connection_of_its_own(api: Api, recorder: Recorder) -> None:
    recorder.replies([], {"dataset_id": "ds_1"})
    await api.datasets.all()
    await api.datasets.create("a")
    assert recorder.requests[0].connection != recorder.requests[1].connection


async def test_reads_share_a_connection(api: Api, recorder: Recorder) -> None:
    recorder.replies([])
    await api.datasets.all()
    await api.datasets.all()
    assert recorder.requests[0].connection == recorder.requests[1].connection


async def test_a_trigger_whose_answer_is_lost_is_not_repeated(api: Api, recorder: Recorder) -> None:
    recorder.replies(DROP)
    with pytest.raises(OutcomeUnknown):
        await api.uploads.trigger_items("ds_1", "req1", True)
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_numbers_that_are_not_finite_are_refused(api: Api, recorder: Recorder, value: float) -> None:
    with pytest.raises(UsageError, match="JSON"):
        await api.models.add("m", "m", metadata={"loss": value})
    assert recorder.requests == []


@pytest.mark.parametrize(
    ("answer", "job_id"),
    [
        (Reply(200, b""), None),
        (Reply(200, b"<html>started</html>"), None),
        (Reply(200, b"[]"), None),
        (Reply(200, b'{"job_id": "job_9"}'), "job_9"),
    ],
)
async def test_metrics_may_be_answered_in_any_shape(
    api: Api, recorder: Recorder, answer: Reply, job_id: str | None
) -> None:
    recorder.replies(answer)
    assert await api.evaluations.metrics("ds_1", "prj_1", class_agnostic=False) == job_id
