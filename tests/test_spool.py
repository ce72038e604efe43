"""Rows on disk come back as they went in, sorted where that is asked for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nucleus_sync import spool
from nucleus_sync.spool import Sorter, Spool


def _rows(count: int) -> list[tuple[bytes, int]]:
    chance = random.Random(count)
    return [(b"%05d" % chance.randrange(count), number) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 100, 30_000])
def test_a_spool_gives_back_what_it_took(tmp_path: Path, count: int) -> None:
    rows, kept = _rows(count), Spool(tmp_path)
    kept.extend(rows[: count // 2])
    for row in rows[count // 2 :]:
        kept.add(row)
    assert list(kept) == rows
    assert [row for block in kept.blocks() for row in block] == rows
    assert len(kept) == count


@pytest.mark.parametrize(("run", "most"), [(150_000, 64), (500, 64), (500, 3)])
def test_a_sorter_sorts_whatever_fits_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int, most: int
) -> None:
    monkeypatch.setattr(spool, "_RUN", run)
    monkeypatch.setattr(spool, "_MOST_RUNS", most)
    rows, sorter = _rows(20_000), Sorter(tmp_path)
    sorter.extend(iter(rows))
    assert list(sorter.sorted()) == sorted(rows)
    assert list(sorter.sorted()) == sorted(rows)
    assert len(sorter) == len(rows)


def test_rows_that_come_in_order_stay_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_RUN", 500)
    rows, sorter = sorted(_rows(10_000)), Sorter(tmp_path)
    sorter.extend(iter(rows))
    assert list(sorter.sorted()) == rows
