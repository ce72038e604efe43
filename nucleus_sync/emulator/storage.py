"""The bucket behind the signed URLs: one PUT with a length, no credentials, before its time is up."""

from __future__ import annotations

import hashlib
import hmac
import time
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .world import World

LIMIT = 0x1FFFFFE8
"""The largest upload in bytes (1.6)."""
LIFE = 900
"""Seconds that a signed URL is good for."""
PREFIX = "/_storage/"


def signed_url(world: World, address: str, dataset_id: str, request_id: str, *, expired: bool = False) -> str:
    """A URL to which the file of one upload may be PUT."""
    key = f"{dataset_id}/{request_id.encode().hex()}"
    expires = int(time.time()) + (-1 if expired else LIFE)
    return f"{address}{PREFIX}{key}?expires={expires}&signature={_signature(world, key, expires)}"


def _signature(world: World, key: str, expires: int) -> str:
    return hmac.new(world.secret.encode(), f"{key}:{expires}".encode(), hashlib.sha256).hexdigest()


async def put(world: World, request: Request) -> Response:
    """Answer a request to the bucket."""
    key = request.url.path.removeprefix(PREFIX)
    if refusal := _refusal(world, request, key):
        return refusal
    dataset_id, request_id = key.split("/", maxsplit=1)
    path = world.upload_path(dataset_id, bytes.fromhex(request_id).decode())
    # A name of its own, so that a broken transfer leaves nothing that a trigger could take for the file.
    part = path.with_name(f"{path.name}.{time.monotonic_ns()}.part")
    try:
        size = await _receive(request, part)
        if size != int(request.headers["content-length"]):
            return _xml(400, "IncompleteBody", "The body is shorter than its length.")
        part.replace(path)
    except ClientDisconnect:
        return _xml(400, "RequestTimeout", "The connection was closed.")
    finally:
        part.unlink(missing_ok=True)
    return Response(status_code=200)


def _refusal(world: World, request: Request, key: str) -> Response | None:
    headers, query = request.headers, request.query_params
    expires = query.get("expires", "")
    good = _signature(world, key, int(expires)) if expires.isdigit() else ""
    if request.method != "PUT" or not hmac.compare_digest(good, query.get("signature", "")) or not good:
        return _xml(403, "SignatureDoesNotMatch", "The signature does not match the request.")
    if time.time() > int(expires):
        return _xml(403, "AccessDenied", "Request has expired")
    if "authorization" in headers or "x-limited-access-key" in headers:
        return _xml(403, "AccessDenied", "A presigned URL must be called without credentials.")
    if "transfer-encoding" in headers:
        return _xml(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
    length = headers.get("content-length", "")
    if not length.isdigit():
        return _xml(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    if int(length) > LIMIT:
        return _xml(413, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    return None


async def _receive(request: Request, path: Path) -> int:
    size = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += file.write(chunk)
    return size


def _xml(status: int, code: str, text: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>'
    return Response(body, status_code=status, media_type="application/xml")
