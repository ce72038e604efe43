"""A COCO export of our own: three pictures with two boxes each, and a model's five predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .project import Project, picture, write_json

IMAGES = [
    {"id": 1, "file_name": "a.png", "width": 64, "height": 48, "site": "berlin"},
    {"id": 2, "file_name": "b.png", "width": 80, "height": 60, "site": "paris"},
    {"id": 3, "file_name": "c.png", "width": 100, "height": 50, "site": "rome"},
]
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
ANNOTATIONS = [
    {"id": 10 + n, "image_id": 1 + n // 2, "category_id": 1 + n % 2, "bbox": [2 + n, 3, 16 + n, 16], "iscrowd": 0}
    for n in range(6)
]
RESULTS = [
    {"image_id": 1 + n // 2, "category_id": 1 + n % 2, "bbox": [2 + n, 3, 16 + n, 16], "score": 0.5 + n / 10}
    for n in range(5)
]


def write_tiny(project: Project, *, evaluate: bool = True, **settings: Any) -> None:
    """Pictures, ground truth, results and the spec that says all of it, with prune on."""
    for number, image in enumerate(IMAGES):
        picture(project.folder / "images" / image["file_name"], image["width"], image["height"], 50 * number)
    write_json(truth(project), {"images": IMAGES, "categories": CATEGORIES, "annotations": ANNOTATIONS})
    write_json(project.folder / "results.json", RESULTS)
    sections: dict[str, Any] = {"settings": settings} if settings else {}
    sections["sources"] = {
        "labels": {"format": "coco", "path": "truth.json", "images": "images", "metadata": {"site": "{site}"}},
        "cnn": {"format": "coco-results", "path": "results.json", "ground_truth": "truth.json"},
    }
    sections["datasets"] = {"tiny": {"name": "Tiny", "items": ["labels"], "annotations": ["labels"], "prune": True}}
    sections["models"] = {"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"tiny": ["cnn"]}}}
    if evaluate:
        sections["evaluations"] = {"dashboard": {"kind": "metrics", "model": "cnn", "dataset": "tiny"}}
    project.declare(**sections)


def truth(project: Project) -> Path:
    """The ground truth file."""
    return project.folder / "truth.json"


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Change a file of JSON."""
    value = json.loads(path.read_text("utf-8"))
    change(value)
    write_json(path, value)
