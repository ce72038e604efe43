"""Joining by the block says what joining row by row says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from nucleus_sync.plan.diff import Attendance, join_blocks, outer_join, whole_items
from nucleus_sync.records.key import annotation_key, item_of

KEYS = st.sets(st.builds(annotation_key, st.sampled_from("abcde"), st.sampled_from("0123")), max_size=20).map(sorted)


def _cut(rows: list[tuple[bytes, ...]], size: int) -> Iterator[list[tuple[bytes, ...]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


@given(KEYS, KEYS, st.integers(1, 7), st.integers(1, 7))
def test_a_join_by_blocks_is_the_join_by_rows(desired: list[bytes], known: list[bytes], one: int, other: int) -> None:
    rows = [(key, b"raw", b"place") for key in desired]
    stamps = [(key, b"stamp of " + key) for key in known]
    blocks = list(join_blocks(whole_items(_cut(rows, one)), whole_items(_cut(stamps, other))))  # type: ignore[type-var,arg-type]
    pairs = list(outer_join(rows, stamps))
    assert list(chain.from_iterable(block.rows for block in blocks)) == rows
    assert list(chain.from_iterable(block.stamps for block in blocks)) == [p.stamp for p in pairs if p.desired]
    assert list(chain.from_iterable(block.lost for block in blocks)) == [
        (p.key, p.stamp) for p in pairs if p.desired is None
    ]


@given(KEYS, KEYS, st.integers(1, 7))
def test_no_item_is_in_two_blocks(desired: list[bytes], known: list[bytes], size: int) -> None:
    rows = [(key, b"raw", b"place") for key in desired]
    pages = _cut([(key, b"stamp") for key in known], size)
    items = [
        {item_of(row[0]) for row in chain(block.rows, block.lost)}
        for block in join_blocks(whole_items(_cut(rows, size)), whole_items(pages))  # type: ignore[type-var,arg-type]
    ]
    assert sum(map(len, items)) == len(set().union(*items))


@given(st.sets(st.binary(max_size=2)), st.sets(st.binary(max_size=2)))
def test_attendance_names_what_is_missing(there: set[bytes], asked: set[bytes]) -> None:
    attendance = Attendance(sorted(there))
    for item in sorted(asked):
        assert attendance.missing({item}) == {item} - there
