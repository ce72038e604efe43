"""A server that takes every upload and looks into none, so that both sides are measured and not the server.

Run it as a process of its own: `python -m benchmarks.sink` prints its endpoint. Jobs are done as soon as they exist.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from typing import Any, cast

BASE = "/v1/nucleus"
_JOBS = {
    "append": "uploadDatasetItems",
    "annotate": "uploadAnnotations",
    "uploadPredictions": "uploadPredictions",
}


class Sink:
    """What little a client expects to be remembered."""

    def __init__(self) -> None:
        self.address = ""
        self.numbers = itertools.count(1)
        self.jobs: dict[str, str] = {}
        self.datasets: list[dict[str, Any]] = []
        self.models: list[dict[str, Any]] = []
        self.received = {"requests": 0, "bytes": 0, "puts": 0}

    def answer(self, method: str, target: str, body: bytes) -> Any:
        """The answer to one request; bodies of uploads are not given."""
        path = target.partition("?")[0].removeprefix(BASE).strip("/")
        parts = path.split("/")
        match (method, parts):
            case ("PUT", _):
                self.received["puts"] += 1
                return {}
            case ("GET", ["_received"]):
                return self.received
            case ("POST", ["dataset", "create"]):
                made = {"id": f"ds_{next(self.numbers)}", "name": json.loads(body)["name"], "is_public": False}
                self.datasets.append(made)
                return {"dataset_id": made["id"], "is_scene": False}
            case ("GET", ["dataset", "details"]):
                return self.datasets
            case ("GET", ["dataset", dataset, "signedUrl", request]):
                return {"signed_url": f"{self.address}/storage/{dataset}/{request}?signature=none"}
            case ("GET", ["models"]):
                return {"models": self.models}
            case ("POST", ["models", "add"]):
                wanted = json.loads(body)
                made = {"id": f"prj_{next(self.numbers)}", "name": wanted["name"], "ref_id": wanted["reference_id"]}
                self.models.append({**made, "metadata": {}})
                return {"model_id": made["id"]}
            case ("GET", ["job", job]):
                return {**self._job(job), "status": "Completed", "message": {}, "job_progress": "1.00",
                        "completed_steps": 1, "total_steps": 1}  # fmt: skip
            case ("GET", ["job", _, "errors"]):
                return []
            case ("POST", ["jobs"]):
                return []
            case ("POST", [*_, last]) if last in _JOBS:
                job = f"job_{next(self.numbers)}"
                self.jobs[job] = _JOBS[last]
                return self._job(job)
            case _:
                return {}

    def _job(self, job: str) -> dict[str, Any]:
        return {
            "job_id": job,
            "job_last_known_status": "Completed",
            "job_type": self.jobs.get(job, ""),
            "job_creation_time": "2026-01-01T00:00:00.000Z",
        }


class Connection(asyncio.Protocol):
    """One connection, kept alive; a large body is counted and dropped as it comes."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._text = b""
        self._left = -1
        self._body = b""
        self._method = self._target = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        while data:
            if self._left < 0:
                data = self._take_head(data)
                continue
            taken = data[: self._left]
            data = data[self._left :]
            self._left -= len(taken)
            if len(self._body) < 65536:
                self._body += taken
            self._finish_if_whole()

    def _take_head(self, data: bytes) -> bytes:
        self._text += data
        head, seam, rest = self._text.partition(b"\r\n\r\n")
        if not seam:
            return b""
        lines = head.decode("latin-1").split("\r\n")
        self._method, self._target, _ = lines[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        self._left = int(headers.get("content-length", "0"))
        self._sink.received["requests"] += 1
        self._sink.received["bytes"] += self._left
        if headers.get("expect"):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._text, self._body = b"", b""
        self._finish_if_whole()
        return rest

    def _finish_if_whole(self) -> None:
        if self._left:
            return
        content = json.dumps(self._sink.answer(self._method, self._target, self._body)).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self._transport.write(head.encode() + content)
        self._left = -1


async def serve() -> None:
    """Listen on a free port of the loopback interface until the process ends."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(sink), "127.0.0.1", 0)
    sink.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(sink.address + BASE, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        sys.exit(0)
