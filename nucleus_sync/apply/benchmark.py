"""Keeps the benchmark of an evaluation: a new version when its items or ground truth changed, drafts in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nucleus_sync.api.benchmarks import BenchmarkLineage, BenchmarkSources, BenchmarkTaxonomy
from nucleus_sync.apply.made_once import awaited, made_once, so_far
from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime, StepFailed
from nucleus_sync.errors import NotFound
from nucleus_sync.events import Note
from nucleus_sync.ledger.resources import Resource
from nucleus_sync.plan.steps import Step
from nucleus_sync.spec.evaluation import Benchmark
from nucleus_sync.survey.evaluations import benchmark_inputs, datasets_of

if TYPE_CHECKING:
    from nucleus_sync.spec.model import BenchmarkEvaluation, MetricsEvaluation

_IDS_AT_ONCE = 1000


async def keep_benchmark(
    runtime: Runtime,
    step: Step,
    declared: MetricsEvaluation | BenchmarkEvaluation,
    versions: Mapping[str, int],
) -> str | None:
    """The id of a benchmark that is ready and holds what is declared now; None for one that stays a draft.

    What isn't a draft is frozen: when its content changes, a new version of it is made.
    """
    wanted, sources = _declared_benchmark(declared), _sources(runtime, declared)
    inputs = {address: versions[address] for address in benchmark_inputs(declared)}
    content = [sources, inputs, declared.class_agnostic, wanted.label]
    details = so_far(runtime, step.address)
    newest: str | None = details.get("benchmark_id")
    status = await _status(runtime, step, newest) if newest else "gone"
    is_current = details.get("benchmark_of") == content
    if newest is None or status not in ("ready", "draft") or (status == "ready" and not is_current):
        newest = await _make(runtime, step, declared, content, newest if status == "ready" else None)
        status = await _status(runtime, step, newest)
    elif not is_current:
        await _fill_again(runtime, step, newest, sources)
        _note_content(runtime, step, content)
    if status == "draft" and not wanted.draft:
        status = (await runtime.api.benchmarks.finalize(newest)).status or ""
    if status == "draft":
        runtime.emit(Note(step.address, f"benchmark {newest} is kept as a draft; nothing is evaluated"))
        return None
    if status != "ready":
        raise StepFailed(f"benchmark {newest} could not be built", where=step.address)
    return newest


def _note_content(runtime: Runtime, step: Step, content: Sequence[Any]) -> None:
    resource = runtime.ledger.resource(step.address)
    if resource is not None:
        details = {**resource.details, "benchmark_of": content}
        runtime.ledger.put_resource(
            Resource(step.address, resource.kind, resource.nucleus_id, resource.digest, details)
        )


def _declared_benchmark(declared: MetricsEvaluation | BenchmarkEvaluation) -> Benchmark:
    found = declared.benchmark if declared.kind == "benchmark" else None
    return found or Benchmark()


def _sources(runtime: Runtime, declared: MetricsEvaluation | BenchmarkEvaluation) -> dict[str, Any]:
    """Where the members come from, in the ids that Nucleus has for it."""
    wanted = _declared_benchmark(declared)
    if not wanted.has_sources:
        return {"dataset_id": runtime.nucleus_id(f"dataset.{next(iter(datasets_of(declared)))}")}
    items = [
        {"dataset_id": runtime.nucleus_id(f"dataset.{dataset}"), "ref_id": reference}
        for dataset, references in wanted.items.items()
        for reference in references
    ]
    datasets = [runtime.nucleus_id(f"dataset.{name}") for name in wanted.datasets]
    slices = [runtime.nucleus_id(address) for address in wanted.slice_addresses]
    named = {"items": items, "dataset_ids": datasets, "slice_ids": slices}
    return {key: value for key, value in named.items() if value}


async def _status(runtime: Runtime, step: Step, benchmark_id: str) -> str:
    """`draft`, `ready`, `failed` or `gone`, once it is no longer being built."""

    async def look() -> str | None:
        try:
            status = (await runtime.api.benchmarks.get(benchmark_id)).status
        except NotFound:
            return "gone"
        return None if status == "building" else status

    return await awaited(runtime, step, look)


async def _make(
    runtime: Runtime,
    step: Step,
    declared: MetricsEvaluation | BenchmarkEvaluation,
    content: Sequence[Any],
    parent: str | None,
) -> str:
    """Its name tells the second in which it was asked for, by which a lost answer is found again."""
    wanted, sources = _declared_benchmark(declared), content[0]
    name = f"{wanted.name or step.address} {datetime.fromtimestamp(runtime.wall(), UTC):%Y-%m-%d %H:%M:%S}"
    lineage = BenchmarkLineage(
        parent_benchmark_id=parent,
        bump_type=wanted.bump if parent else None,
        version_label=wanted.label,
        removed_item_ids=await _departed(runtime, parent, sources) if parent else None,
    )
    # A version inherits the taxonomy of its parent unless told otherwise.
    taxonomy = BenchmarkTaxonomy(class_agnostic=declared.class_agnostic) if parent or declared.class_agnostic else None

    async def create() -> str:
        started = await runtime.api.benchmarks.create(
            name,
            BenchmarkSources(**sources),
            description=wanted.description,
            lineage=lineage,
            taxonomy=taxonomy,
            draft=wanted.draft,
        )
        if wanted.draft and started.job_id:
            await runtime.api.poller.outcome(started.job_id, JOB_DEADLINE)
        return started.benchmark_id

    details = {**so_far(runtime, step.address), "benchmark_of": content}
    return await made_once(runtime, step.address, {"benchmark": name, "details": details}, create)


async def _departed(runtime: Runtime, parent: str, sources: Mapping[str, Any]) -> list[str] | None:
    """Members of the parent that are no longer declared: a version holds all of its parent's unless told otherwise.

    What was deleted at Nucleus is gone from the parent, too, so whole datasets need no look.
    """
    if "dataset_id" in sources or "dataset_ids" in sources:
        return None
    wanted: set[str] = set()
    for slice_id in sources.get("slice_ids", ()):
        wanted |= {str(member["id"]) for member in await runtime.api.slices.members(slice_id)}
    for one in sources.get("items", ()):
        found = await runtime.api.items.get(one["dataset_id"], one["ref_id"])
        wanted.add(found.item.dataset_item_id or found.item.id or "")
    return sorted(set(await _members(runtime, parent)) - wanted) or None


async def _members(runtime: Runtime, benchmark_id: str) -> list[str]:
    found: list[str] = []
    while True:
        page = await runtime.api.benchmarks.items(benchmark_id, limit=_IDS_AT_ONCE, offset=len(found))
        found += page.item_ids
        if not page.item_ids or len(found) >= page.total:
            return found


async def _fill_again(runtime: Runtime, step: Step, benchmark_id: str, sources: Mapping[str, Any]) -> None:
    """A draft keeps its id: what is in it goes, what is declared comes in."""
    members = await _members(runtime, benchmark_id)
    if members:
        await runtime.api.benchmarks.remove_items(benchmark_id, members)
    job_id = await runtime.api.benchmarks.add_items(benchmark_id, BenchmarkSources(**sources))
    runtime.ledger.note_job(job_id, step.address, "")
    await runtime.api.poller.outcome(job_id, JOB_DEADLINE)
