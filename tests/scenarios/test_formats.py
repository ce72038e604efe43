"""Exports in other formats than COCO's boxes, read back through the official SDK: what is declared is there."""

from __future__ import annotations

import io
import json
import shutil
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nucleus
import pytest

from .project import Project, picture, write_json

Data = Callable[[str], Path]
SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]


def declare(project: Project, form: str, folder: Path | None = None, *, prune: bool = False, **options: Any) -> None:
    """One source for items and annotations of one dataset."""
    if folder is not None:
        shutil.copytree(folder, project.folder / "in")
    source = {"format": form, "path": "in", **options}
    dataset = {"name": "Set", "items": ["labels"], "annotations": ["labels"], "prune": prune}
    project.declare(sources={"labels": source}, datasets={"set": dataset})


def there(client: nucleus.NucleusClient, project: Project) -> Any:
    """The dataset as the SDK sees it."""
    (dataset,) = client.datasets
    return dataset


def read_back(client: nucleus.NucleusClient, project: Project) -> dict[str, list[Any]]:
    """The annotations that the SDK reads of every item, by the item's reference id."""
    dataset = there(client, project)
    items = [item.reference_id for item in dataset.items]
    found = {reference: dataset.refloc(reference)["annotations"] for reference in items}
    return {reference: [each for group in groups.values() for each in group] for reference, groups in found.items()}


def kinds(found: dict[str, list[Any]]) -> Counter[str]:
    return Counter(type(each).__name__ for group in found.values() for each in group)


def test_sharks_in_yolo(project: Project, client: nucleus.NucleusClient, data: Data) -> None:
    declare(project, "yolo", data("sharks") / "yolo", metadata={"part": "{parent}"})
    assert project.apply()["exit_code"] == 0
    found = read_back(client, project)
    assert len(found) == 10
    assert kinds(found) == {"BoxAnnotation": 43, "PolygonAnnotation": 17}
    (box,) = [
        each
        for reference, group in found.items()
        for each in group
        if "mp4-11_" in reference and each.label == "primary" and isinstance(each, nucleus.BoxAnnotation)
    ]
    assert (box.x, box.y, box.width, box.height) == (0, 64.75, 485, 352.5)
    assert {item.metadata["part"] for item in there(client, project).items} == {
        "train/images",
        "valid/images",
        "test/images",
    }
    project.assert_settled()


def test_chess_in_voc(project: Project, client: nucleus.NucleusClient, data: Data) -> None:
    declare(project, "voc", data("chess-voc"), on_invalid="skip")
    assert project.apply()["exit_code"] == 0
    found = read_back(client, project)
    assert (len(found), kinds(found)) == (12, {"BoxAnnotation": 167})
    (knight,) = found["c78.jpg"]
    assert (knight.label, knight.x, knight.y, knight.width, knight.height) == ("black-knight", 443, 93, 40, 66)
    assert "no 0af.jpg; there is 0AF.jpg" in project("plan").out
    project.assert_settled()


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("coco", {"path": "in/COCO/train.json", "images": "in/COCO/data", "geometry": "box"}),
        ("voc", {"path": "in/PascalVOC", "images": "in/COCO/data"}),
        ("kitti", {"path": "in/KITTI"}),
        ("yolo", {"path": "in/YOLOv8"}),
    ],
)
def test_one_truth_in_four_formats(
    form: str, options: dict[str, Any], project: Project, client: nucleus.NucleusClient, data: Data
) -> None:
    named = {} if form == "coco" else {"reference_id": "{name}"}
    declare(project, form, data("weird-names"), **options, **named)
    assert project.apply()["exit_code"] == 0
    found = read_back(client, project)
    assert {reference: len(group) for reference, group in found.items()} == {
        "a-weird Filename.asdf.jpg": 8,
        "aNother-weird__ filename.with.many.characters.jpg": 8,
    }
    (dog,) = [each for each in found["a-weird Filename.asdf.jpg"] if each.label == "dog"]
    # YOLO's file holds the shares of the box before the other three files rounded it.
    wanted = (539.72, 295.45, 22.91, 18.39) if form == "yolo" else (540, 295, 23, 18)
    assert (dog.x, dog.y, dog.width, dog.height) == pytest.approx(wanted, abs=0.01)
    project.assert_settled()


def test_a_line_that_goes_takes_its_record_along(project: Project, client: nucleus.NucleusClient) -> None:
    picture(project.folder / "in/images/a.png", 100, 50)
    labels = project.folder / "in/labels/a.txt"
    labels.parent.mkdir()
    labels.write_text("0 0.5 0.5 0.2 0.4\n1 0.2 0.2 0.1 0.1\n")
    declare(project, "yolo", names=["cat", "dog"], prune=True)
    project.apply()
    labels.write_text("0 0.5 0.5 0.2 0.4\n")
    summary = project.apply("--allow-deletes")
    assert (summary["delete"], summary["exit_code"]) == (1, 0)
    assert [each.label for each in read_back(client, project)["images/a.png"]] == ["cat"]
    project.assert_settled()


