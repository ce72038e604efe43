"""The facts that matter most, on input of our own that is always there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from .project import Project, picture, write_json
from .tiny import CATEGORIES, IMAGES, edit, truth

RING = [1, 1, 9, 1, 9, 9, 1, 9]
FAULTY = [
    {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]},
    {"id": 2, "image_id": 1, "category_id": 1, "bbox": [float("nan"), 1, 5, 5]},
    {"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 1, 0, 5]},
    {"id": 4, "image_id": 99, "category_id": 1, "bbox": [1, 1, 5, 5]},
    {"id": 5, "image_id": 1, "category_id": 42, "bbox": [1, 1, 5, 5]},
    {"id": 6, "image_id": 2, "category_id": 1, "bbox": [1, 1, 5, 5]},
    {"id": 6, "image_id": 2, "category_id": 1, "bbox": [2, 2, 5, 5]},
    {"id": 7, "image_id": 3, "category_id": 1, "bbox": [1, 1, 5]},
    {"id": 2**63 + 5, "image_id": 3, "category_id": 2, "bbox": [1, 1, 5, 5]},
]


def _declare(project: Project, annotations: list[dict[str, Any]], **source: Any) -> None:
    for image in IMAGES:
        picture(project.folder / "images" / image["file_name"], image["width"], image["height"])
    coco = {"images": IMAGES, "categories": CATEGORIES, "annotations": annotations}
    write_json(project.folder / "truth.json", coco)
    labels = {"format": "coco", "path": "truth.json", "images": "images", **source}
    project.declare(
        sources={"labels": labels}, datasets={"set": {"name": "Set", "items": ["labels"], "annotations": ["labels"]}}
    )


def test_each_fault_is_skipped_and_the_rest_is_sent(project: Project) -> None:
    _declare(project, FAULTY, on_invalid="skip")
    summary = project.apply()
    assert (summary["exit_code"], summary["invalid"]) == (0, 7)
    held = {(one["reference_id"], one["annotation_id"]) for one in project.dataset()["annotations"]}
    assert held == {("a.png", "1"), ("c.png", str(2**63 + 5))}
    said = project.ok("errors").out
    for words in ("bbox x is NaN", "width 0", "image_id 99", "category_id 42", "2 different records", "bbox has 3"):
        assert words in said
    project.assert_settled()


def test_each_fault_stops_everything_and_is_said_three_times_alike(project: Project) -> None:
    _declare(project, FAULTY)
    answers = [project(*words) for words in (("validate", "--sources"), ("plan",), ("apply", "-y"))]
    assert [answer.code for answer in answers] == [6, 6, 6]
    heads = [[line for line in answer.out.splitlines() if line.startswith(("!", "  !"))] for answer in answers]
    assert heads[0] == heads[1] == heads[2]
    assert heads[0][0] == "! dataset.set.annotations  7 invalid records: nothing of this stream is sent"
    assert project.sent() == []


def test_rings_runs_and_boxes_of_one_file(project: Project) -> None:
    crowd = {"size": [60, 80], "counts": [0, 100, 4700]}
    shapes = [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [1, 1, 8, 8],
            "segmentation": [RING, [20, 20, 30, 20, 30, 30]],
        },
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 2, 60], "segmentation": crowd, "iscrowd": 1},
        {"id": 3, "image_id": 3, "category_id": 2, "bbox": [5, 5, 6, 7]},
    ]
    _declare(project, shapes)
    assert project.apply()["exit_code"] == 0
    held = project.dataset()["annotations"]
    assert Counter(one["type"] for one in held) == {"polygon": 2, "box": 2}
    assert len({one["annotation_id"] for one in held if one["reference_id"] == "a.png"}) == 2
    project.assert_settled()


def test_keypoints_are_named_and_joined_from_zero(project: Project) -> None:
    points = [3, 4, 2, 5, 6, 1, 0, 0, 0]
    _declare(
        project,
        [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8], "keypoints": points}],
        geometry="keypoints",
    )
    edit(
        truth(project), lambda coco: coco["categories"][0].update(keypoints=["a", "b", "c"], skeleton=[[1, 2], [2, 3]])
    )
    assert project.apply()["exit_code"] == 0
    (person,) = project.dataset()["annotations"]
    assert person["geometry"]["names"] == ["a", "b", "c"]
    assert person["geometry"]["skeleton"] == [[0, 1], [1, 2]]
    assert [point["x"] for point in person["geometry"]["keypoints"]] == [3, 5, None]
    project.assert_settled()


def test_an_evaluation_has_the_numbers_that_can_be_told_by_hand(tiny: Project) -> None:
    """Every prediction is a box of the ground truth, and one box of six is not found."""
    sections = tiny.declared()
    sections["evaluations"] = {"numbers": {"kind": "benchmark", "model": "cnn", "dataset": "tiny"}}
    tiny.declare(**sections)
    answer = tiny("apply", "-y", "--json")
    (evaluated,) = [one for one in answer.lines() if one["event"] == "evaluated"]
    numbers = evaluated["metrics"]
    assert (numbers["precision"], numbers["recall"]) == (1.0, pytest.approx(5 / 6))
    assert numbers["labels"]["cat"]["AP"] == pytest.approx(1.0)
    assert numbers["labels"]["dog"]["AP"] == pytest.approx(2 / 3, abs=0.01)
    tiny.assert_settled()


def test_images_that_share_an_id_are_items_all_the_same(project: Project) -> None:
    box = {"id": 1, "image_id": 3, "category_id": 1, "bbox": [1, 1, 5, 5]}
    _declare(project, [box], on_invalid="skip")
    edit(truth(project), lambda coco: coco["images"][1].update(id=1))
    planned = project.ok("plan").out
    assert "two images share it: a.png, b.png" in planned
    assert "      0  " not in planned
    assert project.apply()["exit_code"] == 0
    assert len(project.dataset()["items"]) == 3
