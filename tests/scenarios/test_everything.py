"""Every record type and resource: declared, planned, applied, read through the official SDK; changed; removed."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import nucleus
import pytest
from nucleus.errors import NucleusAPIError

from nucleus_sync.plan.steps import Holds
from nucleus_sync.records import annotation

from .everything import KINDS, MODELS, NOT_PREDICTED, RUN_FREE, STAGES, Kind, predicted_by, write
from .project import Project

READ_AS = {"mask": "segmentation"}
CREATED, CHANGED = ("create", "update", "delete"), ("evaluate", "evaluate", "delete")


class Eyes:
    """What the official SDK sees, and the emulator's own account of what the SDK can't read."""

    def __init__(self, client: nucleus.NucleusClient, world: dict[str, Any]) -> None:
        self.client = client
        self.world = world
        self.datasets = {dataset.name: dataset for dataset in client.datasets}
        self.models = {model.reference_id: model for model in client.models}

    def held(self, dataset: str) -> dict[str, Any]:
        return next(one for one in self.world["datasets"] if one["name"] == dataset)

    def item(self, dataset: str, reference_id: str) -> Any:
        return _unless_missing(lambda: self.datasets[dataset].refloc(reference_id)["item"])

    def scene(self, dataset: str, reference_id: str) -> Any:
        return _unless_missing(lambda: self.datasets[dataset].get_scene(reference_id).metadata)


def _unless_missing(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except NucleusAPIError as error:
        if error.status_code != 404:
            raise
        return None


@dataclass(frozen=True)
class Row:
    """A row of the table: where it is, what a plan does there at each stage, and what is read afterwards."""

    name: str
    address: str
    holds: Holds
    actions: tuple[str | None, str | None, str | None]
    read: Callable[[Eyes], Any]
    expected: tuple[Any, Any, Any]
    key: Mapping[str, str] | None = None
    """Of records."""

    @property
    def change(self) -> Any:
        """What a plan calls it."""
        return self.address if self.key is None else (self.address, tuple(sorted(self.key.items())))


def _only(found: list[Any]) -> dict[str, Any] | None:
    assert len(found) <= 1
    return {name: value for name, value in found[0].to_payload().items() if value is not None} if found else None


def _truth(kind: Kind) -> Callable[[Eyes], Any]:
    if kind.name == "scene-category":
        scene = lambda eyes: next(one for one in eyes.held("drives")["scenes"] if one["reference_id"] == kind.item)  # noqa: E731
        return lambda eyes: next(iter(scene(eyes)["categories"]), None)
    group = READ_AS.get(kind.record["type"], kind.record["type"])
    return lambda eyes: _only(eyes.datasets[kind.dataset].refloc(kind.item)["annotations"].get(group, []))


def _guess(kind: Kind, model: str) -> Callable[[Eyes], Any]:
    group = READ_AS.get(kind.record["type"], kind.record["type"])

    def read(eyes: Eyes) -> Any:
        if kind.name == "scene-category":
            (scene,) = [one for one in eyes.held("drives")["scenes"] if one["reference_id"] == kind.item]
            return scene["predicted_categories"]
        if model == "free":
            return _only(eyes.models[model].predictions_refloc(kind.item).get(group, []))
        return _only(eyes.datasets[kind.dataset].predictions_refloc(eyes.models[model], kind.item).get(group, []))

    return read


def _records() -> Iterator[Row]:
    for kind in KINDS:
        expected = (kind.at(0), kind.at(1), None)
        address = f"dataset.{kind.dataset}.annotations"
        yield Row(f"truth-{kind.name}", address, Holds.ANNOTATIONS, CREATED, _truth(kind), expected, kind.key)
    for model in MODELS:
        for kind in predicted_by(model):
            actions = ("create", "update", None) if model == "free" else CREATED
            last = kind.at(1, scored=True) if model == "free" else None
            expected = (kind.at(0, scored=True), kind.at(1, scored=True), last)
            if kind.name == "scene-category":  # those of both models are counted together
                expected = (2, 2, 0)  # type: ignore[assignment]
            address = f"model.{model}.predictions.{kind.dataset}"
            yield Row(
                f"{model}-{kind.name}", address, Holds.PREDICTIONS, actions, _guess(kind, model), expected, kind.key
            )


def _painted(model: str | None) -> Callable[[Eyes], Any]:
    def read(eyes: Eyes) -> Any:
        drawn = eyes.datasets["drawn"]
        found = drawn.refloc("mask.png")["annotations"] if model is None else {}
        found = drawn.predictions_refloc(eyes.models[model], "mask.png") if model else found
        masks = found.get("segmentation", [])
        return [_pixels(mask.mask_url) for mask in masks]

    return read


def _pixels(url: str) -> int:
    """How many of a mask are labelled."""
    image = pytest.importorskip("PIL.Image")
    with urllib.request.urlopen(url) as answer, image.open(io.BytesIO(answer.read())) as png:
        return sum(value > 0 for value in png.tobytes())


def _bytes(eyes: Eyes) -> Any:
    """A picture that was uploaded, as Nucleus holds it."""
    if eyes.item("drawn", "gone.png") is None:
        return None
    return next(one["sha256"] for one in eyes.held("drawn")["items"] if one["reference_id"] == "gone.png") is not None


def _slice(name: str) -> Callable[[Eyes], Any]:
    def read(eyes: Eyes) -> Any:
        found = [one for one in eyes.datasets["pictures"].slices if one.name == name]
        return sorted(item.reference_id for item in found[0].items) if found else None

    return read


def _taxonomy(eyes: Eyes) -> Any:
    return next((one["labels"] for one in eyes.held("pictures")["taxonomies"] if one["name"] == "season"), None)


def _track(eyes: Eyes) -> Any:
    tracks = {track.reference_id: track.metadata for track in eyes.datasets["pictures"].tracks}
    return tracks.get("red car")


def _model(eyes: Eyes) -> Any:
    model = eyes.models.get("brief")
    if model is None:
        return None
    slices = [eyes.client.get_slice(one).name for one in model.trained_slice_ids]
    return model.tags, slices, model.weights().size_bytes


def _quality(eyes: Eyes) -> Any:
    """Labels of the newest result, with the preset."""
    found = eyes.client.list_evaluations_v2(model_id=eyes.models["cnn"])
    presets = [
        {one.class_name: one.labels for one in preset.rollup_groups}
        for preset in eyes.client.list_evaluation_v2_presets()
    ]
    return (sorted(each.classLabel for each in found[0].charts().perClassAp), presets) if found else (None, presets)


def _dashboard(eyes: Eyes) -> Any:
    return eyes.world["metric_calls"][-1]["options"]["class_agnostic"]


def _item(eyes: Eyes) -> Any:
    vectors = {
        one["reference_id"]: one["embedding_vector"]
        for one in eyes.datasets["pictures"].export_embeddings(asynchronous=False)
    }
    item = eyes.item("pictures", "item.jpg")
    return item and (item.metadata, vectors["item.jpg"])


def _scene(dataset: str, name: str) -> Callable[[Eyes], Any]:
    return lambda eyes: eyes.scene(dataset, name)


def _tags(eyes: Eyes) -> Any:
    return eyes.datasets["brief"].get_tags() if "brief" in eyes.datasets else None


def _key(reference_id: str) -> dict[str, str]:
    return {"reference_id": reference_id}


MASK = {"reference_id": "mask.png", "mask": "mask"}
PICTURES = "dataset.pictures"
ROWS = [
    *_records(),
    Row(
        "painted-truth", "dataset.drawn.annotations", Holds.ANNOTATIONS, CREATED, _painted(None), ([16], [16], []), MASK
    ),
    Row(
        "painted-cnn",
        "model.cnn.predictions.drawn",
        Holds.PREDICTIONS,
        CREATED,
        _painted("cnn"),
        ([16], [16], []),
        MASK,
    ),
    Row(
        "painted-run",
        "model.nightly.predictions.drawn",
        Holds.PREDICTIONS,
        CREATED,
        _painted("nightly"),
        ([16], [16], []),
        MASK,
    ),
    Row(
        "item",
        f"{PICTURES}.items",
        Holds.ITEMS,
        CREATED,
        _item,
        (({"n": 0}, [0.5, 0]), ({"n": 1}, [0.5, 1]), None),
        _key("item.jpg"),
    ),
    Row("uploaded", "dataset.drawn.items", Holds.ITEMS, CREATED, _bytes, (True, True, None), _key("gone.png")),
    Row(
        "lidar",
        "dataset.drives.items",
        Holds.SCENES,
        CREATED,
        _scene("drives", "drive"),
        ({"speed": 0}, {"speed": 1}, None),
        _key("drive"),
    ),
    Row(
        "video",
        "dataset.clips.items",
        Holds.SCENES,
        CREATED,
        _scene("clips", "gone"),
        ({"speed": 0}, {"speed": 1}, None),
        _key("gone"),
    ),
    Row(
        "film",
        "dataset.clips.items",
        Holds.SCENES,
        CREATED,
        _scene("clips", "film"),
        ({"n": 0}, {"n": 1}, None),
        _key("film"),
    ),
    Row("dataset", "dataset.brief", Holds.DATASET, CREATED, _tags, (["first"], ["second"], None)),
    Row(
        "taxonomy",
        f"{PICTURES}.taxonomy.season",
        Holds.TAXONOMY,
        CREATED,
        _taxonomy,
        (["winter"], ["winter", "summer"], None),
    ),
    Row("track", f"{PICTURES}.track.red", Holds.TRACK, CREATED, _track, ({"seen": 0}, {"seen": 1}, {})),
    *(
        Row(f"slice-{name}", f"{PICTURES}.slice.{name}", Holds.SLICE, CREATED, _slice(name), (first, then, None))
        for name, first, then in (
            ("named", ["box.jpg"], ["box.jpg", "line.jpg"]),
            ("listed", ["box.jpg"], ["box.jpg", "line.jpg"]),
            ("chosen", ["box.jpg"], ["box.jpg", "embedded-box.jpg"]),
        )
    ),
    Row(
        "model",
        "model.brief",
        Holds.MODEL,
        CREATED,
        _model,
        ((["first"], ["named"], 7), (["second"], ["listed"], 14), None),
    ),
    Row("metrics", "evaluation.dashboard", Holds.EVALUATION, CHANGED, _dashboard, (True, False, False)),
    Row(
        *("benchmark", "evaluation.quality", Holds.EVALUATION, CHANGED, _quality),
        (
            (["vehicle"], [{"vehicle": ["car"]}]),
            (["traffic"], [{"traffic": ["car", "bus"]}]),
            (None, []),
        ),
    ),
]


def _actions(project: Project) -> set[tuple[Any, str]]:
    """What a plan says, of records by their keys and of resources by their addresses."""
    actions = {((one["address"], tuple(sorted(one["key"].items()))), one["action"]) for one in project.changes()}
    return actions | {(step["address"], step["action"]) for step in project.plan()["steps"]}


def _faults(rows: Iterable[Row], stage: int, actions: set[tuple[Any, str]], eyes: Eyes) -> Iterator[str]:
    for row in rows:
        planned = {action for change, action in actions if change == row.change}
        wanted = row.actions[stage]
        if wanted not in planned if wanted else planned:
            yield f"{row.name} {STAGES[stage]}: planned {planned}, not {wanted}"
        found, expected = row.read(eyes), row.expected[stage]
        if isinstance(expected, dict) and isinstance(found, dict):
            found = {name: found.get(name) for name in expected}
        if found != expected:
            yield f"{row.name} {STAGES[stage]}: {found}, not {expected}"


def test_the_table(project: Project, client: nucleus.NucleusClient) -> None:
    """All rows in one project, so that three applies and three readings do."""
    pytest.importorskip("pycocotools")
    for stage in range(len(STAGES)):
        write(project, stage)
        actions = _actions(project)
        summary = project.apply("--allow-deletes")
        assert (summary["exit_code"], summary["rejected"], summary["failed_steps"]) == (0, 0, 0)
        project.assert_settled()
        assert list(_faults(ROWS, stage, actions, Eyes(client, project.world()))) == []


def test_the_table_has_everything() -> None:
    assert {row.holds for row in ROWS} == set(Holds)
    tags = {one.__struct_config__.tag for one in get_args(annotation.Annotation)}
    assert {kind.record["type"] for kind in KINDS} == tags
    for model in MODELS:
        assert {kind.record["type"] for kind in predicted_by(model)} == (
            tags - {NOT_PREDICTED} if model != "free" else set(RUN_FREE)
        )
