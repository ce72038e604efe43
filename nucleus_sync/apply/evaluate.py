"""Runs an evaluation to its end, keeps its numbers, and judges its gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from nucleus_sync.apply.benchmark import keep_benchmark
from nucleus_sync.apply.made_once import awaited, made_once, so_far
from nucleus_sync.apply.presets import Rules, drop_presets, groups_and_rules_of, keep_preset
from nucleus_sync.apply.resources import digest_of
from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime, StepFailed
from nucleus_sync.errors import NotFound
from nucleus_sync.events import Evaluated
from nucleus_sync.ledger.resources import Resource
from nucleus_sync.plan.gates import judged
from nucleus_sync.plan.steps import Step
from nucleus_sync.survey.evaluations import input_addresses

if TYPE_CHECKING:
    from nucleus_sync.api.wire import Charts, Evaluation
    from nucleus_sync.spec.model import BenchmarkEvaluation, MetricsEvaluation


async def evaluate(runtime: Runtime, step: Step) -> None:
    """Ask for what the declaration says, wait, and write the result down with the inputs that it was made from."""
    name = step.address.partition(".")[2]
    declared = runtime.spec.evaluations[name]
    model_id = runtime.nucleus_id(f"model.{declared.model}")
    versions = {address: runtime.ledger.version(address) for address in input_addresses(declared)}
    inputs = digest_of([dict(step.wanted), versions])
    metrics: dict[str, Any] = {}
    if declared.kind == "metrics":
        await _calculate(runtime, declared, runtime.nucleus_id(f"dataset.{declared.dataset}"), model_id)
    wants_numbers = declared.kind == "benchmark" or declared.expect is not None
    if wants_numbers:
        evaluation_id = await _on_benchmark(runtime, step, declared, model_id, versions, inputs)
        metrics = metrics_of(await runtime.api.evaluations.charts(evaluation_id)) if evaluation_id else {}
    details = {**so_far(runtime, step.address), "wanted": dict(step.wanted), "versions": versions}
    if "running" in details:
        details["evaluation_id"] = details.pop("running")["evaluation_id"]
    if metrics or not wants_numbers:
        runtime.ledger.put_result(step.address, inputs, metrics)
    runtime.ledger.put_resource(
        Resource(step.address, "evaluation", details.get("evaluation_id"), digest_of(step.wanted), details)
    )
    if metrics:
        gates = judge_gates(runtime, step.address, declared)
        runtime.emit(Evaluated(step.address, metrics, gates, _previous(runtime, step.address)))


async def _calculate(runtime: Runtime, declared: MetricsEvaluation, dataset_id: str, model_id: str) -> None:
    matches = [to_builtins(match) for match in declared.allowed_label_matches]
    job_id = await runtime.api.evaluations.metrics(
        dataset_id, model_id, class_agnostic=declared.class_agnostic, allowed_label_matches=matches
    )
    if job_id:
        await runtime.api.poller.outcome(job_id, JOB_DEADLINE)


async def _on_benchmark(
    runtime: Runtime,
    step: Step,
    declared: MetricsEvaluation | BenchmarkEvaluation,
    model_id: str,
    versions: Mapping[str, int],
    inputs: str,
) -> str | None:
    """The id of an evaluation that has ended well: one that an interrupted run began, or a new one.

    None for a benchmark that is kept as a draft.
    """
    rules = await _groups_and_rules(runtime, step, declared)
    benchmark_id = await keep_benchmark(runtime, step, declared, versions)
    if benchmark_id is None:
        return None
    running = so_far(runtime, step.address).get("running", {})
    evaluation_id: str | None = running.get("evaluation_id") if running.get("inputs") == inputs else None
    if evaluation_id is None or not await _is_known(runtime, evaluation_id):
        evaluation_id = await _start(runtime, step, rules, model_id, benchmark_id, inputs)
    ended = await _settled(runtime, step, evaluation_id)
    if ended.status != "succeeded":
        _forget_running(runtime, step.address)
        raise StepFailed(
            f"evaluation {ended.id} {ended.status}: {ended.error_message or 'no reason was given'}", where=step.address
        )
    return evaluation_id


async def _groups_and_rules(runtime: Runtime, step: Step, declared: MetricsEvaluation | BenchmarkEvaluation) -> Rules:
    """As declared, or as the named preset has them; kept as a preset where that is wished."""
    own = rollup_groups(declared), exclusion_rules(declared)
    await drop_presets(runtime, step)
    if declared.kind != "benchmark" or (declared.preset is None and declared.save_as_preset is None):
        return own
    if declared.preset is not None:
        return await groups_and_rules_of(runtime, step, declared.preset)
    await keep_preset(runtime, step, declared.save_as_preset or "", own)
    return own


async def _start(
    runtime: Runtime,
    step: Step,
    rules: Rules,
    model_id: str,
    benchmark_id: str,
    inputs: str,
) -> str:
    """Evaluations have no name of their own, so those that were there before are noted with the intent."""
    before = [evaluation.id for evaluation in await runtime.api.evaluations.of_model(model_id)]
    details = {**so_far(runtime, step.address), "running": {"inputs": inputs}}
    sought = {"model_id": model_id, "benchmark_id": benchmark_id, "before": before}

    async def create() -> str:
        started = await runtime.api.evaluations.start(
            benchmark_id,
            model_id=model_id,
            name=step.address,
            rollup_groups=rules[0] or None,
            exclusion_rules=rules[1] or None,
        )
        return started.evaluation_id

    return await made_once(runtime, step.address, {"evaluation": sought, "details": details}, create)


def _forget_running(runtime: Runtime, address: str) -> None:
    """An evaluation that failed is not taken up again; the next run starts another."""
    details = so_far(runtime, address)
    details.pop("running", None)
    runtime.ledger.put_resource(Resource(address, "evaluation", details.get("evaluation_id"), "", details))


async def _is_known(runtime: Runtime, evaluation_id: str) -> bool:
    try:
        await runtime.api.evaluations.get(evaluation_id)
    except NotFound:
        return False
    return True


async def _settled(runtime: Runtime, step: Step, evaluation_id: str) -> Evaluation:
    async def look() -> Evaluation | None:
        evaluation = await runtime.api.evaluations.get(evaluation_id)
        return evaluation if evaluation.is_settled else None

    return await awaited(runtime, step, look)


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
    return [_rule(to_builtins(rule)) for rule in declared.exclusion_rules]


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    rule = {key: value for key, value in rule.items() if value is not None}
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
    newest = runtime.ledger.results(address, 1)
    if not newest:
        return []
    previous = _previous(runtime, address)
    expect = declared.expect
    bounds = [(gate.metric, gate.label, gate.bound.op, gate.bound.number) for gate in expect.gates]
    worse = (expect.by or 0.0) if expect.no_worse_than else None
    return judged(newest[0].result, bounds, previous, worse)


def _previous(runtime: Runtime, address: str) -> dict[str, Any] | None:
    """The numbers of the run before the newest one."""
    results = runtime.ledger.results(address, 2)
    return results[1].result if len(results) > 1 else None
