"""A loopback server that keeps every request as it came and answers from a script."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    head: bytes
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def said(self) -> tuple[str, str, Any]:
        """Method, target and JSON as values; a GET's empty object counts as no body, since the server ignores it."""
        body = self.json
        return self.method, self.target, None if self.method == "GET" and body == {} else body


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        kind = "text/html" if isinstance(self.body, bytes) else "application/json"
        headers = {"Content-Length": str(len(content)), "Content-Type": kind, **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} Said\r\n{lines}\r\n".encode() + content


class Drop:
    """Hang up without an answer."""


DROP = Drop()
Script = Callable[[Request], Reply | Drop | Any]


class Recorder:
    """`requests` holds what came; `script` decides what is answered: a Reply, DROP, or a JSON value for a 200."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: Script = lambda request: {}
        recorder = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while request := _read(self.rfile, id(self)):
                    recorder.requests.append(request)
                    reply = recorder.script(request)
                    if isinstance(reply, Drop):
                        return
                    self.wfile.write((reply if isinstance(reply, Reply) else Reply(body=reply)).encoded())

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is part of the tests."""

        self._server = Server(("127.0.0.1", 0), Connection)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def replies(self, *replies: Any) -> None:
        """Answer with these in order, and with the last one from then on."""
        left = list(replies)
        self.script = lambda request: left.pop(0) if len(left) > 1 else left[0]

    def routes(self, table: dict[str, Any]) -> None:
        """Answer by the beginning of `METHOD target`; `{url}` in texts is this server."""

        def answer(request: Request) -> Any:
            said = f"{request.method} {request.target}"
            for start, reply in table.items():
                if said.startswith(start):
                    return reply(request) if callable(reply) else reply
            return Reply(404, {"error": f"no route {said}"})

        self.script = answer

    @property
    def said(self) -> list[tuple[str, str, Any]]:
        return [request.said for request in self.requests]


def _read(stream: Any, connection: int) -> Request | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    method, target, _ = first.split(" ")
    if "chunked" in headers.get("transfer-encoding", ""):
        body = _chunks(stream)
    else:
        body = stream.read(int(headers.get("content-length", "0")))
    return Request(method, target, head, headers, body, connection)


def _chunks(stream: Any) -> bytes:
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body
