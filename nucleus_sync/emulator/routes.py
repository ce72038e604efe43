"""The route table: every call of the API, and by name those that are not emulated."""

from __future__ import annotations

from . import (
    routes_datasets,
    routes_evaluations,
    routes_models,
    routes_predictions,
    routes_queries,
    routes_records,
    routes_slices,
    weights,
)
from .calls import Route, Table

_NOT_EMULATED = """
POST dataset/create_from_project
POST dataset/{ds}/ingest_tasks
POST dataset/{ds}/deduplicate_async
POST dataset/{ds}/indexingStatus
GET dataset/{ds}/exportScaleTaskInfo
POST dataset/{ds}/autotag/{name}/taggedItems
GET dataset/{ds}/autotag/{name}/trainingItems
POST model/run/{prj}/
GET slice/{slc}/exportScaleTaskInfo
POST slice/{slc}/{project}/send_to_labeling
POST indexing/{ds}
DELETE indexing/{ds}
POST indexing/{ds}/setPrimary
POST indexing/{ds}/setContinuous
POST indexing/{ds}/internal/image
POST indexing/{ds}/internal/object
GET {ds}/list_autotags
POST autotag/{tag}
DELETE autotag/{tag}
GET autotag/{tag}/refinementMetrics
POST autocurate/{ds}/single_model_entropy/{name}
GET task/{task}/frame/{n}
GET validate/eval_fn
POST validate/eval_fn
POST validate/scenario_test
GET validate/scenario_test/{id}
GET validate/scenario_test/{id}/info
GET validate/scenario_test/{id}/metrics
GET validate/scenario_test/{id}/items
GET validate/scenario_test/{id}/eval_history/details
GET validate/scenario_test/details
DELETE validate/scenario_test/{id}
POST validate/{prj}/evaluate
POST validate/{prj}/metrics
POST validate/metric/set_threshold/{test}/{fn}
POST validate/scenario_test/{id}/set_baseline_model/{prj}
"""


def _not_emulated() -> list[Route]:
    rows = [line.split() for line in _NOT_EMULATED.strip().splitlines()]
    return [Route(method, pattern, None) for method, pattern in rows]


TABLE = Table(
    [
        *routes_datasets.ROUTES,
        *routes_records.ROUTES,
        *routes_predictions.ROUTES,
        *routes_queries.ROUTES,
        *routes_models.ROUTES,
        *routes_slices.ROUTES,
        *routes_evaluations.ROUTES,
        *weights.ROUTES,
        *_not_emulated(),
    ]
)
