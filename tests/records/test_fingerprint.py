"""Fingerprints depend on a record's values, and on nothing else."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from xxhash import xxh3_64_digest

from nucleus_sync.records.annotation import Box, BoxGeometry, Category, Mask, Point, Polygon, Segment, Vertices
from nucleus_sync.records.fingerprint import VERSION, changed_parts, content_hash, pack, pack_metadata, seed_of
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.record import Kind, Record, sent_line, wire_line


def box(**metadata: object) -> Box:
    geometry = BoxGeometry(1, 2, 3, 4)
    return Box(label="car", geometry=geometry, reference_id="a.jpg", annotation_id="1", metadata=metadata)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40])
def test_integers_of_any_size_have_a_fingerprint(number: int) -> None:
    one, other = content_hash(box(n=number)), content_hash(box(n=number + 1))
    assert one == content_hash(box(n=number))
    assert changed_parts(Kind.ANNOTATIONS, one, other) == ["metadata"]


def test_the_order_of_keys_is_no_difference_beside_a_large_integer() -> None:
    assert content_hash(box(a=2**70, b=[1])) == content_hash(box(b=[1], a=2**70))


@pytest.mark.parametrize("number", [0, 1, -7, 2**53 - 1])
def test_metadata_is_compared_as_json_has_it(number: int) -> None:
    """There is one kind of number in JSON: what was 1.0 may come back as 1."""
    nested = [{"n": [number, {"m": number}]}, {"n": [float(number), {"m": float(number)}]}]
    for extra in (0, 2**70):
        whole, real = (content_hash(box(nested=each, also=extra)) for each in nested)
        assert whole == real
    assert content_hash(box(n=1)) != content_hash(box(n=1.5))
    assert content_hash(box(n=1)) != content_hash(box(n=True))


def test_a_seed_may_hold_a_large_integer() -> None:
    assert seed_of("x", 2**64) != seed_of("x", 2**64 + 1)


IMAGE = {"reference_id": "a.jpg", "image_url": "s3://b/a.jpg"}
LABEL = {"label": "car", "reference_id": "a.jpg", "annotation_id": "1"}
GEOMETRY = BoxGeometry(1, 2, 3, 4)
RING = Vertices([Point(0, 0), Point(1, 0), Point(0, 1)])


@pytest.mark.parametrize(
    ("record", "hashed"),
    [
        (Item(**IMAGE), "6fa5e1868c08725015e088896b140526"),
        (Item(**IMAGE, metadata={"b": 1, "a": [None, {"z": 1.5, "y": True}]}), "35d46636ccfd66fd15e08889da1d0526"),
        (Item(**IMAGE, metadata={"n": 2**70}, width=10), "d7572a168da7c12b15e02c47e4e20526"),
        (
            Item(reference_id="a", image_url="s3://b/ä.jpg", width=10, height=20.5, embedding_info={"x": [1.0]}),
            "d097e13e8c08725030832d916b14fb92",
        ),
        (
            LocalItem(
                item=Item(reference_id="a", image_url="a", width=3, height=4), path="/a", size=1, digest=b"0" * 16
            ),
            "bdba58328c087250d9b4852c6b140526",
        ),
        (Box(**LABEL, geometry=GEOMETRY), "44202c7d70f0a634b75f6fd26b14bd9c"),
        (
            Box(**LABEL, geometry=GEOMETRY, confidence=0.5, metadata={"b": 1, "a": 2}),
            "1f7607125983f302b75f6fd2e392be23",
        ),
        (Polygon(**LABEL, geometry=RING, track_reference_id="t"), "8806184bd3f59b00dfd26fd26b148a79"),
        (Category(label="rain", reference_id="a.jpg", taxonomy_name="weather"), "4e37e2aa3e0a13277f07c3846b14bd9c"),
        (
            Mask(mask_url="s3://b/m.png", annotations=[Segment(label="a", index=1)], reference_id="a.jpg"),
            "83b76cee479c8c05a6a4ac4805260526",
        ),
    ],
)
def test_fingerprints_stay_what_they_are_in_every_ledger(record: Record, hashed: str) -> None:
    assert content_hash(record).hex() == hashed


given_or_not = st.none() | st.text(max_size=3)
shared = {
    "label": st.text(max_size=5),
    "reference_id": st.just("a.jpg"),
    "annotation_id": st.just("1"),
    "metadata": st.dictionaries(st.text(max_size=2), st.none() | st.booleans() | st.integers() | st.floats(-9, 9)),
    "embedding_vector": st.none() | st.lists(st.floats(-1, 1), max_size=2),
    "track_reference_id": given_or_not,
    "task_id": given_or_not,
    "confidence": st.just(UNSET) | st.floats(0, 1),
    "class_pdf": st.just(UNSET) | st.dictionaries(st.text(max_size=2), st.floats(0, 1)),
}
finite = st.floats(allow_nan=False, allow_infinity=False)
boxes = st.builds(Box, geometry=st.builds(BoxGeometry, finite, finite, finite, finite), **shared)
polygons = st.builds(
    Polygon, geometry=st.builds(Vertices, st.lists(st.builds(Point, finite, finite), max_size=3)), **shared
)


@settings(deadline=None)
@given(boxes | polygons)
def test_boxes_and_polygons_are_hashed_as_it_is_written_down(record: Box | Polygon) -> None:
    """The quick way against four parts with NULs between them, each packed by itself."""
    tag = "box" if isinstance(record, Box) else "polygon"
    attributes = (
        None if record.confidence is UNSET else record.confidence,
        None if record.class_pdf is UNSET else record.class_pdf,
        record.track_reference_id,
        record.task_id,
        record.embedding_vector,
    )
    parts = [pack((tag, record.geometry)), pack(record.label), pack_metadata(record.metadata), pack(attributes)]
    hashed = xxh3_64_digest(b"\x00".join(parts), VERSION) + b"".join(xxh3_64_digest(part)[:2] for part in parts)
    assert content_hash(record) == hashed


def test_sent_lines_leave_nothing_in_memory() -> None:
    item = Item(reference_id="a", image_url="s3://b/a")
    tracemalloc.start()
    try:
        for _ in range(2_000):
            sent_line(item)
        assert tracemalloc.get_traced_memory()[0] < 20_000
    finally:
        tracemalloc.stop()


@settings(deadline=None)
@given(boxes | polygons)
def test_a_sent_line_is_the_line_with_its_end(record: Record) -> None:
    assert sent_line(record) == wire_line(record) + b"\n"
