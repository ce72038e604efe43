"""Every type of annotation and prediction: declared, read through the official SDK, changed, read, removed, read."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from .project import Project, write_lines

ITEM = "a.jpg"
COMMON = {"reference_id": ITEM, "label": "car"}
TRIANGLE = [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}]
POINTS = {"names": ["nose", "chin"], "skeleton": [[0, 1]]}
TAXONOMIES = {
    "weather": {"type": "category", "labels": ["sunny", "rain"]},
    "conditions": {"type": "multicategory", "labels": ["wet", "dark", "fog"]},
}

# One record of each type, and what of it changes.
RECORDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "box": (
        {**COMMON, "annotation_id": "1", "geometry": {"x": 1, "y": 2, "width": 3, "height": 4}, "metadata": {"n": 1}},
        {"geometry": {"x": 1.5, "y": 2, "width": 3, "height": 4}, "metadata": {"n": 2}},
    ),
    "line": (
        {**COMMON, "annotation_id": "1", "geometry": {"vertices": TRIANGLE[:2]}},
        {"geometry": {"vertices": TRIANGLE}},
    ),
    "polygon": (
        {**COMMON, "annotation_id": "1", "geometry": {"vertices": TRIANGLE}, "track_reference_id": "t-1"},
        {"label": "bus"},
    ),
    "keypoints": (
        {
            **COMMON,
            "annotation_id": "1",
            "geometry": {
                "keypoints": [{"x": 5, "y": 6, "visible": True}, {"x": None, "y": None, "visible": False}],
                **POINTS,
            },
        },
        {
            "geometry": {
                "keypoints": [{"x": 5, "y": 6, "visible": True}, {"x": 7, "y": 8, "visible": True}],
                **POINTS,
            }
        },
    ),
    "mask": (
        {
            "reference_id": ITEM,
            "mask_url": "s3://acme/a.png",
            "annotations": [{"label": "road", "index": 1}, {"label": "car", "index": 2, "metadata": {"n": 3}}],
            "annotation_id": "m",
        },
        {"annotations": [{"label": "road", "index": 1}]},
    ),
    "category": (
        {"reference_id": ITEM, "label": "rain", "geometry": {}, "taxonomy_name": "weather"},
        {"label": "sunny"},
    ),
    "multicategory": (
        {"reference_id": ITEM, "labels": ["wet", "dark"], "geometry": {}, "taxonomy_name": "conditions"},
        {"labels": ["fog"]},
    ),
}
READ_AS = {"mask": "segmentation"}
ON_MODELS_TOO = [kind for kind in RECORDS if kind != "multicategory"]  # the SDK can't read those of a model back


def declare(project: Project, *, predictions: bool = False) -> None:
    sources = {name: {"format": "records", "path": f"{name}.jsonl"} for name in ("items", "records")}
    dataset = {"name": "Set", "items": ["items"], "taxonomies": TAXONOMIES, "prune": True}
    sections: dict[str, Any] = {"sources": sources, "datasets": {"set": dataset}}
    if predictions:
        sections["models"] = {"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"set": ["records"]}}}
    else:
        dataset["annotations"] = ["records"]
    write_lines(
        project.folder / "items.jsonl", [{"reference_id": ref, "image_url": f"s3://b/{ref}"} for ref in (ITEM, "b.jpg")]
    )
    project.declare(**sections)


def records(project: Project, *values: dict[str, Any]) -> None:
    """Those, and one on another item that stays."""
    other = {"type": "box", **RECORDS["box"][0], "reference_id": "b.jpg"}
    write_lines(project.folder / "records.jsonl", [*values, other])


def as_wire(annotation: Any) -> dict[str, Any]:
    """What the SDK read, in the form that it sends."""
    return {name: value for name, value in annotation.to_payload().items() if value is not None}


def assert_read(found: dict[str, list[Any]], kind: str, wanted: dict[str, Any]) -> None:
    (read,) = found[READ_AS.get(kind, kind)]
    got = as_wire(read)
    assert got["type"] == kind
    for name, value in wanted.items():
        assert got[name] == value, name


@pytest.mark.parametrize("kind", RECORDS)
def test_ground_truth(kind: str, project: Project, client: nucleus.NucleusClient) -> None:
    record, changed = RECORDS[kind]
    declare(project)
    for wanted in (record, record | changed):
        records(project, {"type": kind, **wanted})
        summary = project.apply()
        assert (summary["exit_code"], summary["rejected"]) == (0, 0)
        (dataset,) = client.datasets
        assert_read(dataset.refloc(ITEM)["annotations"], kind, wanted)
        project.assert_settled()
    records(project)
    assert project.apply("--allow-deletes")["delete"] == 1
    assert not any(dataset.refloc(ITEM)["annotations"].values())
    assert len(dataset.refloc("b.jpg")["annotations"]["box"]) == 1
    project.assert_settled()


@pytest.mark.parametrize("kind", ON_MODELS_TOO)
def test_predictions(kind: str, project: Project, client: nucleus.NucleusClient) -> None:
    scored = {} if kind == "mask" else {"confidence": 0.75, "class_pdf": {"car": 0.75, "bus": 0.25}}
    record, changed = RECORDS[kind]
    declare(project, predictions=True)
    for wanted in (record | scored, record | scored | changed):
        records(project, {"type": kind, **wanted})
        summary = project.apply()
        assert (summary["exit_code"], summary["rejected"]) == (0, 0)
        (dataset,), (model,) = client.datasets, client.models
        assert_read(dataset.predictions_refloc(model, ITEM), kind, wanted)
        project.assert_settled()
    records(project)
    assert project.apply("--allow-deletes")["delete"] == 1
    assert not any(dataset.predictions_refloc(model, ITEM).values())
    assert len(dataset.predictions_refloc(model, "b.jpg")["box"]) == 1
    project.assert_settled()
