"""The ASGI application: authentication, parsing, dispatch, and the faults around them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import socket
import struct
import time
import uuid
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import storage, weights
from .calls import Answer, Call, Part
from .control import PREFIX as CONTROL
from .control import Control
from .faults import Effect, Faults
from .jobs import Jobs
from .refusals import Refused
from .routes import TABLE
from .world import World, now_text, to_json

BASE = "/v1/nucleus"
_LOG = logging.getLogger(__name__)
_LOGGED_BODY = 256 * 1024
_PART_LIMIT = 64 * 1024 * 1024


class App:
    """Answers HTTP requests from the state of one world."""

    def __init__(self, world: World, jobs: Jobs, faults: Faults, executor: Executor) -> None:
        self._world = world
        self._jobs = jobs
        self._faults = faults
        self._executor = executor
        self.control = Control(world, jobs, faults)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        assert scope["type"] == "http", "lifespan and websockets are switched off"  # noqa: S101
        request = Request(scope, receive)
        if request.url.path.startswith(CONTROL):
            response = await self._control(request)
            await response(scope, receive, send)
            return
        entry: dict[str, Any] = {"method": request.method, "path": request.url.path, "query": request.url.query}
        entry |= {"time": now_text(), "seconds": 0.0, "status": None, "body": None}
        self.control.requests.append(entry)
        began = time.monotonic()
        try:
            await self._serve(request, entry, send)
        except ClientDisconnect:
            entry["status"] = "disconnected"
        entry["seconds"] = round(time.monotonic() - began, 4)

    async def _serve(self, request: Request, entry: dict[str, Any], send: Send) -> None:
        path = _api_path(request)
        effect = self._faults.for_request(request.method, request.url.path.removeprefix(BASE).lstrip("/"))
        if effect is not None and effect.delay:
            await asyncio.sleep(effect.delay)
        if effect is not None and effect.reset == "before":
            entry["status"] = "reset before"
            _reset(send)
            return
        if effect is not None and effect.status is not None:
            async for _ in request.stream():
                pass
            response = _injected(effect)
        else:
            response = await self._answer(request, path, effect, entry)
        entry["status"] = response.status_code
        await _deliver(request, response, effect, entry, send)

    async def _control(self, request: Request) -> Response:
        body = await request.body()
        query = dict(request.query_params)
        try:
            answer: Response = await self._in_thread(self.control.answer, request.method, request.url.path, query, body)
            return answer
        except Refused as refused:
            return _json(refused.status, {"error": refused.text})

    async def _answer(
        self, request: Request, path: str | None, effect: Effect | None, entry: dict[str, Any]
    ) -> Response:
        if request.url.path.startswith(storage.PREFIX):
            return await storage.put(self._world, request)
        if request.url.path.startswith(weights.PREFIX):
            return await weights.storage(self._world, request)
        if path is None:
            return _not_found()
        try:
            _authenticate(request)
            found = TABLE.find(request.method, path)
            if found is None:
                await request.body()
                return _not_found()
            route, parameters = found
            if route.handler is None:
                await request.body()
                raise Refused(501, f"{route.method} {route.pattern} is not emulated")
            call = await self._call(request, parameters, effect, entry)
            return _response(await self._in_thread(route.handler, call))
        except Refused as refused:
            return _json(refused.status, {"error": refused.text})
        except ClientDisconnect:
            raise
        except Exception as error:
            _LOG.exception("%s %s", request.method, request.url.path)
            return _json(500, {"error": f"{type(error).__name__}: {error}"})

    async def _call(
        self, request: Request, parameters: dict[str, str], effect: Effect | None, entry: dict[str, Any]
    ) -> Call:
        body: dict[str, Any] = {}
        form: dict[str, str] = {}
        parts: tuple[Part, ...] = ()
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            form, parts = await self._read_form(request)
        else:
            body = await _read_body(request, entry)
        return Call(
            world=self._world,
            jobs=self._jobs,
            address=str(request.base_url).rstrip("/"),
            path=parameters,
            query=dict(request.query_params),
            body=body,
            parts=parts,
            form=form,
            effect=effect,
        )

    async def _read_form(self, request: Request) -> tuple[dict[str, str], tuple[Part, ...]]:
        if "content-length" not in request.headers:
            raise Refused(411, "A multipart request must state its length.")
        fields: dict[str, str] = {}
        parts: list[Part] = []
        async with request.form(max_files=100, max_part_size=_PART_LIMIT) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    parts.append(await self._in_thread(_keep, self._world.folder / "media", name, value))
                else:
                    fields[name] = value
        return fields, tuple(parts)

    async def _in_thread(self, function: Any, *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *values)


def _keep(folder: Path, name: str, file: UploadFile) -> Part:
    """Store the bytes of a part under their hash."""
    digest = hashlib.sha256()
    size = 0
    path = folder / f"{uuid.uuid4().hex}.part"
    with path.open("wb") as out:
        while chunk := file.file.read(1 << 20):
            digest.update(chunk)
            size += out.write(chunk)
    path.replace(folder / digest.hexdigest())
    return Part(name, file.filename or "", digest.hexdigest(), size)


def _api_path(request: Request) -> str | None:
    """The path below the base address, still encoded, or None."""
    raw = request.scope.get("raw_path", request.url.path.encode()).decode("ascii", "replace")
    return raw.removeprefix(BASE) if raw.startswith(BASE + "/") else None


def _authenticate(request: Request) -> None:
    """Refuse a call without a key (401), or with keys of both kinds (400)."""
    limited = request.headers.get("x-limited-access-key")
    basic = request.headers.get("authorization")
    if limited and basic:
        raise Refused(400, "Send an API key or a limited access key, not both.")
    if limited or (basic and _user_name(basic)):
        return
    raise Refused(401, "An API key is required.")


def _user_name(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def _read_body(request: Request, entry: dict[str, Any]) -> dict[str, Any]:
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        if request.method == "GET":
            return {}
        raise Refused(400, f"The body is not valid JSON: {error}") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object.")
    if len(raw) <= _LOGGED_BODY:
        entry["body"] = body
    return body


def _response(answer: Any) -> Response:
    if not isinstance(answer, Answer):
        return _json(200, answer)
    if answer.body is None:
        return Response(status_code=answer.status)
    return _json(answer.status, answer.body)


def _json(status: int, value: Any) -> Response:
    return Response(to_json(value), status_code=status, media_type="application/json")


def _not_found() -> Response:
    return Response("Not Found", status_code=404, media_type="text/plain")


def _injected(effect: Effect) -> Response:
    body = effect.body if effect.body is not None else {"error": "Injected fault."}
    if isinstance(body, str):
        kind = "text/html" if body.lstrip().startswith("<") else "text/plain"
        return Response(body, effect.status or 500, effect.headers, kind)
    return Response(msgspec.json.encode(body), effect.status or 500, effect.headers, "application/json")


async def _deliver(
    request: Request, response: Response, effect: Effect | None, entry: dict[str, Any], send: Send
) -> None:
    if effect is not None and effect.reset == "after":
        entry["status"] = f"reset after {response.status_code}"
        _reset(send)
        return
    if effect is not None and effect.malformed:
        half = bytes(response.body)[: max(1, len(response.body) // 2)]
        response = Response(half, response.status_code, media_type="application/json")
    if effect is not None and effect.truncate:
        await _truncate(response, send)
        return
    await response(request.scope, request.receive, send)


async def _truncate(response: Response, send: Send) -> None:
    """Promise the whole body, send half of it, and hang up."""
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    half = bytes(response.body)[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    _transport(send).close()


def _transport(send: Send) -> asyncio.WriteTransport:
    # uvicorn hands out a bound method of the object that owns the connection; ASGI itself has no such door.
    transport: asyncio.WriteTransport = send.__self__.transport  # type: ignore[attr-defined]
    return transport


def _reset(send: Send) -> None:
    """End the connection with a TCP reset instead of an answer."""
    transport = _transport(send)
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
