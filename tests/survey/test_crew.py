"""Several processes find, send and complain of what one process does."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.emulator.server import Emulator
from nucleus_sync.sources import coco_labels, coco_results, line_file, parquet_blocks, parquet_rows
from nucleus_sync.sources.table import TableReader
from nucleus_sync.survey import crew, gathering, reading, shelving
from nucleus_sync.survey.gathering import Gathering
from nucleus_sync.workspace import Choices, Workspace

SPEC = """version: 1
sources:
  labels:
    format: coco
    path: labels.json
    image_url: "s3://bucket/{file_name}"
    on_invalid: skip
  found:
    format: coco-results
    path: found.json
    ground_truth: labels.json
    on_invalid: skip
  lines:
    format: records
    path: lines.jsonl
    on_invalid: skip
  more_lines:
    format: records
    path: more.jsonl
    on_invalid: skip
datasets:
  street:
    name: Street
    items: [labels]
    annotations: [labels]
  park:
    name: Park
    items: [lines]
    annotations: [lines, more_lines]
models:
  net:
    name: Net
    reference_id: net
    predictions:
      street: [found]
"""
AFTER_ANOTHER = """version: 1
sources:
  broken:
    format: records
    path: broken.jsonl
  sound:
    format: records
    path: sound.jsonl
datasets:
  one:
    name: One
    items: [broken]
  other:
    name: Other
    items: [sound]
"""
OF_A_TABLE = """version: 1
sources:
  rows:
    format: table
    path: {path}
    reference_id: "{{name}}"
    image_url: "{{url}}"
    width: "{{width}}"
    {metadata}
    types: {{night: bool, speed: number}}
    on_invalid: skip
datasets:
  street:
    name: Street
    items: [rows]
