"""Datasets with their tags, taxonomies, labels and tracks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from nucleus_sync.api.calls import Call, delete, get, given, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.retry import Safety
from nucleus_sync.api.wire import (
    CreatedDataset,
    DatasetDetails,
    DatasetSummary,
    Json,
    LabelSchema,
    TaxonomyAnswer,
    Track,
)

T = TypeVar("T")


class Datasets:
    """`api.datasets`: see docs/wire.md §9.1, §9.5, §9.7. Names are not unique; ids are."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def create(
        self,
        name: str,
        *,
        is_scene: bool = False,
        privacy_mode: bool = False,
        item_metadata_schema: Json | None = None,
        annotation_metadata_schema: Json | None = None,
    ) -> str:
        """A new dataset's id. A lost answer raises OutcomeUnknown, since a second call would make a second one."""
        body = {
            "name": name,
            "is_scene": is_scene,
            "use_privacy_mode": privacy_mode,
            "annotation_metadata_schema": annotation_metadata_schema,
            "item_metadata_schema": item_metadata_schema,
        }
        call = post("dataset", "create", body=body, safety=Safety.CREATE)
        return (await self._exchange.json(call, CreatedDataset)).dataset_id

    async def create_from_project(
        self, project_id: str, *, last_n_tasks: int | None = None, name: str | None = None
    ) -> str:
        """A new dataset's id, filled from a Scale project."""
        tasks = str(last_n_tasks) if last_n_tasks else None
        body = {"project_id": project_id, **given(last_n_tasks=tasks, name=name)}
        call = post("dataset", "create_from_project", body=body, safety=Safety.CREATE)
        return (await self._exchange.json(call, CreatedDataset)).dataset_id

    async def all(self) -> list[DatasetSummary]:
        """All datasets that this key sees."""
        return await self._exchange.json(get("dataset", "details"), list[DatasetSummary])

    async def details(self, dataset_id: str) -> DatasetDetails:
        """Name, length, runs, slices, schemas and tags."""
        return await self._exchange.json(get("dataset", dataset_id, "info"), DatasetDetails)

    async def name(self, dataset_id: str) -> str:
        """Its name."""
        return await self._field(dataset_id, "name", "name", str)

    async def is_scene(self, dataset_id: str) -> bool:
        """Whether it is for scenes; fixed at creation."""
        return await self._field(dataset_id, "is_scene", "is_scene", bool)

    async def privacy_mode(self, dataset_id: str) -> bool:
        """Whether Nucleus leaves the media where they are; fixed at creation."""
        return await self._field(dataset_id, "use_privacy_mode", "use_privacy_mode", bool)

    async def size(self, dataset_id: str) -> int:
        """How many items it holds."""
        return await self._field(dataset_id, "size", "count", int)

    async def model_runs(self, dataset_id: str) -> list[str]:
        """Ids of the runs that have predictions on it."""
        return await self._exchange.json(get("dataset", dataset_id, "model_runs"), list[str])

    async def delete(self, dataset_id: str) -> None:
        """Begin its deletion, which goes on in the background without a job."""
        await self._exchange.answer(delete("dataset", dataset_id))

    async def tags(self, dataset_id: str) -> list[str]:
        """Its tags."""
        return await self._tags(get("dataset", dataset_id, "tags"))

    async def add_tags(self, dataset_id: str, tags: Sequence[str]) -> list[str]:
        """Add tags; answers all that it has then."""
        return await self._tags(post("dataset", dataset_id, "tags", body={"tags": list(tags)}))

    async def remove_tags(self, dataset_id: str, tags: Sequence[str]) -> list[str]:
        """Remove tags, passing over those that it lacks; answers what remains."""
        return await self._tags(delete("dataset", dataset_id, "tags", body={"tags": list(tags)}))

    async def label_schema(self, dataset_id: str) -> LabelSchema:
        """The labels of its annotations and predictions."""
        return await self._exchange.json(get("dataset", dataset_id, "labelSchema"), LabelSchema)

    async def class_labels(self, dataset_id: str) -> list[str]:
        """The labels of its annotations; up to 40 s behind."""
        return await self._field(dataset_id, "class_labels", "data", list[str])

    async def add_taxonomy(
        self, dataset_id: str, name: str, labels: Sequence[str], *, kind: str = "category", update: bool = False
    ) -> TaxonomyAnswer:
        """Declare a taxonomy. With `update` its labels are appended; none is ever removed.

        There is no way to read one: `update=False` on a known name changes nothing and says that it exists.
        """
        body = {"taxonomy_name": name, "type": kind, "labels": list(labels), "update": update}
        return await self._exchange.json(post("dataset", dataset_id, "add_taxonomy", body=body), TaxonomyAnswer)

    async def remove_taxonomy(self, dataset_id: str, name: str) -> TaxonomyAnswer:
        """Delete a taxonomy with all annotations and predictions that use it."""
        return await self._exchange.json(delete("dataset", dataset_id, "taxonomy", name), TaxonomyAnswer)

    async def ingest_tasks(self, dataset_id: str, task_ids: Sequence[str]) -> Json:
        """Bring finished Scale tasks in; answers counts of ingested, ignored and pending ones."""
        call = post("dataset", dataset_id, "ingest_tasks", body={"tasks": list(task_ids)}, safety=Safety.UPSERT)
        return await self._exchange.json(call, dict[str, Any])

    async def tracks(self, dataset_id: str) -> list[Track]:
        """Tracks that its annotations and predictions name."""
        return await self._field(dataset_id, "tracks", "tracks", list[Track])

    async def set_track_metadata(
        self, dataset_id: str, reference_id: str, metadata: Json, *, overwrite: bool = False
    ) -> None:
        """Merge metadata into a track's, or replace it."""
        body = {"reference_id": reference_id, "metadata": metadata, "overwrite": overwrite}
        await self._exchange.answer(post("dataset", dataset_id, "tracks", body=body))

    async def remove_tracks(self, dataset_id: str, track_reference_ids: Sequence[str]) -> None:
        """Unlink the members of tracks; the members stay."""
        body = {"track_reference_ids": list(track_reference_ids)}
        await self._exchange.answer(delete("dataset", dataset_id, "tracks", body=body))

    async def _field(self, dataset_id: str, route: str, name: str, shape: type[T]) -> T:
        return await self._exchange.field(get("dataset", dataset_id, route), name, shape)

    async def _tags(self, call: Call) -> list[str]:
        return await self._exchange.field(call, "tags", list[str])
