"""The only module that knows httpx: bytes out, bytes in, credentials attached where they belong."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

import httpx

from nucleus_sync import __version__
from nucleus_sync.api.credentials import Credentials, auth_headers
from nucleus_sync.api.file_pieces import FilePiece, streamed
from nucleus_sync.api.multipart import FilePart, Multipart
from nucleus_sync.api.retry import Failure
from nucleus_sync.errors import CredentialsError, UsageError

CONNECTIONS_PER_CLIENT = 4
"""httpx looks at every connection of a pool for every request: small pools cost a fifth of one big one."""
_JSON_TIMEOUT = httpx.Timeout(connect=10.0, read=75.0, write=75.0, pool=None)
"""Nucleus gives up after 60 s; reading a little longer sees its answer rather than our own time-out."""
_STORAGE_TIMEOUT = httpx.Timeout(connect=10.0, read=120.0, write=60.0, pool=None)
_IDLE_SECONDS = 4.0
"""Below the 5 s after which common servers close an idle connection, so that a request seldom meets one closing."""
_AGENT = f"nucleus-sync/{__version__}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Transport:
    """Connections to one endpoint and to the storage that it names.

    A request gives an `Answer` or, where none came, a `Failure`.
    """

    def __init__(self, endpoint: str, credentials: Credentials | None, *, verify: bool, connections: int) -> None:
        self._endpoint = checked_endpoint(endpoint)
        self._credentials = credentials
        self._verify = verify
        context = self._context if self._endpoint.startswith("https:") else _trusting_nobody
        self._pool = _Pool(context, connections, _JSON_TIMEOUT, idle=_IDLE_SECONDS)
        self._fresh = _Pool(context, CONNECTIONS_PER_CLIENT, _JSON_TIMEOUT, idle=0.0)
        self._storage = _Pool(self._context, connections, _STORAGE_TIMEOUT, idle=_IDLE_SECONDS)

    def __repr__(self) -> str:
        return f"Transport({self._endpoint!r})"

    async def request(
        self, method: str, target: str, content: bytes | Multipart | None, *, fresh: bool = False
    ) -> Answer | Failure:
        """One JSON or multipart request; `fresh` keeps off connections that the server may just be closing."""
        headers = {**auth_headers(self._credentials), "Content-Type": "application/json"}
        body: bytes | AsyncIterator[bytes] | None
        if isinstance(content, Multipart):
            headers |= {"Content-Type": content.content_type, "Content-Length": str(content.length)}
            body = _multipart_bytes(content)
        else:
            body = content
        pool = self._fresh if fresh else self._pool
        return await pool.send(method, f"{self._endpoint}/{target}", headers, body)

    async def put_file(self, url: str, pieces: Sequence[FilePiece], headers: Mapping[str, str]) -> Answer | Failure:
        """The bytes to a signed URL: with their length, without credentials (docs/wire.md §3.1, §15).

        `headers` are those that the URL was signed with.
        """
        length = {"Content-Length": str(sum(piece.size for piece in pieces))}
        return await self._storage.send("PUT", url, {**headers, **length}, streamed(pieces))

    async def get_file(self, url: str) -> Answer | Failure:
        """What lies at an address outside of the API, asked for without credentials."""
        return await self._storage.send("GET", url, {}, None)

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in (self._pool, self._fresh, self._storage):
            await pool.aclose()

    def _context(self) -> ssl.SSLContext:
        return self._ssl_context

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        return httpx.create_ssl_context(verify=self._verify)


def _trusting_nobody() -> ssl.SSLContext:
    """For an endpoint without TLS: reading a thousand certificates for nothing takes longer than the calls."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _Pool:
    """Small httpx clients side by side; the one with the fewest requests takes the next."""

    def __init__(
        self, context: Callable[[], ssl.SSLContext], connections: int, timeout: httpx.Timeout, *, idle: float
    ) -> None:
        self._context = context
        self._timeout = timeout
        self._idle = idle
        self._most = -(-max(connections, 1) // CONNECTIONS_PER_CLIENT)
        self._clients: list[httpx.AsyncClient] = []
        self._busy: list[int] = []

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | AsyncIterator[bytes] | None
    ) -> Answer | Failure:
        failed: Failure
        async with self._client() as client:
            try:
                request = client.build_request(method, url, headers=dict(headers), content=body)
                _keep_exact(request, url)
                response = await client.send(request)
                return Answer(response.status_code, dict(response.headers), response.content)
            except httpx.HTTPError as error:
                failed = _failure(error)
            except (httpx.InvalidURL, UnicodeError):
                failed = Failure("the address is no valid URL", sent=False, hopeless=True)
        return failed

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        number = self._choose()
        self._busy[number] += 1
        try:
            yield self._clients[number]
        finally:
            if self._busy:
                self._busy[number] -= 1

    def _choose(self) -> int:
        least = min(range(len(self._busy)), key=self._busy.__getitem__, default=0)
        is_full = not self._busy or self._busy[least] >= CONNECTIONS_PER_CLIENT
        if is_full and len(self._clients) < self._most:
            limits = httpx.Limits(
                max_connections=CONNECTIONS_PER_CLIENT,
                max_keepalive_connections=CONNECTIONS_PER_CLIENT if self._idle else 0,
                keepalive_expiry=self._idle,
            )
            client = httpx.AsyncClient(
                verify=self._context(), timeout=self._timeout, limits=limits, headers={"User-Agent": _AGENT}
            )
            self._clients.append(client)
            self._busy.append(0)
            return len(self._clients) - 1
        return least

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()
        self._clients.clear()
        self._busy.clear()


