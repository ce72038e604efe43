"""A row becomes an item, columns become what the spec says, and bad rows are named."""

from __future__ import annotations

import gzip
import sys
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Pick, Seen, Surroundings
from nucleus_sync.sources.table import TableReader
from nucleus_sync.spec.source import TableSource

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


class NoFacts:
    def recall(self, folder: str, path: str) -> Facts | None:
        return None

    def remember(self, folder: str, path: str, facts: Facts) -> None:
        pass


def reader(path: Path, **options: Any) -> TableReader:
    spec = TableSource(format="table", path=path.name, **options)
    return TableReader(spec, Surroundings("rows", path.parent, path.parent, NoFacts()))


def everything(of: TableReader) -> tuple[list[Seen], list[Any], list[Problem]]:
    problems: list[Problem] = []
    seen = [Seen(*each) for each in of.scan(Kind.ITEMS, problems.append)]
    return seen, [record for _, record in of.read(Kind.ITEMS, map(Pick._make, seen), problems.append)], problems


def table(path: Path, text: str) -> Path:
    path.write_text(text, newline="")
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


def said(problems: list[Problem]) -> list[tuple[str, str, str]]:
    return [(str(problem.severity), problem.record, problem.detail) for problem in problems]


HEAD = "reference_id,image_url,speed,site,night\n"


def test_other_columns_are_metadata(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", HEAD + "a.jpg,s3://b/a.jpg,12.5,berlin,yes\nb.jpg,s3://b/b.jpg,,,\n")
    seen, records, problems = everything(reader(path, types={"speed": "number", "night": "bool"}))
    assert [each.key for each in seen] == [b"a.jpg", b"b.jpg"]
    assert records[0].metadata == {"speed": 12.5, "site": "berlin", "night": True}
    assert records[1].metadata == {"site": ""}
    assert (records[0].image_url, records[0].width) == ("s3://b/a.jpg", UNSET)
    assert problems == []


def test_templates_name_columns(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "id,file,w,h,speed\n7,a b.jpg,640,480.0,9007199254740993\n")
    options = {"reference_id": "cam/{id}", "image_url": "s3://b/{file}", "width": "{w}", "height": "{h}"}
    metadata = {"speed": "{speed}", "text": "v={speed}", "fixed": 1}
    _, (item,), _ = everything(reader(path, **options, metadata=metadata, types={"speed": "number"}))
    assert (item.reference_id, item.image_url, item.width, item.height) == ("cam/7", "s3://b/a b.jpg", 640, 480)
    assert item.metadata == {"speed": 9007199254740993, "text": "v=9007199254740993", "fixed": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "\ufeffreference_id,image_url,n\r\na,s3://b/a,x\r\n\r\n"),
        ("a.csv", "reference_id;image_url;n\na;s3://b/a;x\n"),
        ("a.tsv", "reference_id\timage_url\tn\na\ts3://b/a\tx"),
        ("a.csv", '\n"reference_id",image_url,n\n"a",s3://b/a,x\n'),
        ("a.csv", '"reference_id","image_url","n"\n"a","s3://b/a","x",,\n'),
    ],
)
def test_ways_to_write_a_table(tmp_path: Path, name: str, text: str) -> None:
    _, (item,), problems = everything(reader(table(tmp_path / name, text)))
    assert (item.reference_id, item.image_url, item.metadata) == ("a", "s3://b/a", {"n": "x"})
    assert problems == []


def test_quoted_newlines_and_places(tmp_path: Path) -> None:
    text = HEAD + 'a,s3://b/a,"1,\n2 ""x""",é,\nb,s3://b/b,1,,\n\nc,nowhere,1,,\n'
    path = table(tmp_path / "a.csv", text)
    _, records, problems = everything(reader(path))
    assert [record.metadata["speed"] for record in records] == ['1,\n2 "x"', "1"]
    assert said(problems) == [("invalid", "line 6", "image_url 'nowhere'")]
    assert str(problems[0].where) == "a.csv: line 6"


