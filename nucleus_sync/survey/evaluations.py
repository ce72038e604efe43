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
    return evaluation.model_dump(mode="json", exclude={"expect"}, exclude_none=True)


def input_addresses(evaluation: Evaluation) -> tuple[str, str, str]:
    """Items, ground truth and predictions."""
    dataset, model = evaluation.dataset, evaluation.model
    return items_address(dataset), annotations_address(dataset), predictions_address(model, dataset)


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
    return Placed(step, evaluation.dataset, evaluation.model)
