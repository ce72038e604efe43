"""Public exports go up with exactly the facts that are known of them, and then nothing is left to do."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nucleus
import pytest

from .project import Project

Data = Callable[[str], Path]


def _copied(project: Project, folder: Path) -> None:
    shutil.copytree(folder, project.folder / "in")


def _coco(project: Project, folder: Path, file: str, **options: Any) -> dict[str, Any]:
    """Applies one COCO file with its pictures; what is held of it."""
    _copied(project, folder)
    source = {"format": "coco", "path": f"in/{file}", **options}
    project.declare(
        sources={"labels": source}, datasets={"set": {"name": "Set", "items": ["labels"], "annotations": ["labels"]}}
    )
    summary = project.apply()
    assert (summary["exit_code"], summary["rejected"]) == (0, 0)
    return project.dataset()


def _by_id(held: dict[str, Any], annotation_id: str) -> dict[str, Any]:
    (found,) = [one for one in held["annotations"] if one["annotation_id"] == annotation_id]
    return found


def _types(held: dict[str, Any]) -> Counter[str]:
    return Counter(one["type"] for one in held["annotations"])


def test_coco8_as_boxes(project: Project, data: Data) -> None:
    held = _coco(project, data("coco8"), "instances.json", images="in/images", geometry="box")
    assert len(held["items"]) == 8
    assert all(item["sha256"] for item in held["items"])
    assert _types(held) == {"box": 139}
    labels = Counter(one["label"] for one in held["annotations"])
    assert len(labels) == 21
    assert labels.most_common(5) == [("person", 45), ("bird", 23), ("zebra", 14), ("car", 12), ("chair", 10)]
    assert labels["traffic light"] == 6
    bird = _by_id(held, "37690")
    assert (bird["reference_id"], bird["label"]) == ("000000147498.jpg", "bird")
    assert bird["geometry"] == {"x": 308.81, "y": 282.6, "width": 7.38, "height": 5.95}
    crowd = _by_id(held, "900100184324")
    assert crowd["geometry"] == {"x": 3, "y": 199, "width": 594, "height": 225}
    project.assert_settled()


def test_coco8_as_polygons(project: Project, data: Data, client: nucleus.NucleusClient) -> None:
    held = _coco(project, data("coco8"), "instances.json", images="in/images")
    assert _types(held) == {"polygon": 145, "box": 5}
    assert len({(one["reference_id"], one["annotation_id"]) for one in held["annotations"]}) == 150
    rings = [one for one in held["annotations"] if one["annotation_id"].startswith("136541")]
    assert {one["reference_id"] for one in rings} == {"000000184324.jpg"}
    assert sorted(len(one["geometry"]["vertices"]) for one in rings) == [11, 23, 29]
    (dataset,) = client.datasets
    assert len(dataset.refloc("000000184324.jpg")["annotations"]["polygon"]) > 3
    project.assert_settled()


def test_coco_val2014_is_uploaded_and_evaluated(project: Project, data: Data) -> None:
    _copied(project, data("coco-val2014-eval"))
    project.declare(
        sources={
            "truth": {"format": "coco", "path": "in/gt_bbox.json", "image_url": "{coco_url}", "geometry": "box"},
            "cnn": {"format": "coco-results", "path": "in/results_bbox.json", "ground_truth": "in/gt_bbox.json"},
        },
        datasets={"val": {"name": "Val", "items": ["truth"], "annotations": ["truth"]}},
        models={"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"val": ["cnn"]}}},
        evaluations={
            "dashboard": {"kind": "metrics", "model": "cnn", "dataset": "val"},
            "numbers": {
                "kind": "benchmark",
                "model": "cnn",
                "dataset": "val",
                "expect": {"mAP": ">= 0.50", "mAP50": ">= 0.69"},
            },
        },
    )
    answer = project("apply", "--auto-approve", "--json")
    assert answer.code == 0, answer.text
    (evaluated,) = [one for one in answer.lines() if one["event"] == "evaluated"]
    numbers = evaluated["metrics"]
    published = {"mAP": 0.503647, "mAP50": 0.696973, "mAP75": 0.571667}
    published |= {"AP_small": 0.593252, "AP_medium": 0.557991, "AP_large": 0.489363}
    assert {name: numbers[name] for name in published} == pytest.approx(published, abs=1e-4)
    held = project.dataset()
    assert (len(held["items"]), _types(held)) == (100, {"box": 830})
    assert len({one["label"] for one in held["annotations"]}) == 70
    assert all(item["url"].startswith("http") for item in held["items"])
    world = project.world()
    predictions = world["models"][0]["predictions"]
    assert len(predictions) == 734
    assert len({one["reference_id"] for one in predictions}) == 99
    assert [(call["dataset"], call["model"]) for call in world["metric_calls"]] == [("Val", "cnn")]
    project.assert_settled()


def test_wrapped_results_are_named_for_what_they_are(project: Project, data: Data) -> None:
    folder = data("coco-val2014-eval")
    _copied(project, folder)
    project.declare(
        sources={
            "truth": {"format": "coco", "path": "in/gt_bbox.json", "image_url": "{coco_url}", "geometry": "box"},
            "cnn": {
                "format": "coco-results",
                "path": "in/results_bbox_wrapped.json",
                "ground_truth": "in/gt_bbox.json",
            },
        },
        datasets={"val": {"name": "Val", "items": ["truth"]}},
        models={"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"val": ["cnn"]}}},
    )
    answer = project("plan")
    assert answer.code in (0, 6)
    assert "results_bbox_wrapped.json" in answer.out or "734" in answer.out


def test_sharks_from_three_folders_are_one_dataset(project: Project, data: Data) -> None:
    _copied(project, data("sharks") / "coco")
    parts = ("train", "valid", "test")
    project.declare(
        sources={
            part: {
                "format": "coco",
                "path": f"in/{part}/_annotations.coco.json",
                "images": f"in/{part}",
                "reference_id": part + "/{file_name}",
                "annotation_id": part + "-{id}",
                "geometry": "box",
            }
            for part in parts
        },
        datasets={"sharks": {"name": "Sharks", "items": list(parts), "annotations": list(parts)}},
    )
    assert project.apply()["exit_code"] == 0
    held = project.dataset()
    of = [Counter(one["reference_id"].partition("/")[0] for one in held[kind]) for kind in ("items", "annotations")]
    assert of == [{"train": 7, "valid": 2, "test": 1}, {"train": 44, "valid": 10, "test": 6}]
    assert "sharks" not in {one["label"] for one in held["annotations"]}
    project.assert_settled()


def test_coco_keypoints(project: Project, data: Data) -> None:
    folder = data("coco-keypoints")
    held = _coco(project, folder, "person_keypoints.json", image_url="{coco_url}", geometry="keypoints")
    assert len(held["items"]) == 4
    assert _types(held) == {"keypoints": 14}
    points = [point for one in held["annotations"] for point in one["geometry"]["keypoints"]]
    assert len(points) == 238
    person = _by_id(held, "442619")
    named = dict(zip(person["geometry"]["names"], person["geometry"]["keypoints"], strict=True))
    assert person["reference_id"] == "000000000785.jpg"
    assert (named["nose"]["x"], named["nose"]["y"]) == (367, 81)
    assert (named["left_eye"]["x"], named["left_eye"]["y"]) == (374, 73)
    assert [15, 13] in person["geometry"]["skeleton"]
    seen = Counter((point["visible"], point["x"] is None) for point in points)
    assert sum(number for (_, absent), number in seen.items() if not absent) == 164 + 17
    project.assert_settled()


def test_instance_segmentation(project: Project, data: Data) -> None:
    folder = data("instance-seg")
    file = next(folder.rglob("instances.json"))
    images = json.loads(file.read_text("utf-8"))["images"]
    photo = next(path for path in folder.rglob("*.jpg") if path.name == Path(images[0]["file_name"]).name)
    held = _coco(
        project,
        folder,
        str(file.relative_to(folder)),
        images=f"in/{photo.parent.relative_to(folder)}",
        geometry="polygon",
    )
    assert (len(held["items"]), _types(held)) == (2, {"polygon": 3})
    project.assert_settled()


def test_instance_segmentation_with_a_mask_and_a_missing_photo(project: Project, data: Data) -> None:
    folder = data("instance-seg")
    file = next(folder.rglob("instances_with_binary_mask.json"))
    photo = next(folder.rglob("*.jpg"))
    held = _coco(
        project,
        folder,
        str(file.relative_to(folder)),
        images=f"in/{photo.parent.relative_to(folder)}",
        on_invalid="skip",
    )
    assert len(held["items"]) == 2
    assert sum(_types(held).values()) >= 3
    project.assert_settled()
