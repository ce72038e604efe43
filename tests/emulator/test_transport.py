"""Keys, routes, bodies, the bucket and the control routes."""

from __future__ import annotations

import base64
import http.client
import json
from urllib.parse import urlsplit

import httpx
import pytest

from nucleus_sync.emulator import storage

from .conftest import Api, box, item

BASIC = {"authorization": "Basic " + base64.b64encode(b"key:").decode()}
LIMITED = {"x-limited-access-key": "key"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (BASIC, 200),
        (LIMITED, 200),
        (BASIC | LIMITED, 400),
        ({"authorization": "Basic " + base64.b64encode(b":").decode()}, 401),
        ({"authorization": "Bearer key"}, 401),
        ({"authorization": "Basic !!!"}, 401),
    ],
)
def test_keys(emulator, headers, status) -> None:
    answer = httpx.get(f"{emulator.endpoint}/dataset/details", headers=headers)
    assert answer.status_code == status
    assert status == 200 or set(answer.json()) == {"error"}


def test_unknown_routes_answer_plain_text(api: Api) -> None:
    answer = api.call("GET", "dataset/x/nothing/of/the/kind")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (404, "text/plain")


@pytest.mark.parametrize("path", ["dataset/{}/ingest_tasks", "indexing/{}/setPrimary"])
def test_what_is_lacking_answers_501_with_its_name(api: Api, path: str) -> None:
    answer = api.call("POST", path.format("ds_x"))
    assert (answer.status_code, answer.json()) == (
        501,
        {"error": f"POST {path.format('{ds}')} is not emulated"},
    )


def test_missing_things_are_404(api: Api, dataset: str) -> None:
    for path in ("dataset/ds_nobody/info", f"dataset/{dataset}/refloc/nobody", "job/job_x", "slice/x/info"):
        answer = api.call("GET", path)
        assert (answer.status_code, set(answer.json())) == (404, {"error"})


@pytest.mark.parametrize("body", [b"{", b"[]", b"3"])
def test_malformed_bodies_are_400(api: Api, body: bytes) -> None:
    assert api.http.post("dataset/create", content=body).status_code == 400


def test_slashes_in_a_segment_are_decoded_after_splitting(api: Api, dataset: str) -> None:
    name = "a/b c?#%2F"
    api.upload(dataset, f"dataset/{dataset}/append?async=1", [item(name)])
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    assert api.ask("GET", f"dataset/{dataset}/refloc/{quoted}")["item"]["reference_id"] == name
    assert api.call("GET", f"dataset/{dataset}/refloc/a/b").status_code == 404


def test_listings_take_their_slash_or_not(api: Api) -> None:
    for path in ("models", "models/", "slice", "slice/", "dataset/"):
        assert api.call("GET", path).status_code == 200
    assert api.call("POST", "jobs").status_code == api.call("POST", "jobs/").status_code == 200


def signed(api: Api, dataset: str) -> str:
    return str(api.ask("GET", f"dataset/{dataset}/signedUrl/abc")["signed_url"])


def test_the_bucket_refuses_chunked_bodies(api: Api, dataset: str) -> None:
    answer = httpx.put(signed(api, dataset), content=iter([b"{}\n"]))
    assert answer.status_code == 501
    assert "<Code>NotImplemented</Code>" in answer.text


def test_the_bucket_wants_a_length(api: Api, dataset: str) -> None:
    url = urlsplit(signed(api, dataset))
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_the_bucket_refuses_what_is_too_large_before_it_is_sent(api: Api, dataset: str) -> None:
    url = urlsplit(signed(api, dataset))
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", str(storage.LIMIT + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("headers", [BASIC, LIMITED])
def test_the_bucket_refuses_credentials(api: Api, dataset: str, headers) -> None:
    assert httpx.put(signed(api, dataset), content=b"{}\n", headers=headers).status_code == 403


