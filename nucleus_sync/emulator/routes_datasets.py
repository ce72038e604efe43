"""Calls about datasets, their items, scenes, taxonomies and tracks."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from . import datasets, items, reading, scenes, storage, taxonomies
from .calls import Call, Route
from .refusals import Refused, missing


def dataset_pk(call: Call) -> int:
    """The row number of the dataset that the path names, or 404."""
    return int(datasets.find(call.world, call.path["ds"])["pk"])


def _create(call: Call) -> Any:
    return datasets.create(call.world, call.body)


def _details(call: Call) -> Any:
    return datasets.all_details(call.world)


def _info(call: Call) -> Any:
    return datasets.description(call.world, call.path["ds"])


def _name(call: Call) -> Any:
    return {"name": datasets.find(call.world, call.path["ds"])["name"]}


def _is_scene(call: Call) -> Any:
    return {"is_scene": bool(datasets.find(call.world, call.path["ds"])["is_scene"])}


def _privacy(call: Call) -> Any:
    return {"use_privacy_mode": bool(datasets.find(call.world, call.path["ds"])["privacy"])}


def _size(call: Call) -> Any:
    return {"count": datasets.size(call.world, dataset_pk(call))}


def _model_runs(call: Call) -> Any:
    return datasets.run_ids(call.world, dataset_pk(call))


def _tags(call: Call) -> Any:
    return {"tags": datasets.description(call.world, call.path["ds"])["tags"]}


def _add_tags(call: Call) -> Any:
    return {"tags": datasets.change_tags(call.world, call.path["ds"], call.body.get("tags"), remove=False)}


def _remove_tags(call: Call) -> Any:
    return {"tags": datasets.change_tags(call.world, call.path["ds"], call.body.get("tags"), remove=True)}


def _label_schema(call: Call) -> Any:
    pk = dataset_pk(call)
    return {
        "gt_labels": datasets.labels(call.world, pk),
        "prediction_labels": datasets.prediction_labels(call.world, pk),
    }


def _class_labels(call: Call) -> Any:
    return {"data": datasets.labels(call.world, dataset_pk(call))}


def _delete(call: Call) -> Any:
    call.jobs.submit("_datasetDeletion", call.path["ds"], {"action": "delete_dataset", "dataset": dataset_pk(call)})
    return {"message": "Beginning dataset deletion..."}


def _signed_url(call: Call) -> Any:
    dataset_pk(call)
    expired = call.effect is not None and call.effect.expired
    url = storage.signed_url(call.world, call.address, call.path["ds"], call.path["request"], expired=expired)
    return {"signed_url": url}


def uploaded(call: Call, dataset_id: str) -> dict[str, Any]:
    """The file that a trigger names and its `update`, or 400 when nothing was PUT (3.1)."""
    request_id = call.body.get("requestId", call.body.get("request_id"))
    update = call.body.get("update")
    if not isinstance(request_id, str) or not request_id:
        raise Refused(400, "requestId must be a string.")
    if update is not None and not isinstance(update, bool):
        raise Refused(400, "update must be a boolean.")
    path = call.world.upload_path(dataset_id, request_id)
    if not path.is_file():
        raise Refused(400, f"Nothing was uploaded for request {request_id}.")
    return {"file": path.name, "update": bool(update)}


def _append(call: Call) -> Any:
    row = datasets.find(call.world, call.path["ds"])
    if not call.is_async:
        raise Refused(400, "append is asynchronous: call it with async=1.")
    if row["is_scene"]:
        raise Refused(400, "Items cannot be appended to a scene dataset.")
    work = {"action": "take_items", "dataset": row["pk"]}
    work |= _local_images(call) if call.form else uploaded(call, call.path["ds"])
    return call.jobs.submit("uploadDatasetItems", call.path["ds"], work)


def _local_images(call: Call) -> dict[str, Any]:
    """Items and their images from a multipart request (3.2); a file belongs to the item at its place."""
    try:
        described = msgspec.json.decode(call.form.get("items", call.form.get("item", "")).encode())
    except msgspec.DecodeError as error:
        raise Refused(400, f"items is not valid JSON: {error}") from error
    described = described if isinstance(described, list) else [described]
    images = [part for part in call.parts if part.name == "image"]
    if not described or len(images) != len(described) or not all(isinstance(each, dict) for each in described):
        raise Refused(400, f"{len(described)} items came with {len(images)} images.")
    if len(images) > 10:
        raise Refused(400, "At most 10 images may be sent in one request.")
    local = {
        str(item.get("image_url")): {"sha256": part.sha256, "size": part.size}
        for item, part in zip(described, images, strict=True)
    }
    if len(local) != len(described):
        raise Refused(400, "Two items have the same image_url.")
    return {"items": described, "images": local}


def _upload_scenes(call: Call) -> Any:
    return _scene_job(call, "uploadLidarScene", video=False)


def _upload_videos(call: Call) -> Any:
    return _scene_job(call, "uploadVideoScene", video=True)


def _scene_job(call: Call, kind: str, *, video: bool) -> Any:
    row = datasets.find(call.world, call.path["ds"])
    if not row["is_scene"]:
        raise Refused(400, "Scenes cannot be uploaded to a dataset of items.")
    work = {"action": "take_scenes", "dataset": row["pk"], "video": video} | uploaded(call, call.path["ds"])
    return call.jobs.submit(kind, call.path["ds"], work)


def _refloc(call: Call) -> Any:
    return _read(call, items.find(call.world, dataset_pk(call), call.path["ref"]))


def _loc(call: Call) -> Any:
    return _read(call, items.find_by_id(call.world, call.path["di"], dataset_pk(call)))


def _iloc(call: Call) -> Any:
    return _read(call, items.find_by_position(call.world, dataset_pk(call), call.path["i"]))


def _read(call: Call, item: sqlite3.Row) -> dict[str, Any]:
    answer = reading.item_with_annotations(call.world, item)
    return answer | {"item": with_media(call, answer["item"], item)}


def with_media(call: Call, answer: dict[str, Any], row: sqlite3.Row) -> dict[str, Any]:
    """Add the address of the emulator's own copy of an uploaded image."""
    if row["sha256"] is None:
        return answer
    return answer | {"processed_url": f"{call.address}/_emulator/media/{row['sha256']}"}


