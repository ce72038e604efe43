"""Calls that look for items, scenes and objects by what is known of them, and read embeddings back."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from . import embeddings, items, label_matches, models, reading, scene_export, scenes, slices
from .calls import Call, Route
from .queries import Query, Subject, parse
from .refusals import Refused
from .routes_datasets import dataset_pk, with_media
from .world import from_json, to_json

_LABELLED = {"annotations.label": "annotations", "predictions.label": "predictions"}


def _query(call: Call, name: str) -> Query:
    return parse(call.body.get("query"), f"POST dataset/{{ds}}/{name}")


def _subjects(call: Call, rows: list[sqlite3.Row], query: Query) -> list[Subject]:
    """What a query needs to know of items: labels only where it asks for them."""
    asked = {condition.field for condition in query.conditions} & set(_LABELLED)
    labels = {field: _labels(call, _LABELLED[field], rows) for field in asked}
    return [
        Subject(
            row["reference_id"],
            from_json(row["metadata"]),
            {field: frozenset(found[row["pk"]]) for field, found in labels.items()},
        )
        for row in rows
    ]


def _labels(call: Call, table: str, rows: list[sqlite3.Row]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    query = f"SELECT item, label FROM {table} WHERE label IS NOT NULL AND item IN (SELECT value FROM json_each(?))"
    for row in call.world.held.reader().execute(query, (to_json([row["pk"] for row in rows]),)):
        found[row["item"]].add(row["label"])
    return found


def items_that(call: Call, query: Query, after: int, size: int) -> list[sqlite3.Row]:
    """The next items of the dataset of which a query holds."""
    rows = reading.items_after(call.world, dataset_pk(call), after, -1 if query else size)
    fitting = [row for row, one in zip(rows, _subjects(call, rows, query), strict=True) if query.holds(one)]
    return fitting[:size]


def _items_page(call: Call) -> Any:
    after, size = reading.page_bounds(call.body, 10_000)
    rows = items_that(call, _query(call, "queryItemsPage"), after, size)
    read = [with_media(call, reading.item_as_read(call.world, row), row) for row in rows]
    return reading.page(read, size, rows[-1]["pk"] if rows else None, "items")


def _export_page(call: Call) -> Any:
    after, size = reading.page_bounds(call.body, 10_000)
    rows = items_that(call, _query(call, "exportForTrainingPage"), after, size)
    read = reading.export_rows(call.world, rows)
    return reading.page(read, size, rows[-1]["pk"] if rows else None, "data")


def _scenes_page(call: Call) -> Any:
    after, size = reading.page_bounds(call.body, 10_000)
    query = _query(call, "queryScenesPage")
    rows = call.world.held.reader().execute(
        "SELECT * FROM scenes WHERE dataset = ? AND pk > ? ORDER BY pk", (dataset_pk(call), after)
    )
    fitting = [row for row in rows if query.holds(Subject(row["reference_id"], from_json(row["metadata"]), {}))]
    fitting = fitting[:size]
    read = [scenes.summary(call.world, row) for row in fitting]
    return reading.page(read, size, fitting[-1]["pk"] if fitting else None, "items")


def _by_scene(call: Call) -> Any:
    after, size = reading.page_bounds(call.body, 10)
    if size > scene_export.MOST_SCENES:
        raise Refused(400, f"At most {scene_export.MOST_SCENES} scenes may be asked for at once.")
    sliced = call.body.get("sliceId")
    slice_pk = None if sliced is None else int(slices.find(call.world, str(sliced))["pk"])
    rows = scene_export.scenes_after(call.world, dataset_pk(call), slice_pk, after, size)
    read = [scene_export.row_of(call.world, row) for row in rows]
    return reading.page(read, size, rows[-1]["pk"] if rows else None, "data")


def _objects_page(call: Call) -> Any:
    after, size = reading.page_bounds(call.body, 10_000)
    mode = call.body.get("patch_mode")
    if mode == "ground_truth_only":
        rows, read = _annotations(call, after), _object_as_read
    elif mode == "predictions_only":
        rows, read = _predictions(call, after), _object_as_read
    elif mode in label_matches.MODES:
        rows, read = _matches(call, str(mode), after), _match_as_read
    else:
        raise Refused(400, f"{mode} is no patch_mode.")
    fitting = _that_fit(call, rows, _query(call, "queryObjectsPage"))[:size]
    return reading.page([read(call, row) for row in fitting], size, fitting[-1]["pk"] if fitting else None, "items")


def _annotations(call: Call, after: int) -> list[sqlite3.Row]:
    query = (
        "SELECT a.*, a.label AS annotation_label, NULL AS prediction_label FROM annotations a"
        " JOIN items i ON i.pk = a.item WHERE i.dataset = ? AND a.pk > ? ORDER BY a.pk"
    )
    return call.world.held.reader().execute(query, (dataset_pk(call), after)).fetchall()


def _predictions(call: Call, after: int) -> list[sqlite3.Row]:
    query = (
        "SELECT p.*, p.label AS prediction_label, NULL AS annotation_label FROM predictions p"
        " JOIN items i ON i.pk = p.item WHERE i.dataset = ? AND p.pk > ? AND p.run = ? ORDER BY p.pk"
    )
    return call.world.held.reader().execute(query, (dataset_pk(call), after, _run(call))).fetchall()


def _matches(call: Call, mode: str, after: int) -> list[sqlite3.Row]:
    query = (
        "SELECT * FROM metric_matches WHERE dataset = ? AND pk > ? AND run = ?"
        f" AND {label_matches.MODES[mode]} ORDER BY pk"
    )
    return call.world.held.reader().execute(query, (dataset_pk(call), after, _run(call))).fetchall()


def _run(call: Call) -> int:
    return int(models.find_run(call.world, str(call.body.get("model_run_id")))["pk"])


def _that_fit(call: Call, rows: list[sqlite3.Row], query: Query) -> list[sqlite3.Row]:
    """Those with fitting labels of their own, on items with fitting metadata."""
    if not query:
        return rows
    held = call.world.held.reader().execute("SELECT * FROM items WHERE dataset = ?", (dataset_pk(call),))
    owners = {row["pk"]: (row["reference_id"], from_json(row["metadata"])) for row in held}
    return [row for row in rows if query.holds(Subject(*owners[row["item"]], _own_labels(row)))]


def _own_labels(row: sqlite3.Row) -> dict[str, frozenset[str]]:
    names = {"annotations.label": row["annotation_label"], "predictions.label": row["prediction_label"]}
    return {field: frozenset([label]) for field, label in names.items() if label is not None}


def _object_as_read(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    item = call.world.held.reader().execute("SELECT * FROM items WHERE pk = ?", (row["item"],)).fetchone()
    names = {"reference_id": item["reference_id"], "dataset_item_id": call.world.ids.spell("di", item["pk"])}
    return reading.record_as_read(row) | names


def _match_as_read(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    return label_matches.as_read(call.world, row)


def _build_slice(call: Call) -> Any:
    """A slice of items that chance picks; it is filled by a job."""
    pk = dataset_pk(call)
    size, method, filters = call.body.get("sampleSize"), call.body.get("sampleMethod"), call.body.get("filters") or {}
    if not isinstance(size, int) or size < 1:
        raise Refused(400, "sampleSize must be a positive number.")
    if method not in ("Random", "Uniqueness"):
        raise Refused(400, "sampleMethod must be Random or Uniqueness.")
    if method == "Uniqueness" or filters.get("autotag"):
        raise Refused(501, "POST dataset/{ds}/build_slice by uniqueness or autotag is not emulated")
    source = None if filters.get("sliceId") is None else int(slices.find(call.world, str(filters["sliceId"]))["pk"])
    made = slices.create(call.world, pk, {"name": call.text("name"), "allow_empty": 1})["slice_id"]
    chosen = _sample(call, pk, source, size)
    work = {"action": "fill_slice", "slice": call.world.ids.read("slc", made), "items": chosen}
    return call.jobs.submit("sliceQuery", call.path["ds"], work) | {"sliceId": made}


def _sample(call: Call, dataset: int, source: int | None, size: int) -> list[int]:
    rows: Iterable[sqlite3.Row] = (
        reading.items_after(call.world, dataset, 0, -1)
        if source is None
        else slices.items_after(call.world, source, 0, -1)
    )
    numbers = [row["pk"] for row in rows]
    return random.sample(numbers, min(size, len(numbers)))


def _raw_json(call: Call) -> Any:
    return slices.raw_objects(call.world, call.path["slc"])


def _segment_points(call: Call) -> Any:
    """A lidar segmentation of a whole point cloud; Nucleus has no call that reads it back."""
    pk = dataset_pk(call)
    item = items.find(call.world, pk, call.path["ref"])
    url, model = call.text("pointsSegmentationUrl"), models.find(call.world, call.path["prj"])["pk"]
    if item["type"] != "pointcloud":
        raise Refused(400, f"{call.path['ref']} is no point cloud.")
    with call.world.held.transaction() as c:
        run = models.run_for_upload(c, model, pk)
        c.execute("INSERT OR REPLACE INTO point_segmentations VALUES (?, ?, ?)", (item["pk"], run, url))
    return {"dataset_id": call.path["ds"], "model_run_id": call.world.ids.spell("run", run), "predictions_processed": 1}


def _indexes(call: Call) -> Any:
    return embeddings.indexes(call.world, dataset_pk(call))


def _vectors(call: Call) -> Any:
    return embeddings.of_dataset(call.world, dataset_pk(call))


def _slice_vectors(call: Call) -> Any:
    return embeddings.of_slice(call.world, int(slices.find(call.world, call.path["slc"])["pk"]))


def _export_vectors(call: Call) -> Any:
    work = {"action": "export_embeddings", "dataset": dataset_pk(call), "address": call.address}
    return call.jobs.submit("exportEmbeddings", call.path["ds"], work)


_READERS: dict[str, Callable[[Call], Any]] = {
    "dataset/{ds}/embeddingIndexes": _indexes,
    "dataset/{ds}/embeddings": _vectors,
    "slice/{slc}/embeddings": _slice_vectors,
    "slice/{slc}/export_raw_json": _raw_json,
}

ROUTES = [
    Route("POST", "dataset/{ds}/queryItemsPage", _items_page),
    Route("POST", "dataset/{ds}/queryScenesPage", _scenes_page),
    Route("POST", "dataset/{ds}/queryObjectsPage", _objects_page),
    Route("POST", "dataset/{ds}/exportForTrainingPage", _export_page),
    Route("POST", "dataset/{ds}/exportForTrainingByScene", _by_scene),
    Route("POST", "dataset/{ds}/build_slice", _build_slice),
    Route("POST", "dataset/{ds}/async_export_embeddings", _export_vectors),
    Route("POST", "dataset/{ds}/model/{prj}/pointcloud/{ref}/uploadLSSPrediction", _segment_points),
    *(Route("GET", pattern, handler) for pattern, handler in _READERS.items()),
]