def test_yolo_predictions_have_their_confidences(project: Project, client: nucleus.NucleusClient) -> None:
    picture(project.folder / "in/images/a.png", 100, 50)
    runs = project.folder / "runs/a.txt"
    runs.parent.mkdir()
    runs.write_text("1 0.5 0.5 0.2 0.4 0.75\n")
    sources = {
        "photos": {"format": "images", "path": "in/images"},
        "run": {"format": "yolo", "path": "runs", "images": "in/images", "names": ["cat", "dog"]},
    }
    cnn = {"name": "CNN", "reference_id": "cnn", "predictions": {"set": ["run"]}}
    project.declare(sources=sources, datasets={"set": {"name": "Set", "items": ["photos"]}}, models={"cnn": cnn})
    assert project.apply()["exit_code"] == 0
    (model,) = client.models
    found = there(client, project).predictions_refloc(model, "a.png")
    (box,) = found["box"]
    assert (box.label, box.confidence, box.x, box.y, box.width, box.height) == ("dog", 0.75, 40, 15, 20, 20)
    project.assert_settled()


# --- masks ----------------------------------------------------------------------------------------------------


def pixels(mask: Any) -> tuple[tuple[int, int], bytes]:
    """Size and values of a mask that Nucleus holds."""
    image = pytest.importorskip("PIL.Image")
    with urllib.request.urlopen(mask.mask_url) as answer, image.open(io.BytesIO(answer.read())) as png:
        assert png.mode == "L"
        return png.size, png.tobytes()


