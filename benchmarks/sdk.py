"""The same work as a user of the official SDK would write it: `python -m benchmarks.sdk WORK INPUT ENDPOINT`.

Jobs are polled without the SDK's five-second steps, which would only measure sleep; `--polling` brings them back.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nucleus import BoxPrediction, Dataset, DatasetItem, NucleusClient, Point, PolygonAnnotation


def _wait(job: Any, *, polling: bool) -> None:
    if polling:
        job.sleep_until_complete(verbose_std_out=False)
        return
    while job.status()["status"] in ("Queued", "Running"):
        time.sleep(0.1)


def _coco(client: NucleusClient, path: Path, *, polling: bool) -> None:
    coco = json.loads(path.read_bytes())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    labels = {category["id"]: category["name"] for category in coco["categories"]}
    dataset = client.create_dataset("Street", is_scene=False)
    _append(dataset, [_item(image) for image in coco["images"]], polling=polling)
    annotations = []
    for entry in coco["annotations"]:
        ring = entry["segmentation"][0]
        annotations.append(
            PolygonAnnotation(
                label=labels[entry["category_id"]],
                vertices=[Point(ring[place], ring[place + 1]) for place in range(0, len(ring), 2)],
                reference_id=names[entry["image_id"]],
                annotation_id=str(entry["id"]),
            )
        )
    _wait(dataset.annotate(annotations, update=True, asynchronous=True), polling=polling)


def _results(client: NucleusClient, path: Path, *, polling: bool) -> None:
    """Predictions of a model on items that were there before."""
    truth = json.loads(path.with_name(path.name.replace("results", "truth")).read_bytes())
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    labels = {category["id"]: category["name"] for category in truth["categories"]}
    dataset = client.create_dataset("Street", is_scene=False)
    _append(dataset, [_item(image) for image in truth["images"]], polling=polling)
    model = client.create_model("CNN", "cnn")
    predictions = []
    for number, entry in enumerate(json.loads(path.read_bytes())):
        x, y, width, height = entry["bbox"]
        predictions.append(
            BoxPrediction(
                label=labels[entry["category_id"]],
                x=x,
                y=y,
                width=width,
                height=height,
                reference_id=names[entry["image_id"]],
                annotation_id=str(number),
                confidence=entry["score"],
            )
        )
    job = dataset.upload_predictions(model, predictions, update=True, asynchronous=True)
    _wait(job, polling=polling)


def _item(image: dict[str, Any]) -> DatasetItem:
    name = image["file_name"]
    return DatasetItem(f"s3://bucket/{name}", name, {}, width=image["width"], height=image["height"])


def _append(dataset: Dataset, items: list[DatasetItem], *, polling: bool) -> None:
    _wait(dataset.append(items, update=True), polling=polling)


def _ndjson(client: NucleusClient, path: Path, *, polling: bool) -> None:
    with path.open("rb") as file:
        rows = [json.loads(line) for line in file]
    items = [DatasetItem(row["image_url"], row["reference_id"], row["metadata"]) for row in rows]
    _append(client.create_dataset("Street", is_scene=False), items, polling=polling)


def _parquet(client: NucleusClient, path: Path, *, polling: bool) -> None:
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(path).to_pylist()
    items = [
        DatasetItem(row["image_url"], row["reference_id"], {"camera": row["camera"], "speed": row["speed"]})
        for row in rows
    ]
    _append(client.create_dataset("Street", is_scene=False), items, polling=polling)


def _photos(client: NucleusClient, path: Path, *, polling: bool) -> None:
    """Here the SDK itself polls its jobs, ten images each, one after the other."""
    items = [DatasetItem(str(file), file.name, {}) for file in sorted(path.iterdir())]
    _append(client.create_dataset("Street", is_scene=False), items, polling=polling)


WORKS: dict[str, Callable[..., None]] = {
    "coco": _coco,
    "results": _results,
    "ndjson": _ndjson,
    "parquet": _parquet,
    "photos": _photos,
}


def main() -> None:
    """Do one work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("input", type=Path)
    parser.add_argument("endpoint")
    parser.add_argument("--polling", action="store_true")
    said = parser.parse_args()
    client = NucleusClient("any", endpoint=said.endpoint)
    WORKS[said.work](client, said.input, polling=said.polling)


if __name__ == "__main__":
    main()
