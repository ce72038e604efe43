"""The health port: /healthz, /readyz, /metrics and the status page, on loopback unless told otherwise."""

from __future__ import annotations

import ipaddress
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.watch.page import CONTENT_SECURITY_POLICY, STYLE

_AT_ONCE = 16
_PATIENCE = 10.0
_PICTURES = "/picture/"
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"RIFF", "image/webp"),
)


Found = tuple[int, str, bytes]
"""Status, content type, body."""


class Answers(Protocol):
    """What is asked of the service; called from threads of the server."""

    def alive(self) -> bool:
        """Whether the service's own loop is turning."""

    def ready(self) -> tuple[bool, str]:
        """Whether the last good round is young enough, with a sentence."""

    def metrics(self) -> tuple[str, bytes]:
        """Content type and text for Prometheus."""

    def page(self, *, pictures: bool) -> str:
        """The status page."""

    def picture(self, token: str) -> bytes | None:
        """An image that the page shows."""


class HealthServer:
    """Listens from `start` to `close`. Raises NucleusSyncError when the port is taken."""

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        try:
            self._server = _Server((host, port), answers, is_local=_is_loopback(host))
        except OSError as error:
            raise NucleusSyncError(
                f"the health port can't be opened: {error.strerror or error}",
                where=f"{host}:{port}",
                fix="choose another with --health-port",
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def address(self) -> str:
        """Where the status page is."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE)


class _Server(ThreadingHTTPServer):
    """No more than a few threads, so that slow or hostile clients can't pile up."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], answers: Answers, *, is_local: bool) -> None:
        self.answers = answers
        self.is_local = is_local
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event."""


class _Request(BaseHTTPRequestHandler):
    timeout = _PATIENCE
    server_version = "nucleus-sync"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        if self.server.is_local and not _names_this_machine(self.headers.get("Host", "")):
            # Another site's name that leads here: a browser would let that site read what we answer.
            self._answer(403, "text/plain", b"this address is for this machine\n")
            return
        path = self.path.partition("?")[0]
        try:
            self._answer(*_found(path, self.server.answers, is_local=self.server.is_local))
        except Exception as error:
            self._answer(500, "text/plain", f"{type(error).__name__}\n".encode())

    do_HEAD = do_GET

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes every few seconds are nobody's news."""


def _found(path: str, answers: Answers, *, is_local: bool) -> Found:
    """What lies at a path."""
    match path:
        case "/healthz":
            alive = answers.alive()
            return (200 if alive else 503), "text/plain", b"alive\n" if alive else b"the loop stands still\n"
        case "/readyz":
            ready, why = answers.ready()
            return (200 if ready else 503), "text/plain; charset=utf-8", f"{why}\n".encode()
        case "/metrics":
            kind, text = answers.metrics()
            return 200, kind, text
        case "/":
            return 200, "text/html; charset=utf-8", answers.page(pictures=is_local).encode(errors="replace")
        case "/style.css":
            return 200, "text/css; charset=utf-8", STYLE.encode()
    picture = _picture(path, answers) if is_local else None
    return picture or (404, "text/plain", b"nothing here\n")


def _picture(path: str, answers: Answers) -> Found | None:
    """An image that the page shows, if its bytes are those of one that browsers know."""
    picture = answers.picture(path.removeprefix(_PICTURES)) if path.startswith(_PICTURES) else None
    if picture is None:
        return None
    kind = next((name for magic, name in _MAGIC if picture.startswith(magic)), None)
    return (200, kind, picture) if kind is not None else None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _names_this_machine(host: str) -> bool:
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    return _is_loopback(name)
