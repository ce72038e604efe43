"""What Nucleus can only delete together with others stays until nothing is lost by its deletion."""

from __future__ import annotations

from typing import Any

import pytest

from .project import Project
from .tiny import edit, truth


@pytest.fixture
def skipping(applied: Project) -> Project:
    """The small project; invalid records are skipped."""
    sections = applied.declared()
    for source in sections["sources"].values():
        source["on_invalid"] = "skip"
    applied.declare(**sections)
    applied.assert_settled()
    return applied


def _boxes(project: Project) -> list[str]:
    return sorted(one["annotation_id"] for one in project.dataset()["annotations"])


def _predictions(project: Project) -> list[float]:
    return sorted(one["confidence"] for one in project.world()["models"][0]["predictions"])


def _break(coco: Any, number: int, box: list[float] | None = None) -> None:
    coco["annotations"][number]["bbox"] = box or [1, 2, 0, 4]


@pytest.mark.parametrize("box", [[1, 2, 0, 4], ["a", 2, 3, 4], [1e400, 2, 3, 4]])
def test_a_deletion_waits_while_its_neighbour_cannot_be_sent_again(skipping: Project, box: list[Any]) -> None:
    def change(coco: Any) -> None:
        coco["annotations"][1]["bbox"] = box
        del coco["annotations"][4]  # on another item, whose neighbour is sound
        del coco["annotations"][0]

    edit(truth(skipping), change)
    summary = skipping.apply()
    assert (summary["exit_code"], summary["delete"], summary["resent"]) == (0, 1, 1)
    assert _boxes(skipping) == ["10", "11", "12", "13", "15"]
    answer = skipping.ok("plan")
    assert "1 deletion on a.png waits" in answer.text
    skipping.assert_settled()

    edit(truth(skipping), lambda coco: coco["annotations"][0].update(bbox=[2, 3, 16, 16]))
    assert skipping.apply()["delete"] == 1
    assert _boxes(skipping) == ["11", "12", "13", "15"]
    skipping.assert_settled()


def test_what_was_never_sent_holds_nothing_back(skipping: Project) -> None:
    """A new record that is invalid has nothing at Nucleus that could be lost."""

    def change(coco: Any) -> None:
        coco["annotations"].append({"id": 99, "image_id": 1, "category_id": 1, "bbox": [1, 2, 0, 4], "iscrowd": 0})
        del coco["annotations"][0]

    edit(truth(skipping), change)
    assert skipping.apply()["delete"] == 1
    assert _boxes(skipping) == ["11", "12", "13", "14", "15"]
    skipping.assert_settled()


def test_a_deletion_waits_while_a_newer_version_of_its_neighbour_is_refused(skipping: Project) -> None:
    skipping.emulator.inject(
        [{"match": {"job": "uploadAnnotations", "times": 1}, "effect": {"reject": {"first": 1, "error": "no"}}}]
    )
    edit(truth(skipping), lambda coco: coco["annotations"][1].update(bbox=[5, 5, 9, 9]))
    assert skipping.apply()["rejected"] == 1
    edit(truth(skipping), lambda coco: coco["annotations"].pop(0))
    assert skipping.apply()["delete"] == 0
    assert _boxes(skipping) == ["10", "11", "12", "13", "14", "15"]
    assert "1 deletion on a.png waits" in skipping.ok("plan").text


def test_predictions_wait_for_each_other_too(skipping: Project) -> None:
    before = _predictions(skipping)

    def change(results: Any) -> None:
        results[0]["bbox"] = [1, 2, 0, 4]
        results.pop(4)

    edit(skipping.folder / "results.json", change)
    assert skipping.apply()["delete"] == 0
    assert _predictions(skipping) == before
    assert "1 deletion waits" in skipping.ok("plan").text
    skipping.assert_settled()
    edit(skipping.folder / "results.json", lambda results: results[0].update(bbox=[2, 3, 16, 16]))
    assert skipping.apply()["delete"] == 1
    assert _predictions(skipping) == before[:-1]
    skipping.assert_settled()
