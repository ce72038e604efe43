"""Items and their records as they are read back: single, in export rows, and in pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from .refusals import Refused
from .world import World, from_json, to_json

LISTS = ("box", "line", "polygon", "keypoints", "cuboid", "category", "multicategory")
"""The list keys of an export row; `segmentation` is one object or null."""

_RETURNED = (
    "label",
    "labels",
    "geometry",
    "mask_url",
    "annotations",
    "annotation_id",
    "embedding_vector",
    "task_id",
    "taxonomy_name",
    "confidence",
    "class_pdf",
)


def item_as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """An item object (8.2)."""
    answer: dict[str, Any] = {
        "reference_id": row["reference_id"],
        "dataset_item_id": world.ids.spell("di", row["pk"]),
        "metadata": from_json(row["metadata"]),
    }
    if row["type"] == "pointcloud":
        return answer | {"pointcloud_url": row["url"], "type": "pointcloud"}
    answer |= {"image_url": row["url"], "original_image_url": row["url"]}
    return answer | {size: row[size] for size in ("width", "height") if row[size] is not None}


def record_as_read(row: sqlite3.Row) -> dict[str, Any]:
    """A stored record without the names of its item, which the caller adds where the wire has them."""
    record = from_json(row["record"])
    answer = {key: record[key] for key in _RETURNED if record.get(key) is not None}
    answer["type"] = row["type"]
    if row["type"] == "mask":
        return answer
    answer["metadata"] = record.get("metadata") or {}
    if row["track"] is not None:
        answer["track_reference_id"] = row["track"]
    # Not from the record: the server makes an id where none was sent, and merging runs rewrites some.
    if row["slot"].startswith(("i:", "s:")):
        answer["annotation_id"] = row["slot"][2:]
    return answer


def group_of(record: dict[str, Any]) -> str:
    """Where a record stands in an answer: masks come in as `mask` and go out under `segmentation`."""
    return "segmentation" if record["type"] == "mask" else str(record["type"])


def records_of_item(world: World, item: sqlite3.Row, rows: Iterable[sqlite3.Row]) -> dict[str, Any]:
    """Records by type, only the types that occur, each with its reference id (8.4)."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        record = record_as_read(row)
        record["reference_id"] = item["reference_id"]
        record["dataset_item_id"] = world.ids.spell("di", item["pk"])
        grouped.setdefault(group_of(record), []).append(record)
    return grouped


def item_with_annotations(world: World, item: sqlite3.Row) -> dict[str, Any]:
    """The answer of `refloc`, `loc` and `iloc`."""
    query = "SELECT * FROM annotations WHERE item = ? ORDER BY pk"
    rows = world.held.reader().execute(query, (item["pk"],))
    return {"item": item_as_read(world, item), "annotations": records_of_item(world, item, rows)}


def one_annotation(world: World, item: sqlite3.Row, annotation_id: str) -> dict[str, Any] | None:
    """One annotation with its type, or None."""
    query = "SELECT * FROM annotations WHERE item = ? ORDER BY pk"
    return pick(world, item, world.held.reader().execute(query, (item["pk"],)), annotation_id)


def pick(world: World, item: sqlite3.Row, rows: Iterable[sqlite3.Row], annotation_id: str) -> dict[str, Any] | None:
    """The record of that annotation id among an item's records."""
    for row in rows:
        record = record_as_read(row)
        if record.get("annotation_id") == annotation_id:
            names = {"reference_id": item["reference_id"], "dataset_item_id": world.ids.spell("di", item["pk"])}
            return record | names
    return None


def export_rows(world: World, items: list[sqlite3.Row], runs: list[int] | None = None) -> list[dict[str, Any]]:
    """Rows of `exportForTraining` (8.3): of ground truth, or of the predictions of some runs."""
    rows = {item["pk"]: _empty_row(world, item) for item in items}
    for record_row in _records_of(world, list(rows), runs):
        record = record_as_read(record_row)
        row = rows[record_row["item"]]
        if record["type"] == "mask":
            row["segmentation"] = record
        else:
            row[record["type"]].append(record)
    return list(rows.values())


def _empty_row(world: World, item: sqlite3.Row) -> dict[str, Any]:
    row: dict[str, Any] = {"item": item_as_read(world, item), "segmentation": None}
    return row | {kind: [] for kind in LISTS}


def _records_of(world: World, items: list[int], runs: list[int] | None) -> Iterable[sqlite3.Row]:
    table, limit = ("annotations", "") if runs is None else ("predictions", _among("run", runs))
    return world.held.reader().execute(
        f"SELECT * FROM {table} WHERE item IN (SELECT value FROM json_each(?)){limit} ORDER BY item, pk",
        (to_json(items),),
    )


def _among(column: str, numbers: list[int]) -> str:
    return f" AND {column} IN ({', '.join(str(int(number)) for number in numbers) or 'NULL'})"


def page_bounds(body: dict[str, Any], default: int) -> tuple[int, int]:
    """(row number after which the page begins, page size) from a request for a page (8.1)."""
    token, size = body.get("pageToken"), body.get("pageSize", default)
    if not isinstance(size, int) or size < 1:
        raise Refused(400, "pageSize must be a positive number.")
    if not token:
        return 0, size
    if not isinstance(token, str) or not token.startswith("after-") or not token[6:].isdigit():
        raise Refused(400, "pageToken is not one of ours.")
    return int(token[6:]), size


def page(rows: list[Any], size: int, last: int | None, key: str) -> dict[str, Any]:
    """One page; `last` is the row number of its last row. The token is always there, null at the end."""
    return {key: rows, "nextPageToken": f"after-{last}" if len(rows) >= size and last is not None else None}


def items_after(world: World, dataset: int, after: int, size: int) -> list[sqlite3.Row]:
    """The next items of a dataset in creation order."""
    query = "SELECT * FROM items WHERE dataset = ? AND pk > ? ORDER BY pk LIMIT ?"
    return world.held.reader().execute(query, (dataset, after, size)).fetchall()
