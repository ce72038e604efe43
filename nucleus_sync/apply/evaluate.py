"""Runs an evaluation to its end, keeps its numbers, and judges its gates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nucleus_sync.api.benchmarks import BenchmarkLineage, BenchmarkSources, BenchmarkTaxonomy
from nucleus_sync.apply.resources import digest_of
from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime, StepFailed
from nucleus_sync.errors import NotFound, OutcomeUnknown
from nucleus_sync.events import Evaluated
from nucleus_sync.ledger.resources import Resource
from nucleus_sync.plan.gates import judged
from nucleus_sync.plan.steps import Step
from nucleus_sync.survey.evaluations import input_addresses

if TYPE_CHECKING:
    from nucleus_sync.api.wire import Charts, Evaluation
    from nucleus_sync.spec.model import BenchmarkEvaluation, MetricsEvaluation

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


async def evaluate(runtime: Runtime, step: Step) -> None:
    """Ask for what the declaration says, wait, and write the result down with the inputs that it was made from."""
    name = step.address.partition(".")[2]
    declared = runtime.spec.evaluations[name]
    model_id = runtime.nucleus_id(f"model.{declared.model}")
    dataset_id = runtime.nucleus_id(f"dataset.{declared.dataset}")
    versions = {address: runtime.ledger.version(address) for address in input_addresses(declared)}
    before = runtime.ledger.resource(step.address)
    details: dict[str, Any] = {**(before.details if before else {}), "wanted": dict(step.wanted), "versions": versions}
    metrics: dict[str, Any] = {}
    if declared.kind == "metrics":
        await _calculate(runtime, declared, dataset_id, model_id)
    if declared.kind == "benchmark" or declared.expect is not None:
        await _on_benchmark(runtime, step, declared, dataset_id, model_id, details)
        metrics = metrics_of(await runtime.api.evaluations.charts(details["evaluation_id"]))
    runtime.ledger.put_result(step.address, digest_of([dict(step.wanted), versions]), metrics)
    runtime.ledger.put_resource(
        Resource(step.address, "evaluation", details.get("evaluation_id"), digest_of(step.wanted), details)
    )
    if metrics:
        runtime.emit(Evaluated(step.address, metrics, judge_gates(runtime, step.address, declared)))


async def _calculate(runtime: Runtime, declared: MetricsEvaluation, dataset_id: str, model_id: str) -> None:
    matches = [match.model_dump() for match in declared.allowed_label_matches]
    job_id = await runtime.api.evaluations.metrics(
        dataset_id, model_id, class_agnostic=declared.class_agnostic, allowed_label_matches=matches
    )
    if job_id:
        await runtime.api.poller.outcome(job_id, JOB_DEADLINE)


async def _on_benchmark(
    runtime: Runtime,
    step: Step,
    declared: MetricsEvaluation | BenchmarkEvaluation,
    dataset_id: str,
    model_id: str,
    details: dict[str, Any],
) -> None:
    """A benchmark is frozen: when items or ground truth have changed, a new version of it is made."""
    items, truth, _ = input_addresses(declared)
    content = [dataset_id, {address: details["versions"][address] for address in (items, truth)}]
    if details.get("benchmark_of") != content or not await _is_there(runtime, details.get("benchmark_id")):
        details["benchmark_id"] = await _new_benchmark(runtime, step, dataset_id, details.get("benchmark_id"))
        details["benchmark_of"] = content
    started = await runtime.api.evaluations.start(
        details["benchmark_id"],
        model_id=model_id,
        name=step.address,
        rollup_groups=rollup_groups(declared) or None,
        exclusion_rules=exclusion_rules(declared) or None,
    )
    details["evaluation_id"] = started.evaluation_id
    ended = await _settled(runtime, started.evaluation_id)
    if ended.status != "succeeded":
        raise StepFailed(
            f"evaluation {ended.id} {ended.status}: {ended.error_message or 'no reason was given'}", where=step.address
        )


async def _is_there(runtime: Runtime, benchmark_id: str | None) -> bool:
    if benchmark_id is None:
        return False
    try:
        return (await runtime.api.benchmarks.get(benchmark_id)).status == "ready"
    except NotFound:
        return False


async def _new_benchmark(runtime: Runtime, step: Step, dataset_id: str, parent: str | None) -> str:
    if parent is not None and not await _is_there(runtime, parent):
        parent = None
    name = f"{step.address} {datetime.fromtimestamp(runtime.wall(), UTC):%Y-%m-%d %H:%M:%S}"
    known = {benchmark.benchmark_id for benchmark in await runtime.api.benchmarks.all()}
    try:
        started = await runtime.api.benchmarks.create(
            name,
            BenchmarkSources(dataset_id=dataset_id),
            lineage=BenchmarkLineage(parent_benchmark_id=parent) if parent else None,
            taxonomy=BenchmarkTaxonomy(class_agnostic=True) if step.wanted.get("class_agnostic") else None,
        )
        benchmark_id = started.benchmark_id
    except OutcomeUnknown:
        made = [b.benchmark_id for b in await runtime.api.benchmarks.all() if b.name == name]
        made = [found for found in made if found not in known]
        if len(made) != 1:
            raise
        benchmark_id = made[0]
    await _ready(runtime, step, benchmark_id)
    return benchmark_id


async def _ready(runtime: Runtime, step: Step, benchmark_id: str) -> None:
    wait = _FIRST_WAIT
    while True:
        benchmark = await runtime.api.benchmarks.get(benchmark_id)
        if benchmark.status == "ready":
            return
        if benchmark.status == "failed":
            raise StepFailed(f"benchmark {benchmark_id} could not be built", where=step.address)
        await runtime.sleep(wait)
        wait = min(_LONGEST_WAIT, wait * 1.6)


async def _settled(runtime: Runtime, evaluation_id: str) -> Evaluation:
    wait = _FIRST_WAIT
    while True:
        evaluation = await runtime.api.evaluations.get(evaluation_id)
        if evaluation.is_settled:
            return evaluation
        await runtime.sleep(wait)
        wait = min(_LONGEST_WAIT, wait * 1.6)


def rollup_groups(declared: MetricsEvaluation | BenchmarkEvaluation) -> list[dict[str, Any]]:
    """Labels that count as one: as declared, or the label matches joined into groups."""
    if declared.kind == "benchmark":
        return [{"class_name": name, "labels": list(labels)} for name, labels in declared.rollup_groups.items()]
    groups: list[set[str]] = []
    for match in declared.allowed_label_matches:
        pair = {match.ground_truth_label, match.model_prediction_label}
        touching = [group for group in groups if group & pair]
        groups = [group for group in groups if not group & pair] + [pair.union(*touching)]
    return [{"class_name": min(group), "labels": sorted(group)} for group in groups]


def exclusion_rules(declared: MetricsEvaluation | BenchmarkEvaluation) -> list[dict[str, Any]]:
    """Rules in the server's spelling (official SDK 0.22.3, evaluation_v2_exclusions)."""
    if declared.kind != "benchmark":
        return []
    return [_rule(rule.model_dump(exclude_none=True)) for rule in declared.exclusion_rules]


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    if rule["type"] == "metadata":
        return {**rule, "scope": "item", "op": rule["op"].upper()}
    kinds = {"labels": "labels", "box_area": "boxArea"}
    targets = {"ground_truth": "groundTruth", "prediction": "prediction"}
    return {**rule, "type": kinds[rule["type"]], "target": targets[rule["target"]]}