def _delete_item(call: Call) -> Any:
    items.delete(call.world, dataset_pk(call), call.path["ref"])
    return {"reference_id": call.path["ref"], "message": "Item deleted."}


def _ground_truth(call: Call) -> Any:
    item = items.find(call.world, dataset_pk(call), call.path["ref"])
    found = reading.one_annotation(call.world, item, call.path["annotation"])
    if found is None:
        raise missing("Annotation", call.path["annotation"])
    return found


def _all_items(call: Call) -> Any:
    rows = reading.items_after(call.world, dataset_pk(call), 0, -1)
    return {"dataset_items": [with_media(call, reading.item_as_read(call.world, row), row) for row in rows]}


def _items_page(call: Call) -> Any:
    after, size = reading.page_bounds(call.body, 100_000)
    rows = reading.items_after(call.world, dataset_pk(call), after, size)
    read = [with_media(call, reading.item_as_read(call.world, row), row) for row in rows]
    return reading.page(read, size, rows[-1]["pk"] if rows else None, "items")


def _export(call: Call) -> Any:
    rows = reading.items_after(call.world, dataset_pk(call), 0, -1)
    return {"exportedRows": reading.export_rows(call.world, rows)}


def _scenes_list(call: Call) -> Any:
    return {"scenes": scenes.listing(call.world, dataset_pk(call))}


def _scene(call: Call) -> Any:
    find = scenes.find_of_item if call.query.get("from_item") == "1" else scenes.find
    return scenes.as_read(call.world, find(call.world, dataset_pk(call), call.path["ref"]))


def _delete_scene(call: Call) -> Any:
    pk = scenes.find(call.world, dataset_pk(call), call.path["ref"])["pk"]
    call.jobs.submit("_sceneDeletion", call.path["ds"], {"action": "delete_scene", "scene": pk})
    return {"message": "Beginning scene deletion..."}


