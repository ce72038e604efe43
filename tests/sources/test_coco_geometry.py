"""Run-length masks and the edges of images, against an independent library and against plain arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.sources import rle
from nucleus_sync.sources.bounds import clipped_box, clipped_ring, is_outside, overhang
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label
from nucleus_sync.sources.coco_order import order_of, sortable

runs = st.lists(st.integers(0, 5000), min_size=1, max_size=30)


@settings(deadline=None)
@given(runs)
def test_text_counts_decode_as_pycocotools_writes_them(counts: list[int]) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    size = [1, sum(counts)]
    written = mask.frPyObjects({"size": size, "counts": counts}, *size)
    assert rle.decompressed(written["counts"].decode()) == counts
    assert rle.fault(size, written["counts"].decode(), (sum(counts), 1)) is None


@settings(deadline=None)
@given(st.text(max_size=20), st.lists(st.integers(-5, 200), max_size=3))
def test_any_text_is_a_mask_or_a_fault(text: str, size: list[int]) -> None:
    assert rle.fault(size, text, (0, 0)) is None or len(rle.fault(size, text, (0, 0)) or ()) == 2


@settings(deadline=None)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def testsortable_bytes_sort_as_numbers(one: float, other: float) -> None:
    if one < other:
        assert sortable(one) < sortable(other)


any_number = st.floats() | st.sampled_from([0.0, -0.0, 1.5])


@settings(deadline=None)
@given(st.tuples(any_number, any_number, any_number, any_number), st.none() | any_number)
def test_labels_without_id_are_ordered_by_their_sortable_numbers(
    box: tuple[float, float, float, float], score: float | None
) -> None:
    order = order_of(Label(bbox=box, score=score), Category("car", 0), b"12345678")
    assert order == b"car\x00" + b"".join(map(sortable, (*box, 0.0 if score is None else score))) + b"12345678"


coordinates = st.integers(-150, 250).map(float)


@settings(deadline=None)
@given(coordinates, coordinates, st.integers(1, 300), st.integers(1, 300))
def test_a_clipped_box_lies_within_and_loses_nothing_inside(x: float, y: float, width: int, height: int) -> None:
    edges = (x, y, x + width, y + height)
    if is_outside(*edges, 100, 50):
        return
    left, top, new_width, new_height = clipped_box((x, y, width, height), 100, 50)
    assert overhang(left, top, left + new_width, top + new_height, 100, 50) == ""
    assert new_width > 0
    assert new_height > 0
    if not overhang(*edges, 100, 50):
        assert (left, top, new_width, new_height) == (x, y, width, height)


@settings(deadline=None)
@given(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8))
def test_a_clipped_ring_lies_within(points: list[tuple[float, float]]) -> None:
    ring = [number for point in points for number in point]
    clipped = clipped_ring(ring, 100, 50)
    assert all(-1e-9 <= x <= 100 + 1e-9 for x in clipped[::2])
    assert all(-1e-9 <= y <= 50 + 1e-9 for y in clipped[1::2])
    if all(0 <= x <= 100 and 0 <= y <= 50 for x, y in points):
        assert clipped == ring


def test_overhang_is_said_in_pixels() -> None:
    assert overhang(-5, 4, 15, 14, 64, 48) == "x -5: starts 5 px left of the image"
    assert overhang(70, 5, 80.4, 13, 80, 60) == "ends 0.4 px right of the image"
    assert overhang(0, -1, 1, 61, 80, 60) == "y -1: starts 1 px above the image, ends 1 px below the image"
    assert overhang(0, 0, 0.1 + 0.2 + 79.7, 1, 80, 60) == "", "what adding up fractions yields is no overhang"
