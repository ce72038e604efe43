"""Tables, NDJSON of every kind and compression, taxonomies, tags, slices, several datasets, and single addresses."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from .project import Project, picture, write_json, write_lines
from .tiny import CATEGORIES, write_tiny

ITEMS = [
    {
        "reference_id": f"dev/{n}.jpg",
        "image_url": f"s3://bucket/{n}.jpg",
        "metadata": {"speed": n + 0.5, "night": n > 1},
    }
    for n in range(4)
]


def _wire(name: str, *kinds: str, **dataset: Any) -> dict[str, Any]:
    return {
        "sources": {kind: {"format": "records", "path": f"{kind}{name}"} for kind in kinds},
        "datasets": {"set": {"name": "Set", **{kind: [kind] for kind in kinds}, "prune": True, **dataset}},
    }


def _packed(path: Path, values: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(value) + "\n" for value in values).encode()
    pack = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(text))


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_items_as_ndjson_plain_and_packed(project: Project, ending: str) -> None:
    project.declare(**_wire(ending, "items"))
    _packed(project.folder / f"items{ending}", ITEMS)
    assert project.apply()["exit_code"] == 0
    held = project.dataset()["items"]
    assert [(one["reference_id"], one["metadata"]) for one in held] == [
        (one["reference_id"], one["metadata"]) for one in ITEMS
    ]
    project.assert_settled()
    changed = [*ITEMS[:3], ITEMS[3] | {"metadata": {"speed": 9, "night": True}}]
    _packed(project.folder / f"items{ending}", changed)
    (change,) = project.changes()
    assert (change["reason"], change["position"]) == ("metadata changed", "line 4")
    assert project.apply()["update"] == 1
    project.assert_settled()


def test_items_from_standard_input(project: Project) -> None:
    project.declare(
        sources={"wire": {"format": "records", "path": "-"}}, datasets={"set": {"name": "Set", "items": ["wire"]}}
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("NUCLEUS")} | project.environ
    for expected in (5, 0):
        done = subprocess.run(
            [sys.executable, "-m", "nucleus_sync", "apply", "-y", "--json"],
            cwd=project.folder,
            env=env,
            input="".join(json.dumps(item) + "\n" for item in ITEMS),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["create"] == expected
    assert len(project.dataset()["items"]) == 4


def _annotation(kind: str, item: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "reference_id": f"dev/{item}.jpg", "metadata": {}, **more}


SQUARE = [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}]
EVERY_KIND = [
    _annotation("box", 0, label="car", annotation_id="b", geometry={"x": 1, "y": 2, "width": 3, "height": 4}),
    _annotation("line", 0, label="lane", annotation_id="l", geometry={"vertices": SQUARE[:2]}),
    _annotation("polygon", 0, label="road", annotation_id="p", geometry={"vertices": SQUARE}),
    _annotation(
        "keypoints",
        1,
        label="person",
        annotation_id="k",
        geometry={"keypoints": [{"x": 1, "y": 2, "visible": True}], "names": ["nose"], "skeleton": []},
    ),
    _annotation("category", 1, label="rain", taxonomy_name="weather", geometry={}),
    _annotation("category", 0, label="sunny", taxonomy_name="weather", geometry={}),
    _annotation("multicategory", 2, labels=["wet", "dark"], taxonomy_name="road", geometry={}),
    {
        "type": "mask",
        "reference_id": "dev/3.jpg",
        "mask_url": "s3://bucket/m.png",
        "annotations": [{"label": "sky", "index": 1}],
    },
]
TAXONOMIES = {
    "weather": {"type": "category", "labels": ["sunny", "rain"]},
    "road": {"type": "multicategory", "labels": ["dry", "wet", "dark"]},
}


@pytest.fixture
def every_kind(project: Project) -> Project:
    """Items and annotations of every 2D kind, applied."""
    project.declare(**_wire(".jsonl", "items", "annotations", taxonomies=TAXONOMIES, tags=["labelled"]))
    write_lines(project.folder / "items.jsonl", ITEMS)
    write_lines(project.folder / "annotations.jsonl", EVERY_KIND)
    summary = project.apply()
    assert (summary["exit_code"], summary["rejected"]) == (0, 0)
    return project


def test_every_kind_of_annotation_and_its_taxonomies(every_kind: Project) -> None:
    held = every_kind.dataset()
    kinds = ["box", "category", "category", "keypoints", "line", "mask", "multicategory", "polygon"]
    assert sorted(one.get("type", "mask") for one in held["annotations"]) == kinds
    assert {one["name"]: set(one["labels"]) for one in held["taxonomies"]} == {
        name: set(one["labels"]) for name, one in TAXONOMIES.items()
    }
    assert held["tags"] == ["labelled"]
    every_kind.assert_settled()


def test_one_label_of_a_category_changes(every_kind: Project) -> None:
    changed = [one | {"label": "sunny"} if one.get("label") == "rain" else one for one in EVERY_KIND]
    write_lines(every_kind.folder / "annotations.jsonl", changed)
    (change,) = every_kind.changes()
    assert (change["key"], change["reason"]) == ({"reference_id": "dev/1.jpg", "taxonomy": "weather"}, "label changed")
    assert every_kind.apply()["update"] == 1
    labels = [one["label"] for one in every_kind.dataset()["annotations"] if one.get("type") == "category"]
    assert labels == ["sunny", "sunny"]
    every_kind.assert_settled()


def test_a_label_outside_its_taxonomy_is_found_before_anything_is_sent(every_kind: Project) -> None:
    wrong = [*EVERY_KIND, _annotation("category", 3, label="fog", taxonomy_name="weather", geometry={})]
    write_lines(every_kind.folder / "annotations.jsonl", wrong)
    answer = every_kind("plan")
    assert answer.code == 6
    assert "label fog is not in taxonomy weather" in answer.out


def test_a_taxonomy_grows(every_kind: Project) -> None:
    sections = every_kind.declared()
    sections["datasets"]["set"]["taxonomies"]["weather"]["labels"].append("fog")
    every_kind.declare(**sections)
    assert [step["id"] for step in every_kind.plan()["steps"]] == ["dataset.set.taxonomy.weather:update"]
    assert every_kind.apply()["update"] == 1
    (weather,) = [one for one in every_kind.dataset()["taxonomies"] if one["name"] == "weather"]
    assert set(weather["labels"]) == {"sunny", "rain", "fog"}
    every_kind.assert_settled()


def test_tags_of_datasets_and_models_are_kept_equal(tiny: Project) -> None:
    sections = tiny.declared()
    sections["datasets"]["tiny"]["tags"] = ["one", "two"]
    sections["models"]["cnn"]["tags"] = ["baseline"]
    tiny.declare(**sections)
    assert tiny.apply()["exit_code"] == 0
    sections["datasets"]["tiny"]["tags"] = ["two", "three"]
    sections["models"]["cnn"]["tags"] = ["baseline", "better"]
    tiny.declare(**sections)
    steps = {step["id"] for step in tiny.plan()["steps"]}
    assert steps == {"dataset.tiny:update", "model.cnn:update"}
    assert tiny.apply()["update"] == 2
    assert sorted(tiny.dataset()["tags"]) == ["three", "two"]
    assert sorted(tiny.world()["models"][0]["tags"]) == ["baseline", "better"]
    tiny.assert_settled()


def test_predictions_as_ndjson_with_class_distributions(project: Project) -> None:
    sections = _wire(".jsonl", "items")
    sections["sources"]["cnn"] = {"format": "records", "path": "cnn.jsonl"}
    sections["models"] = {"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"set": ["cnn"]}}}
    project.declare(**sections)
    write_lines(project.folder / "items.jsonl", ITEMS)
    box = EVERY_KIND[0] | {"confidence": 0.75, "class_pdf": {"car": 0.75, "bus": 0.25}}
    write_lines(project.folder / "cnn.jsonl", [box])
    assert project.apply()["exit_code"] == 0
    (held,) = project.world()["models"][0]["predictions"]
    assert (held["confidence"], held["class_pdf"]) == (0.75, {"car": 0.75, "bus": 0.25})
    project.assert_settled()


def test_a_table_of_images(project: Project) -> None:
    rows = ["reference_id,image_url,speed,site"]
    rows += [f"dev/{n}.jpg,s3://bucket/{n}.jpg,{n}.5,berlin" for n in range(3)]
    file = project.folder / "items.csv"
    file.write_text("\n".join(rows) + "\n", "utf-8")
    source = {
        "format": "table",
        "path": "items.csv",
        "metadata": {"place": "{site}", "speed": "{speed}"},
        "types": {"speed": "number"},
    }
    project.declare(sources={"table": source}, datasets={"set": {"name": "Set", "items": ["table"], "prune": True}})
    assert project.apply()["exit_code"] == 0
    assert [one["metadata"] for one in project.dataset()["items"]] == [
        {"place": "berlin", "speed": n + 0.5} for n in range(3)
    ]
    project.assert_settled()
    file.write_text(file.read_text("utf-8").replace("1.5", "7"), "utf-8")
    (change,) = project.changes()
    assert (change["key"], change["reason"], change["file"]) == (
        {"reference_id": "dev/1.jpg"},
        "metadata changed",
        "items.csv",
    )
    assert project.apply()["update"] == 1
    project.assert_settled()


def test_a_parquet_table_knows_its_types(project: Project) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "reference_id": ["a.jpg", "b.jpg"],
        "image_url": ["s3://b/a.jpg", "s3://b/b.jpg"],
        "speed": [1.5, 2.5],
        "night": [True, False],
    }
    parquet.write_table(arrow.table(columns), project.folder / "items.parquet")
    project.declare(
        sources={"table": {"format": "table", "path": "items.parquet"}},
        datasets={"set": {"name": "Set", "items": ["table"]}},
    )
    assert project.apply()["exit_code"] == 0
    assert [one["metadata"] for one in project.dataset()["items"]] == [
        {"speed": 1.5, "night": True},
        {"speed": 2.5, "night": False},
    ]
    project.assert_settled()


def test_a_folder_of_pictures_with_metadata_from_its_names(project: Project) -> None:
    for name in ("day/1.png", "night/1.png"):
        picture(project.folder / "photos" / name, 8, 6, len(name))
    source = {"format": "images", "path": "photos", "metadata": {"folder": "{parent}"}}
    project.declare(sources={"photos": source}, datasets={"set": {"name": "Set", "items": ["photos"], "prune": True}})
    assert project.apply()["exit_code"] == 0
    assert {one["reference_id"]: one["metadata"] for one in project.dataset()["items"]} == {
        "day/1.png": {"folder": "day"},
        "night/1.png": {"folder": "night"},
    }
    project.assert_settled()


def test_datasets_side_by_side_with_one_model(project: Project) -> None:
    write_tiny(project)
    sections = project.declared()
    sections["sources"]["more"] = {"format": "coco", "path": "more.json", "image_url": "s3://b/{file_name}"}
    sections["datasets"]["more"] = {"name": "More", "items": ["more"], "annotations": ["more"]}
    sections["models"]["cnn"]["predictions"]["more"] = ["cnn_more"]
    sections["sources"]["cnn_more"] = {"format": "coco-results", "path": "res.json", "ground_truth": "more.json"}
    project.declare(**sections)
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}
    image = {"id": 1, "file_name": "a.png", "width": 9, "height": 9}
    write_json(project.folder / "more.json", {"images": [image], "categories": CATEGORIES, "annotations": [box]})
    write_json(project.folder / "res.json", [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], "score": 0.5}])
    assert project.apply()["exit_code"] == 0
    assert (len(project.dataset("Tiny")["items"]), len(project.dataset("More")["items"])) == (3, 1)
    datasets = [one["dataset"] for one in project.world()["models"][0]["predictions"]]
    assert (datasets.count("Tiny"), datasets.count("More")) == (5, 1)
    project.assert_settled()


def test_a_failing_dataset_holds_up_no_other(project: Project) -> None:
    sections = _wire(".jsonl", "items")
    sections["datasets"]["other"] = {"name": "Other", "items": ["items"]}
    project.declare(**sections)
    write_lines(project.folder / "items.jsonl", ITEMS)
    project.emulator.inject([{"match": {"path": "dataset/create", "nth": 1}, "effect": {"status": 400, "body": {}}}])
    assert project.apply()["exit_code"] == 3
    assert [len(one["items"]) for one in project.world()["datasets"]] == [4]
    project.emulator.inject(None)
    assert project.apply()["exit_code"] == 0
    assert [len(one["items"]) for one in project.world()["datasets"]] == [4, 4]


@pytest.mark.parametrize(
    ("target", "items", "annotations", "predictions"),
    [
        ("dataset.tiny.items", 3, 0, 0),
        ("dataset.tiny", 3, 6, 0),
        ("dataset.tiny.annotations", 3, 6, 0),
        ("model.cnn", 3, 0, 5),
        ("evaluation.dashboard", 3, 6, 5),
    ],
)
def test_a_target_takes_along_what_it_needs(
    tiny: Project, target: str, items: int, annotations: int, predictions: int
) -> None:
    assert tiny.apply("--target", target)["exit_code"] == 0
    held, models = tiny.dataset(), tiny.world()["models"]
    assert (len(held["items"]), len(held["annotations"])) == (items, annotations)
    assert sum(len(model["predictions"]) for model in models) == predictions
    assert tiny("plan", "--detailed-exitcode", "--target", target).code == 0
    assert tiny.apply()["exit_code"] == 0
    tiny.assert_settled()


def test_a_wrong_target_names_the_near_miss(tiny: Project) -> None:
    answer = tiny("apply", "-y", "--target", "dataset.tiny.item")
    assert answer.code == 64
    assert "did you mean dataset.tiny.items?" in answer.err


def test_a_slice_by_metadata_follows_its_items(project: Project) -> None:
    project.declare(**_wire(".jsonl", "items", slices={"night": {"where": {"metadata.night": True}}}))
    write_lines(project.folder / "items.jsonl", ITEMS)
    assert project.apply()["exit_code"] == 0
    (night,) = project.dataset()["slices"]
    assert (night["name"], night["items"]) == ("night", ["dev/2.jpg", "dev/3.jpg"])
    project.assert_settled()
    changed = [one | {"metadata": {"speed": 1, "night": n in (0, 2)}} for n, one in enumerate(ITEMS)]
    write_lines(project.folder / "items.jsonl", changed)
    assert project.apply()["exit_code"] == 0
    (night,) = project.dataset()["slices"]
    assert night["items"] == ["dev/0.jpg", "dev/2.jpg"]
    project.assert_settled()


def test_an_untouched_source_is_not_read_again(applied: Project) -> None:
    for path in applied.folder.rglob("*"):
        if ".nucleus-sync" not in path.parts:
            os.utime(path, (1_700_000_000, 1_700_000_000))
    assert "reading" in applied.ok("plan").err
    assert "reading" not in applied.ok("plan").err
    assert "reading" in applied.ok("plan", "--no-cache").err
    assert applied.plan()["summary"]["unchanged"] > 10