def test_a_compressed_table_says_the_same(tmp_path: Path) -> None:
    text = HEAD + "".join(f"{n}.jpg,s3://b/{n}.jpg,{n},x,\n" for n in range(3000))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    plain = everything(reader(table(tmp_path / "a.csv", text)))
    assert everything(reader(tmp_path / "a.csv.gz")) == plain
    assert len(plain[1]) == 3000


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("x,s3://b/x", "2 cells, but the header names 5 columns"),
        ("x,s3://b/x,1,2,,6", "6 cells, but the header names 5 columns"),
        (",s3://b/x,1,,", "reference_id is empty"),
        ("x,,1,,", "image_url ''"),
        ("x,s3://b/x,fast,,", "column speed: 'fast' is no number"),
        ('x,s3://b/x,"1,5",,', "column speed: '1,5' is no number (a decimal comma?)"),
        ("x,s3://b/x,nan,,", "metadata key speed is NaN"),
        ("x,s3://b/x,1,,maybe", "column night: 'maybe' is neither true nor false"),
        ('x,"s3"b,1,,', "malformed: ',' expected after '\"'"),
    ],
)
def test_rows_that_are_no_items(tmp_path: Path, row: str, detail: str) -> None:
    path = table(tmp_path / "a.csv", f"{HEAD}a,s3://b/a,1,,\n{row}\nb,s3://b/b,1,,\n")
    _, records, problems = everything(reader(path, types={"speed": "number", "night": "bool"}))
    assert [record.reference_id for record in records] == ["a", "b"]
    assert said(problems) == [("invalid", "line 3", detail)]


