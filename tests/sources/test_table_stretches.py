"""Stretches of a table together are the table, and nothing stays behind on disk."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.sources import line_file, parquet_blocks, parquet_rows
from nucleus_sync.sources.parquet_columns import cells, cells_as_bytes, packed
from nucleus_sync.sources.reader import Surroundings, records_in
from nucleus_sync.sources.table import TableReader
from nucleus_sync.spec.source import TableSource

Found = tuple[list[tuple[bytes, bytes, bytes]], list[Any], list[Problem]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_file, "_FEW", 1)
    monkeypatch.setattr(line_file, "_BUFFER", 40)
    monkeypatch.setattr(parquet_rows, "_FEW", 1)
    monkeypatch.setattr(parquet_blocks, "TOGETHER", 300)
    monkeypatch.setattr(parquet_blocks, "_AHEAD", 1)


def _reader(path: Path) -> TableReader:
    scratch = path.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    options = {"reference_id": "{id}", "image_url": "s3://b/{id}"}
    spec = TableSource(format="table", path=path.name, **options)  # type: ignore[arg-type]
    return TableReader(spec, Surroundings("rows", path.parent, scratch, NoFacts()))


def _whole(path: Path) -> Found:
    problems: list[Problem] = []
    reader = _reader(path)
    seen = [tuple(each) for each in reader.scan(Kind.ITEMS, problems.append)]
    return seen, [record for _, record in reader.read(Kind.ITEMS, seen, problems.append)], problems  # type: ignore[arg-type, return-value]


def _by_stretches(path: Path) -> Found:
    found: Found = [], [], []
    reader = _reader(path)
    stretches = reader.stretches(Kind.ITEMS)
    elsewhere = reader.portable(Kind.ITEMS)
    assert elsewhere is not None
    other: Any = elsewhere.reader()
    said: list[Problem] = []
    for stretch in stretches:
        both = other.scan_and_read(Kind.ITEMS, stretch.part, found[2].append, lambda _, problem: said.append(problem))
        for key, raw, locator, record in both:
            found[0].append((key, raw, locator))
            if record is not None:
                found[1].append(record)
    found[2].extend(said)
    return found


written = st.sampled_from(["a", "", '"', '""', '"b\n', '"c\r\nd"', '"e,""\n', "\n", "é", 'f"', "\r", "5"])


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(written, min_size=1, max_size=4).map(",".join), max_size=12).map("\n".join))
def test_stretches_of_a_csv_file_are_cut_between_rows(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.csv"
    path.write_bytes(f"id,n\n{text}".encode())
    if _reader(path).stretches(Kind.ITEMS):
        assert _or_error(_by_stretches, path) == _or_error(_whole, path)


def _or_error(find: Callable[[Path], Found], path: Path) -> Found | str:
    try:
        return find(path)
    except SourceError as error:
        return str(error)


def test_a_csv_file_with_quoted_lines_has_many_stretches(tmp_path: Path) -> None:
    rows = [f'{number},"two\r\nlines, ""said"""\n' for number in range(300)]
    (tmp_path / "a.csv").write_bytes(("\nid,n\n" + "".join(rows)).encode())
    stretches = _reader(tmp_path / "a.csv").stretches(Kind.ITEMS)
    assert len(list(stretches)) > 50
    assert records_in(stretches) == 600
    assert _by_stretches(tmp_path / "a.csv") == _whole(tmp_path / "a.csv")


def _parquet(path: Path, count: int = 2_000) -> Path:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    ids = [f"{number}" if number % 500 else None for number in range(count)]
    columns = {"id": ids, "n": [number / 4 for number in range(count)], "b": [b"\xff"] * count}
    parquet.write_table(pa.table(columns), path, row_group_size=700)
    return path


def test_blocks_of_a_parquet_file_are_its_rows(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "a.parquet")
    stretches = _reader(path).stretches(Kind.ITEMS)
    assert (records_in(stretches), len(list(stretches))) == (2_000, 7)
    assert _by_stretches(path) == _whole(path)


@pytest.mark.parametrize(
    "values",
    [
        ["a", "", "é€"],
        [""],
        ["a\x1eb", "c"],
        ["", "\x1e"],
        ["a", None],
        [],
        [1, -(2**60)],
        [0.1, float("inf")],
        [True, False],
    ],
)
def test_a_column_is_packed_without_loss(values: list[Any]) -> None:
    pa = pytest.importorskip("pyarrow")
    column = pa.array(values)
    assert cells(packed(column)) == values
    assert cells(packed(column.slice(1))) == values[1:]
    if all(isinstance(value, str) for value in values):
        assert cells_as_bytes(packed(column.cast(pa.string()))) == [value.encode() for value in values]


def test_of_several_parquet_files_one_is_decoded_before_it_is_asked_for(tmp_path: Path) -> None:
    paths = [_parquet(tmp_path / f"{name}.parquet") for name in "ab"]
    first, other = [_reader(path).stretches(Kind.ITEMS) for path in paths]
    assert len(list(first)) == 7
    assert len(list((tmp_path / "scratch").iterdir())) == 7
    assert len(list(other)) == 7


def test_blocks_that_nobody_takes_are_given_back(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "a.parquet")
    stretches = iter(_reader(path).stretches(Kind.ITEMS))
    next(stretches)
    assert list((tmp_path / "scratch").iterdir())
    del stretches
    assert not list((tmp_path / "scratch").iterdir())
    _by_stretches(path)
    assert not list((tmp_path / "scratch").iterdir())


def test_a_parquet_file_damaged_inside_is_named_in_the_same_words(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "a.parquet")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle - 2_000 : middle] = bytes(2_000)
    path.write_bytes(content)
    with pytest.raises(SourceError) as alone:
        _whole(path)
    with pytest.raises(SourceError) as together:
        _by_stretches(path)
    assert str(together.value) == str(alone.value)
    assert "not a sound Parquet file" in str(alone.value)
    assert not list((tmp_path / "scratch").iterdir())


def test_where_no_process_can_be_started_one_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _parquet(tmp_path / "a.parquet")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert _reader(path).stretches(Kind.ITEMS) == []
    assert len(_whole(path)[0]) == 1_996


def test_a_process_that_dies_is_an_error_of_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(parquet_blocks, "_SERVE", "raise SystemExit")
    with pytest.raises(SourceError, match="has died"):
        _reader(path).stretches(Kind.ITEMS)