def _metadata(call: Call) -> Any:
    pk = dataset_pk(call)
    entries = call.body.get("metadata")
    if call.body.get("level") not in ("item", "scene"):
        raise Refused(400, "level must be item or scene.")
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise Refused(400, "metadata must be a list of objects.")
    if not all(isinstance(each.get("metadata"), dict) for each in entries):
        raise Refused(400, "Each entry needs a metadata object.")
    if call.is_async:
        work = {"action": "merge_metadata", "dataset": pk, "body": call.body}
        return call.jobs.submit("metadataUpdate", call.path["ds"], work)
    if len(entries) > 500:
        raise Refused(400, "At most 500 entries may be updated synchronously.")
    with call.world.held.transaction() as c:
        changed, errors = items.merge_metadata(c, pk, call.body)
    return {"dataset_id": call.path["ds"], "updated": changed, "errors": errors}


def _add_taxonomy(call: Call) -> Any:
    return taxonomies.add(call.world, dataset_pk(call), call.body)


def _delete_taxonomy(call: Call) -> Any:
    return taxonomies.delete(call.world, dataset_pk(call), call.path["taxonomy"])


def _tracks(call: Call) -> Any:
    return taxonomies.tracks(call.world, dataset_pk(call))


def _change_track(call: Call) -> Any:
    return taxonomies.change_track(call.world, dataset_pk(call), call.body)


def _delete_tracks(call: Call) -> Any:
    return taxonomies.delete_tracks(call.world, dataset_pk(call), call.body)


ROUTES = [
    Route("POST", "dataset/create", _create),
    Route("GET", "dataset/details", _details),
    Route("GET", "dataset/", _details),
    Route("GET", "dataset/{ds}/info", _info),
    Route("GET", "dataset/{ds}/name", _name),
    Route("GET", "dataset/{ds}/is_scene", _is_scene),
    Route("GET", "dataset/{ds}/use_privacy_mode", _privacy),
    Route("GET", "dataset/{ds}/size", _size),
    Route("GET", "dataset/{ds}/model_runs", _model_runs),
    Route("GET", "dataset/{ds}/tags", _tags),
    Route("POST", "dataset/{ds}/tags", _add_tags),
    Route("DELETE", "dataset/{ds}/tags", _remove_tags),
    Route("GET", "dataset/{ds}/labelSchema", _label_schema),
    Route("GET", "dataset/{ds}/class_labels", _class_labels),
    Route("DELETE", "dataset/{ds}", _delete),
    Route("GET", "dataset/{ds}/signedUrl/{request}", _signed_url),
    Route("POST", "dataset/{ds}/append", _append),
    Route("POST", "{ds}/upload_scenes", _upload_scenes),
    Route("POST", "{ds}/upload_video_scenes", _upload_videos),
    Route("GET", "dataset/{ds}/refloc/{ref}", _refloc),
    Route("GET", "dataset/{ds}/loc/{di}", _loc),
    Route("GET", "dataset/{ds}/iloc/{i}", _iloc),
    Route("DELETE", "dataset/{ds}/refloc/{ref}", _delete_item),
    Route("GET", "dataset/{ds}/groundTruth/loc/{ref}/{annotation}", _ground_truth),
    Route("GET", "dataset/{ds}/datasetItems", _all_items),
    Route("POST", "dataset/{ds}/itemsPage", _items_page),
    Route("GET", "dataset/{ds}/exportForTraining", _export),
    Route("GET", "dataset/{ds}/scenes_list", _scenes_list),
    Route("GET", "dataset/{ds}/scene/{ref}", _scene),
    Route("DELETE", "dataset/{ds}/scene/{ref}", _delete_scene),
    Route("POST", "dataset/{ds}/metadata", _metadata),
    Route("POST", "dataset/{ds}/add_taxonomy", _add_taxonomy),
    Route("DELETE", "dataset/{ds}/taxonomy/{taxonomy}", _delete_taxonomy),
    Route("GET", "dataset/{ds}/tracks", _tracks),
    Route("POST", "dataset/{ds}/tracks", _change_track),
    Route("DELETE", "dataset/{ds}/tracks", _delete_tracks),
]
