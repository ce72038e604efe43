"""What `init` writes for a folder: always a spec that validates, with all that was recognised in it."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from nucleus_sync.spec.discover import discover
from nucleus_sync.spec.load import parse
from nucleus_sync.spec.model import Spec
from nucleus_sync.spec.source import (
    CocoPanopticSource,
    CocoResultsSource,
    CocoSource,
    ImagesSource,
    RecordsSource,
    TableSource,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the shared data are not at {DATA}")


def drafted(folder: Path) -> tuple[Spec, str]:
    text = discover(folder)
    spec, warnings = parse(text.encode(), "nucleus.yaml", {})
    assert warnings == []
    return spec, text


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 4, "height": 4}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}],
    "categories": [{"id": 1, "name": "cat"}],
}


def test_an_empty_folder_gets_guidance(tmp_path: Path) -> None:
    spec, text = drafted(tmp_path)
    assert spec == Spec(version=1)
    assert "format: coco" in text


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        discover(tmp_path / "no")


def test_images_alone_become_items_to_upload(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/b/2.PNG", ".hidden/3.jpg"):
        (tmp_path / "pics" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pics" / name).touch()
    spec, _ = drafted(tmp_path)
    assert [source.path for source in spec.sources.values()] == ["pics/a"]
    assert all(isinstance(source, ImagesSource) for source in spec.sources.values())


def test_coco_finds_its_images(tmp_path: Path) -> None:
    write_json(tmp_path / "ann" / "instances.json", COCO)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    spec, _ = drafted(tmp_path)
    (source,) = spec.sources.values()
    assert isinstance(source, CocoSource)
    assert (source.path, source.images) == ("ann/instances.json", "photos")


def test_a_table_of_addresses_becomes_items(tmp_path: Path) -> None:
    (tmp_path / "drive.csv").write_text("id,where is it,speed\nf1,s3://acme/f1.jpg,12\n")
    spec, _ = drafted(tmp_path)
    (source,) = spec.sources.values()
    assert isinstance(source, TableSource)
    assert (source.reference_id, source.image_url) == ("{id}", "{where is it}")


def test_a_parquet_table_becomes_items(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"name": ["a"], "url": ["https://x/a.jpg"]}), tmp_path / "t.parquet")
    (source,) = drafted(tmp_path)[0].sources.values()
    assert isinstance(source, TableSource)
    assert (source.reference_id, source.image_url) == ("{name}", "{url}")


def test_wire_records_become_what_they_are(tmp_path: Path) -> None:
    item = {"reference_id": "a", "image_url": "s3://a/a.jpg", "metadata": {}}
    box = {"reference_id": "a", "type": "box", "label": "cat", "geometry": {}, "annotation_id": "1"}
    (tmp_path / "items.jsonl.gz").write_bytes(gzip.compress(json.dumps(item).encode()))
    (tmp_path / "boxes.jsonl").write_text(json.dumps(box) + "\n")
    (tmp_path / "found.jsonl").write_text(json.dumps(box | {"confidence": 0.5}) + "\n")
    spec, _ = drafted(tmp_path)
    assert all(isinstance(source, RecordsSource) for source in spec.sources.values())
    (dataset,) = spec.datasets.values()
    assert dataset.annotations == ("boxes",)
    assert spec.models["found"].predictions == {next(iter(spec.datasets)): ("found",)}


def test_results_are_joined_with_the_truth_that_has_their_images(tmp_path: Path) -> None:
    write_json(tmp_path / "one.json", COCO)
    write_json(tmp_path / "two.json", COCO | {"images": [{"id": 7, "file_name": "b.jpg"}]})
    write_json(tmp_path / "cnn.json", [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}])
    source = drafted(tmp_path)[0].sources["cnn"]
    assert isinstance(source, CocoResultsSource)
    assert source.ground_truth == "two.json"


@pytest.mark.parametrize(
    "name",
    ["null", "true", "12", "a b", "ä", "-x", "${HOME}", "x: y", "#1", "'q'", '"d"', "a\nb", "{x}", "*", "s3:", "~"],
)
def test_whatever_files_are_called_the_draft_validates(tmp_path: Path, name: str) -> None:
    write_json(tmp_path / name / f"{name}.json", COCO)
    write_json(tmp_path / name / f"{name}.results.json", [{"image_id": 1, "category_id": 1, "score": 1}])
    (tmp_path / name / f"{name}.jpg").touch()
    (tmp_path / name / f"{name}.csv").write_text(f'id,{json.dumps(name)}\n1,"s3://a/b"\n')
    drafted(tmp_path)


def test_a_name_that_is_not_utf_8_is_passed_over(tmp_path: Path) -> None:
    try:
        write_json(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json")), COCO)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    assert drafted(tmp_path)[0] == Spec(version=1)


@needs_data
def test_coco8(tmp_path: Path) -> None:
    spec, _ = drafted(DATA / "coco8")
    instances, panoptic = spec.sources.values()
    assert isinstance(instances, CocoSource)
    assert (instances.path, instances.images) == ("instances.json", "images")
    assert isinstance(panoptic, CocoPanopticSource)
    assert (panoptic.path, panoptic.masks, panoptic.images) == ("panoptic.json", "panoptic_masks", "images")


@needs_data
def test_coco_val2014_eval() -> None:
    spec, text = drafted(DATA / "coco-val2014-eval")
    truth = spec.sources["gt_bbox"]
    assert isinstance(truth, CocoSource)
    assert (truth.images, truth.image_url) == (None, "{coco_url}")
    assert set(spec.models) == {"results_bbox", "results_keypoints", "results_segm"}
    assert set(spec.evaluations) == set(spec.models)
    assert "results_bbox_wrapped.json" in text


@needs_data
def test_labelbox_is_named_as_not_read() -> None:
    spec, text = drafted(DATA / "labelbox-json")
    assert spec.sources == {}
    assert "Labelbox: image_import.json" in text


@needs_data
def test_every_folder_of_the_shared_data_gets_a_sound_draft() -> None:
    for folder in [DATA, *(path for path in DATA.rglob("*") if path.is_dir())]:
        drafted(folder)


@needs_data
@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("sharks/yolo", {"format": "yolo", "path": "."}),
        ("formats-mini/yolo_dataset", {"format": "yolo", "path": "labels"}),
        ("instance-seg/YOLOv8", {"format": "yolo", "path": "."}),
        ("weird-names/YOLOv8", {"format": "yolo", "path": "."}),
        ("formats-mini/roboflow_dataset/yolo_obb", {"format": "yolo", "path": "."}),
        ("chess-voc", {"format": "voc", "path": "."}),
        ("formats-mini/voc_dataset/voc_dataset1", {"format": "voc", "path": "Annotations", "images": "JPEGImages"}),
        ("weird-names/KITTI", {"format": "kitti", "path": "."}),
        ("formats-mini/kitti_dataset/kitti_detection", {"format": "kitti", "path": "training"}),
    ],
)
def test_folders_of_label_files(folder: str, said: dict[str, str]) -> None:
    spec, _ = drafted(DATA / folder)
    source = next(iter(spec.sources.values()))
    assert source.said() == {**said}
    labelled = [dataset for dataset in spec.datasets.values() if dataset.annotations]
    assert labelled
    assert all(dataset.items == dataset.annotations for dataset in labelled)


def test_labels_without_names_ask_for_them(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "images/a.jpg").touch()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    spec, text = drafted(tmp_path)
    assert [source.format for source in spec.sources.values()] == ["yolo"]
    assert "CHANGE: nothing here names the classes" in text


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("below", ["", "kitti/", "data/kitti/training/"])
def test_kittis_3d_layout_becomes_lidar_scenes(tmp_path: Path, below: str) -> None:
    _touch(tmp_path, *(f"{below}{name}" for name in ("velodyne/1.bin", "image_2/1.png", "calib/1.txt")))
    (tmp_path / below / "label_2").mkdir()
    car = "Car 0.25 1 -10 1 2 3 4 1.5 1.6 4 3 1.65 10 0\n"
    (tmp_path / below / "label_2" / "1.txt").write_text(car)
    spec, text = drafted(tmp_path)
    ((name, source),) = spec.sources.items()
    assert (source.format, source.path) == ("kitti-3d", below.rstrip("/") or ".")
    (dataset,) = spec.datasets.values()
    assert (dataset.kind, dataset.items, dataset.annotations) == ("lidar", (name,), (name,))
    assert text.count("CHANGE") == 2


def test_a_3d_layout_without_labels_or_cameras_has_scenes_alone(tmp_path: Path) -> None:
    _touch(tmp_path, "drive/velodyne/000001.pcd", "drive/calib/000001.txt")
    spec, _ = drafted(tmp_path)
    (dataset,) = spec.datasets.values()
    assert (dataset.kind, dataset.annotations) == ("lidar", ())
    assert spec.sources["drive"].image_url is None  # type: ignore[union-attr]


def test_a_folder_of_frames_for_each_scene_becomes_video_scenes(tmp_path: Path) -> None:
    _touch(tmp_path, *(f"clips/{scene}/frame_{n:03}.jpg" for scene in ("one", "two") for n in range(3)))
    spec, text = drafted(tmp_path)
    ((name, source),) = spec.sources.items()
    assert (name, source.format, source.path) == ("clips", "frames", "clips")
    assert spec.datasets["clips"].kind == "video"
    assert "CHANGE: frames a second" in text


@pytest.mark.parametrize(
    "names",
    [
        ["train/1.jpg", "train/2.jpg", "val/1.jpg", "val/2.jpg"],
        ["a/1.jpg", "a/3.jpg", "b/1.jpg", "b/2.jpg"],
        ["a/cat.jpg", "a/dog.jpg", "b/1.jpg", "b/2.jpg"],
        ["a/1.jpg", "a/2.jpg"],
        ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "other.jpg"],
        ["a/0.jpg", "a/x1.jpg", "b/1.jpg", "b/2.jpg"],
    ],
)
def test_images_that_are_no_runs_of_frames_are_single_images(tmp_path: Path, names: list[str]) -> None:
    _touch(tmp_path, *(f"set/{name}" for name in names))
    spec, _ = drafted(tmp_path)
    assert {source.format for source in spec.sources.values()} == {"images"}
