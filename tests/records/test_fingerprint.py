"""Fingerprints depend on a record's values, and on nothing else."""

from __future__ import annotations

import pytest

from nucleus_sync.records.annotation import Box, BoxGeometry
from nucleus_sync.records.fingerprint import changed_parts, content_hash, seed_of
from nucleus_sync.records.record import Kind


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


def test_a_seed_may_hold_a_large_integer() -> None:
    assert seed_of("x", 2**64) != seed_of("x", 2**64 + 1)
