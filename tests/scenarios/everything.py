"""One spec with every record type and resource, in three stages: as first declared, changed, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .project import Project, picture, write_json, write_lines

Wire = dict[str, Any]
STAGES = ("declared", "changed", "removed")
TRIANGLE = [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}]
NAMED = {"names": ["nose", "chin"], "skeleton": [[0, 1]]}
NOSE, CHIN, NO_CHIN = (
    {"x": 5, "y": 6, "visible": True},
    {"x": 7, "y": 8, "visible": True},
    {"x": None, "y": None, "visible": False},
)
POSE = {"position": {"x": 10, "y": 2, "z": 0.5}, "dimensions": {"x": 4.5, "y": 1.9, "z": 1.6}, "yaw": 0.3}
CAMERA = {
    "position": {"x": 0, "y": 0, "z": 1.5},
    "heading": {"x": 0, "y": 0, "z": 0, "w": 1},
    "fx": 1000,
    "fy": 1000,
    "cx": 960,
    "cy": 540,
}
SQUARE, STRIPE = [0, 0, 4, 0, 4, 4, 0, 4], [0, 0, 8, 0, 8, 2, 0, 2]


@dataclass(frozen=True)
class Kind:
    """One type of annotation or prediction: the record without its item, and what of it changes."""

    name: str
    record: Wire
    change: Wire
    dataset: str = "pictures"
    on: str = ""
    """The item or scene; by default one of its own."""

    @property
    def item(self) -> str:
        """What it is on."""
        return self.on or f"{self.name}.jpg"

    def at(self, stage: int, scored: bool = False) -> Wire | None:
        """The record at a stage; None where it is taken out."""
        if stage == 2:
            return None
        score = {"confidence": 0.75, "class_pdf": {"car": 0.75, "bus": 0.25}}
        more = (score if scored and self.record["type"] != "mask" else {}) | (self.change if stage else {})
        return {"reference_id": self.item, **self.record, **more}

    @property
    def key(self) -> dict[str, str]:
        """As a plan names it."""
        names = {"reference_id": self.item}
        match self.record["type"]:
            case "mask":
                return names | {"mask": "mask"}
            case "category" | "multicategory":
                return names | {"taxonomy": self.record.get("taxonomy_name", "")}
        task = {"task_id": self.record["task_id"]} if "task_id" in self.record else {}
        return names | {"annotation_id": self.record["annotation_id"]} | task


_CAR = {"label": "car", "annotation_id": "1"}
KINDS = (
    Kind(
        "box",
        {**_CAR, "type": "box", "geometry": {"x": 1, "y": 2, "width": 3, "height": 4}, "metadata": {"n": 1}},
        {"geometry": {"x": 1.5, "y": 2, "width": 3, "height": 4}, "metadata": {"n": 2}},
    ),
    Kind(
        "embedded-box",
        {**_CAR, "type": "box", "geometry": {"x": 1, "y": 2, "width": 3, "height": 4}, "embedding_vector": [0.5, 1]},
        {"embedding_vector": [0.25, 1]},
    ),
    Kind(
        "task-box",
        {**_CAR, "type": "box", "geometry": {"x": 1, "y": 2, "width": 3, "height": 4}, "task_id": "task-1"},
        {"label": "bus"},
    ),
    Kind(
        "line",
        {**_CAR, "type": "line", "geometry": {"vertices": TRIANGLE[:2]}},
        {"geometry": {"vertices": TRIANGLE}},
    ),
    Kind(
        "polygon",
        {**_CAR, "type": "polygon", "geometry": {"vertices": TRIANGLE}, "track_reference_id": "red car"},
        {"label": "bus"},
    ),
    Kind(
        "keypoints",
        {**_CAR, "type": "keypoints", "geometry": {"keypoints": [NOSE, NO_CHIN], **NAMED}},
        {"geometry": {"keypoints": [NOSE, CHIN], **NAMED}},
    ),
    Kind(
        "mask",
        {
            "type": "mask",
            "mask_url": "s3://acme/a.png",
            "annotation_id": "m",
            "annotations": [{"label": "road", "index": 1}, {"label": "car", "index": 2, "metadata": {"n": 3}}],
        },
        {"annotations": [{"label": "road", "index": 1}]},
    ),
    Kind(
        "category",
        {"type": "category", "label": "rain", "geometry": {}, "taxonomy_name": "weather"},
        {"label": "sunny"},
    ),
    Kind("default-category", {"type": "category", "label": "street", "geometry": {}}, {"metadata": {"sure": 1}}),
    Kind(
        "multicategory",
        {"type": "multicategory", "labels": ["wet", "dark"], "geometry": {}, "taxonomy_name": "conditions"},
        {"labels": ["fog"]},
    ),
    Kind(
        "cuboid",
        {**_CAR, "type": "cuboid", "geometry": POSE, "metadata": {"n": 1}, "track_reference_id": "t1"},
        {"geometry": {**POSE, "yaw": 0.5}},
        *("drives", "stays-pc"),
    ),
    Kind(
        "scene-category",
        {"type": "category", "label": "highway", "geometry": {}, "taxonomy_name": "road"},
        {"label": "city"},
        *("drives", "stays"),
    ),
    Kind(
        "box-in-a-video",
        {**_CAR, "type": "box", "geometry": {"x": 1, "y": 2, "width": 3, "height": 4}},
        {"label": "bus"},
        *("clips", "clip-0"),
    ),
)
RUN_FREE = ("box", "polygon", "cuboid")
"""Types that Nucleus takes without a run; nothing there can be deleted."""
NOT_PREDICTED = "multicategory"
"""The SDK has no such prediction."""
MODELS = {"cnn": {}, "nightly": {"run": {"name": "nightly"}}, "free": {"run": "none"}}
DATASETS = ("pictures", "drives", "clips")


def predicted_by(model: str) -> Iterator[Kind]:
    """The types that a model predicts; one with a task is ground truth: predictions have no such key."""
    for kind in KINDS:
        if kind.name not in ("task-box", NOT_PREDICTED) and (model != "free" or kind.record["type"] in RUN_FREE):
            yield kind


def write(project: Project, stage: int) -> None:
    """All sources and the spec of a stage."""
    _items(project, stage)
    for dataset in DATASETS:
        item = {"pictures": "stays.jpg", "drives": "stays-cam", "clips": "stays-0"}[dataset]
        stays = {**_CAR, "type": "box", "geometry": {"x": 1, "y": 2, "width": 3, "height": 4}, "reference_id": item}
        truth = [kind.at(stage) for kind in KINDS if kind.dataset == dataset]
        write_lines(project.folder / f"{dataset}-truth.jsonl", [one for one in truth if one] + [stays])
        for model in MODELS:
            found = [kind.at(stage, scored=True) for kind in predicted_by(model) if kind.dataset == dataset]
            write_lines(project.folder / f"{dataset}-{model}.jsonl", [one for one in found if one] + [stays])
    _drawn(project, stage)
    (project.folder / "brief.pt").write_bytes(b"weights" * (stage + 1))
    (project.folder / "listed.txt").write_text("".join(f"{name}\n" for name in ("box.jpg", "line.jpg")[: stage + 1]))
    project.declare(**spec(stage))


def _items(project: Project, stage: int) -> None:
    pictures = [f"{kind.name}.jpg" for kind in KINDS if kind.dataset == "pictures"] + ["stays.jpg"]
    items: list[Wire] = [{"reference_id": name, "image_url": f"s3://b/{name}"} for name in pictures]
    items[0]["metadata"] = {"chosen": 1}
    items[1]["metadata"] = {"chosen": stage}
    item = {
        "reference_id": "item.jpg",
        "image_url": "s3://b/item.jpg",
        "metadata": {"n": stage},
        "embedding_info": {"index_id": "own", "embedding_vector": [0.5, stage]},
    }
    write_lines(project.folder / "pictures.jsonl", items + [item] * (stage < 2))
    lidar = [_lidar("stays", 0), *([_lidar("drive", stage)] if stage < 2 else [])]
    write_lines(project.folder / "drives.jsonl", lidar)
    film = {"reference_id": "film", "video_url": "s3://b/film.mp4", "metadata": {"n": stage}}
    videos = [_video("stays", 0), _video("clip", 0), *([_video("gone", stage), film] if stage < 2 else [])]
    write_lines(project.folder / "clips.jsonl", videos)


def _lidar(name: str, speed: int) -> Wire:
    items = {
        "lidar": {"reference_id": f"{name}-pc", "url": f"s3://b/{name}.json", "type": "pointcloud"},
        "cam": {
            "reference_id": f"{name}-cam",
            "url": f"s3://b/{name}.jpg",
            "type": "image",
            "metadata": {"camera_params": CAMERA},
        },
    }
    return {"reference_id": name, "frames": [items], "metadata": {"speed": speed}}


def _video(name: str, speed: int) -> Wire:
    frames = [{"reference_id": f"{name}-{n}", "url": f"s3://b/{name}/{n}.jpg", "type": "image"} for n in range(2)]
    return {"reference_id": name, "frame_rate": 5, "frames": frames, "metadata": {"speed": speed}}


def _drawn(project: Project, stage: int) -> None:
    """Pictures that are uploaded, with masks that are painted here, as ground truth and as predictions."""
    files = ["stays.png", "mask.png", *(["gone.png"] if stage < 2 else [])]
    images = [{"id": n, "file_name": name, "width": 10, "height": 8} for n, name in enumerate(files, start=1)]
    for n, name in enumerate(files):
        picture(project.folder / "drawn" / name, 10, 8, 40 * n + (stage if name == "gone.png" else 0))
    if stage == 2:
        (project.folder / "drawn" / "gone.png").unlink()
    shapes = {1: SQUARE, 2: None if stage == 2 else (SQUARE, STRIPE)[stage]}
    marks = [
        {"id": n, "image_id": n, "category_id": 1, "segmentation": [shape]} for n, shape in shapes.items() if shape
    ]
    labels = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": marks}
    write_json(project.folder / "drawn.json", labels)
    write_json(project.folder / "drawn-cnn.json", [{**mark, "score": 0.5} for mark in marks])


def spec(stage: int) -> dict[str, Any]:
    """All sections of nucleus.yaml at a stage."""
    return {
        "settings": {"prune": True, "delete_limit": {"records": 1000, "fraction": 1}},
        "sources": _sources(),
        "datasets": _datasets(stage),
        "models": _models(stage),
        "evaluations": _evaluations(stage) if stage < 2 else {},
    }


def _sources() -> dict[str, Any]:
    names = [f"{dataset}{tail}" for dataset in DATASETS for tail in ("", "-truth", *(f"-{model}" for model in MODELS))]
    drawn = {"format": "coco", "path": "drawn.json", "images": "drawn", "geometry": "mask"}
    found = {"format": "coco-results", "path": "drawn-cnn.json", "ground_truth": "drawn.json", "geometry": "mask"}
    records = {name: {"format": "records", "path": f"{name}.jsonl"} for name in names}
    return {**records, "drawn": drawn, "drawn-cnn": found}


def _datasets(stage: int) -> dict[str, Any]:
    datasets: dict[str, Any] = {
        name: {"name": name, "items": [name], "annotations": [f"{name}-truth"]} for name in DATASETS
    }
    datasets["drawn"] = {"name": "drawn", "items": ["drawn"], "annotations": ["drawn"]}
    datasets["drives"] |= {"kind": "lidar", "taxonomies": {"road": {"labels": ["highway", "city"]}}}
    datasets["clips"] |= {"kind": "video"}
    pictures = datasets["pictures"]
    pictures["taxonomies"] = {
        "weather": {"type": "category", "labels": ["sunny", "rain"]},
        "conditions": {"type": "multicategory", "labels": ["wet", "dark", "fog"]},
    }
    if stage < 2:
        pictures["taxonomies"]["season"] = {"labels": ["winter", "summer"][: stage + 1]}
        pictures["slices"] = {
            "named": {"reference_ids": ["box.jpg", "line.jpg"][: stage + 1]},
            "listed": {"file": "listed.txt"},
            "chosen": {"where": {"metadata.chosen": 1}},
        }
        pictures["tracks"] = {"red": {"reference_id": "red car", "metadata": {"seen": stage}}}
        datasets["brief"] = {"name": "brief", "tags": [["first"], ["second"]][stage]}
    return datasets


def _models(stage: int) -> dict[str, Any]:
    models: dict[str, Any] = {
        name: {
            "name": name,
            "reference_id": name,
            **more,
            "predictions": {dataset: [f"{dataset}-{name}"] for dataset in DATASETS},
        }
        for name, more in MODELS.items()
    }
    for name in ("cnn", "nightly"):
        models[name]["predictions"]["drawn"] = ["drawn-cnn"]
    if stage < 2:
        models["brief"] = {
            "name": "Brief",
            "reference_id": "brief",
            "tags": [["first"], ["second"]][stage],
            "weights": "brief.pt",
            "trained_slices": [["pictures.named"], ["pictures.listed"]][stage],
        }
    return models


def _evaluations(stage: int) -> dict[str, Any]:
    about = {"model": "cnn", "dataset": "pictures"}
    matches = [{"ground_truth_label": "car", "model_prediction_label": "bus"}]
    options: list[Wire] = [{"class_agnostic": True}, {"class_agnostic": False, "allowed_label_matches": matches}]
    groups = {"traffic": ["car", "bus"]} if stage else {"vehicle": ["car"]}
    return {
        "dashboard": {"kind": "metrics", **about, **options[stage]},
        "quality": {"kind": "benchmark", **about, "rollup_groups": groups, "save_as_preset": "vehicles"},
    }
