"""Rows that are worked through by the column say what they say one by one.

One row without a usable reference id makes its whole block go row by row, so the two ways are compared by adding it.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.item import Item
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Pick, Seen, Surroundings
from nucleus_sync.sources.table import TableReader
from nucleus_sync.sources.table_cells import CellError, cell, cells_as
from nucleus_sync.spec.source import TableSource

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

NAMES = ("name", "n", "is.flag", "text", "p")
Row = dict[str, Any]
BAD = dict.fromkeys(NAMES)


def everything(path: Path, options: dict[str, Any]) -> tuple[list[tuple[bytes, bytes]], list[Item], list[str]]:
    """Keys with raw hashes, records, and what was complained about."""
    problems: list[Problem] = []
    spec = TableSource(format="table", path=path.name, **options)
    reader = TableReader(spec, Surroundings("rows", path.parent, path.parent, NoFacts()))
    seen = [Seen(*each) for each in reader.scan(Kind.ITEMS, problems.append)]
    records = [record for _, record in reader.read(Kind.ITEMS, map(Pick._make, seen), problems.append)]
    said = [f"{each.where.position}: {each.cause}: {each.detail}" for each in problems]
    return [each[:2] for each in seen], records, said  # type: ignore[return-value]


def as_csv(path: Path, rows: list[Row]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(NAMES)
        writer.writerows(["" if row[name] is None else row[name] for name in NAMES] for row in rows)
    return path


def as_parquet(path: Path, rows: list[Row]) -> Path:
    types = [pa.string(), pa.float64(), pa.bool_(), pa.string(), pa.struct([("deep", pa.int64())])]
    columns = [pa.array([row[name] for row in rows], kind) for name, kind in zip(NAMES, types, strict=True)]
    pq.write_table(pa.table(columns, names=list(NAMES)), path)
    return path


words = st.sampled_from(["", "a", "ä%s", "{b}", "s3://c/d", "7", "1,5", "-2.5", "true", "no", "nan"])
tables = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | words,
            "n": st.none() | st.floats(),
            "is.flag": st.none() | st.booleans(),
            "text": st.none() | words,
            "p": st.none() | st.fixed_dictionaries({"deep": st.none() | st.integers(-(2**62), 2**62)}),
        }
    ),
    max_size=5,
)
trees = st.sampled_from(
    [
        None,
        {},
        {"n": "{n}", "is.flag": "{is.flag}", "fixed": "x", "one": 1},
        {"said": "{text} of {name}", "percent": "100% {is.flag}", "list": ["{n}", "{text}", None]},
        {"inner": {"n": "{n}", "text": "{text}"}, "as it is": "{p}"},
        {"deep": "{p.deep}"},
    ]
)
options = st.fixed_dictionaries(
    {"reference_id": st.sampled_from(["{name}", "{name}-{text}", "{name}{n}"])},
    optional={
        "image_url": st.sampled_from(["s3://b/{name}", "{text}", "https://%s/{n}/{name}"]),
        "width": st.sampled_from(["{n}", "{text}"]),
        "height": st.just("480"),
        "metadata": trees,
        "types": st.sampled_from(
            [{"n": "text"}, {"text": "number"}, {"text": "bool"}, {"n": "number", "is.flag": "bool"}]
        ),
    },
)


@settings(deadline=None, max_examples=60)
@given(tables, options, st.sampled_from([as_csv, as_parquet]))
def test_a_block_says_what_its_rows_say(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], options: dict[str, Any], write: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    options = {"image_url": "s3://b/{name}"} | options
    suffix = ".csv" if write is as_csv else ".parquet"
    keys, records, said = everything(write(folder / f"rows{suffix}", rows), options)
    with_bad = everything(write(folder / f"bad{suffix}", [*rows, BAD]), options)
    last = f"{'line' if write is as_csv else 'row'} {len(rows) + (2 if write is as_csv else 1)}: "
    assert with_bad[0][: len(keys)] == keys
    assert repr(with_bad[1][: len(records)]) == repr(records)  # NaN isn't equal to itself
    assert [each for each in with_bad[2] if not each.startswith(last)] == said


texts = st.sampled_from(["7", " 7 ", "-7", "+7", "²", "7.5", ".", "1e3", "1,5", "nan", "", "1_0", "9" * 30]) | st.text()


@given(st.lists(texts, max_size=4))
def test_a_column_of_numbers_is_its_cells(column: list[str]) -> None:
    def found(read: Any) -> Any:
        try:
            return repr(read())  # NaN isn't equal to itself
        except CellError as error:
            return error.cause, str(error)

    assert found(lambda: cells_as("n", column, "number")) == found(
        lambda: [cell("n", each, "number") for each in column]
    )


@pytest.mark.parametrize("value", ["x" * 70_000, float("-inf"), float("nan"), [float("nan")]])
def test_a_block_with_one_odd_cell_is_judged_row_by_row(tmp_path: Path, value: Any) -> None:
    numbers = pa.array([None] * 3 + [value] + [None] * 3)
    ids = pa.array([f"i{number}" for number in range(len(numbers))])
    pq.write_table(pa.table({"name": ids, "odd": numbers}), tmp_path / "a.parquet")
    options = {"reference_id": "{name}", "image_url": "s3://b/{name}"}
    _, records, said = everything(tmp_path / "a.parquet", options)
    [complaint] = said
    assert complaint.startswith("row 4: ")
    assert [record.metadata for record in records if record.reference_id != "i3"] == [{}] * 6


def test_blocks_follow_each_other(tmp_path: Path) -> None:
    rows = [BAD | {"name": f"i{number}", "n": number / 2} for number in range(2_500)]
    wanted = [Item(reference_id=f"i{n}", image_url=f"s3://b/i{n}", metadata={"n": n / 2}) for n in range(2_500)]
    options = {"reference_id": "{name}", "image_url": "s3://b/{name}", "metadata": {"n": "{n}"}}
    _, records, said = everything(as_parquet(tmp_path / "a.parquet", rows), options)
    assert (records, said) == (wanted, [])
    _, records, said = everything(as_csv(tmp_path / "a.csv", rows), options | {"types": {"n": "number"}})
    assert ([each.metadata for each in records], said) == ([each.metadata for each in wanted], [])


def test_complaints_of_a_table_come_in_the_order_of_its_lines(tmp_path: Path) -> None:
    lines = ["name,n", ",1", "a,1,2", ",2", "b", "c,3"]
    (tmp_path / "a.csv").write_text(os.linesep.join(lines))
    options = {"reference_id": "{name}", "image_url": "s3://b/{name}"}
    _, records, said = everything(tmp_path / "a.csv", options)
    assert [record.reference_id for record in records] == ["c"]
    assert [each.partition(":")[0] for each in said] == ["line 2", "line 3", "line 4", "line 5"]
