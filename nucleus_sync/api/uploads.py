"""Bytes to Nucleus: NDJSON by a signed URL and a trigger, small files by multipart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from nucleus_sync.api.calls import Call, get, given, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.file_pieces import FilePiece
from nucleus_sync.api.multipart import PNG, SNIFFED_BYTES, FilePart, Multipart, file_names, image_type
from nucleus_sync.api.retry import Failure, Safety
from nucleus_sync.api.wire import Job, UploadTally
from nucleus_sync.errors import ApiError, SourceError, UsageError
from nucleus_sync.records.annotation import Mask
from nucleus_sync.records.item import LocalItem

MOST_BYTES = 0x1FFFFFE8
"""Longest NDJSON that the server's runtime can hold as one string (docs/wire.md §1.6)."""
FILES_PER_REQUEST = 10
_ASYNC = {"async": "1"}
_STALE = frozenset({307, 400, 403, 404, 408, 409})
"""What storage answers to a URL that is too old, or to a body that came too slowly."""


class LocalMask(Struct, frozen=True, kw_only=True):
    """A mask whose PNG is uploaded; `mask.mask_url` is only the name of the file."""

    mask: Mask
    path: str
    size: int


class _SignedUrl(Struct, frozen=True, kw_only=True):
    signed_url: str


class Uploads:
    """`api.uploads`: see docs/wire.md §3.

    A trigger whose answer is lost raises OutcomeUnknown: look for a new job of its type in `api.jobs.listing`, and
    trigger again if there is none; keys make a second ingestion of the same file harmless with `update=True`.
    """

    def __init__(self, exchange: Exchange, storage_endpoint: str | None) -> None:
        self._exchange = exchange
        self._storage_endpoint = storage_endpoint

    async def ndjson(self, dataset_id: str, pieces: Sequence[FilePiece], request_id: str) -> None:
        """Put lines, which lie one behind the other in the pieces, where a trigger with this request id will find them.

        Safe to repeat before the trigger; every attempt asks for a fresh URL.
        """
        _check_sizes(pieces)
        begun = self._exchange.now
        for attempt in count(1):
            url = await self._signed_url(dataset_id, request_id)
            try:
                await self._exchange.put_file(url, pieces)
            except ApiError as error:
                failure = _storage_failure(error)
                await self._exchange.pause_or_raise(("PUT", "storage"), error, failure, attempt=attempt, begun=begun)
            else:
                return

    async def trigger_items(self, dataset_id: str, request_id: str, update: bool) -> Job:
        """Ingest image items; job `uploadDatasetItems`."""
        return await self._trigger(("dataset", dataset_id, "append"), request_id, update)

    async def trigger_annotations(self, dataset_id: str, request_id: str, update: bool) -> Job:
        """Ingest annotations of all types, masks with URLs included; job `uploadAnnotations`."""
        return await self._trigger(("dataset", dataset_id, "annotate"), request_id, update)

    async def trigger_predictions(
        self, dataset_id: str, model_id: str, request_id: str, update: bool, trained_slice_id: str | None = None
    ) -> Job:
        """Ingest predictions into the run that Nucleus finds or makes for model and dataset."""
        segments = ("dataset", dataset_id, "model", model_id, "uploadPredictions")
        return await self._trigger(segments, request_id, update, trained_slice_id=trained_slice_id)

    async def trigger_run_predictions(
        self, dataset_id: str, run_id: str, request_id: str, update: bool, trained_slice_id: str | None = None
    ) -> Job:
        """Ingest predictions into a run, which gains the dataset if that is new to it."""
        segments = ("dataset", dataset_id, "modelRun", run_id, "uploadPredictions")
        return await self._trigger(segments, request_id, update, trained_slice_id=trained_slice_id)

    async def trigger_lidar_scenes(self, dataset_id: str, request_id: str, update: bool) -> Job:
        """Ingest lidar scenes; this route has no `dataset/` before the id."""
        return await self._trigger((dataset_id, "upload_scenes"), request_id, update)

    async def trigger_video_scenes(self, dataset_id: str, request_id: str, update: bool) -> Job:
        """Ingest video scenes; this route has no `dataset/` before the id."""
        return await self._trigger((dataset_id, "upload_video_scenes"), request_id, update)

    async def images(self, dataset_id: str, items: Sequence[LocalItem], update: bool = True) -> Job:
        """Upload at most ten local images; one job (docs/wire.md §3.2)."""
        where = f"POST dataset/{dataset_id}/append"
        _check_number(len(items), where)
        names = file_names([item.item.image_url for item in items])
        # Read first: a file that is gone must stop the request before its head is out.
        parts = [_image_part(item, name) for item, name in zip(items, names, strict=True)]
        wire = [
            {**msgspec.to_builtins(item.item), "image_url": name, "update": update}
            for item, name in zip(items, names, strict=True)
        ]
        body = Multipart("items", _json(wire, where), tuple(parts), uuid4().hex)
        call = post("dataset", dataset_id, "append", body=body, query=_ASYNC, safety=Safety.UPSERT)
        return await self._exchange.json(call, Job)

    async def masks(self, dataset_id: str, masks: Sequence[LocalMask], update: bool = True) -> UploadTally:
        """Upload at most ten local masks as ground truth; synchronous (docs/wire.md §3.3)."""
        return await self._masks(("dataset", dataset_id, "annotate"), masks, update)

    async def predicted_masks(
        self, dataset_id: str, model_id: str, masks: Sequence[LocalMask], update: bool = True
    ) -> UploadTally:
        """Upload at most ten local masks as a model's predictions; synchronous."""
        return await self._masks(("dataset", dataset_id, "model", model_id, "uploadPredictions"), masks, update)

    async def predicted_run_masks(
        self, dataset_id: str, run_id: str, masks: Sequence[LocalMask], update: bool = True
    ) -> UploadTally:
        """Upload at most ten local masks into a model run; synchronous."""
        return await self._masks(("dataset", dataset_id, "modelRun", run_id, "uploadPredictions"), masks, update)

    async def _signed_url(self, dataset_id: str, request_id: str) -> str:
        query = given(s3Endpoint=self._storage_endpoint)
        call = get("dataset", dataset_id, "signedUrl", request_id, query=query)
        return (await self._exchange.json(call, _SignedUrl)).signed_url

    async def _trigger(self, segments: tuple[str, ...], request_id: str, update: bool, **more: Any) -> Job:
        body = {"requestId": request_id, "update": update, **more}
        return await self._exchange.json(post(*segments, body=body, query=_ASYNC, safety=Safety.UPSERT), Job)

    async def _masks(self, segments: tuple[str, ...], masks: Sequence[LocalMask], update: bool) -> UploadTally:
        where = f"POST {'/'.join(segments)}"
        _check_number(len(masks), where)
        names = file_names([mask.mask.mask_url for mask in masks])
        parts = [_mask_part(mask, name) for mask, name in zip(masks, names, strict=True)]
        wire = [{**msgspec.to_builtins(mask.mask), "mask_url": name} for mask, name in zip(masks, names, strict=True)]
        content = _json({"segmentations": wire, "update": update}, where)
        body = Multipart("serialized_request", content, tuple(parts), uuid4().hex)
        # One mask an item, whatever its id: the same masks once more change nothing.
        safety = Safety.IDEMPOTENT if update else Safety.UPSERT
        return await self._exchange.json(post(*segments, body=body, safety=safety), UploadTally)


