"""Evaluations: metrics of the first kind, and those of benchmarks with presets and leaderboards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from nucleus_sync.api.calls import delete, get, given, patch, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.retry import Safety
from nucleus_sync.api.wire import (
    Charts,
    Evaluation,
    ExampleRows,
    FilterSchema,
    Json,
    Preset,
    StartedEvaluation,
)
from nucleus_sync.errors import UsageError


class Evaluations:
    """`api.evaluations`: see docs/wire.md §12, §14."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def metrics(
        self,
        dataset_id: str,
        model_id: str,
        *,
        class_agnostic: bool,
        allowed_label_matches: Sequence[Json] = (),
    ) -> str | None:
        """Compute metrics of a model on a dataset; the job's id, where Nucleus tells one.

        Later uploads don't refresh them. A match has `ground_truth_label` and `model_prediction_label`; matches need
        `class_agnostic=False`.
        """
        if class_agnostic and allowed_label_matches:
            raise UsageError("allowed_label_matches need class_agnostic false")
        body: Json = {"class_agnostic": class_agnostic}
        if allowed_label_matches:
            body["allowed_label_matches"] = list(allowed_label_matches)
        call = post("dataset", dataset_id, "model", model_id, "calculateEvaluationMetrics", body=body)
        return _job_of((await self._exchange.answer(call)).content)

    async def start(
        self,
        benchmark_id: str,
        *,
        model_id: str | None = None,
        model_run_id: str | None = None,
        name: str | None = None,
        rollup_groups: Sequence[Json] | None = None,
        exclusion_rules: Sequence[Json] | None = None,
    ) -> StartedEvaluation:
        """Evaluate a model, or a run, on a benchmark; read it with `get` until it is settled."""
        if (model_id is None) == (model_run_id is None):
            raise UsageError("an evaluation needs a model or a run, and not both")
        body = {
            **given(model_id=model_id, model_run_id=model_run_id, name=name),
            **_rules(rollup_groups, exclusion_rules),
        }
        call = post("benchmarks", benchmark_id, "evaluationsV2", body=body, safety=Safety.CREATE)
        return await self._exchange.json(call, StartedEvaluation)

    async def get(self, evaluation_id: str) -> Evaluation:
        """Where an evaluation stands."""
        return await self._exchange.json(get("evaluationsV2", evaluation_id), Evaluation)

    async def of_model(self, model_id: str) -> list[Evaluation]:
        """A model's evaluations, newest first."""
        return await self._exchange.json(get("model", model_id, "evaluationsV2"), list[Evaluation])

    async def of_run(self, run_id: str) -> list[Evaluation]:
        """A run's evaluations, newest first."""
        return await self._exchange.json(get("modelRun", run_id, "evaluationsV2"), list[Evaluation])

    async def cancel(self, evaluation_id: str) -> None:
        """Stop an evaluation."""
        await self._exchange.answer(post("evaluationsV2", evaluation_id, "cancel", body={}))

    async def retry(self, evaluation_id: str) -> str:
        """Run a failed one again; the id to follow."""
        call = post("evaluationsV2", evaluation_id, "retry", body={}, safety=Safety.CREATE)
        return await self._exchange.field(call, "evaluation_id", str)

    async def delete(self, evaluation_id: str) -> None:
        """Delete an evaluation."""
        await self._exchange.answer(delete("evaluationsV2", evaluation_id))

    async def charts(
        self,
        evaluation_id: str,
        *,
        iou_threshold: float = 0.5,
        filters: Json | None = None,
        query: str | None = None,
    ) -> Charts:
        """The numbers of a finished evaluation at an IoU threshold."""
        body = {"iouThreshold": iou_threshold, **given(filters=filters, query=query)}
        return await self._exchange.json(post("evaluationsV2", evaluation_id, "charts", body=body), Charts)

    async def examples(
        self,
        evaluation_id: str,
        *,
        limit: int = 50,
        offset: int = 0,
        match_type: str | None = None,
        sort_by: str | None = None,
        sort_order: str | None = None,
        filters: Json | None = None,
        query: str | None = None,
    ) -> ExampleRows:
        """Single matches, at most 100 a call; `match_type` is TP, FP or FN."""
        chosen = given(match_type=match_type, sort_by=sort_by, sort_order=sort_order, filters=filters, query=query)
        body = {"limit": limit, "offset": offset, **chosen}
        return await self._exchange.json(post("evaluationsV2", evaluation_id, "examples", body=body), ExampleRows)

    async def filter_schema(self, evaluation_id: str) -> FilterSchema:
        """What can be filtered by."""
        return await self._exchange.json(get("evaluationsV2", evaluation_id, "filterSchema"), FilterSchema)

    async def presets(self) -> list[Preset]:
        """The user's presets."""
        return await self._exchange.json(get("evaluationV2Presets"), list[Preset])

    async def create_preset(
        self,
        name: str,
        *,
        rollup_groups: Sequence[Json] | None = None,
        exclusion_rules: Sequence[Json] | None = None,
    ) -> Preset:
        """A new preset; its name must be new."""
        body = {"name": name, **_rules(rollup_groups, exclusion_rules)}
        return await self._exchange.json(post("evaluationV2Presets", body=body, safety=Safety.CREATE), Preset)

    async def update_preset(self, preset_id: str, changes: Json) -> Preset:
        """Change a preset's `name`, `rollupGroups`, `exclusionRules`; null clears one of the latter two."""
        return await self._exchange.json(patch("evaluationV2Presets", preset_id, body=changes), Preset)

    async def delete_preset(self, preset_id: str) -> None:
        """Delete a preset."""
        await self._exchange.answer(delete("evaluationV2Presets", preset_id))

    async def ranking(
        self,
        metric: str,
        benchmark_ids: Sequence[str],
        *,
        confidence_threshold: float | None = None,
        model_ids: Sequence[str] | None = None,
        scope: str | None = None,
        collapse: str | None = None,
    ) -> list[Json]:
        """Models by a metric such as MAP_50; `scope` is mine or all, `collapse` bestPerModel or allEvaluations."""
        chosen = given(confidence_threshold=confidence_threshold, model_ids=model_ids, scope=scope, collapse=collapse)
        body = {"metric_type": metric, "benchmark_ids": list(benchmark_ids), **chosen}
        return await self._exchange.json(post("leaderboard", "ranking", body=body), list[dict[str, Any]])

    async def f1_curves(
        self, benchmark_ids: Sequence[str], *, most: int = 5, model_ids: Sequence[str] | None = None
    ) -> list[Json]:
        """F1 over confidence of the best models."""
        body = {"benchmark_ids": list(benchmark_ids), "top_n": most, **given(model_ids=model_ids)}
        return await self._exchange.json(post("leaderboard", "f1Curve", body=body), list[dict[str, Any]])


def _job_of(content: bytes) -> str | None:
    """The job id in an answer whose shape nobody promises: it may as well be empty, or no JSON."""
    try:
        answer = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    job_id = answer.get("job_id") if isinstance(answer, dict) else None
    return job_id if isinstance(job_id, str) else None


def _rules(rollup_groups: Sequence[Json] | None, exclusion_rules: Sequence[Json] | None) -> Json:
    return given(rollupGroups=rollup_groups, exclusionRules=exclusion_rules)
