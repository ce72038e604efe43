"""Images of a COCO file become the same items and the same table whoever looks at them, quickly or closely."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.sources import coco_labels
from nucleus_sync.sources.coco import CocoReader
from nucleus_sync.sources.coco_images import ImageEntries
from nucleus_sync.sources.image_table import ImageTable

from .coco_cases.reading import coco, read

NAMES = st.one_of(
    st.sampled_from(
        ["a.jpg", "b/c.jpg", "b//c.jpg", "./a.jpg", "C:\\a.jpg", "ä.jpg", "..", "", "\ud800.jpg", "a b.jpg"]
    ),
    st.text(max_size=4),
)
SIZES = st.one_of(st.integers(-1, 5), st.sampled_from([2.5, 1 << 31, (1 << 31) + 1, None, "4", True, float("nan")]))
IDS = st.one_of(st.integers(0, 9), st.sampled_from([None, "1", "x", 1 << 70, True, 1.5]))
ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {"id": IDS, "file_name": NAMES, "width": SIZES, "height": SIZES},
        optional={
            "coco_url": st.sampled_from(["s3://bucket/x", "ftp://x", None, 7]),
            "n": st.sampled_from([1, 1 << 60]),
        },
    ),
    st.sampled_from([{}, 7, None, {"file_name": "a.jpg"}, {"id": 3}]),
)
OPTIONS = st.sampled_from(
    [
        {"image_url": "s3://bucket/{file_name}"},
        {"image_url": "https://host/{path}", "metadata": {"folder": "{parent}", "fixed": 1}},
        {"image_url": "{coco_url}", "metadata": {"n": "{n}"}},
        {"image_url": "s3://bucket/{file_name}", "reference_id": "{stem}"},
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@given(entries=st.lists(ENTRIES, max_size=8), options=OPTIONS)
def test_a_quick_look_finds_what_a_closer_one_finds(entries: list[Any], options: dict[str, Any], folder: Path) -> None:
    _write(folder, entries)
    quick = _found(coco(folder, **options))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageEntries, "plain", lambda *_: None)
        patch.setattr(ImageEntries, "_plain_rows", lambda *_: None)
        assert _found(coco(folder, **options)) == quick


@given(entries=st.lists(ENTRIES, min_size=1, max_size=8), options=OPTIONS, missing=st.booleans())
def test_the_table_of_images_is_the_same_from_what_others_have_seen_of_them(
    entries: list[Any], options: dict[str, Any], missing: bool, folder: Path
) -> None:
    _write(folder, entries)
    alone: list[Problem] = []
    rows = [tuple(row) for row in coco(folder, **options).scan(Kind.ITEMS, alone.append)]
    reader, heard = coco(folder, **options), list[Problem]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coco_labels, "TOGETHER", 1)
        stretches = reader.stretches(Kind.ITEMS)
    hearing = reader.hearing(Kind.ITEMS, heard.append)
    other = reader.portable(Kind.ITEMS).reader()  # type: ignore[union-attr]
    seen = [tuple(row) for one in stretches for row in other.scan_stretch(Kind.ITEMS, one.part, hearing.take)]  # type: ignore[attr-defined]
    aside = list(folder.glob("images-*/*"))
    assert len(aside) == len(stretches)
    if missing:
        aside[0].unlink()
    hearing.end()
    assert (seen, heard) == (rows, alone)
    assert _columns(reader._file.table()) == _columns(coco(folder, **options)._file.table())
    assert not list(folder.glob("images-*/*"))


def _write(folder: Path, entries: list[Any]) -> None:
    document = {"images": entries, "annotations": [], "categories": []}
    (folder / "annotations.json").write_text(json.dumps(document))


def _found(reader: CocoReader) -> tuple[Any, ...]:
    found = read(reader, Kind.ITEMS)
    return found.seen, found.records, found.problems, _both(reader), _columns(reader._file.table())


def _both(reader: CocoReader) -> list[Any]:
    said: list[Any] = []
    stretches = reader.stretches(Kind.ITEMS)
    both = (
        reader.scan_and_read(Kind.ITEMS, one.part, said.append, lambda *what: said.append(what)) for one in stretches
    )
    return [list(each) for each in both] + said


def _columns(table: ImageTable) -> tuple[Any, ...]:
    def texts() -> Iterator[str]:
        for place in range(len(table.states)):
            yield table.called(place) + table.reason(place)

    ids = [*range(10), "1", "x", 1 << 70]
    columns = (table.widths, table.heights, table.seeds, table.states)
    return [list(each) for each in columns], list(texts()), table.sharers, [table.place(each) for each in ids]
