"""A line that is plainly sound gives the record that a careful look at it gives, and nothing is left unsaid."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.records.check import complaints
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.record_line import BROKEN, decoded, plain_record
from nucleus_sync.sources.wire_errors import Why

ITEM = {"reference_id": "a", "image_url": "https://b/a.jpg", "metadata": {"site": "berlin", "speed": 1.5, "n": 2}}
BOX = {
    "label": "cat",
    "type": "box",
    "geometry": {"x": 1, "y": 2.5, "width": 3, "height": 4},
    "reference_id": "a",
    "annotation_id": "b1",
}
RING = {"vertices": [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}]}
POLYGON = BOX | {"type": "polygon", "geometry": RING}
KEY = b"a\x00ab1"

plain_text = st.sampled_from(
    ["", "a", "s3://b/a", "S3://b", "x" * 65_537, "a\x00b", "ä", "cat", "box", "polygon", "mask"]
)
numbers = (
    st.sampled_from([0, -1, 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**64, 10**30, 1e308, -0.0])
    | st.floats()
    | st.integers()
)
leaves = st.none() | st.booleans() | numbers | plain_text
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["", "a", "x"]), inner, max_size=3),
    max_leaves=4,
)
points = st.fixed_dictionaries({"x": numbers, "y": numbers})
geometries = (
    st.fixed_dictionaries({"x": numbers, "y": numbers, "width": numbers, "height": numbers})
    | st.fixed_dictionaries({"vertices": st.lists(points, max_size=4)})
    | values
)
metadata = st.dictionaries(st.sampled_from(["", "a", "b"]), values, max_size=2)
changes = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["reference_id", "image_url", "annotation_id", "label", "type", "extra", "update"], values),
        **dict.fromkeys(["width", "height", "confidence"], numbers | values),
        "class_pdf": values | st.just({"cat": 0.5}),
        "geometry": geometries,
        "metadata": metadata | values,
    },
)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([ITEM, BOX, POLYGON]),
    changes,
    st.sampled_from([Kind.ITEMS, Kind.ANNOTATIONS, Kind.PREDICTIONS, Kind.SCENES]),
)
def test_a_quick_look_agrees_with_a_careful_one(base: dict[str, Any], change: dict[str, Any], kind: Kind) -> None:
    text = json.dumps(base | change).encode()
    quick = plain_record(kind, text)
    found: list[Why] = []
    try:
        careful = decoded(kind, text, KEY, found)
    except BROKEN:
        assert quick is None
        return
    if quick is not None:
        assert (quick, found, list(complaints(quick))) == (careful, [], [])


@pytest.mark.parametrize("kind", [Kind.ANNOTATIONS, Kind.PREDICTIONS])
@pytest.mark.parametrize("record", [BOX, POLYGON, BOX | {"metadata": {"a": [{"b": None}], "c": True}, "update": True}])
def test_ordinary_shapes_take_a_quick_look_only(record: dict[str, Any], kind: Kind) -> None:
    assert plain_record(kind, json.dumps(record).encode()) == decoded(kind, json.dumps(record).encode(), KEY, [])


def test_ordinary_items_take_a_quick_look_only() -> None:
    text = json.dumps(ITEM | {"width": 5, "height": 4.5}).encode()
    assert plain_record(Kind.ITEMS, text) == decoded(Kind.ITEMS, text, b"a", [])


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"metadata": {"n": 2**53 + 1}},
        {"metadata": {"": 1}},
        {"metadata": {"n": [{"m": "x" * 65_537}]}},
        {"image_url": "a.jpg"},
        {"image_url": None},
        {"reference_id": ""},
        {"width": None},
    ],
)
def test_whatever_needs_a_word_takes_a_careful_look(change: dict[str, Any]) -> None:
    assert plain_record(Kind.ITEMS, json.dumps(ITEM | change).encode()) is None


def test_a_confidence_on_ground_truth_takes_a_careful_look() -> None:
    text = json.dumps(BOX | {"confidence": 0.5}).encode()
    assert plain_record(Kind.ANNOTATIONS, text) is None
    assert plain_record(Kind.PREDICTIONS, text) is not None
