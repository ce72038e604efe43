"""Benchmarks: frozen sets of items with ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from nucleus_sync.api.calls import delete, get, given, patch, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.retry import Safety
from nucleus_sync.api.wire import Benchmark, BenchmarkItems, Json, StartedBenchmark


class BenchmarkSources(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a benchmark's items come from, in any mixture; `items` are objects of `dataset_id` and `ref_id`."""

    item_ids: list[str] | None = None
    items: list[dict[str, str]] | None = None
    slice_id: str | None = None
    slice_ids: list[str] | None = None
    dataset_id: str | None = None
    dataset_ids: list[str] | None = None
    scene_ids: list[str] | None = None


class BenchmarkLineage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which benchmark this one is a version of; `bump_type` is minor or major."""

    parent_benchmark_id: str | None = None
    bump_type: str | None = None
    version_major: int | None = None
    version_minor: int | None = None
    version_label: str | None = None
    removed_item_ids: list[str] | None = None


class BenchmarkTaxonomy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"rollup_groups": "rollupGroups"}
):
    """Which labels count as the same; at most one of the three."""

    rollup_groups: list[Json] | None = None
    allowed_label_matches_id: str | None = None
    class_agnostic: bool | None = None


class Benchmarks:
    """`api.benchmarks`: see docs/wire.md §13. Anything but a draft is frozen: a change is a new version."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def create(
        self,
        name: str,
        sources: BenchmarkSources | None = None,
        *,
        description: str | None = None,
        metadata: Json | None = None,
        lineage: BenchmarkLineage | None = None,
        taxonomy: BenchmarkTaxonomy | None = None,
        draft: bool = False,
    ) -> StartedBenchmark:
        """A new benchmark, which its job fills. Items without ground truth are left out and counted."""
        body = {
            "name": name,
            **given(description=description, metadata=metadata, draft=draft or None),
            **_fields(sources),
            **_fields(lineage),
            **_fields(taxonomy),
        }
        return await self._exchange.json(post("benchmarks", body=body, safety=Safety.CREATE), StartedBenchmark)

    async def all(self) -> list[Benchmark]:
        """All benchmarks that this key sees."""
        return await self._exchange.json(get("benchmarks"), list[Benchmark])

    async def get(self, benchmark_id: str) -> Benchmark:
        """What a benchmark is and whether it is ready."""
        return await self._exchange.json(get("benchmarks", benchmark_id), Benchmark)

    async def update(
        self,
        benchmark_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        metadata: Json | None = None,
        taxonomy: BenchmarkTaxonomy | None = None,
    ) -> Benchmark:
        """Change what is given; the taxonomy of drafts only."""
        body = {**given(name=name, description=description, metadata=metadata), **_fields(taxonomy)}
        return await self._exchange.json(patch("benchmarks", benchmark_id, body=body), Benchmark)

    async def delete(self, benchmark_id: str) -> None:
        """Delete a benchmark."""
        await self._exchange.answer(delete("benchmarks", benchmark_id))

    async def items(self, benchmark_id: str, *, limit: int = 1000, offset: int = 0) -> BenchmarkItems:
        """Ids of its items, a page of them, and how many there are."""
        query = {"limit": str(limit), "offset": str(offset)}
        return await self._exchange.json(get("benchmarks", benchmark_id, "items", query=query), BenchmarkItems)

    async def add_items(self, benchmark_id: str, sources: BenchmarkSources) -> str:
        """Add items to a draft; the job's id."""
        call = post("benchmarks", benchmark_id, "items", body=_fields(sources), safety=Safety.UPSERT)
        return await self._exchange.field(call, "job_id", str)

    async def remove_items(self, benchmark_id: str, item_ids: Sequence[str]) -> None:
        """Take items out of a draft, at once."""
        await self._exchange.answer(delete("benchmarks", benchmark_id, "items", body={"item_ids": list(item_ids)}))

    async def finalize(self, benchmark_id: str) -> Benchmark:
        """Freeze a draft; Conflict if it is none or is still being filled."""
        call = post("benchmarks", benchmark_id, "finalize", body={}, safety=Safety.UPSERT)
        return await self._exchange.json(call, Benchmark)


def _fields(value: Any) -> Json:
    """The fields of a value that are not their defaults, under their names on the wire."""
    fields: Json = msgspec.to_builtins(value) if value is not None else {}
    return fields
