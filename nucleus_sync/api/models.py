"""Models and their runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nucleus_sync.api.calls import Call, delete, get, given, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.refusal import refusal, says_taken, shortened
from nucleus_sync.api.retry import Safety
from nucleus_sync.api.wire import Job, Json, MergedRun, Model, Run
from nucleus_sync.errors import ApiError


class Models:
    """`api.models`: see docs/wire.md §10.1, §10.2. A model's reference id is unique in the account."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def all(self) -> list[Model]:
        """All models that this key sees."""
        return await self._exchange.field(get("models", ""), "models", list[Model])

    async def find(self, reference_id: str) -> Model | None:
        """The model of that reference id."""
        return next((model for model in await self.all() if model.key == reference_id), None)

    async def get(self, model_id: str) -> Model:
        """A model by its id or by that of one of its runs."""
        return await self._exchange.json(get("model", model_id), Model)

    async def add(
        self,
        name: str,
        reference_id: str,
        *,
        metadata: Json | None = None,
        tags: Sequence[str] | None = None,
        trained_slice_ids: Sequence[str] | None = None,
        bundle_name: str | None = None,
    ) -> str:
        """A new model's id; Conflict if the reference id is taken. Name and metadata can't be changed afterwards."""
        body = {
            "name": name,
            "reference_id": reference_id,
            "metadata": metadata or {},
            **given(
                bundle_name=bundle_name,
                tags=list(tags) if tags else None,
                trained_slice_ids=list(trained_slice_ids) if trained_slice_ids else None,
            ),
        }
        return await self._created(post("models", "add", body=body, safety=Safety.CREATE), "model_id")

    async def delete(self, model_id: str) -> None:
        """Begin to delete a model with its runs and predictions; no job tells when it is done."""
        await self._exchange.answer(delete("model", model_id))

    async def add_tags(self, model_id: str, tags: Sequence[str]) -> None:
        """Add tags."""
        await self._exchange.answer(post("model", model_id, "tag", body={"tags": list(tags)}))

    async def remove_tags(self, model_id: str, tags: Sequence[str]) -> None:
        """Remove tags; an error if one is not there, unlike with datasets."""
        await self._exchange.answer(delete("model", model_id, "tag", body={"tags": list(tags)}))

    async def add_trained_slices(self, model_id: str, slice_ids: Sequence[str]) -> None:
        """Record slices that the model was trained on."""
        await self._exchange.answer(post("model", model_id, "trainedSliceId", body=_slices(slice_ids)))

    async def remove_trained_slices(self, model_id: str, slice_ids: Sequence[str]) -> None:
        """Take them back."""
        await self._exchange.answer(delete("model", model_id, "trainedSliceId", body=_slices(slice_ids)))

    async def run_hosted(self, model_id: str, dataset_id: str, slice_id: str, run_name: str) -> Job:
        """Let Nucleus run a hosted bundle."""
        body = {"dataset_id": dataset_id, "slice_id": slice_id, "model_run_name": run_name}
        return await self._exchange.json(post("model", "run", model_id, "", body=body, safety=Safety.CREATE), Job)

    async def runs(self, model_id: str, *, family: bool = False) -> list[str]:
        """Ids of its runs, and of its other versions' if wanted; those on datasets that we don't see are missing."""
        query = {"family": "true"} if family else None
        return await self._exchange.json(get("model", model_id, "modelRun", query=query), list[str])

    async def create_run(
        self, model_id: str, name: str, *, reference_id: str | None = None, metadata: Json | None = None
    ) -> str:
        """A new run's id; it gains datasets as predictions are uploaded."""
        body = {"name": name, "reference_id": reference_id, "metadata": metadata or {}}
        call = post("model", model_id, "modelRun", "create", body=body, safety=Safety.CREATE)
        return await self._created(call, "model_run_id")

    async def create_run_on_dataset(
        self,
        dataset_id: str,
        name: str,
        model_reference_id: str,
        *,
        metadata: Json | None = None,
        annotation_metadata_schema: Json | None = None,
    ) -> str:
        """A new run's id by the older route, which names the model by its reference id."""
        body = {
            "name": name,
            "reference_id": model_reference_id,
            "metadata": metadata or {},
            "annotation_metadata_schema": annotation_metadata_schema,
        }
        call = post("dataset", dataset_id, "modelRun", "create", body=body, safety=Safety.CREATE)
        return await self._created(call, "model_run_id")

    async def run(self, run_id: str) -> Run:
        """What a run is."""
        return await self._exchange.json(get("modelRun", run_id, "info"), Run)

    async def commit_run(self, run_id: str, options: Json | None = None) -> None:
        """Evaluate a run the old way."""
        await self._exchange.answer(post("modelRun", run_id, "commit", body=options or {}))

    async def merge_runs(
        self, run_ids: Sequence[str], *, name: str | None = None, metadata: Json | None = None
    ) -> MergedRun:
        """A new run with the union of two or more of one model; wait for its job."""
        body = {"model_run_ids": list(run_ids), **given(name=name, metadata=metadata)}
        return await self._exchange.json(post("modelRun", "merge", body=body, safety=Safety.CREATE), MergedRun)

    async def delete_run(self, run_id: str) -> None:
        """Delete a run with all its predictions: the only way to take single ones back."""
        await self._exchange.answer(delete("modelRun", run_id))

    async def _created(self, call: Call, name: str) -> str:
        """The new id; two old routes tell a failure inside a success (docs/wire.md §1.4)."""
        answer = await self._exchange.json(call, dict[str, Any])
        created = answer.get(name)
        if isinstance(created, str) and created:
            return created
        text = shortened(str(answer.get("error") or "an answer without an id"))
        status = answer.get("status_code")
        if isinstance(status, int) and status >= 400:
            raise refusal(call.where, status, text)
        if says_taken(text):
            raise refusal(call.where, 409, text)
        raise ApiError(f"Nucleus refused: {text}", where=call.where, answer=text)


def _slices(slice_ids: Sequence[str]) -> Json:
    return {"trained_slice_ids": list(slice_ids)}