def _json(body: Any, where: str) -> bytes:
    content = Call("POST", (where,), body).content()
    if not isinstance(content, bytes):
        raise UsageError("a JSON part without content", where=where)
    return content


def _storage_failure(error: ApiError) -> Failure:
    """A stale URL counts as a fault that a fresh one may mend."""
    return Failure(error.what, status=408 if error.status in _STALE else error.status)


def _check_sizes(pieces: Sequence[FilePiece]) -> None:
    size = sum(piece.size for piece in pieces)
    if size > MOST_BYTES:
        where = str(pieces[0].path)
        raise UsageError(f"{size} bytes in one upload; Nucleus takes at most {MOST_BYTES}", where=where)
    for piece in pieces:
        if piece.offset is None:
            _measured(piece.path, piece.size)


def _check_number(number: int, where: str) -> None:
    if not 1 <= number <= FILES_PER_REQUEST:
        raise UsageError(f"{number} files in one request; 1 to {FILES_PER_REQUEST} are possible", where=where)


def _image_part(item: LocalItem, name: str) -> FilePart:
    path = Path(item.path)
    kind = image_type(_start(path))
    if kind is None:
        raise SourceError("is no image of a known format", where=item.path)
    return FilePart("image", name, path, _measured(path, item.size), kind)


def _mask_part(mask: LocalMask, name: str) -> FilePart:
    path = Path(mask.path)
    if image_type(_start(path)) != PNG:
        raise SourceError("is no PNG; masks must be", where=mask.path)
    return FilePart("mask", name, path, _measured(path, mask.size), PNG)


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SNIFFED_BYTES)
    except OSError as error:
        raise SourceError(f"can't be read: {error.strerror}", where=str(path)) from None


def _measured(path: Path, size: int) -> int:
    try:
        found = os.stat(path).st_size
    except OSError as error:
        raise SourceError(f"can't be read: {error.strerror}", where=str(path)) from None
    if found != size:
        raise SourceError(
            f"has {found} bytes and had {size}: it changed since it was read",
            where=str(path),
            fix="run again once it is complete",
        )
    return size
