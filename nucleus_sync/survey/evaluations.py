"""Decides which evaluations must run: those whose inputs are not the ones of their last result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from nucleus_sync.plan.order import Placed
from nucleus_sync.plan.steps import Action, Holds, Step
from nucleus_sync.survey.declared import annotations_address, items_address, predictions_address

if TYPE_CHECKING:
    from nucleus_sync.spec.model import Evaluation


def evaluation_wanted(evaluation: Evaluation) -> dict[str, Any]:
    """What Nucleus is asked for; gates are judged here and change nothing there."""
    return evaluation.said(but=("expect",))


def datasets_of(evaluation: Evaluation) -> tuple[str, ...]:
    """The datasets that its items are in."""
    if evaluation.dataset is not None:
        return (evaluation.dataset,)
    benchmark = evaluation.benchmark if evaluation.kind == "benchmark" else None
    if benchmark is None:
        return ()
    sliced = (name.partition(".")[0] for name in benchmark.slices)
    return tuple(dict.fromkeys([*benchmark.datasets, *sliced, *benchmark.items]))


def benchmark_inputs(evaluation: Evaluation) -> tuple[str, ...]:
    """Items and ground truth, and the members of slices."""
    benchmark = evaluation.benchmark if evaluation.kind == "benchmark" else None
    streams = [address(name) for name in datasets_of(evaluation) for address in (items_address, annotations_address)]
    return (*streams, *(benchmark.slice_addresses if benchmark else ()))


def input_addresses(evaluation: Evaluation) -> tuple[str, ...]:
    """Everything that goes in: items, ground truth, members of slices, predictions."""
    predictions = (predictions_address(evaluation.model, name) for name in datasets_of(evaluation))
    return (*benchmark_inputs(evaluation), *predictions)


def place_evaluation(
    name: str,
    evaluation: Evaluation,
    *,
    moving: Collection[str],
    version: Callable[[str], int],
    applied: Mapping[str, Any] | None,
) -> Placed | None:
    """The step of an evaluation, or None where its last result still stands.

    `moving` are streams that this plan changes, `version` says how far the ledger's knowledge of a stream is,
    `applied` is what the last evaluation was made from.
    """
    wanted = evaluation_wanted(evaluation)
    inputs = input_addresses(evaluation)
    reasons = {f"{address} changed": 1 for address in inputs if address in moving}
    if applied is None:
        reasons = {"never evaluated": 1}
    elif "wanted" not in applied:
        reasons = {"not finished": 1}
    elif applied.get("wanted") != wanted:
        reasons["declaration changed"] = 1
    elif not reasons:
        before = applied.get("versions", {})
        reasons = {f"{address} changed": 1 for address in inputs if before.get(address) != version(address)}
    if not reasons:
        return None
    step = Step(Action.EVALUATE, f"evaluation.{name}", Holds.EVALUATION, reasons=reasons, wanted=wanted)
    datasets = datasets_of(evaluation)
    return Placed(step, datasets[0] if len(datasets) == 1 else None, evaluation.model)
