"""The weights of models: presigned uploads in one piece or in parts, and their download (15)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response

from . import models
from .calls import Call, Route
from .refusals import Refused, missing
from .world import World

PREFIX = "/_weights/"
LIMIT = 10 * 1024**3
"""Most bytes of an artifact (1.6)."""
PART_SIZE = 8 * 1024**2
"""Anything larger goes up in parts of this size; the server chooses."""
LIFE = 3600
_TYPE = "application/octet-stream"


def _presign(call: Call) -> Any:
    pk = models.find(call.world, call.path["prj"])["pk"]
    size = call.body.get("declaredSizeBytes")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Refused(400, "declaredSizeBytes must be a number of bytes.")
    if size > LIMIT:
        raise Refused(413, "The weights exceed 10 GiB.")
    upload = f"upl_{secrets.token_hex(8)}"
    row = (upload, pk, size, *(call.body.get(key) for key in ("contentType", "originalFilename", "checksumSha256")))
    with call.world.held.transaction() as c:
        c.execute("INSERT INTO weight_uploads VALUES (?, ?, ?, ?, ?, ?)", row)
    if size <= PART_SIZE:
        headers = {"Content-Type": call.body.get("contentType") or _TYPE}
        return {"uploadId": upload, "uploadUrl": _url(call, upload, 0), "requiredHeaders": headers}
    numbers = range(1, -(-size // PART_SIZE) + 1)
    parts = [{"partNumber": number, "url": _url(call, upload, number)} for number in numbers]
    return {"uploadId": upload, "parts": parts, "partSizeBytes": PART_SIZE}


def _finalize(call: Call) -> Any:
    model = models.find(call.world, call.path["prj"])
    query = "SELECT * FROM weight_uploads WHERE upload = ? AND model = ?"
    upload = call.world.held.reader().execute(query, (call.text("uploadId"), model["pk"])).fetchone()
    if upload is None:
        raise missing("Upload", call.text("uploadId"))
    pieces = _pieces(call, upload["upload"])
    digest, size = hashlib.sha256(), 0
    joined = call.world.folder / "uploads" / f"weights.{upload['upload']}"
    with joined.open("wb") as out:
        for piece in pieces:
            content = piece.read_bytes()
            digest.update(content)
            size += out.write(content)
    if size != upload["size"]:
        raise Refused(400, f"{size} bytes were uploaded, {upload['size']} declared.")
    if upload["checksum"] not in (None, digest.hexdigest()):
        raise Refused(400, "The checksum does not match.")
    joined.replace(call.world.folder / "media" / digest.hexdigest())
    row = (model["pk"], upload["filename"], upload["content_type"] or _TYPE, size, digest.hexdigest())
    with call.world.held.transaction() as c:
        c.execute("INSERT OR REPLACE INTO weights VALUES (?, ?, ?, ?, ?)", row)
        c.execute("DELETE FROM weight_uploads WHERE upload = ?", (upload["upload"],))
    for piece in pieces:
        piece.unlink()
    return _described(call)


def _pieces(call: Call, upload: str) -> list[Path]:
    """The files of an upload in order; the tags that the client names must be those of what came."""
    parts = call.body.get("parts")
    if not parts:
        found = [_piece(call.world, upload, 0)]
    else:
        found = [_piece(call.world, upload, int(part["partNumber"])) for part in parts]
    if not all(piece.exists() for piece in found):
        raise Refused(400, "Nothing was uploaded, or a part is missing.")
    for part, piece in zip(parts or (), found, strict=False):
        if str(part.get("eTag")).strip('"') != _tag(piece.read_bytes()):
            raise Refused(400, f"Part {part['partNumber']} is not the one that was uploaded.")
    return found


def _described(call: Call) -> Any:
    model = models.find(call.world, call.path["prj"])
    row = call.world.held.reader().execute("SELECT * FROM weights WHERE model = ?", (model["pk"],)).fetchone()
    described = {"modelProjectId": call.world.ids.spell("prj", model["pk"]), "present": row is not None}
    names = (("sizeBytes", "size"), ("originalFilename", "filename"), ("contentType", "content_type"))
    told = {key: None if row is None else row[column] for key, column in names}
    url = None if row is None else _url(call, row["sha256"], 0)
    return described | {"status": None if row is None else "ready"} | told | {"downloadUrl": url}


def _download(call: Call) -> Any:
    url = _described(call)["downloadUrl"]
    if url is None:
        raise missing("Weights of model", call.path["prj"])
    return {"url": url}


def _delete(call: Call) -> Any:
    pk = models.find(call.world, call.path["prj"])["pk"]
    with call.world.held.transaction() as c:
        return {"deleted": bool(c.execute("DELETE FROM weights WHERE model = ?", (pk,)).rowcount)}


ROUTES = [
    Route("POST", "model/{prj}/weights/presign", _presign),
    Route("POST", "model/{prj}/weights/finalize", _finalize),
    Route("GET", "model/{prj}/weights", _described),
    Route("GET", "model/{prj}/weights/download", _download),
    Route("DELETE", "model/{prj}/weights", _delete),
]


# --- the bucket behind them -----------------------------------------------------------------------------------


async def storage(world: World, request: Request) -> Response:
    """Answer a request to a signed address: PUT of an upload or a part, GET of what a model has."""
    name, _, number = request.url.path.removeprefix(PREFIX).partition("/")
    expires = request.query_params.get("expires", "")
    good = _signature(world, name, number, expires)
    if not hmac.compare_digest(good, request.query_params.get("signature", "")) or time.time() > int(expires):
        return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403, media_type="application/xml")
    if "authorization" in request.headers or "x-limited-access-key" in request.headers:
        return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
    if request.method == "GET":
        return FileResponse(world.folder / "media" / name)
    return await _keep(world, request, name, int(number))


async def _keep(world: World, request: Request, upload: str, number: int) -> Response:
    query = "SELECT content_type FROM weight_uploads WHERE upload = ?"
    row = world.held.reader().execute(query, (upload,)).fetchone()
    kind = request.headers.get("content-type")
    # One piece is signed with its type, a part without any.
    if row is None or kind != (None if number else row["content_type"] or _TYPE):
        return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403, media_type="application/xml")
    if not request.headers.get("content-length", "").isdigit():
        return Response("<Error><Code>MissingContentLength</Code></Error>", 411, media_type="application/xml")
    try:
        content = await request.body()
    except ClientDisconnect:
        return Response("<Error><Code>RequestTimeout</Code></Error>", 400, media_type="application/xml")
    _piece(world, upload, number).write_bytes(content)
    return Response(status_code=200, headers={"ETag": f'"{_tag(content)}"'})


def _piece(world: World, upload: str, number: int) -> Path:
    return world.folder / "uploads" / f"weights.{upload}.{number}"


def _tag(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _url(call: Call, name: str, number: int) -> str:
    expires = str(int(time.time()) + LIFE)
    signature = _signature(call.world, name, str(number), expires)
    return f"{call.address}{PREFIX}{name}/{number}?expires={expires}&signature={signature}"


def _signature(world: World, name: str, number: str, expires: str) -> str:
    return hmac.new(world.secret.encode(), f"{name}:{number}:{expires}".encode(), hashlib.sha256).hexdigest()
