"""Images are found by whatever ids they have, in this process and in others."""

from __future__ import annotations

import gc
import mmap
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_sync.sources import image_table
from nucleus_sync.sources.image_table import ImageRows, ImageTable, State, TableParts

IDS = st.one_of(
    st.integers(0, 40),
    st.integers(-5, 5),
    st.integers(),
    st.sampled_from([1 << 31, 1 << 63, 1 << 64, -(1 << 70)]),
    st.text(max_size=3),
    st.integers(0, 9).map(str),
    st.sampled_from(["\ud800", "\x00", '"1']),
)


def _table(ids: list[Any], scratch: Path) -> ImageTable:
    """Every image is called by its number; odd ones have a size."""
    parts = TableParts(len(ids))
    for begin in range(0, len(ids), 7):
        rows = ImageRows()
        for number, image_id in enumerate(ids[begin : begin + 7], begin):
            rows.add(image_id, f"image {number}", number % 2 * 1.5, number % 2 * 2, f"image {number}")
        parts.extend(rows)
    return parts.settled(scratch)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@given(ids=st.lists(IDS, max_size=30), others=st.lists(IDS, max_size=10), is_large=st.booleans())
def test_every_image_is_found_by_its_id_and_no_other_is(
    ids: list[Any], others: list[Any], is_large: bool, scratch: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_table, "_IN_MEMORY", 0 if is_large else 1 << 20)
        table = _table(ids, scratch)
    copy = pickle.loads(pickle.dumps(table))
    places: dict[Any, list[int]] = {}
    for place, image_id in enumerate(ids):
        places.setdefault(image_id, []).append(place)
    for found in (table, copy):
        for image_id in (*ids, *others):
            own = places.get(image_id, [])
            assert (image_id in found) == bool(own)
            assert found.place(image_id) == (own[0] if own else None)
            assert found.sound_place(image_id) == (own[0] if len(own) == 1 else -1)
        assert [found.called(place) for place in range(len(ids))] == [f"image {place}" for place in range(len(ids))]
        assert [found.size(place) for place in range(len(ids))] == [(n % 2 * 1.5, n % 2 * 2) for n in range(len(ids))]
        assert found.sharers == {
            image_id: [f"image {place}" for place in own] for image_id, own in places.items() if len(own) > 1
        }
        assert found.sound_place(None) == -1


def test_a_table_of_many_images_is_mapped_by_others_and_goes_with_the_one_it_was_made_with(tmp_path: Path) -> None:
    numbers = [*range(30_000), *(f"image {number}" for number in range(3_000))]
    random.Random(5).shuffle(numbers)
    table = _table(numbers, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    packed = pickle.dumps(table)
    assert len(packed) < 1_000
    table.let_go()
    assert table.place(2718) == numbers.index(2718)
    (tmp_path / "packed").write_bytes(packed)
    command = (
        "import pathlib, pickle, sys; table = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes());"
        "print(table.place(2718), table.place('image 31'), table.place('31'))"
    )
    asked = [sys.executable, "-W", "error", "-c", command, str(tmp_path / "packed")]
    said = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert said.stdout.split() == [str(numbers.index(2718)), str(numbers.index("image 31")), "None"]
    assert said.stderr == ""
    del table
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["packed"]


def test_a_scratch_folder_that_went_first_is_no_error(tmp_path: Path) -> None:
    table = _table(list(range(30_000)), tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    assert table.called(29_999) == "image 29999"
    del table
    gc.collect()


def test_where_files_can_not_be_mapped_the_table_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def __init__(self, *_: object, **__: object) -> None:
            raise OSError("no such device")

    monkeypatch.setattr(mmap, "mmap", Refusing)
    table = _table(list(range(30_000)), tmp_path)
    table.let_go()
    assert table.called(29_999) == "image 29999"


def test_an_image_without_a_reference_id_is_called_by_its_file(tmp_path: Path) -> None:
    rows, parts = ImageRows(), TableParts(2)
    rows.add_unusable(1, State.MISSING, "file not found", "gone.jpg")
    rows.add(2, "there", 4, 3, "there.jpg")
    parts.extend(rows)
    table = parts.settled(tmp_path)
    assert (table.called(0), table.reason(0), table.states[0]) == ("gone.jpg", "file not found", State.MISSING)
    assert (table.sound_place(1), table.place(1), table.sound_place(2)) == (-1, 0, 1)
