"""Predictions: small uploads, reads, and those that belong to no run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from nucleus_sync.api.annotations import small_upload
from nucleus_sync.api.calls import Call, get, given, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.retry import Safety
from nucleus_sync.api.wire import CopiedPredictions, Json, UploadTally, stamped, stamped_one_by_one
from nucleus_sync.records.annotation import Annotation


class Predictions:
    """`api.predictions`: see docs/wire.md §10.3 to §10.5. Bulk goes through `api.uploads`, paged reads by slices."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def upload(
        self,
        dataset_id: str,
        model_id: str,
        predictions: Sequence[Annotation],
        *,
        update: bool = True,
        trained_slice_id: str | None = None,
    ) -> UploadTally:
        """Upload a few at once into the run that Nucleus finds or makes; the answer names it."""
        segments = ("dataset", dataset_id, "model", model_id, "uploadPredictions")
        return await self._upload(segments, predictions, update, trained_slice_id)

    async def upload_to_run(
        self,
        dataset_id: str,
        run_id: str,
        predictions: Sequence[Annotation],
        *,
        update: bool = True,
        trained_slice_id: str | None = None,
    ) -> UploadTally:
        """Upload a few at once into a run."""
        segments = ("dataset", dataset_id, "modelRun", run_id, "uploadPredictions")
        return await self._upload(segments, predictions, update, trained_slice_id)

    async def all(self, dataset_id: str, model_id: str) -> Iterator[Json]:
        """All predictions of a model on a dataset in one answer, which may take too long for big sets."""
        call = get("dataset", dataset_id, "model", model_id, "export")
        return stamped_one_by_one(await self._exchange.json(call, dict[str, msgspec.Raw]))

    async def all_of_run(self, run_id: str) -> Iterator[Json]:
        """All predictions of a run in one answer."""
        call = get("modelRun", run_id, "ungrouped")
        return stamped_one_by_one(await self._exchange.json(call, dict[str, msgspec.Raw]))

    async def on_item(self, dataset_id: str, model_id: str, reference_id: str) -> list[Json]:
        """A model's predictions on one item."""
        return await self._grouped(
            get("dataset", dataset_id, "model", model_id, "referenceId", reference_id), reference_id
        )

    async def of_run_on_item(self, run_id: str, reference_id: str) -> list[Json]:
        """A run's predictions on one item."""
        return await self._grouped(get("modelRun", run_id, "refloc", reference_id), reference_id)

    async def get(self, dataset_id: str, model_id: str, reference_id: str, annotation_id: str) -> Json:
        """One prediction in wire form."""
        call = get("dataset", dataset_id, "model", model_id, "loc", reference_id, annotation_id)
        return await self._exchange.json(call, dict[str, Any])

    async def get_of_run(self, run_id: str, reference_id: str, annotation_id: str) -> Json:
        """One prediction of a run in wire form."""
        call = get("modelRun", run_id, "prediction", "loc", reference_id, annotation_id)
        return await self._exchange.json(call, dict[str, Any])

    async def upload_without_run(
        self, model_id: str, predictions: Sequence[Json], *, update: bool = True
    ) -> UploadTally:
        """Upload boxes, polygons and cuboids that evaluation V2 reads, each with `item_id`, or `dataset_id` and key."""
        body = {"update": update, "annotations": list(predictions)}
        safety = Safety.IDEMPOTENT if update else Safety.UPSERT
        return await self._exchange.json(post("model", model_id, "predictions", body=body, safety=safety), UploadTally)

    async def without_run_on_item(self, model_id: str, reference_id: str) -> list[Json]:
        """Predictions without a run on one item, each with its type."""
        call = get("model", model_id, "predictions", "refloc", reference_id)
        return await self._exchange.field(call, "predictions", list[dict[str, Any]])

    async def without_run_at(self, model_id: str, item_id: str) -> list[Json]:
        """The same by Nucleus's own id of the item, which no other dataset has."""
        call = get("model", model_id, "predictions", "loc", item_id)
        return await self._exchange.field(call, "predictions", list[dict[str, Any]])

    async def copy_from_run(self, model_id: str, run_id: str) -> CopiedPredictions:
        """Copy a run's predictions to those without a run."""
        call = post("model", model_id, "predictions", "copyFromRun", body={"model_run_id": run_id})
        return await self._exchange.json(call, CopiedPredictions)

    async def _upload(
        self,
        segments: tuple[str, ...],
        predictions: Sequence[Annotation],
        update: bool,
        trained_slice_id: str | None,
    ) -> UploadTally:
        body = small_upload(predictions, update=update, **given(trained_slice_id=trained_slice_id))
        safety = Safety.IDEMPOTENT if update else Safety.UPSERT
        return await self._exchange.json(post(*segments, body=body, safety=safety), UploadTally)

    async def _grouped(self, call: Call, reference_id: str) -> list[Json]:
        by_type = await self._exchange.field(call, "annotations", dict[str, Any])
        return stamped({"reference_id": reference_id}, by_type)