def test_the_bucket_refuses_another_method_or_signature(api: Api, dataset: str) -> None:
    url = signed(api, dataset)
    assert httpx.post(url, content=b"{}\n").status_code == 403
    assert httpx.put(url[:-1], content=b"{}\n").status_code == 403
    assert httpx.put(url.replace("expires=", "expires=9"), content=b"{}\n").status_code == 403


def test_an_expired_url_is_refused(api: Api, dataset: str) -> None:
    api.emulator.inject([{"match": {"path": "/signedUrl/"}, "effect": {"expired": True}}])
    answer = httpx.put(signed(api, dataset), content=b"{}\n")
    assert (answer.status_code, "Request has expired" in answer.text) == (403, True)


def test_a_trigger_wants_a_file_and_may_be_repeated(api: Api, dataset: str) -> None:
    path = f"dataset/{dataset}/annotate?async=1"
    assert api.call("POST", path, {"requestId": "nothing was put", "update": False}).status_code == 400
    request = {"requestId": api.put(dataset, [box("r0", None)]), "update": False}
    jobs = [api.ask("POST", path, request)["job_id"] for _ in range(2)]
    assert len({api.wait(job)["job_id"] for job in jobs}) == 2
    assert len(api.annotations(dataset, "r0")["box"]) == 2


def test_append_is_asynchronous(api: Api, dataset: str) -> None:
    assert api.call("POST", f"dataset/{dataset}/append", {"items": []}).status_code == 400


def test_multipart_items_and_images_must_match(api: Api, dataset: str) -> None:
    items = json.dumps([item("a", update=False), item("b", update=False)])
    files = [("items", (None, items, "application/json")), ("image", ("a.jpg", b"bytes", "image/jpeg"))]
    answer = api.http.post(f"dataset/{dataset}/append?async=1", files=files)
    assert (answer.status_code, answer.json()) == (400, {"error": "2 items came with 1 images."})


def test_multipart_images_can_be_looked_at(api: Api, dataset: str) -> None:
    items = json.dumps([item("local", image_url="a.jpg", update=False)])
    files = [("items", (None, items, "application/json")), ("image", ("a.jpg", b"bytes", "image/jpeg"))]
    job = api.http.post(f"dataset/{dataset}/append?async=1", files=files).json()
    api.wait(job["job_id"])
    read = api.ask("GET", f"dataset/{dataset}/refloc/local")["item"]
    assert read["image_url"] == "a.jpg"
    assert httpx.get(read["processed_url"]).content == b"bytes"


def test_the_request_log_holds_no_credentials(api: Api, dataset: str) -> None:
    api.http.post("models/add", json={"name": "m", "reference_id": "logged"}, headers=LIMITED, auth=None)
    log = httpx.get(f"{api.emulator.address}/_emulator/requests").json()
    last = log[-1]
    assert (last["method"], last["path"], last["status"]) == ("POST", "/v1/nucleus/models/add", 200)
    assert last["body"] == {"name": "m", "reference_id": "logged"}
    assert "authorization" not in json.dumps(log).lower()


def test_health_counts_and_reset(tmp_path) -> None:
    from nucleus_sync.emulator import Emulator

    with Emulator(tmp_path, latency=0.01) as emulator:
        api = Api(emulator)
        control = f"{emulator.address}/_emulator"
        assert httpx.get(f"{control}/health").json() == {"status": "ok"}
        first = api.dataset()
        api.add_items(first)
        api.annotate(first, [box()])
        (counted,) = httpx.get(f"{control}/world?counts=1").json()["datasets"]
        assert (counted["items"], counted["annotations"]) == (3, {"box": 1})
        assert httpx.get(f"{control}/world").json() == emulator.dump()
        assert httpx.post(f"{control}/reset").json() == {"status": "ok"}
        assert emulator.dump() == {"datasets": [], "models": [], "benchmarks": [], "metric_calls": []}
        assert api.call("GET", f"dataset/{first}/info").status_code == 404
        assert api.dataset() != first
