"""Records get the same numbers, and lines with them, whichever of the two ways gives them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nucleus_sync.records.key import annotation_key, unnumbered_key
from nucleus_sync.spool import Row
from nucleus_sync.survey import span

KEYS = st.builds(unnumbered_key, st.sampled_from("abc"), st.binary(min_size=1, max_size=3))
NAMED = st.builds(annotation_key, st.sampled_from("abc"), st.sampled_from(["0", "1", "x"]))


def _row(key: bytes) -> Row:
    own = b"0" if b"\x00~" in key else key.partition(b"\x00a")[2]
    line = b'{"annotation_id":"%b","label":"x"}\n' % own
    return key, b"stamp", b"place of " + key, 0, line, len(line)


@given(st.sets(KEYS, max_size=60), st.sets(NAMED, max_size=3))
def test_both_ways_give_the_same_numbers(keys: set[bytes], named: set[bytes]) -> None:
    rows = [_row(key) for key in sorted(keys | named)]
    found = span._with_numbers(rows)
    assert found == span._numbered_beside(rows)
    assert [row[0] for row in found] == sorted({row[0] for row in found})
    assert all(row[4] == b'{"annotation_id":"%b","label":"x"}\n' % row[0].partition(b"\x00a")[2] for row in found)