def checked_endpoint(endpoint: str) -> str:
    """The endpoint without a slash at its end; refused where it holds credentials or can't be called."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        raise UsageError("the endpoint is no valid URL", fix="check NUCLEUS_ENDPOINT") from None
    if parts.username is not None or parts.password is not None:
        raise CredentialsError("the endpoint holds credentials", fix="put the key into NUCLEUS_API_KEY instead")
    if not usable or parts.query or parts.fragment or not endpoint.isascii():
        raise UsageError("the endpoint is no plain http or https URL", fix="check NUCLEUS_ENDPOINT")
    return endpoint.rstrip("/")


def storage_name(url: str) -> str:
    """The host of a signed URL; its path and query are secrets."""
    try:
        return urlsplit(url).hostname or "storage"
    except ValueError:
        return "storage"


def _keep_exact(request: httpx.Request, url: str) -> None:
    """Send the path and query as they were given: quoting a signed URL anew could break its signature."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if request.url.raw_path != target.encode("ascii"):
        request.extensions["target"] = target.encode("ascii")


def _failure(error: httpx.HTTPError) -> Failure:
    if _has_bad_certificate(error):
        return Failure("the server's certificate can't be verified", sent=False, hopeless=True)
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return Failure("no connection in time", sent=False)
        case httpx.ProxyError():
            return Failure("the proxy refused", sent=False)
        case httpx.ConnectError():
            reason = _system_reason(error)
            return Failure(f"no connection: {reason}" if reason else "no connection", sent=False)
        case httpx.UnsupportedProtocol():
            return Failure("the address has no protocol that can be used", sent=False, hopeless=True)
        case httpx.TimeoutException():
            return Failure("no answer in time")
        case _:
            return Failure("the connection broke")


def _has_bad_certificate(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _system_reason(error: BaseException) -> str | None:
    """What the operating system says, such as "Connection refused": httpx only says that all attempts failed."""
    numbered = (cause for cause in _causes(error) if isinstance(cause, OSError) and cause.errno is not None)
    found = next(numbered, None)
    if found is None or found.errno is None:
        return None
    return os.strerror(found.errno) if found.errno > 0 else found.strerror


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            yield from cause.exceptions
        cause = cause.__cause__ or cause.__context__


async def _multipart_bytes(body: Multipart) -> AsyncIterator[bytes]:
    for piece in body.pieces():
        if isinstance(piece, FilePart):
            async for chunk in streamed([FilePiece(piece.path, piece.size)]):
                yield chunk
        else:
            yield piece