def metrics_of(charts: Charts) -> dict[str, Any]:
    """The numbers by the names that gates use; precision, recall and F1 are those at IoU 0.5 over all matches."""
    counts = charts.total_counts
    precision = _ratio(counts.tp, counts.tp + counts.fp)
    recall = _ratio(counts.tp, counts.tp + counts.fn)
    return {
        "mAP": charts.map_summary.map_at5095,
        "mAP50": charts.map_summary.map_at50,
        "mAP75": charts.map_summary.map_at75,
        "AP_small": charts.ap_by_size.small,
        "AP_medium": charts.ap_by_size.medium,
        "AP_large": charts.ap_by_size.large,
        "precision": precision,
        "recall": recall,
        "F1": _ratio(2 * precision * recall, precision + recall) if precision and recall else precision and recall,
        "labels": {row.class_label: {"AP": row.ap} for row in charts.per_class_ap},
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def judge_gates(
    runtime: Runtime, address: str, declared: MetricsEvaluation | BenchmarkEvaluation
) -> list[dict[str, Any]]:
    """Every gate of an evaluation on its newest result."""
    if declared.expect is None:
        return []
    newest = runtime.ledger.results(address, 2)
    if not newest:
        return []
    previous: Mapping[str, Any] | None = newest[1].result if len(newest) > 1 else None
    expect = declared.expect
    bounds = [(gate.metric, gate.label, gate.bound.op, gate.bound.number) for gate in expect.gates]
    worse = (expect.by or 0.0) if expect.no_worse_than else None
    return judged(newest[0].result, bounds, previous, worse)
