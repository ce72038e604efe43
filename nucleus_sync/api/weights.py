"""The weights file of a model: presigned, sent in one piece or in parts, finalized."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from msgspec import Struct

from nucleus_sync.api.calls import delete, get, given, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.file_pieces import FilePiece
from nucleus_sync.errors import ApiError, UsageError

MOST_BYTES = 10 * 1024**3
"""Largest artifact (docs/wire.md §15)."""
_PARTS_AT_ONCE = 4


class Part(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where one part goes."""

    part_number: int
    url: str


class _Presigned(Struct, frozen=True, kw_only=True, rename="camel"):
    upload_id: str
    upload_url: str | None = None
    required_headers: dict[str, str] | None = None
    parts: list[Part] | None = None
    part_size_bytes: int | None = None


class WeightsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a model has; `present` is False while nothing can be downloaded."""

    present: bool = False
    status: str | None = None
    size_bytes: int | None = None
    original_filename: str | None = None


class Weights:
    """`api.weights`: see docs/wire.md §15; camelCase both ways."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def of(self, model_id: str) -> WeightsAnswer:
        """What is there."""
        return await self._exchange.json(get("model", model_id, "weights"), WeightsAnswer)

    async def upload(self, model_id: str, path: Path, size: int, sha256: str) -> WeightsAnswer:
        """Send a file of at most 10 GiB; it takes the place of what was there. Safe to repeat."""
        if size > MOST_BYTES:
            raise UsageError(f"{size} bytes of weights; Nucleus takes at most {MOST_BYTES}", where=str(path))
        body = {"declaredSizeBytes": size, "originalFilename": path.name, "checksumSha256": sha256}
        call = post("model", model_id, "weights", "presign", body=body)
        presigned = await self._exchange.json(call, _Presigned)
        parts = await self._sent(presigned, path, size)
        finalize = {"uploadId": presigned.upload_id, **given(parts=parts)}
        return await self._exchange.json(post("model", model_id, "weights", "finalize", body=finalize), WeightsAnswer)

    async def delete(self, model_id: str) -> None:
        """Take them away; nothing there is as good."""
        await self._exchange.answer(delete("model", model_id, "weights"))

    async def _sent(self, presigned: _Presigned, path: Path, size: int) -> list[dict[str, Any]] | None:
        if presigned.upload_url:
            headers = presigned.required_headers or {}
            await self._exchange.put_file(presigned.upload_url, [FilePiece(path, size)], headers, once=False)
            return None
        if not presigned.parts or not presigned.part_size_bytes:
            raise ApiError("Nucleus named no address for the weights", where="POST weights/presign")
        slots = asyncio.Semaphore(_PARTS_AT_ONCE)
        width = presigned.part_size_bytes

        async def send(part: Part) -> dict[str, Any]:
            offset = (part.part_number - 1) * width
            async with slots:
                piece = FilePiece(path, min(width, size - offset), offset)
                answer = await self._exchange.put_file(part.url, [piece], once=False)
            tag = answer.headers.get("etag", "").strip('"')
            if not tag:
                raise ApiError(f"storage gave no ETag for part {part.part_number}", where="PUT storage")
            return {"partNumber": part.part_number, "eTag": tag}

        return sorted(await asyncio.gather(*map(send, presigned.parts)), key=lambda part: int(part["partNumber"]))
