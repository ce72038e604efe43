"""An emulator, and a plain HTTP client that speaks to it without any help."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from nucleus_sync.emulator import Emulator

_numbers = itertools.count()


class Api:
    """Bare calls with a key."""

    def __init__(self, emulator: Emulator | str) -> None:
        endpoint = emulator
        if isinstance(emulator, Emulator):
            self.emulator = emulator
            endpoint = emulator.endpoint
        self.http = httpx.Client(base_url=f"{endpoint}/", auth=("key", ""), timeout=20)

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.http.request(method, path, json={} if body is None else body)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        response = self.call(method, path, body)
        assert response.status_code < 400, response.text
        return response.json()

    def dataset(self, **options: Any) -> str:
        name = f"dataset {next(_numbers)}"
        return str(self.ask("POST", "dataset/create", {"name": name, "is_scene": False, **options})["dataset_id"])

    def put(self, dataset: str, lines: list[Any] | bytes) -> str:
        """Upload a file; gives the request id."""
        request_id = f"{next(_numbers):032x}"
        url = self.ask("GET", f"dataset/{dataset}/signedUrl/{request_id}")["signed_url"]
        body = lines if isinstance(lines, bytes) else b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        assert httpx.put(url, content=body).status_code == 200
        return request_id

    def upload(self, dataset: str, trigger: str, lines: list[Any] | bytes, **body: Any) -> dict[str, Any]:
        """Upload, trigger, and wait; gives the final status."""
        return self.wait(self.trigger(dataset, trigger, lines, **body))

    def trigger(self, dataset: str, trigger: str, lines: list[Any] | bytes, **body: Any) -> str:
        request = {"requestId": self.put(dataset, lines), "update": False, **body}
        return str(self.ask("POST", trigger, request)["job_id"])

    def wait(self, job_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            status: dict[str, Any] = self.ask("GET", f"job/{job_id}")
            if status["status"] not in ("Queued", "Running"):
                return status
            time.sleep(0.005)
        raise AssertionError("the job did not finish")

    def errors(self, status: dict[str, Any]) -> list[str]:
        found: list[str] = self.ask("GET", f"job/{status['job_id']}/errors")
        return found

    def add_items(self, dataset: str, count: int = 3) -> None:
        lines = [item(f"r{n}") for n in range(count)]
        assert self.upload(dataset, f"dataset/{dataset}/append?async=1", lines)["status"] == "Completed"

    def annotate(self, dataset: str, lines: list[Any] | bytes, **body: Any) -> dict[str, Any]:
        return self.upload(dataset, f"dataset/{dataset}/annotate?async=1", lines, **body)

    def annotations(self, dataset: str, reference_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"dataset/{dataset}/refloc/{reference_id}")["annotations"]
        return found


def item(reference_id: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {}, "reference_id": reference_id, "image_url": f"s3://acme/{reference_id}.jpg", **more}


def box(reference_id: str = "r0", annotation_id: str | None = "b1", **more: Any) -> dict[str, Any]:
    return {
        "label": "car",
        "type": "box",
        "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
        "reference_id": reference_id,
        "annotation_id": annotation_id,
        "metadata": {},
        "embedding_vector": None,
        "track_reference_id": None,
        "task_id": None,
        **more,
    }


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator"), latency=0.01) as running:
        yield running


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Api]:
    made = Api(emulator)
    yield made
    emulator.inject(None)
    made.http.close()


@pytest.fixture
def dataset(api: Api) -> str:
    made = api.dataset()
    api.add_items(made)
    return made
