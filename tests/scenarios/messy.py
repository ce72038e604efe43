"""How each folder of broken input is declared, and what must be held and said of it."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .project import Project

Declare = Callable[[Project, Path, str], None]


def coco(geometry: str | None = "box", **more: Any) -> Declare:
    """One COCO file whose pictures are uploaded."""

    def declare(project: Project, folder: Path, on_invalid: str) -> None:
        shutil.copytree(folder, project.folder / "in", dirs_exist_ok=True)
        source = {"format": "coco", "path": "in/annotations.json", "images": "in/images", "on_invalid": on_invalid}
        chosen = {"geometry": geometry} if geometry else {}
        project.declare(sources={"labels": source | chosen | more}, datasets={"set": _set(["labels"], ["labels"])})

    return declare


def images(project: Project, folder: Path, on_invalid: str) -> None:
    """A folder of pictures."""
    shutil.copytree(folder, project.folder / "in", dirs_exist_ok=True)
    source = {"format": "images", "path": "in", "on_invalid": on_invalid}
    project.declare(sources={"photos": source}, datasets={"set": _set(["photos"])})


def unpacked(project: Project, folder: Path, on_invalid: str) -> None:
    """Pictures with names and links that only an archive carries unharmed."""
    with tarfile.open(folder / "odd_files.tar") as archive:
        archive.extractall(project.folder / "in", filter="fully_trusted")
    source = {"format": "images", "path": "in/fs", "on_invalid": on_invalid}
    project.declare(sources={"photos": source}, datasets={"set": _set(["photos"])})


def wrong_tops(project: Project, folder: Path, on_invalid: str) -> None:
    """Four files that are JSON and no COCO, each in a dataset of its own."""
    shutil.copytree(folder, project.folder / "in", dirs_exist_ok=True)
    names = ("list", "empty", "null", "other")
    project.declare(
        sources={
            name: {"format": "coco", "path": f"in/{name}.json", "images": "in/images", "on_invalid": on_invalid}
            for name in names
        },
        datasets={name: _set([name], [name], name) for name in names},
    )


def predictions(project: Project, folder: Path, on_invalid: str) -> None:
    """Sound ground truth and broken results."""
    coco()(project, folder, "error")
    sections = project.declared()
    sections["sources"]["cnn"] = {
        "format": "coco-results",
        "path": "in/results.json",
        "ground_truth": "in/annotations.json",
        "on_invalid": on_invalid,
    }
    sections["models"] = {"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"set": ["cnn"]}}}
    project.declare(**sections)


def sidecar(project: Project, folder: Path, on_invalid: str) -> None:
    """Pictures beside a file of NDJSON that is no Nucleus record."""
    images(project, folder, on_invalid)
    sections = project.declared()
    sections["sources"]["sidecar"] = {"format": "records", "path": "in/items.jsonl", "on_invalid": on_invalid}
    sections["datasets"]["set"]["items"].append("sidecar")
    project.declare(**sections)


def wire_items(project: Project, folder: Path, on_invalid: str) -> None:
    """NDJSON of items."""
    shutil.copytree(folder, project.folder / "in", dirs_exist_ok=True)
    source = {"format": "records", "path": "in/items.jsonl", "on_invalid": on_invalid}
    project.declare(sources={"wire": source}, datasets={"set": _set(["wire"])})


def wire_items_packed(project: Project, folder: Path, on_invalid: str) -> None:
    """The same bytes, compressed."""
    wire_items(project, folder, on_invalid)
    sections = project.declared()
    sections["sources"]["wire"]["path"] = "in/items_same.jsonl.gz"
    project.declare(**sections)


def wire_annotations(project: Project, folder: Path, on_invalid: str) -> None:
    """NDJSON of annotations beside the one item that they are on."""
    shutil.copytree(folder, project.folder / "in", dirs_exist_ok=True)
    (project.folder / "item.jsonl").write_text('{"reference_id":"dev/1.jpg","image_url":"s3://b/1.jpg"}\n')
    dataset = _set(["item"], ["wire"]) | {"taxonomies": {"weather": {"labels": ["sunny", "rain"]}}}
    project.declare(
        sources={
            "item": {"format": "records", "path": "item.jsonl"},
            "wire": {"format": "records", "path": "in/annotations.jsonl", "on_invalid": on_invalid},
        },
        datasets={"set": dataset},
    )


def _set(items: list[str], annotations: list[str] | None = None, name: str = "Set") -> dict[str, Any]:
    return {"name": name, "items": list(items)} | ({"annotations": list(annotations)} if annotations else {})


SPECIAL: dict[str, Declare] = {
    "20-bad-polygons": coco("polygon"),
    "00-clean": coco("polygon"),
    "19-flat-segmentation": coco("polygon"),
    "22-rle": coco(None),
    "26-wrong-top-level": wrong_tops,
    "50-media": images,
    "60-odd-files": unpacked,
    "70-predictions": predictions,
    "80-same-name-two-folders": images,
    "90-metadata": sidecar,
    "95-wire-items": wire_items,
    "95-wire-items.gz": wire_items_packed,
    "96-wire-annotations": wire_annotations,
}