def export(project: Project, count: int = 1, labels: int = 2, shape: Any = None) -> None:
    """So many pictures of 10x8, each with a square and more."""
    images = [{"id": n, "file_name": f"{n:02}.png", "width": 10, "height": 8} for n in range(1, count + 1)]
    for image in images:
        picture(project.folder / "in" / image["file_name"], 10, 8, image["id"])
    shapes = [shape or [SQUARE], [[8, 0, 10, 0, 10, 2, 8, 2]]][:labels]
    annotations = [
        {"id": 10 * image["id"] + n, "image_id": image["id"], "category_id": n, "segmentation": each}
        for image in images
        for n, each in enumerate(shapes, start=1)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    value = {"images": images, "categories": categories, "annotations": annotations}
    write_json(project.folder / "truth.json", value)


def masked(project: Project, **options: Any) -> None:
    declare(project, "coco", **{"path": "truth.json", "images": "in", "geometry": "mask", **options})


def uploads(project: Project) -> int:
    """Synchronous uploads of masks so far."""
    log = project.emulator.requests()
    return sum(one["path"].endswith(("/annotate", "/uploadPredictions")) and "async" not in one["query"] for one in log)


def test_masks_are_uploaded_ten_at_a_time(project: Project, client: nucleus.NucleusClient) -> None:
    export(project, count=23)
    masked(project)
    summary = project.apply()
    assert (summary["create"], summary["exit_code"]) == (1 + 23 + 23, 0)
    assert uploads(project) == 3
    found = read_back(client, project)
    assert kinds(found) == {"SegmentationAnnotation": 23}
    (mask,) = found["07.png"]
    assert [(each.label, each.index) for each in mask.annotations] == [("cat", 1), ("dog", 2)]
    size, values = pixels(mask)
    assert (size, dict(Counter(values))) == ((10, 8), {0: 60, 1: 16, 2: 4})
    project.assert_settled()


def test_a_changed_shape_is_one_mask_sent_again(project: Project, client: nucleus.NucleusClient) -> None:
    export(project, count=3)
    masked(project)
    project.apply()
    before = uploads(project)
    value = json.loads((project.folder / "truth.json").read_text())
    value["annotations"][0]["segmentation"] = [[2, 2, 4, 2, 4, 4, 2, 4]]
    write_json(project.folder / "truth.json", value)
    assert [(one["key"]["reference_id"], one["reason"]) for one in project.changes()] == [
        ("01.png", "geometry changed")
    ]
    assert (project.apply()["update"], uploads(project) - before) == (1, 1)
    (mask,) = read_back(client, project)["01.png"]
    assert Counter(pixels(mask)[1])[1] == 4
    project.assert_settled()


def test_an_item_without_labels_any_more_loses_its_mask(project: Project, client: nucleus.NucleusClient) -> None:
    export(project, count=3)
    masked(project, prune=True)
    project.apply()
    value = json.loads((project.folder / "truth.json").read_text())
    value["annotations"] = [each for each in value["annotations"] if each["image_id"] != 2]
    write_json(project.folder / "truth.json", value)
    assert project.apply("--allow-deletes")["delete"] == 1
    found = read_back(client, project)
    assert {reference: len(group) for reference, group in found.items()} == {"01.png": 1, "02.png": 0, "03.png": 1}
    project.assert_settled()


def test_masks_of_predictions(project: Project, client: nucleus.NucleusClient) -> None:
    export(project, count=12)
    rle = {"size": [8, 10], "counts": [18, 4, 4, 4, 4, 4, 4, 4, 34]}
    detections = [{"image_id": n, "category_id": 2, "segmentation": rle, "score": 0.5} for n in range(1, 13)]
    write_json(project.folder / "results.json", detections)
    masked(project)
    sections = project.declared()
    sections["sources"]["cnn"] = {
        "format": "coco-results",
        "path": "results.json",
        "ground_truth": "truth.json",
        "geometry": "mask",
    }
    sections["models"] = {"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"set": ["cnn"]}}}
    project.declare(**sections)
    assert project.apply()["exit_code"] == 0
    (model,) = client.models
    found = there(client, project).predictions_refloc(model, "12.png")
    (mask,) = found["segmentation"]
    assert [(each.label, each.index) for each in mask.annotations] == [("dog", 1)]
    assert Counter(pixels(mask)[1]) == {0: 64, 1: 16}
    project.assert_settled()


def test_painted_masks_need_a_run(project: Project) -> None:
    export(project)
    rle = {"size": [8, 10], "counts": [18, 4, 4, 4, 4, 4, 4, 4, 34]}
    write_json(project.folder / "results.json", [{"image_id": 1, "category_id": 2, "segmentation": rle, "score": 0.5}])
    masked(project)
    sections = project.declared()
    found = {"format": "coco-results", "path": "results.json", "ground_truth": "truth.json", "geometry": "mask"}
    sections["sources"]["cnn"] = found
    model = {"name": "CNN", "reference_id": "cnn", "run": "none", "predictions": {"set": ["cnn"]}}
    project.declare(**sections, models={"cnn": model})
    answer = project("plan")
    assert answer.code == 6
    assert "is a mask: leave out `run: none`" in answer.text


def test_panoptic_masks(project: Project, client: nucleus.NucleusClient, data: Data) -> None:
    options = {"path": "in/panoptic.json", "masks": "in/panoptic_masks", "images": "in/images"}
    declare(project, "coco-panoptic", data("coco8"), **options)
    assert project.apply()["exit_code"] == 0
    found = read_back(client, project)
    assert kinds(found) == {"SegmentationAnnotation": 8}
    assert sum(len(mask.annotations) for (mask,) in found.values()) == 163
    truth = json.loads((data("coco8") / "panoptic.json").read_text())
    files = {image["id"]: image["file_name"] for image in truth["images"]}
    for entry in truth["annotations"]:
        ((width, height), values) = pixels(found[files[entry["image_id"]]][0])
        areas = Counter(values)
        assert [areas[n] for n in range(1, len(entry["segments_info"]) + 1)] == [
            segment["area"] for segment in entry["segments_info"]
        ]
        assert len(values) == width * height
    project.assert_settled()


def test_coco8_painted(project: Project, client: nucleus.NucleusClient, data: Data) -> None:
    declare(project, "coco", data("coco8"), path="in/instances.json", images="in/images", geometry="mask")
    assert project.apply()["exit_code"] == 0
    found = read_back(client, project)
    assert kinds(found) == {"SegmentationAnnotation": 8}
    assert sum(len(mask.annotations) for (mask,) in found.values()) == 139
    project.assert_settled()


def test_a_lost_answer_to_a_mask_doubles_nothing(project: Project, client: nucleus.NucleusClient) -> None:
    export(project, count=2)
    masked(project)
    project.emulator.inject([{"match": {"path": "/annotate$", "times": 1}, "effect": {"reset": "after"}}])
    summary = project.apply()
    assert (summary["create"], summary["exit_code"]) == (5, 0)
    assert kinds(read_back(client, project)) == {"SegmentationAnnotation": 2}
    project.assert_settled()


def test_a_refused_upload_of_masks_is_sent_by_the_next_apply(project: Project, client: nucleus.NucleusClient) -> None:
    export(project, count=12)
    masked(project)
    project.emulator.inject([{"match": {"path": "/annotate$", "times": 1}, "effect": {"status": 400}}])
    summary = project.apply()
    assert (summary["exit_code"], summary["failed_steps"]) == (3, 0)
    assert len(project.plan()["steps"]) == 1
    assert project.apply()["exit_code"] == 0
    assert kinds(read_back(client, project)) == {"SegmentationAnnotation": 12}
    project.assert_settled()


def test_a_refused_mask_is_named_and_the_others_are_in(project: Project, client: nucleus.NucleusClient) -> None:
    export(project, count=2)
    masked(project)
    sections = project.declared()
    project.declare(**{**sections, "datasets": {"set": {**sections["datasets"]["set"], "annotations": []}}})
    project.apply()
    there(client, project).delete_item("01.png")
    project.declare(**sections)
    summary = project.apply()
    assert (summary["create"], summary["rejected"]) == (1, 1)
    assert "01.png" in project("errors").out
    assert kinds(read_back(client, project)) == {"SegmentationAnnotation": 1}


def test_a_refresh_finds_no_drift_in_painted_masks(project: Project) -> None:
    export(project, count=2)
    masked(project)
    project.apply()
    answer = project("refresh", "--detailed-exitcode")
    assert answer.code == 0, answer.text
    assert project("apply", "--auto-approve", "--verify").code == 0
    project.assert_settled()