"""
CHANCE = random.Random(3)
RINGS = [[1, 1, 9, 1, 9, 9], [12, 12, 20, 12, 20, 20.5]]


def _annotation(number: int) -> dict[str, Any]:
    """Mostly sound; some are too small, reach beyond the image, have two rings, no id, no image, or a twin."""
    found: dict[str, Any] = {"id": number, "image_id": number % 40, "category_id": 1, "bbox": [1, 2, 5, 4]}
    if number % 97 == 0:
        found["bbox"] = [1, 2, 0, 4]
    if number % 50 == 0:
        found["bbox"] = [31, 2, 5, 4]
    if number % 31 == 0:
        found["segmentation"] = RINGS[: 1 + number % 2]
    if number % 61 == 0:
        del found["id"]
    if number % 83 == 0:
        found["image_id"] = 41 + number % 3  # 41 has no name
    if number % 101 == 0:
        found["bbox"] = ["wide", 2, 5, 4]
    if number in (300, 700):
        found |= {"id": 299, "image_id": 7}  # one record with three faces
    return found


def _result(number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"image_id": number % 40, "category_id": 1, "score": round(CHANCE.random(), 3)}
    found["bbox"] = [CHANCE.randint(0, 9), 2.5, CHANCE.randint(1, 9), 3]
    if number % 50 == 0:
        found["bbox"] = [30, 2, 5, 4]
    if number % 71 == 0:
        found["category_id"] = 2
    if number % 43 == 0:
        found["score"] = 1.5
    return found


def _line(number: int, *, has_ids: bool) -> str:
    """An item or a box, mostly sound; some have metadata that needs a word, no item, no width, or are no JSON."""
    if number % 4 == 0:
        item = {"reference_id": f"{number}", "image_url": f"s3://bucket/{number}.jpg", "metadata": {"n": number}}
        if number % 48 == 0:
            item["metadata"] = {"n": "text", "far": 2**60}
        return json.dumps(item)
    box = {"x": 1, "y": number, "width": 0 if number % 37 == 0 else 4, "height": 5}
    found: dict[str, Any] = {"type": "box", "label": "car", "geometry": box, "reference_id": f"{number // 12 * 4}"}
    if has_ids or number % 3:
        found["annotation_id"] = f"{has_ids} {number}"
    if number % 53 == 0:
        found["colour"] = "red"
    return "{" if number % 211 == 0 else json.dumps(found)


def _tidy_lines(count: int) -> list[str]:
    """First the items, then boxes on them."""
    items = [_line(number, has_ids=True) for number in range(0, count, 4) if number % 48]
    boxes = (number for number in range(count) if number % 4 and number % 53 and number // 12 % 12)
    return items + [_line(number, has_ids=True) for number in boxes]


def _row(number: int) -> dict[str, Any]:
    """Mostly sound; some have no name or a second one like theirs, no address, odd cells, or quotes around lines."""
    row: dict[str, Any] = {"name": f"{number}", "url": f"s3://bucket/{number}.jpg", "width": "640", "speed": number / 4}
    row |= {"night": ("yes", "no", "")[number % 3], "text": "plain"}
    if number % 43 == 0:
        row["name"] = None if number % 2 else f"{number - 1}"
    if number % 59 == 0:
        row |= _row(number - 7)
    if number % 61 == 0:
        row["url"] = ("nowhere", None, "")[number % 3]
    if number % 67 == 0:
        row["speed"] = float("inf")
    if number % 71 == 0:
        row["night"] = "perhaps"
    if number % 73 == 0:
        row["width"] = ("wide", "0", None)[number % 3]
    if number % 17 == 0:
        row["text"] = 'says "so"\r\nand, later'
    return row


def _as_csv(folder: Path, rows: list[dict[str, Any]]) -> str:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        file.write("\n")
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow(row)
            if number % 211 == 0:
                file.write('too,few\n"quoted"badly,1\n\n')
    return "rows.csv"


def _as_parquet(folder: Path, rows: list[dict[str, Any]]) -> str:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.Table.from_pylist(rows).append_column("bytes", pa.array([b"\xff"] * len(rows)))
    parquet.write_table(table, folder / "rows.parquet", row_group_size=500)
    return "rows.parquet"


def _with_times(folder: Path, rows: list[dict[str, Any]]) -> str:
    seen = datetime(2024, 5, 1, tzinfo=UTC)
    more = [row | {"seen": seen, "price": Decimal(f"{n}.50"), "where": {"n": n}} for n, row in enumerate(rows)]
    return _as_parquet(folder, more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nucleus.yaml").write_text(SPEC)
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 32, "height": 24} for n in range(40)]
    annotations = [_annotation(number) for number in range(1, 1_300)]
    coco = {
        "images": [*images, {"id": 41}, {"id": 39, "file_name": "again.jpg"}, {"id": "a", "file_name": ".//b.jpg"}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [*annotations, *annotations[:5]],
    }
    (tmp_path / "labels.json").write_text(json.dumps(coco))
    (tmp_path / "lines.jsonl").write_text("\n".join(_line(number, has_ids=True) for number in range(1_400)))
    (tmp_path / "more.jsonl").write_text("\n".join(_line(number, has_ids=False) for number in range(500)) + "\n\n")
    (tmp_path / "found.json").write_text(json.dumps([_result(number) for number in range(900)]))
    return tmp_path


@pytest.fixture
def by_many(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets several processes do it from now on, a few hundred records each."""

    def switch() -> None:
        monkeypatch.setattr(reading, "WORTH_A_CREW", 1)
        monkeypatch.setattr(crew, "_processors", lambda: 3)
        monkeypatch.setattr(coco_labels, "TOGETHER", 1)
        monkeypatch.setattr(coco_results, "TOGETHER", 1)
        monkeypatch.setattr(line_file, "_FEW", 1)
        monkeypatch.setattr(line_file, "_BUFFER", 1 << 14)
        monkeypatch.setattr(shelving, "_LAYER", 150)
        monkeypatch.setattr(gathering, "_SPAN", 200)
        monkeypatch.setattr(parquet_rows, "_FEW", 1)
        monkeypatch.setattr(parquet_blocks, "TOGETHER", 300)
        monkeypatch.setattr(parquet_blocks, "_AHEAD", 1)

    return switch


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of every new stream that a crew has read, whether it could be taken as a whole."""
    said: list[bool] = []
    finished = Gathering.finished

    def noted(self: Gathering, *, stand_alone: bool) -> Any:
        found = finished(self, stand_alone=stand_alone)
        said.append(found is not None)
        return found

    monkeypatch.setattr(Gathering, "finished", noted)
    return said


@pytest.fixture
def tidy(folder: Path) -> Path:
    """The same without what must be seen beside other records: twins, lost items, metadata of two types."""
    labels = json.loads((folder / "labels.json").read_text())
    labels["annotations"] = [_annotation(number) for number in range(1, 1_300) if number not in (300, 700)]
    (folder / "labels.json").write_text(json.dumps(labels))
    (folder / "lines.jsonl").write_text("\n".join(_tidy_lines(1_400)))
    (folder / "more.jsonl").write_text("\n".join(_tidy_lines(500)[125:]).replace("True ", "more "))
    return folder


def _plan(folder: Path) -> tuple[dict[str, str], list[Any], list[Any]]:
    """What would be sent, and what was found wrong."""
    with Workspace(folder / "nucleus.yaml", environ=os.environ, embedded=True) as space:
        surveyed = space.prepare(Choices(), with_ledger=False)
        listed = [changes.listed for changes in surveyed.surveyed.changes.values()]
        return (
            dict(surveyed.plan.contents),
            [(source.causes, source.shown, source.invalid) for source in surveyed.plan.sources],
            [sorted(map(repr, each)) for each in listed],
        )


def _applied(folder: Path, at: Path) -> dict[str, Any]:
    """What Nucleus holds after an apply."""
    shutil.rmtree(folder / ".nucleus-sync", ignore_errors=True)
    with Emulator(at, latency=0.0) as emulator, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUCLEUS_API_KEY", "any")
        patch.setenv("NUCLEUS_ENDPOINT", emulator.endpoint)
        with Workspace(folder / "nucleus.yaml", environ=os.environ) as space:
            space.apply(Choices(), lambda plan: True, lambda event: None)
            assert space.prepare(Choices()).plan.steps == ()
        return emulator.dump()


def test_a_crew_finds_what_one_process_finds(folder: Path, by_many: Callable[[], None]) -> None:
    alone = _plan(folder)
    assert all(source[2] for source in alone[1][1:])
    by_many()
    assert _plan(folder) == alone


def test_what_a_crew_has_read_is_sent_as_one_process_would(
    folder: Path, tmp_path: Path, by_many: Callable[[], None]
) -> None:
    alone = _applied(folder, tmp_path / "alone")
    by_many()
    together = _applied(folder, tmp_path / "together")
    assert all(len(dataset["annotations"]) > 100 for dataset in alone["datasets"])
    assert together == alone


def test_a_new_stream_is_taken_as_a_whole_with_its_remarks(
    tidy: Path, tmp_path: Path, by_many: Callable[[], None], taken: list[bool]
) -> None:
    alone, sent_alone = _plan(tidy), _applied(tidy, tmp_path / "alone")
    assert all(source[2] for source in alone[1])
    assert taken == []
    by_many()
    assert _plan(tidy) == alone
    assert taken == [True] * 5
    assert _applied(tidy, tmp_path / "together") == sent_alone


@pytest.mark.parametrize("spoilt", ["twin", "item", "type"])
def test_one_record_that_must_be_seen_beside_others_brings_the_careful_way(
    tidy: Path, spoilt: str, by_many: Callable[[], None], taken: list[bool]
) -> None:
    lines = (tidy / "more.jsonl").read_text().splitlines()
    record = json.loads(lines[-1]) | {"annotation_id": "last"}
    match spoilt:
        case "twin":
            lines += [json.dumps(record), json.dumps(record | {"label": "van"})]
        case "item":
            lines.append(json.dumps(record | {"reference_id": "nobody"}))
        case "type":
            lines += [json.dumps(record | {"annotation_id": each, "metadata": {"n": each}}) for each in ("a", "b")]
            lines.append(json.dumps(record | {"metadata": {"n": 1}}))
    (tidy / "more.jsonl").write_text("\n".join(lines))
    alone = _plan(tidy)
    by_many()
    assert _plan(tidy) == alone
    assert sum(taken) == 4


@pytest.mark.parametrize("metadata", ["", 'metadata: {text: "{text}", note: "{speed} at {night}"}'])
@pytest.mark.parametrize("write", [_as_csv, _as_parquet, _with_times])
def test_a_crew_finds_in_a_table_what_one_process_finds(
    tmp_path: Path,
    by_many: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, list[dict[str, Any]]], str],
    metadata: str,
) -> None:
    path = write(tmp_path, [_row(number) for number in range(1, 1_400)])
    (tmp_path / "nucleus.yaml").write_text(OF_A_TABLE.format(path=path, metadata=metadata))
    alone = _plan(tmp_path)
    assert alone[1][0][2] > 100
    by_many()
    monkeypatch.delattr(TableReader, "scan")
    assert _plan(tmp_path) == alone


def test_what_a_crew_has_read_in_a_table_is_sent_as_one_process_would(
    tmp_path: Path, by_many: Callable[[], None]
) -> None:
    path = _with_times(tmp_path, [_row(number) for number in range(1, 400)])
    (tmp_path / "nucleus.yaml").write_text(OF_A_TABLE.format(path=path, metadata=""))
    alone = _applied(tmp_path, tmp_path / "alone")
    assert len(alone["datasets"][0]["items"]) > 200
    by_many()
    assert _applied(tmp_path, tmp_path / "together") == alone


@pytest.mark.parametrize("prune", [False, True])
def test_a_crew_compares_as_one_process_does(
    folder: Path, tmp_path: Path, prune: bool, by_many: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Emulator(tmp_path / "nucleus", latency=0.0) as emulator:
        monkeypatch.setenv("NUCLEUS_API_KEY", "any")
        monkeypatch.setenv("NUCLEUS_ENDPOINT", emulator.endpoint)
        with Workspace(folder / "nucleus.yaml", environ=os.environ) as space:
            space.apply(Choices(), lambda plan: True, lambda event: None)
    (folder / "nucleus.yaml").write_text(SPEC.replace("version: 1\n", f"version: 1\nsettings: {{prune: {prune}}}\n"))
    plain, edited = shutil.copytree(folder, tmp_path / "plain"), shutil.copytree(folder, tmp_path / "edited")
    _edit(edited)
    alone = [_next_plan(shutil.copytree(each, tmp_path / f"{each.name}-alone")) for each in (plain, edited)]
    by_many()
    assert [_next_plan(each) for each in (plain, edited)] == alone
    assert alone[0][0] != alone[1][0]


def _edit(folder: Path) -> None:
    """Change, drop and add a little everywhere; an image goes away with which annotations were."""
    labels = json.loads((folder / "labels.json").read_text())
    labels["images"] = [image for image in labels["images"] if image["id"] != 17]
    labels["annotations"] = [each for each in labels["annotations"] if each.get("id", 0) % 90 != 7]
    for each in labels["annotations"]:
        if each.get("id", 0) % 90 == 11:
            each["bbox"] = [2, 2, 5, 4]
    labels["annotations"].append(_annotation(5000))
    (folder / "labels.json").write_text(json.dumps(labels))
    found = json.loads((folder / "found.json").read_text())
    found[100]["score"], found[200]["category_id"] = 0.0625, 2
    (folder / "found.json").write_text(json.dumps([*found[:500], *found[505:], {**found[3], "score": 0.125}]))
    lines = (folder / "lines.jsonl").read_text().splitlines()
    (folder / "lines.jsonl").write_text(
        "\n".join([*lines[:600], *lines[610:], lines[6], lines[8], _line(4000, has_ids=True)])
    )


def _next_plan(folder: Path) -> Any:
    """What a plan says beside the ledger."""
    with Workspace(folder / "nucleus.yaml", environ=os.environ) as space:
        prepared = space.prepare(Choices())
        surveyed = prepared.surveyed.changes
        return (
            dict(prepared.plan.contents),
            [(each.id, each.wanted) for each in prepared.plan.steps],
            [(source.causes, source.invalid) for source in prepared.plan.sources],
            {name: +changes.counts for name, changes in surveyed.items()},
            {name: sorted(changes.touched) for name, changes in surveyed.items()},
            {name: (changes.along, changes.outlived) for name, changes in surveyed.items()},
        )


def test_where_no_process_can_be_started_one_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch, by_many: Callable[[], None]
) -> None:
    alone = _plan(folder)
    by_many()

    def refuse(*_: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(crew, "_start", refuse)
    assert _plan(folder) == alone


def test_after_an_unusable_source_the_next_stream_gets_its_own_answers(
    tmp_path: Path, by_many: Callable[[], None]
) -> None:
    (tmp_path / "nucleus.yaml").write_text(AFTER_ANOTHER)
    items = [json.dumps({"reference_id": f"{n}", "image_url": f"s3://bucket/{n}.jpg"}) + "\n" for n in range(2_000)]
    (tmp_path / "sound.jsonl").write_text("".join(items))
    (tmp_path / "broken.jsonl").write_text("".join(items), encoding="utf-16")
    alone = _found(tmp_path)
    by_many()
    assert _found(tmp_path) == alone
    assert "UTF-16" in alone[0]
    assert sum(alone[1].values()) == 2_000


def _found(folder: Path) -> tuple[str, dict[str, int]]:
    """What one stream fails of, and what another one would do."""
    with Workspace(folder / "nucleus.yaml", environ=os.environ, embedded=True) as space:
        prepared = space.prepare(Choices(), with_ledger=False)
        [failure] = prepared.plan.failures
        [counts] = [dict(+changes.counts) for changes in prepared.surveyed.changes.values()]
        return failure.error, counts
