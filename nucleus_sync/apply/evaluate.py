"""Runs an evaluation to its end, keeps its numbers, and judges its gates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from nucleus_sync.api.benchmarks import BenchmarkLineage, BenchmarkSources, BenchmarkTaxonomy
from nucleus_sync.apply.resources import digest_of
from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime, StepFailed
from nucleus_sync.errors import ApiError, Candidate, NotFound, OutcomeUnknown, Undecided
from nucleus_sync.events import Evaluated, Note
from nucleus_sync.ledger.resources import Creation, Resource
from nucleus_sync.plan.gates import judged
from nucleus_sync.plan.steps import Step
from nucleus_sync.survey.evaluations import input_addresses

if TYPE_CHECKING:
    from nucleus_sync.api.wire import Charts, Evaluation
    from nucleus_sync.spec.model import BenchmarkEvaluation, MetricsEvaluation

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


async def evaluate(runtime: Runtime, step: Step) -> None:
    """Ask for what the declaration says, wait, and write the result down with the inputs that it was made from."""
    name = step.address.partition(".")[2]
    declared = runtime.spec.evaluations[name]
    model_id = runtime.nucleus_id(f"model.{declared.model}")
    dataset_id = runtime.nucleus_id(f"dataset.{declared.dataset}")
    versions = {address: runtime.ledger.version(address) for address in input_addresses(declared)}
    inputs = digest_of([dict(step.wanted), versions])
    metrics: dict[str, Any] = {}
    if declared.kind == "metrics":
        await _calculate(runtime, declared, dataset_id, model_id)
    if declared.kind == "benchmark" or declared.expect is not None:
        evaluation_id = await _on_benchmark(runtime, step, declared, (dataset_id, model_id), versions, inputs)
        metrics = metrics_of(await runtime.api.evaluations.charts(evaluation_id))
    details = {**_so_far(runtime, step.address), "wanted": dict(step.wanted), "versions": versions}
    if "running" in details:
        details["evaluation_id"] = details.pop("running")["evaluation_id"]
    runtime.ledger.put_result(step.address, inputs, metrics)
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


def _so_far(runtime: Runtime, address: str) -> dict[str, Any]:
    """What was made for an evaluation until now; what its last result was made from is left out until it has ended."""
    before = runtime.ledger.resource(address)
    details = dict(before.details) if before else {}
    return {name: value for name, value in details.items() if name not in ("wanted", "versions")}


async def _on_benchmark(
    runtime: Runtime,
    step: Step,
    declared: MetricsEvaluation | BenchmarkEvaluation,
    ids: tuple[str, str],
    versions: Mapping[str, int],
    inputs: str,
) -> str:
    """The id of an evaluation that has ended well: one that an interrupted run began, or a new one."""
    dataset_id, model_id = ids
    benchmark_id = await _benchmark(runtime, step, declared, dataset_id, versions)
    running = _so_far(runtime, step.address).get("running", {})
    evaluation_id: str | None = running.get("evaluation_id") if running.get("inputs") == inputs else None
    if evaluation_id is None or not await _is_known(runtime, evaluation_id):
        evaluation_id = await _start(runtime, step, declared, model_id, benchmark_id, inputs)
    ended = await _settled(runtime, step, evaluation_id)
    if ended.status != "succeeded":
        _forget_running(runtime, step.address)
        raise StepFailed(
            f"evaluation {ended.id} {ended.status}: {ended.error_message or 'no reason was given'}", where=step.address
        )
    return evaluation_id


async def _benchmark(
    runtime: Runtime,
    step: Step,
    declared: MetricsEvaluation | BenchmarkEvaluation,
    dataset_id: str,
    versions: Mapping[str, int],
) -> str:
    """A benchmark is frozen: when items or ground truth have changed, a new version of it is made."""
    items, truth, _ = input_addresses(declared)
    content = [dataset_id, {address: versions[address] for address in (items, truth)}]
    details = _so_far(runtime, step.address)
    newest: str | None = details.get("benchmark_id")
    is_ready = newest is not None and await _is_ready(runtime, step, newest)
    if newest is not None and is_ready and details.get("benchmark_of") == content:
        return newest
    made = await _new_benchmark(runtime, step, dataset_id, newest if is_ready else None, content)
    if not await _is_ready(runtime, step, made):
        raise StepFailed(f"benchmark {made} could not be built", where=step.address)
    return made


async def _new_benchmark(
    runtime: Runtime, step: Step, dataset_id: str, parent: str | None, content: Sequence[object]
) -> str:
    """Its name tells the second in which it was asked for, by which a lost answer is found again."""
    name = f"{step.address} {datetime.fromtimestamp(runtime.wall(), UTC):%Y-%m-%d %H:%M:%S}"
    details = {**_so_far(runtime, step.address), "benchmark_of": content}

    async def create() -> str:
        started = await runtime.api.benchmarks.create(
            name,
            BenchmarkSources(dataset_id=dataset_id),
            lineage=BenchmarkLineage(parent_benchmark_id=parent) if parent else None,
            taxonomy=BenchmarkTaxonomy(class_agnostic=True) if step.wanted.get("class_agnostic") else None,
        )
        return started.benchmark_id

    return await _made(runtime, step.address, {"benchmark": name, "details": details}, create)


async def _start(
    runtime: Runtime,
    step: Step,
    declared: MetricsEvaluation | BenchmarkEvaluation,
    model_id: str,
    benchmark_id: str,
    inputs: str,
) -> str:
    """Evaluations have no name of their own, so those that were there before are noted with the intent."""
    before = [evaluation.id for evaluation in await runtime.api.evaluations.of_model(model_id)]
    details = {**_so_far(runtime, step.address), "running": {"inputs": inputs}}
    sought = {"model_id": model_id, "benchmark_id": benchmark_id, "before": before}

    async def create() -> str:
        started = await runtime.api.evaluations.start(
            benchmark_id,
            model_id=model_id,
            name=step.address,
            rollup_groups=rollup_groups(declared) or None,
            exclusion_rules=exclusion_rules(declared) or None,
        )
        return started.evaluation_id

    return await _made(runtime, step.address, {"evaluation": sought, "details": details}, create)


async def _made(runtime: Runtime, address: str, request: dict[str, Any], create: Callable[[], Awaitable[str]]) -> str:
    """Create once: with the intent written down before, and looked for where the answer is lost."""
    runtime.ledger.begin_creation(address, "evaluation", request)
    try:
        made = await create()
    except OutcomeUnknown:
        found = await _found(runtime, address, request)
        if found is None:
            raise  # the intent stays: the next run looks for it again
        made = found
    except ApiError:
        runtime.ledger.abandon_creation(address)
        raise
    _keep(runtime, address, request, made)
    return made


def _keep(runtime: Runtime, address: str, request: Mapping[str, Any], made: str) -> None:
    details = dict(request["details"])
    if "benchmark" in request:
        details["benchmark_id"] = made
    else:
        details["running"] = {**details["running"], "evaluation_id": made}
    runtime.ledger.finish_creation(address, details.get("evaluation_id"), "", details)


async def settle_evaluation(runtime: Runtime, creation: Creation) -> None:
    """Find out what became of a benchmark or an evaluation whose run died."""
    found = await _found(runtime, creation.address, creation.request)
    if found is None:
        runtime.ledger.abandon_creation(creation.address)
        return
    runtime.emit(Note(creation.address, f"an interrupted run has made it: {found} is adopted"))
    _keep(runtime, creation.address, creation.request, found)


async def _found(runtime: Runtime, address: str, request: Mapping[str, Any]) -> str | None:
    """What a lost answer has made, if anything. Raises Undecided where it could be one of several."""
    if "benchmark" in request:
        name = request["benchmark"]
        found = [one.benchmark_id for one in await runtime.api.benchmarks.all() if one.name == name]
    else:
        sought = request["evaluation"]
        found = [
            one.id
            for one in await runtime.api.evaluations.of_model(sought["model_id"])
            if one.benchmark_id == sought["benchmark_id"] and one.name == address and one.id not in sought["before"]
        ]
    if len(found) > 1:
        raise Undecided(address, [Candidate(one, f"made for {address}") for one in found])
    return found[0] if found else None


def _forget_running(runtime: Runtime, address: str) -> None:
    """An evaluation that failed is not taken up again; the next run starts another."""
    details = _so_far(runtime, address)
    details.pop("running", None)
    runtime.ledger.put_resource(Resource(address, "evaluation", details.get("evaluation_id"), "", details))


async def _is_known(runtime: Runtime, evaluation_id: str) -> bool:
    try:
        await runtime.api.evaluations.get(evaluation_id)
    except NotFound:
        return False
    return True


async def _is_ready(runtime: Runtime, step: Step, benchmark_id: str) -> bool:
    """Whether it can be used, once it is no longer being built."""

    async def look() -> str | None:
        try:
            status = (await runtime.api.benchmarks.get(benchmark_id)).status
        except NotFound:
            return "gone"
        return None if status == "building" else status

    return await _awaited(runtime, step, look) == "ready"


async def _settled(runtime: Runtime, step: Step, evaluation_id: str) -> Evaluation:
    async def look() -> Evaluation | None:
        evaluation = await runtime.api.evaluations.get(evaluation_id)
        return evaluation if evaluation.is_settled else None

    return await _awaited(runtime, step, look)


async def _awaited(runtime: Runtime, step: Step, look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` finds once it finds something, which is no job that the poller could wait for."""
    begun = runtime.clock()
    wait = _FIRST_WAIT
    while runtime.clock() - begun < JOB_DEADLINE:
        found = await look()
        if found is not None:
            return found
        await runtime.sleep(wait)
        wait = min(_LONGEST_WAIT, wait * 1.6)
    raise StepFailed("it doesn't end", where=step.address, fix="run apply again: it looks after it first")


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