@pytest.mark.parametrize("cell", ["0", "-5", "wide", "nan"])
def test_a_size_must_be_one(tmp_path: Path, cell: str) -> None:
    path = table(tmp_path / "a.csv", f"reference_id,image_url,w\na,s3://b/a,{cell}\nb,s3://b/b,\n")
    _, records, problems = everything(reader(path, width="{w}"))
    assert [record.width for record in records] == [UNSET]
    assert problems[0].record == "line 2"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("id,image_url\n", {}, r"reference_id: there is no column \{reference_id\}; there are: id, image_url"),
        ("reference_id,img_url\n", {}, r"image_url: .* did you mean \{img_url\}"),
        ("reference_id,image_url\n", {"metadata": {"a": "{b}"}}, r"metadata: there is no column \{b\}"),
        ("reference_id,image_url\n", {"types": {"b": "text"}}, r"types: there is no column \{b\}"),
        ("", {}, "no header"),
        ("\n\n", {}, "no header"),
        ('a,"b"c\n', {}, "header is malformed"),
        ("reference_id,image_url,a,a\n", {}, "'a' is there twice"),
        ('reference_id,image_url\na,"b\nc,d\n', {}, "line 2: a quote is never closed"),
    ],
)
def test_tables_that_are_unusable(tmp_path: Path, text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        everything(reader(table(tmp_path / "a.csv", text), **options))


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes((HEAD + "a,s3://b/a,1,Köln,\n").encode("latin-1"))
    with pytest.raises(SourceError, match=r"a\.csv: line 2 is not UTF-8"):
        everything(reader(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet"])
def test_a_file_that_is_gone_is_an_error(tmp_path: Path, name: str) -> None:
    for use in (TableReader.state, everything):
        with pytest.raises(SourceError, match="no such file"):
            use(reader(tmp_path / name))


def test_a_row_that_changes_between_scan_and_read_stops_the_source(tmp_path: Path) -> None:
    source = reader(table(tmp_path / "a.csv", HEAD + "a,s3://b/a,1,,\n"))
    seen = list(source.scan(Kind.ITEMS, lambda _: None))
    table(tmp_path / "a.csv", HEAD + "a,s3://b/a,2,,\n")
    with pytest.raises(SourceError, match="changed while it was read"):
        list(source.read(Kind.ITEMS, map(Pick._make, seen), lambda _: None))


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet",
        reference_id=["a", "b"],
        image_url=["s3://b/a", "s3://b/b"],
        n=[9007199254740993, None],
        x=[1.5, 2.0],
        on=[True, False],
        at=[datetime(2024, 5, 1, tzinfo=UTC), None],
        price=[Decimal("1.50"), Decimal("2.00")],
        tags=[["x", "y"], []],
        where=[{"lat": 1.5, "name": None}, None],
        bytes=[b"\xff\xd8", b""],
    )
    _, records, problems = everything(reader(path))
    assert records[0].metadata == {
        "n": 9007199254740993,
        "x": 1.5,
        "on": True,
        "at": "2024-05-01T00:00:00+00:00",
        "price": 1.5,
        "tags": ["x", "y"],
        "where": {"lat": 1.5, "name": None},
    }
    assert records[1].metadata == {"x": 2.0, "on": False, "price": 2, "tags": []}
    assert problems == []


def test_parquet_rows_are_picked_across_groups(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(10)]
    path = parquet(tmp_path / "a.parquet", reference_id=names, image_url=[f"s3://b/{name}" for name in names])
    source = reader(path)
    seen = list(source.scan(Kind.ITEMS, lambda _: None))
    picks = [Pick._make(seen[n]) for n in (0, 2, 3, 7, 9)]
    got = list(source.read(Kind.ITEMS, picks, lambda _: None))
    assert [record.reference_id for _, record in got] == [names[n] for n in (0, 2, 3, 7, 9)]
    assert [pick for pick, _ in got] == picks
    assert str(source.where(Kind.ITEMS, picks[1].locator)) == "a.parquet: row 3"


def test_parquet_rows_that_are_no_items(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet",
        id=["a", None, "c", "d"],
        image_url=["s3://b/a", "s3://b/b", None, "s3://b/d"],
        v=[1.0, 1.0, 1.0, float("inf")],
    )
    _, records, problems = everything(reader(path, reference_id="{id}"))
    assert [record.reference_id for record in records] == ["a"]
    assert said(problems) == [
        ("invalid", "row 2", "field {id} is null"),
        ("invalid", "row 3", "field {image_url} is null"),
        ("invalid", "row 4", "metadata key v is Infinity"),
    ]


def test_structs_are_looked_into(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", img=[{"id": "a", "url": "s3://b/a"}], unused=[1])
    _, (item,), _ = everything(reader(path, reference_id="{img.id}", image_url="{img.url}", metadata={}))
    assert (item.reference_id, item.image_url, item.metadata) == ("a", "s3://b/a", {})


def test_only_rows_whose_used_cells_differ_have_another_hash(tmp_path: Path) -> None:
    columns = {"reference_id": ["a", "b"], "image_url": ["s3://b/a", "s3://b/b"]}
    one, two, three = (
        everything(reader(parquet(tmp_path / "a.parquet", **columns, v=v, w=w), metadata={"v": "{v}"}))[0]
        for v, w in (([1, 2], [0, 0]), ([1, 3], [0, 0]), ([1, 2], [5, 5]))
    )
    assert [x.raw == y.raw for x, y in zip(one, two, strict=True)] == [True, False]
    assert [x.raw for x in one] == [x.raw for x in three]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"not parquet at all"])
def test_a_broken_parquet_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.parquet: not a sound Parquet file"):
        everything(reader(tmp_path / "a.parquet"))


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "a.parquet", reference_id=["a"], image_url=["s3://b/a"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"pip install 'nucleus-sync\[parquet\]'"):
        everything(reader(path))


@settings(deadline=None)
@given(st.binary(), st.sampled_from(["fuzz.csv", "fuzz.tsv", "fuzz.csv.gz", "fuzz.parquet"]))
def test_any_bytes_are_answered(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    with suppress(SourceError):
        everything(reader(path))


@settings(deadline=None)
@given(st.text())
def test_any_text_behind_a_header_is_answered(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.csv"
    path.write_bytes((HEAD + text).encode(errors="replace"))
    with suppress(SourceError):
        everything(reader(path, types={"speed": "number", "night": "bool"}))
