"""Lines in wire form are read as they are, and whatever is wrong with one is said by its number."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.item import Item
from nucleus_sync.records.key import annotation_key, as_words, is_unnumbered, reference_id
from nucleus_sync.records.problem import Problem, Severity
from nucleus_sync.records.record import Kind, wire_line
from nucleus_sync.sources import line_file
from nucleus_sync.sources.ndjson import RecordsReader
from nucleus_sync.sources.reader import Pick, Seen, Surroundings
from nucleus_sync.spec.source import RecordsSource

MESSY = Path(__file__).resolve().parents[3] / "shared/data/messy"
BOX = {
    "label": "cat",
    "type": "box",
    "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
    "reference_id": "a.jpg",
    "annotation_id": "b1",
    "metadata": {},
}
ITEM = {"reference_id": "a.jpg", "image_url": "s3://b/a.jpg", "metadata": {"n": 1}}


class NoFacts:
    def recall(self, folder: str, path: str) -> Facts | None:
        return None

    def remember(self, folder: str, path: str, facts: Facts) -> None:
        pass


def reader(path: Path | str) -> RecordsReader:
    folder = Path(path).parent if path != "-" else Path()
    return RecordsReader(
        RecordsSource(format="records", path=str(path)), Surroundings("lines", folder, folder, NoFacts())
    )


def numbered(seen: list[Seen]) -> list[Pick]:
    """What the engine does: number the records without an id within their item."""
    count: dict[str, int] = {}
    keys = {}
    for each in sorted(each for each in seen if is_unnumbered(each.key)):
        item = reference_id(each.key)
        keys[each.locator] = annotation_key(item, f"#{count.setdefault(item, 0)}")
        count[item] += 1
    return [Pick(keys.get(each.locator, each.key), each.raw, each.locator) for each in seen]


def everything(of: RecordsReader, kind: Kind) -> tuple[list[Seen], list[Any], list[Problem]]:
    problems: list[Problem] = []
    seen = [Seen(*each) for each in of.scan(kind, problems.append)]
    return seen, [record for _, record in of.read(kind, numbered(seen), problems.append)], problems


def lines(path: Path, *records: Any) -> Path:
    texts = (each if isinstance(each, str) else json.dumps(each) for each in records)
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def said(problems: list[Problem]) -> list[tuple[str, str, str]]:
    return [(str(problem.severity), problem.record, problem.detail) for problem in problems]


# --- what is read -----------------------------------------------------------------------------------------------

TYPED = [
    BOX | {"embedding_vector": [1.5], "track_reference_id": "t"},
    BOX | {"type": "line", "geometry": {"vertices": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}},
    BOX | {"type": "polygon", "geometry": {"vertices": [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}]}},
    BOX
    | {
        "type": "keypoints",
        "geometry": {"keypoints": [{"x": 1, "y": 1, "visible": True}], "names": ["n"], "skeleton": None},
    },
    BOX
    | {
        "type": "cuboid",
        "geometry": {"position": {"x": 1, "y": 1, "z": 1}, "dimensions": {"x": 1, "y": 1, "z": 1}, "yaw": 0.5},
    },
    {"type": "mask", "mask_url": "s3://b/m.png", "annotations": [{"label": "a", "index": 1}], "reference_id": "a.jpg"},
    {"label": "rain", "type": "category", "geometry": {}, "reference_id": "a.jpg", "taxonomy_name": "weather"},
    {"labels": ["rain"], "type": "multicategory", "geometry": {}, "reference_id": "a.jpg", "metadata": {}},
]


@pytest.mark.parametrize("record", TYPED, ids=lambda record: record["type"])
@pytest.mark.parametrize("kind", [Kind.ANNOTATIONS, Kind.PREDICTIONS])
def test_every_type_is_read(tmp_path: Path, record: dict[str, Any], kind: Kind) -> None:
    _, records, problems = everything(reader(lines(tmp_path / "a.jsonl", record)), kind)
    assert problems == []
    wire = json.loads(wire_line(records[0]))
    assert {name: wire[name] for name in record} == record


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (ITEM, {"reference_id": "a.jpg"}),
        (BOX, {"reference_id": "a.jpg", "annotation_id": "b1"}),
        (BOX | {"task_id": "t"}, {"reference_id": "a.jpg", "annotation_id": "b1", "task_id": "t"}),
        (TYPED[5], {"reference_id": "a.jpg", "mask": "mask"}),
        (TYPED[6], {"reference_id": "a.jpg", "taxonomy": "weather"}),
        (TYPED[7], {"reference_id": "a.jpg", "taxonomy": ""}),
    ],
)
def test_keys(tmp_path: Path, record: dict[str, Any], words: dict[str, str]) -> None:
    kind = Kind.ITEMS if "image_url" in record else Kind.ANNOTATIONS
    seen, _, _ = everything(reader(lines(tmp_path / "a.jsonl", record)), kind)
    assert [as_words(each.key) for each in seen] == [words]


def test_a_prediction_keeps_its_confidence_and_an_annotation_loses_it(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", BOX | {"confidence": 0.5, "class_pdf": {"cat": 1.0}})
    prediction = json.loads(wire_line(everything(reader(path), Kind.PREDICTIONS)[1][0]))
    assert (prediction["confidence"], prediction["class_pdf"]) == (0.5, {"cat": 1.0})
    _, records, problems = everything(reader(path), Kind.ANNOTATIONS)
    assert b"confidence" not in wire_line(records[0])
    assert said(problems) == [("finding", "line 1", "confidence on a ground-truth record: left out")]


@pytest.mark.parametrize("number", [9007199254740993, 2**63, 2**64, 10**30])
def test_metadata_are_kept_to_the_digit(tmp_path: Path, number: int) -> None:
    metadata = {"n": number, "key.with.dot": 1.0, "emoji 🙂": None, "deep": [{"a": [True]}]}
    _, records, problems = everything(reader(lines(tmp_path / "a.jsonl", ITEM | {"metadata": metadata})), Kind.ITEMS)
    assert records[0].metadata == metadata
    assert str(number).encode() in wire_line(records[0])
    assert said(problems) == [("finding", "line 1", f"metadata key n: {number} is above 2^53: kept exact")]


def test_blank_lines_windows_ends_and_a_byte_order_mark_are_legal(tmp_path: Path) -> None:
    text = "\ufeff" + json.dumps(ITEM) + "\r\n\n  \r\n" + json.dumps(ITEM | {"reference_id": "b"})
    (tmp_path / "a.jsonl").write_bytes(text.encode())
    seen, records, problems = everything(reader(tmp_path / "a.jsonl"), Kind.ITEMS)
    assert [record.reference_id for record in records] == ["a.jpg", "b"]
    assert problems == []
    assert str(reader(tmp_path / "a.jsonl").where(Kind.ITEMS, seen[1].locator)).endswith("a.jsonl: line 4")


def test_a_mixed_file_yields_each_kind_by_itself_and_each_problem_once(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", "broken", BOX, ITEM, '{"image_url": "s3', '{"type": "box", "lab', "[1]")
    _, items, of_items = everything(reader(path), Kind.ITEMS)
    _, boxes, of_boxes = everything(reader(path), Kind.ANNOTATIONS)
    assert (len(items), len(boxes)) == (1, 1)
    assert [problem.record for problem in of_items] == ["line 4"]
    assert [problem.record for problem in of_boxes] == ["line 1", "line 5", "line 6"]


def test_a_file_without_a_sound_line_complains_as_items(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", "x", "{}")
    assert [problem.record for problem in everything(reader(path), Kind.ITEMS)[2]] == ["line 1", "line 2"]
    assert everything(reader(path), Kind.ANNOTATIONS)[2] == []


def test_order_of_the_file_does_not_matter_to_records_without_an_id(tmp_path: Path) -> None:
    bare = {name: value for name, value in BOX.items() if name != "annotation_id"}
    boxes = [bare | {"geometry": {"x": x, "y": 2, "width": 3, "height": 4}} for x in (5, 1, 300, 20)]
    path, turned = lines(tmp_path / "a.jsonl", *boxes), lines(tmp_path / "b.jsonl", *reversed(boxes))
    _, one, problems = everything(reader(path), Kind.ANNOTATIONS)
    _, two, _ = everything(reader(turned), Kind.ANNOTATIONS)
    assert {(box.annotation_id, box.geometry.x) for box in one} == {("#0", 1), ("#1", 5), ("#2", 20), ("#3", 300)}
    assert {(box.annotation_id, box.geometry.x) for box in one} == {(box.annotation_id, box.geometry.x) for box in two}
    assert problems[0].cause == "no annotation_id: derived"


# --- what is wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "detail"),
    [
        ({"image_url": "s3://b/a"}, "reference_id is missing"),
        (ITEM | {"reference_id": 5}, "reference_id is a number, not text"),
        (ITEM | {"reference_id": None}, "reference_id is null, not text"),
        (ITEM | {"reference_id": ""}, "reference_id is empty"),
        (ITEM | {"reference_id": "a\0b"}, "an id holds a NUL character"),
        (ITEM | {"image_url": ""}, "image_url ''"),
        (ITEM | {"image_url": "a.jpg"}, "image_url 'a.jpg'"),
        (ITEM | {"metadata": None}, "metadata is null, not an object"),
        (ITEM | {"width": "5"}, "width is text, not a number"),
        (
            {"reference_id": "a"},
            "the line has neither image_url (an item) nor frames or video_url (a scene) "
            "nor type (an annotation or prediction)",
        ),
        ('{"reference_id": "a", "image_url": "s3://b/a", "metadata": {"t": [1, NaN]}}', "metadata.t[1] is NaN"),
        ('{"reference_id": NaN, "image_url": "s3://b/a"}', "reference_id is NaN"),
        ('{"reference_id": "a", "image_url": "s3://b/a", "metadata": {"t": 1e999}}', "metadata.t is Infinity"),
        ('{"reference_id": "a"}{"reference_id": "b"}', "two objects on one line: the second begins at column 22"),
        ('{"reference_id": "a", "image_url"', "not JSON: cut off"),
        ('{"reference_id": "a", "image_url": "s3://', "not JSON: cut off"),
        ("not json", "not JSON: Expecting value at column 1"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "the line is a list, not an object"),
    ],
)
def test_items_that_are_none(tmp_path: Path, record: Any, detail: str) -> None:
    _, records, problems = everything(reader(lines(tmp_path / "a.jsonl", record, ITEM)), Kind.ITEMS)
    assert len(records) == 1
    assert said(problems) == [("invalid", "line 1", detail)]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"geometry": {"x": 1, "y": 2, "width": 3}}, "height is missing in geometry"),
        ({"geometry": {"x": "1", "y": 2, "width": 3, "height": 4}}, "geometry.x is text, not a number"),
        ({"geometry": None}, "geometry is null, not an object"),
        ({"type": "bbox"}, "type bbox is unknown (box?)"),
        ({"type": "Polygons"}, "type Polygons is unknown (polygon?)"),
        (
            {"type": "xyz"},
            "type xyz is unknown (known: box, line, polygon, keypoints, cuboid, mask, category, multicategory)",
        ),
        ({"type": 5}, "type is a number, not text"),
        ({"type": None}, "type is null, not text"),
        ({"label": ""}, "label is empty"),
        ({"label": None}, "label is null, not text"),
        ({"annotation_id": ""}, "annotation_id is empty"),
        ({"annotation_id": 7}, "annotation_id is a number, not text"),
    ],
)
def test_annotations_that_are_none(tmp_path: Path, change: dict[str, Any], detail: str) -> None:
    _, records, problems = everything(reader(lines(tmp_path / "a.jsonl", BOX | change, BOX)), Kind.ANNOTATIONS)
    assert len(records) == 1
    assert said(problems) == [("invalid", "line 1", detail)]


def test_what_nucleus_does_not_know_is_said_to_be_left_out(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", ITEM | {"meta": {"a": 1}, "update": True, "empty": None})
    _, records, problems = everything(reader(path), Kind.ITEMS)
    assert records == [Item(**ITEM)]
    assert said(problems) == [("finding", "line 1", "item has no meta: left out")]


def test_null_is_left_out_where_the_wire_leaves_out(tmp_path: Path) -> None:
    item = ITEM | {"width": None, "height": None}
    prediction = BOX | {"confidence": None, "class_pdf": None}
    path = lines(tmp_path / "a.jsonl", item, prediction, BOX | {"annotation_id": None, "confidence": None})
    assert everything(reader(path), Kind.ITEMS)[1] == [Item(**ITEM)]
    _, records, problems = everything(reader(path), Kind.PREDICTIONS)
    assert not any(b"confidence" in wire_line(record) for record in records)
    assert said(problems) == [("finding", "line 3", "no annotation_id: #0 derived, the same on every run")]


@pytest.mark.parametrize("text", ["\0", "\\u0000"])
def test_nul_in_metadata_is_content(tmp_path: Path, text: str) -> None:
    _, records, problems = everything(reader(lines(tmp_path / "a.jsonl", ITEM | {"metadata": {"t": text}})), Kind.ITEMS)
    assert records[0].metadata == {"t": text}
    assert problems == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(SourceError, match="Is a directory"):
        everything(reader(tmp_path / "a.jsonl"), Kind.ITEMS)


def test_an_index_written_as_text_is_a_number(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", TYPED[5] | {"annotations": [{"label": "a", "index": "7"}]})
    assert everything(reader(path), Kind.ANNOTATIONS)[1][0].annotations[0].index == 7


def test_a_line_that_changes_between_scan_and_read_stops_the_source(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", ITEM)
    source = reader(path)
    seen = list(source.scan(Kind.ITEMS, lambda _: None))
    lines(path, ITEM | {"reference_id": "z.jpg"})
    with pytest.raises(SourceError, match="changed while it was read"):
        list(source.read(Kind.ITEMS, map(Pick._make, seen), lambda _: None))


# --- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_compressed_files_say_the_same(tmp_path: Path, compress: Any) -> None:
    plain = lines(tmp_path / "a.jsonl", BOX, "broken", *(BOX | {"annotation_id": f"{n}"} for n in range(5000)))
    packed = tmp_path / "a.jsonl.packed"
    content = plain.read_bytes()
    packed.write_bytes(compress(content[:900]) + compress(content[900:]))
    assert everything(reader(packed), Kind.ANNOTATIONS)[:2] == everything(reader(plain), Kind.ANNOTATIONS)[:2]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_a_cut_off_archive_is_an_error(tmp_path: Path, compress: Any) -> None:
    packed = tmp_path / "a.jsonl.packed"
    packed.write_bytes(compress(json.dumps(ITEM).encode() * 1000)[:60])
    with pytest.raises(SourceError, match="damaged or cut off"):
        everything(reader(packed), Kind.ITEMS)


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    for use in (RecordsReader.state, lambda source: everything(source, Kind.ITEMS)):
        with pytest.raises(SourceError, match="no such file"):
            use(reader(tmp_path / "gone.jsonl"))


def test_utf_16_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(ITEM), encoding="utf-16")
    with pytest.raises(SourceError, match="UTF-16"):
        everything(reader(tmp_path / "a.jsonl"), Kind.ITEMS)


def test_a_line_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_file, "LONGEST_LINE", 1 << 20)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"x" * (2 << 20)))
    with pytest.raises(SourceError, match="line 1 is longer than 1 MiB"):
        everything(reader(tmp_path / "a.jsonl.gz"), Kind.ITEMS)


def test_a_bomb_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_file, "_FREE_BYTES", 1 << 10)
    monkeypatch.setattr(line_file, "_MOST_EXPANSION", 100)
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(b"\n" * (1 << 20)))
    with pytest.raises(SourceError, match="more than 100 times its size"):
        everything(reader(tmp_path / "a.jsonl.zst"), Kind.ITEMS)


def test_standard_input_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(tmp_path / "in", ITEM, "broken")
    with open(tmp_path / "in") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        source = RecordsReader(
            RecordsSource(format="records", path="-"), Surroundings("lines", tmp_path, tmp_path, NoFacts())
        )
        assert source.state().files == 1
        _, records, problems = everything(source, Kind.ITEMS)
        assert everything(source, Kind.ITEMS)[1] == records == [Item(**ITEM)]
    assert str(problems[0].where) == "standard input: line 2"


@settings(deadline=None)
@given(st.binary(), st.sampled_from(list(Kind)))
def test_any_bytes_are_answered(tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: Kind) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    path.write_bytes(content)
    with suppress(SourceError):
        everything(reader(path), kind)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.sampled_from([ITEM, *TYPED]), st.dictionaries(st.sampled_from([*BOX, *ITEM, "task_id"]), JSON, max_size=3))
def test_any_values_are_answered(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any], change: dict[str, Any]
) -> None:
    path = lines(tmp_path_factory.getbasetemp() / "values.jsonl", record | change)
    answers = [everything(reader(path), kind) for kind in (Kind.ITEMS, Kind.ANNOTATIONS)]
    assert any(records or problems for _, records, problems in answers)


# --- by several processes ---------------------------------------------------------------------------------------


def by_stretches(of: RecordsReader, kind: Kind) -> tuple[list[Seen], list[Seen], list[Any], list[str], list[str]]:
    """What a scan by parts sees; what a scan and reading at once sees, and its records; what each has to say."""
    scanned: list[Problem] = []
    said: list[Problem] = []
    parts = [each.part for each in of.stretches(kind)]
    seen = [Seen(*each) for part in parts for each in of.scan_stretch(kind, part, scanned.append)]
    both = [
        each
        for part in parts
        for each in of.scan_and_read(kind, part, said.append, lambda _, problem: said.append(problem))
    ]
    records = [each[3] for each in both if each[3] is not None]
    return seen, [Seen(*each[:3]) for each in both], records, sorted(map(repr, scanned)), sorted(map(repr, said))


NUMBERED = [
    each for each in (ITEM, *TYPED) if each.get("type") in (None, "mask", "category") or "annotation_id" in each
]
texts = st.one_of(
    st.sampled_from([json.dumps(each) for each in NUMBERED]),
    st.sampled_from(
        ["", "   ", "broken", '{"reference_id": 5, "image_url": "s3://b/c"}', json.dumps(BOX | {"label": ""})]
    ),
    st.sampled_from([json.dumps(ITEM | {"extra": 1}), json.dumps(ITEM | {"metadata": {"n": 2**60}})]),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(texts, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(2, 200), st.data())
def test_stretches_together_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, ends: bool, size: int, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from([Kind.ITEMS, Kind.ANNOTATIONS]))
    path = tmp_path_factory.getbasetemp() / "stretches.jsonl"
    path.write_bytes(("\ufeff" * ends + end.join(lines) + end * ends).encode())
    seen, records, problems = everything(reader(path), kind)
    scanned: list[Problem] = []
    list(reader(path).scan(kind, scanned.append))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_file, "_FEW", 0)
        patch.setattr(line_file, "_BUFFER", size)
        found = by_stretches(reader(path), kind)
    assert found == (seen, seen, records, sorted(map(repr, scanned)), sorted(map(repr, problems)))


# --- the shared cases -------------------------------------------------------------------------------------------


def messy(name: str) -> Path:
    if not MESSY.exists():
        pytest.skip(f"no {MESSY}")
    return MESSY / name


@pytest.mark.parametrize("name", ["items.jsonl", "items_same.jsonl.gz"])
def test_messy_items(name: str) -> None:
    seen, records, problems = everything(reader(messy("95-wire-items") / name), Kind.ITEMS)
    assert [record.reference_id for record in records] == [
        "dev/1.jpg",
        "dev/2.jpg",
        "dev/3.jpg",
        "dev/1.jpg",
        "dev/4.jpg",
        "dev/4.jpg",
        "dev/8.jpg",
    ]
    assert seen[0][:2] == seen[3][:2]  # line 5 repeats line 1 to the letter
    assert seen[4].raw != seen[5].raw
    assert said(problems) == [
        ("invalid", "line 8", "reference_id is missing"),
        ("invalid", "line 9", "reference_id is a number, not text"),
        ("invalid", "line 10", "reference_id is empty"),
        ("invalid", "line 11", "not JSON: cut off"),
    ]


def test_messy_annotations() -> None:
    _, records, problems = everything(reader(messy("96-wire-annotations/annotations.jsonl")), Kind.ANNOTATIONS)
    # b6 lacks its item and b11 its label in the taxonomy: both are found where those are known
    ids = [getattr(record, "annotation_id", "category") for record in records]
    assert ids == ["b1", "#0", "b6", "b8", "category", "b12", "b14"]
    assert [each for each in said(problems) if each[0] == Severity.INVALID] == [
        ("invalid", "line 2", "height is missing in geometry"),
        ("invalid", "line 3", "type bbox is unknown (box?)"),
        ("invalid", "line 4", "polygon of 2 points"),
        ("invalid", "line 7", "visible keypoint 0 without coordinates; skeleton index 1 out of range"),
        ("invalid", "line 9", "mask index 256 does not fit 8 bits"),
        ("invalid", "line 10", "cuboid dimension x is 0"),
        ("invalid", "line 13", "label is empty"),
    ]
    assert ("finding", "line 5", "no annotation_id: #0 derived, the same on every run") in said(problems)
    assert ("finding", "line 12", "confidence on a ground-truth record, and above 1: left out") in said(problems)


def test_messy_metadata_sidecar_has_no_reference_ids() -> None:
    _, records, problems = everything(reader(messy("90-metadata/items.jsonl")), Kind.ITEMS)
    assert records == []
    assert {problem.record: problem.detail for problem in problems} == {
        "line 1": "reference_id is missing",
        "line 2": "temp is NaN",
        "line 3": "reference_id is missing",
        "line 4": "not JSON: Expecting value at column 1",
        "line 5": "two objects on one line: the second begins at column 24",
        "line 7": "reference_id is missing",
    }


def test_messy_metadata_in_wire_form_are_sent_and_said(tmp_path: Path) -> None:
    metadata = [
        {"n": 9007199254740993},
        {"key.with.dot": 1, "": 2, "emoji 🙂": "x"},
        {"blob": "x" * 70_000},
    ]
    path = lines(tmp_path / "a.jsonl", *(ITEM | {"metadata": each} for each in metadata))
    _, records, problems = everything(reader(path), Kind.ITEMS)
    assert [record.metadata for record in records] == metadata
    assert said(problems) == [
        ("finding", "line 1", "metadata key n: 9007199254740993 is above 2^53: kept exact"),
        ("finding", "line 2", "metadata holds an empty key"),
        ("finding", "line 3", "metadata key blob: 70,000 characters"),
    ]
