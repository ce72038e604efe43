"""One small sound project for every format: what the mutator starts from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import yaml
import zstandard
from simulation.town import picture

Files = dict[str, bytes]

COCO = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": 64, "height": 48, "site": "berlin"},
        {"id": 2, "file_name": "b.png", "width": 64, "height": 48},
    ],
    "categories": [{"id": 1, "name": "cat", "keypoints": ["nose"], "skeleton": []}, {"id": 2, "name": "döner"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10.5, 10], "iscrowd": 0, "keypoints": [1, 2, 2]},
        {"id": 2, "image_id": 2, "category_id": 2, "segmentation": [[1, 1, 9, 1, 9, 9]], "bbox": [1, 1, 8, 8]},
        {"id": 3, "image_id": 2, "category_id": 2, "segmentation": {"size": [48, 64], "counts": "P1"}, "iscrowd": 1},
    ],
}
RESULTS = [
    {"image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 10], "score": 0.5},
    {"image_id": 2, "category_id": 2, "segmentation": [[1, 1, 9, 1, 9, 9]], "score": 1e-3},
]
RECORDS: list[dict[str, Any]] = [
    {"reference_id": "r/1", "image_url": "s3://b/1.jpg", "metadata": {"n": 1, "t": "é", "l": [1, {"a": None}]}},
    {"reference_id": "r/2", "image_url": "https://e.org/2.jpg", "width": 10, "height": 20},
]
TRUTH: list[dict[str, Any]] = [
    {
        "reference_id": "r/1",
        "annotation_id": "1",
        "type": "box",
        "label": "car",
        "geometry": {"x": 1, "y": 2.5, "width": 3, "height": 4},
        "metadata": {"k": "v"},
    },
    {
        "reference_id": "r/2",
        "annotation_id": "2",
        "type": "polygon",
        "label": "car",
        "geometry": {"vertices": [{"x": 1, "y": 1}, {"x": 5, "y": 1}, {"x": 5, "y": 5}]},
    },
]
VOC = b"""<annotation><folder>f</folder><filename>a.png</filename><size><width>64</width><height>48</height>
<depth>3</depth></size><object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>20</xmax><ymax>30.5</ymax>
</bndbox></object></annotation>"""
KITTI = b"""Car 0.00 0 -1.57 10.0 10.5 40.0 30.0 1.5 1.6 3.9 1.0 1.5 20.0 -1.6
DontCare -1 -1 -10 1 1 9 9 -1 -1 -1 -1 -1 -1 -1
"""


def projects() -> dict[str, Files]:
    """Files by name; `nucleus.yaml` among them."""
    png = picture(64, 48, 7)
    lines, truth = _lines(RECORDS), _lines(TRUTH)
    coco = {"c.json": _json(COCO), "images/a.png": png, "images/b.png": png}
    yolo = {
        "labels/a.txt": b"0 0.5 0.5 0.2 0.2\n1 .1 .1 .1 .1 .9 .9 .1 .9\n",
        "labels/data.yaml": b"names: [cat, dog]\n",
    }
    tables = {"t.csv": b'reference_id,image_url,speed\na,s3://b/a.jpg,5\n"b ""q""",s3://b/b.jpg,\n'}
    found: dict[str, Files] = {
        "coco": coco | _spec({"format": "coco", "path": "c.json", "images": "images"}),
        "coco results": coco
        | {"r.json": _json(RESULTS)}
        | _spec(
            {"format": "coco", "path": "c.json", "images": "images"},
            {"format": "coco-results", "path": "r.json", "ground_truth": "c.json"},
        ),
        "records": {"i.jsonl": lines, "t.jsonl": truth} | _spec(_records("i.jsonl"), truth=_records("t.jsonl")),
        "gzip": {"i.jsonl.gz": gzip.compress(lines, mtime=0)} | _spec(_records("i.jsonl.gz"), truth=None),
        "zstd": {"i.jsonl.zst": zstandard.compress(lines)} | _spec(_records("i.jsonl.zst"), truth=None),
        "table": tables | _spec({"format": "table", "path": "t.csv"}, truth=None),
        "images": {"p/a.png": png, "p/b.png": png} | _spec({"format": "images", "path": "p"}, truth=None),
        "yolo": yolo | {"labels/a.png": png} | _spec({"format": "yolo", "path": "labels"}),
        "voc": {"v/a.xml": VOC, "v/a.png": png} | _spec({"format": "voc", "path": "v"}),
        "kitti": {"k/label_2/0.txt": KITTI, "k/image_2/0.png": png} | _spec({"format": "kitti", "path": "k"}),
    }
    return found


def _records(path: str) -> dict[str, Any]:
    return {"format": "records", "path": path}


def _spec(
    source: dict[str, Any], results: dict[str, Any] | None = None, *, truth: dict[str, Any] | str | None = "one"
) -> Files:
    document: dict[str, Any] = {"version": 1, "sources": {"one": source | {"on_invalid": "skip"}}}
    dataset: dict[str, Any] = {"name": "Fuzzed", "items": ["one"]}
    if truth is not None:
        dataset["annotations"] = ["truth" if isinstance(truth, dict) else truth]
    if isinstance(truth, dict):
        document["sources"]["truth"] = truth | {"on_invalid": "skip"}
    document["datasets"] = {"set": dataset}
    if results is not None:
        document["sources"]["cnn"] = results | {"on_invalid": "skip"}
        document["models"] = {"cnn": {"name": "C", "reference_id": "c", "predictions": {"set": ["cnn"]}}}
    return {"nucleus.yaml": yaml.safe_dump(document).encode()}


def write(folder: Path, files: Files) -> None:
    """All files of a project."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
