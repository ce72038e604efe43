"""Labels that are read along with their scan: the same as a scan and a careful reading, the quick way or not."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.records.annotation import Box, Point, Polygon
from nucleus_sync.records.check import complaints
from nucleus_sync.records.key import annotation_key, is_unnumbered, reference_id
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label, Notes, Rle, strictly
from nucleus_sync.sources.coco_plain import plain_record
from nucleus_sync.sources.coco_shape import Frame, Shaping, record_of
from nucleus_sync.sources.reader import Pick, Seen, StretchedReader

from .coco_cases.reading import coco, results

IMAGES = [
    {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50},
    {"id": 2, "file_name": 'ä"\\.jpg'},
    {"id": "3", "file_name": "c.jpg", "width": 50.5, "height": 100},
]
CATEGORIES = [
    {"id": 1, "name": 'car "x" ü'},
    {"id": 2, "name": ""},
    {"id": 3, "name": "person", "keypoints": ["nose"]},
]
coordinates = st.sampled_from([0, -0.0, 1, 2.5, 10, 50, 50.5, 99.999, 100, 1e-7]) | st.floats(-5, 120)
seldom = st.sampled_from([-1, 1e308, -1e308, 2**70, 0.1 + 0.2])
rings = st.lists(coordinates | seldom, max_size=4) | st.lists(coordinates, min_size=6, max_size=12)
closed = rings.map(lambda ring: ring + ring[:2])
labels = st.fixed_dictionaries(
    {"image_id": st.sampled_from([1, 1, 1, 2, "3", 4]), "category_id": st.sampled_from([1, 1, 1, 2, 3])},
    optional={
        "id": st.integers(0, 2**65) | st.sampled_from(["", "a-1", 'a"b', "ü", 1.0, -3]),
        "bbox": st.lists(coordinates, min_size=4, max_size=4) | st.lists(seldom, min_size=4, max_size=4),
        "segmentation": st.lists(rings | closed, max_size=3)
        | st.just({"size": [50, 100], "counts": [5000]})
        | st.just([]),
        "keypoints": st.lists(coordinates, min_size=3, max_size=3) | st.just([]),
        "iscrowd": st.sampled_from([0, 1, True, False, 2, "1"]),
        "score": st.sampled_from([0, 0.5, 1, 1.5, -0.5, "0.5"]) | st.floats(0, 1),
    },
)
options = st.fixed_dictionaries(
    {}, optional={"geometry": st.sampled_from(["box", "polygon", "keypoints"]), "out_of_bounds": st.just("clip")}
)
templates = st.fixed_dictionaries(
    {},
    optional={"annotation_id": st.just("n{id}"), "annotation_metadata": st.just({"crowd": "{iscrowd}"})},
)


def along(of: StretchedReader, kind: Kind) -> tuple[list[Seen], list[Any], list[Problem], list[Problem]]:
    """What a scan sees with what was read along, None where nothing can be sent; what each of both says."""
    scanned: list[Problem] = []
    said: list[Problem] = []
    found = [
        each
        for stretch in of.stretches(kind)
        for each in of.scan_and_read(kind, stretch.part, scanned.append, lambda _, problem: said.append(problem))
    ]
    return [Seen(*each[:3]) for each in found], [each[3] for each in found], scanned, said


def carefully(of: StretchedReader, kind: Kind) -> tuple[list[Seen], list[Any], list[Problem], list[Problem]]:
    """The same by scanning, and then reading record for record, with the number that is provisional meanwhile."""
    scanned: list[Problem] = []
    said: list[Problem] = []
    seen = [
        Seen(*each) for stretch in of.stretches(kind) for each in of.scan_stretch(kind, stretch.part, scanned.append)
    ]
    records: list[Any] = []
    for key, raw, locator in seen:
        made = annotation_key(reference_id(key), "0") if is_unnumbered(key) else key
        records += [record for _, record in of.read(kind, [Pick(made, raw, locator)], said.append)] or [None]
    return seen, records, scanned, said


@settings(deadline=None, max_examples=100)
@given(st.lists(labels, max_size=5), options, templates)
def test_annotations_read_along_are_those_read_carefully(
    tmp_path_factory: pytest.TempPathFactory, found: list[Any], options: dict[str, Any], templates: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    document = {"images": IMAGES, "categories": CATEGORIES, "annotations": found}
    (folder / "along.json").write_text(json.dumps(document))
    reader = coco(folder, "along.json", image_url="s3://b/{file_name}", **options, **templates)
    assert along(reader, Kind.ANNOTATIONS) == carefully(reader, Kind.ANNOTATIONS)


@settings(deadline=None, max_examples=100)
@given(st.lists(labels, max_size=5), options)
def test_results_read_along_are_those_read_carefully(
    tmp_path_factory: pytest.TempPathFactory, found: list[Any], options: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "truth.json").write_text(json.dumps({"images": IMAGES, "categories": CATEGORIES, "annotations": []}))
    (folder / "results.json").write_text(json.dumps(found))
    reader = results(folder, "results.json", "truth.json", **options)
    assert along(reader, Kind.PREDICTIONS) == carefully(reader, Kind.PREDICTIONS)


# Labels that are nearly plain: numbers of a sound one are changed here and there.
RING = (10.0, 10.0, 40.0, 10.0, 40.0, 30.0, 10.5, 30.5)
edge = st.sampled_from([-1, 0, 10, 40, 50, 50.5, 100, 100.5, 1e308, -1e308])


def nearly(numbers: tuple[float, ...]) -> st.SearchStrategy[list[float]]:
    """These numbers, of which one or two may be others."""
    changes = st.dictionaries(st.integers(0, len(numbers) - 1), edge, max_size=2)
    return changes.map(lambda changed: [changed.get(at, number) for at, number in enumerate(numbers)])


nearly_plain = st.builds(
    Label,
    bbox=st.none() | nearly((10.0, 10.0, 30.0, 20.0)).map(tuple),
    segmentation=st.none()
    | st.lists(nearly(RING) | nearly(RING[:6]) | nearly((*RING, 10.0, 10.0)), max_size=2)
    | st.builds(Rle, st.just([50, 100]), st.sampled_from([[5000], [1]])),
    keypoints=st.sampled_from([None, None, [], [1.0, 1.0, 2.0]]),
    iscrowd=st.sampled_from([None, 0, False, 0, 1]),
    score=st.sampled_from([None, 0.0, 0.5, 1.0, -0.1, 1.1]),
)
shapings = st.builds(
    Shaping, st.sampled_from([None, None, "box", "polygon", "keypoints"]), st.just("reject"), st.booleans()
)


@settings(deadline=None, max_examples=500)
@given(
    nearly_plain,
    shapings,
    st.sampled_from(["car", "car", ""]),
    st.sampled_from([(100.0, 50.0), (100.0, 50.0), (0.0, 0.0), (inf, 50.0)]),
    st.sampled_from(["1", "1", ""]),
)
def test_what_the_quick_way_makes_is_sound_and_the_same(
    label: Label, shaping: Shaping, name: str, size: tuple[float, float], own_id: str
) -> None:
    rings = label.segmentation
    for part in range(len(rings) if isinstance(rings, list) and rings else 1):
        quick = plain_record(label, part, name, ("a.jpg", *size), own_id, shaping)
        notes = Notes()
        careful = record_of(label, Frame(Category(name, 0), "a.jpg", *size, own_id, part), shaping, notes)
        is_plain = careful is not None and not notes.faults and not notes.findings and not list(complaints(careful))
        assert quick is None or (is_plain and quick == careful)


@pytest.mark.parametrize(
    ("label", "scored", "kind"),
    [
        ({"segmentation": [[1, 1, 5, 1, 5, 5]], "bbox": [1, 1, 4, 4], "iscrowd": 0}, False, Polygon),
        ({"segmentation": [[0, 0, 100, 0, 100, 50]], "score": 1}, True, Polygon),
        ({"bbox": [0, 0, 100, 50], "score": 0}, True, Box),
        ({"bbox": [1, 1, 5, 5], "segmentation": []}, False, Box),
    ],
)
def test_plain_labels_take_the_quick_way(label: dict[str, Any], scored: bool, kind: type[Any]) -> None:
    made = strictly(json.dumps(label).encode())
    shaping = Shaping(None, "keep", scored)
    assert isinstance(plain_record(made, 0, "car", ("a.jpg", 100.0, 50.0), "1", shaping), kind)


SOUND: dict[str, Any] = {"segmentation": [RING], "bbox": [10, 10, 30, 20], "score": 0.5}


@pytest.mark.parametrize(
    "change",
    [
        {"score": 1.01},
        {"score": -0.01},
        {"score": None},
        {"bbox": [1e308, 0, 1e308, 1]},
        {"keypoints": [1, 1, 2]},
        {"iscrowd": 1},
        {"segmentation": [[*RING, 1]]},
        {"segmentation": [[10, 10, 20, 20, 30, 30, 10, 40]]},
        {"segmentation": {"size": [50, 100], "counts": [5000]}},
    ],
)
def test_of_others_the_careful_way_has_to_judge(change: dict[str, Any]) -> None:
    shaping = Shaping(None, "keep", scored=True)
    for changed, is_quick in ((SOUND, True), (SOUND | change, False)):
        label = strictly(json.dumps(changed).encode())
        made = plain_record(label, 0, "car", ("a.jpg", 100.0, 50.0), "1", shaping)
        assert (made is not None) == is_quick


def test_each_ring_is_a_record_of_its_own() -> None:
    label = Label(segmentation=[list(RING), [1.0, 2.0, 3.0, 4.0, 6.0, 5.0]])
    made = plain_record(label, 1, "car", ("a.jpg", 100.0, 50.0), "1-1", Shaping(None, "keep", scored=False))
    assert isinstance(made, Polygon)
    assert made.geometry.vertices == [Point(1, 2), Point(3, 4), Point(6, 5)]
