"""What counts as a difference between a stamp and what Nucleus gives back, and what can't be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_sync.api.wire import RemoteItem
from nucleus_sync.ledger.known import in_doubt
from nucleus_sync.records.fingerprint import CONTENT_UNKNOWN, LOOK_AGAIN, MAYBE_THERE, RAW_SIZE, content_hash
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.merged import as_they_are
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.records.seen import AS_SEEN, known_stamp
from nucleus_sync.refresh.compare import Comparison, What
from nucleus_sync.refresh.remote import Remote, item_row, record_rows

RAW = b"12345678"
BOX = {
    "type": "box",
    "label": "cat",
    "reference_id": "a",
    "annotation_id": "b",
    "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
}


def given(**more: object) -> Remote:
    return item_row(
        RemoteItem(spelled_long="a", **{"image_url": "s3://b/a", "metadata": {"n": 1}, **more}), as_they_are()
    )


def box(**more: object) -> Remote:
    (row,) = record_rows([BOX | more])
    return row


def weighed(tmp_path: Path, kind: Kind, remote: Remote | None, stamp: bytes | None, *, urls: bool = True) -> str:
    """`verified`, or what it is with its fields."""
    comparison = Comparison("dataset.s.x", kind, tmp_path, urls)
    comparison.weigh(b"a", remote, stamp)
    rows = list(comparison.rows)
    assert comparison.verified == 1 - len(rows)
    return f"{rows[0][1]} {rows[0][2]}".strip() if rows else "verified"


def item(**more: object) -> Item:
    return Item(**{"reference_id": "a", "image_url": "s3://b/a", "metadata": {"n": 1}, **more})


def local(**more: object) -> LocalItem:
    return LocalItem(item=item(image_url="a.png", **more), path="a.png", size=1, digest=b"d" * 16)


@pytest.mark.parametrize(
    ("record", "remote", "urls", "wanted"),
    [
        (item(), given(), True, "verified"),
        (item(width=8, height=9), given(width=8.0, height=9.0), True, "verified"),
        (item(), given(width=8.0, height=9.0), True, "verified"),
        (item(width=8, height=9), given(), True, "verified"),
        (item(), given(image_url="s3://b/z"), True, "changed image"),
        (item(), given(image_url="s3://b/z"), False, "verified"),
        (item(), given(metadata={"n": 2}), True, "changed metadata"),
        (local(), given(), False, "verified"),
        (local(), given(metadata=None), False, "changed metadata"),
        (local(metadata={"n": 1.0, "of": [{"m": 2}]}), given(metadata={"n": 1, "of": [{"m": 2.0}]}), False, "verified"),
        (item(metadata={"n": 1.0, "of": [{"m": 2}]}), given(metadata={"n": 1, "of": [{"m": 2.0}]}), True, "verified"),
        (local(metadata={"n": 0.5}), given(metadata={"n": 1}), False, "changed metadata"),
    ],
)
def test_items(tmp_path: Path, record: Record, remote: Remote, urls: bool, wanted: str) -> None:
    assert weighed(tmp_path, Kind.ITEMS, remote, RAW + content_hash(record), urls=urls) == wanted


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, "verified"),
        ({"metadata": None, "track_reference_id": None}, "verified"),
        ({"label": "dog"}, "changed label"),
        ({"track_reference_id": "t"}, "changed attributes"),
        ({"geometry": {"x": 1}}, "changed content"),
    ],
)
def test_annotations(tmp_path: Path, more: dict[str, object], wanted: str) -> None:
    known = RAW + box().contents[:16]
    assert weighed(tmp_path, Kind.ANNOTATIONS, box(**more), known) == wanted


def test_an_embedding_that_does_not_come_back_is_no_drift(tmp_path: Path) -> None:
    known = RAW + box(embedding_vector=[1.0, 2.0]).contents[:16]
    assert weighed(tmp_path, Kind.ANNOTATIONS, box(), known) == "verified"


@pytest.mark.parametrize("doubt", [MAYBE_THERE, CONTENT_UNKNOWN])
def test_doubt_is_settled_and_no_drift(tmp_path: Path, doubt: bytes) -> None:
    comparison = Comparison("dataset.s.items", Kind.ITEMS, tmp_path)
    comparison.weigh(b"a", given(), doubt)
    comparison.weigh(b"b", None, doubt)
    assert (comparison.drift, comparison.counts[What.SETTLED]) == (0, 2)
    assert [row[3][:RAW_SIZE] for row in comparison.rows] == [AS_SEEN, b""]
    assert not in_doubt(AS_SEEN + given().seen)


@pytest.mark.parametrize(
    ("record", "parts"),
    [
        (item(), []),
        (local(), []),
        (item(image_url="s3://b/z"), ["image"]),
        (item(metadata={}), ["metadata"]),
        (local(metadata={}), ["metadata"]),
    ],
)
def test_what_was_seen_is_compared_with_a_source_by_what_can_be_told(record: Record, parts: list[str]) -> None:
    from nucleus_sync.records.fingerprint import changed_parts

    stamp = known_stamp(given().seen, record)
    assert stamp[:RAW_SIZE] == LOOK_AGAIN
    assert changed_parts(Kind.ITEMS, stamp[RAW_SIZE:], content_hash(record)) == parts
    assert (stamp[RAW_SIZE:] == content_hash(record)) == (parts == [])


def test_a_record_that_is_told_twice_counts_once(tmp_path: Path) -> None:
    comparison = Comparison("dataset.s.annotations", Kind.ANNOTATIONS, tmp_path)
    comparison.weigh_all([box(), box()], [])
    assert comparison.counts[What.ADDED] == 1


def test_metadata_of_uploaded_images_is_compared_by_more_than_the_two_bytes_of_its_part(tmp_path: Path) -> None:
    """A change in 65,536 would go unseen otherwise."""
    part = content_hash(local(metadata={"n": 0}))[12:14]
    other = next(n for n in range(1, 1 << 20) if content_hash(local(metadata={"n": n}))[12:14] == part)
    known = RAW + content_hash(local(metadata={"n": 0}))
    found = weighed(tmp_path, Kind.ITEMS, given(metadata={"n": other}), known, urls=False)
    assert found == "changed metadata"
