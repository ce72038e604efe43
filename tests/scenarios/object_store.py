"""The few calls of Google's and Azure's object stores that putting a file takes, spoken on loopback: PUT and HEAD."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class _Store(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.turn = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Store

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.turn:
            self.server.objects[self._name()] = content
        self._answer(201, content)

    def do_HEAD(self) -> None:
        content = self.server.objects.get(self._name())
        self._answer(404 if content is None else 200, content)

    def _name(self) -> str:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        self.server.asked.append((self.command, path, {key.lower(): value for key, value in self.headers.items()}))
        return path

    def _answer(self, status: int, content: bytes | None) -> None:
        self.send_response(status)
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        if content is not None:
            self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        is_told = self.command == "HEAD" and content is not None
        self.send_header("Content-Length", str(len(content or b"")) if is_told else "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def object_store() -> Iterator[_Store]:
    """A store at `server_port`; `objects` by bucket or container and name, `asked` as (method, path, headers)."""
    with _Store() as store:
        thread = threading.Thread(target=store.serve_forever, daemon=True)
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()
