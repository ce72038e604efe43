"""Every messy COCO export gives what its EXPECTED.json says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.key import annotation_id
from nucleus_sync.records.record import Kind

from .coco_cases.reading import SHARED, Reading, coco, read, results

MESSY = SHARED / "messy"
pytestmark = pytest.mark.skipif(not MESSY.is_dir(), reason=f"no {MESSY}")

EXPECTED: dict[str, Any] = json.loads((MESSY / "EXPECTED.json").read_text()) if MESSY.is_dir() else {}
CASES = [name for name in EXPECTED if name[:2].isdigit() and int(name[:2]) <= 26]
SOUND_FILES = [name for name in CASES if not EXPECTED[name].get("file_error") and not name.startswith("04")]

REASONS = {
    "06-duplicate-image-id": ["share it: a.jpg, b.jpg", "ambiguous", "ambiguous", "no such image", "no such image"],
    "10-string-ids": ['an image "1" (text) exists'] * 2,
    "13-missing-image": ["file not found", "image is missing", "image is missing"],
    "17-case-mismatch": ["there is a.jpg", "image is missing", "image is missing"],
    "20-bad-polygons": ["2 points", "7 numbers, odd", "3 points on one line: no area"],
    "22-rle": ["RLE size 48x64 is not the image size 60x80", "RLE counts add up to 35, not height x width"],
    "07-duplicate-annotation-id": [],  # found where all sources meet: see the test of its keys
    "12-out-of-bounds": ["wholly outside"],
}
"""Where the file's words cover several records, or where one of two right answers was chosen."""


def both(name: str) -> tuple[Reading, Reading]:
    reader = coco(MESSY / name, images="images", on_invalid="skip")
    return read(reader, Kind.ITEMS), read(reader, Kind.ANNOTATIONS)


@pytest.mark.parametrize("name", SOUND_FILES)
def test_sound_records_are_counted(name: str) -> None:
    items, annotations = both(name)
    expected = EXPECTED[name]
    if "items_ok" in expected:
        assert len(items.records) == expected["items_ok"] - (1 if name.startswith("17") else 0)
    if "annotations_ok" in expected and not name.startswith("07"):
        assert len(annotations.records) == expected["annotations_ok"]
    if "annotations_ok_min" in expected:
        assert len(annotations.records) >= expected["annotations_ok_min"]
    if "polygon_rings" in expected:
        assert len(annotations.polygons) == expected["polygon_rings"]


@pytest.mark.parametrize("name", SOUND_FILES)
def test_rejections_name_record_and_reason(name: str) -> None:
    items, annotations = both(name)
    problems = items.invalid + annotations.invalid
    expected = EXPECTED[name].get("rejected", [])
    reasons = REASONS.get(name, [each["why"] for each in expected])
    assert len(problems) == len(reasons), items.text() + annotations.text()
    said = [f"{problem.record}: {problem.detail}" for problem in problems]
    for reason in reasons:
        assert any(reason in each for each in said), (reason, said)
    for each in expected if name not in REASONS else []:
        assert any(line.startswith(each["record"]) for line in said), (each, said)


@pytest.mark.parametrize("name", SOUND_FILES)
def test_findings_and_what_must_be_said_are_said(name: str) -> None:
    items, annotations = both(name)
    text = items.text() + annotations.text()
    for finding in EXPECTED[name].get("findings", []):
        for words in finding["why"].split(": "):
            assert words.partition(" (")[0].removesuffix(", said in the plan") in text, (words, text)
    for words in EXPECTED[name].get("must_say", []):
        assert words in text


@pytest.mark.parametrize(
    ("name", "file"),
    [(name, each.name) for name in CASES if EXPECTED[name].get("file_error") for each in (MESSY / name).glob("*.json")],
)
def test_a_broken_file_is_one_error_with_its_place(name: str, file: str) -> None:
    for kind in (Kind.ITEMS, Kind.ANNOTATIONS):
        with pytest.raises(SourceError) as caught:
            read(coco(MESSY / name, file, images="images"), kind)
        wanted = [words for words in EXPECTED[name]["must_say"] if not words.endswith(".json") or words == file]
        assert all(words in str(caught.value) for words in wanted), caught.value
        assert caught.value.fix


def test_a_list_is_said_to_lack_images() -> None:
    with pytest.raises(SourceError, match=r'section "images".*is missing\s+it may be a results file'):
        read(coco(MESSY / "26-wrong-top-level", "list.json", images="images"), Kind.ANNOTATIONS)


def test_another_encoding_is_named() -> None:
    with pytest.raises(SourceError, match="UTF-16"):
        read(coco(MESSY / "04-utf16", images="images"), Kind.ITEMS)


def test_huge_ids_are_exact() -> None:
    annotations = both("09-huge-ids")[1]
    assert [each.annotation_id for each in annotations.records] == EXPECTED["09-huge-ids"]["exact_ids"]


def test_one_id_twice_is_one_key_twice() -> None:
    annotations = both("07-duplicate-annotation-id")[1]
    keys = [each.key for each in annotations.seen]
    assert keys[2] == keys[3]
    assert annotation_id(keys[2]) == "3"
    assert annotations.seen[2].raw != annotations.seen[3].raw


def test_a_name_of_two_categories_labels_the_records_of_both() -> None:
    annotations = both("08-duplicate-category-name")[1]
    assert annotations.by_id("6").label == "cat"


def test_matched_names_hold_neither_drives_nor_backslashes() -> None:
    items, annotations = both("15-windows-paths")
    assert [item.reference_id for item in items.records] == ["a.jpg", "b.jpg", "c.jpg"]
    assert {each.reference_id for each in annotations.records} == {"a.jpg", "b.jpg", "c.jpg"}


def test_names_that_match_but_for_their_form_are_said() -> None:
    items = both("16-unicode-names")[0]
    assert len(items.records) == 3
    assert {problem.record.split()[1] for problem in items.findings} == {"1", "3"}


def test_derived_ids_do_not_depend_on_the_order_in_the_file(tmp_path: Any) -> None:
    folder = MESSY / "21-only-the-required"
    document = json.loads((folder / "annotations.json").read_text())
    document["annotations"].reverse()
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    straight = read(coco(folder, image_url="s3://b/{file_name}"), Kind.ANNOTATIONS)
    reversed_ = read(coco(tmp_path, image_url="s3://b/{file_name}"), Kind.ANNOTATIONS)
    assert sorted(map(repr, straight.records)) == sorted(map(repr, reversed_.records))


def test_boxes_of_bad_polygons_are_sound() -> None:
    reader = coco(MESSY / "20-bad-polygons", images="images", geometry="box")
    annotations = read(reader, Kind.ANNOTATIONS)
    assert len(annotations.boxes) == 6
    assert not annotations.problems


@pytest.mark.parametrize(("policy", "boxes", "invalid"), [("keep", 2, 1), ("clip", 2, 1), ("reject", 0, 3)])
def test_bounds_are_a_policy(policy: str, boxes: int, invalid: int) -> None:
    reader = coco(MESSY / "12-out-of-bounds", images="images", out_of_bounds=policy)
    annotations = read(reader, Kind.ANNOTATIONS)
    assert (len(annotations.boxes), len(annotations.invalid)) == (boxes, invalid)
    if policy == "clip":
        geometry = annotations.by_id("1").geometry
        assert (geometry.x, geometry.width) == (0, 15)
        assert "clipped" in annotations.text()


def test_strict_rejects_another_size() -> None:
    items = read(coco(MESSY / "23-size-mismatch", images="images", strict=True), Kind.ITEMS)
    assert len(items.records) == 2
    assert "JSON says 800x600, the file is 80x60" in items.invalid[0].detail


def test_predictions() -> None:
    expected = EXPECTED["70-predictions"]
    found = read(results(MESSY / "70-predictions", "results.json", "annotations.json"), Kind.PREDICTIONS)
    said = [f"{problem.record}: {problem.detail}" for problem in found.invalid]
    assert len(said) == len(expected["rejected"])
    for each in expected["rejected"]:
        assert any(line.startswith(each["record"]) and each["why"] in line for line in said), (each, said)
    assert len(found.records) == 4
    assert [problem.record for problem in found.findings] == ["result 11 (index 10)"]
    assert "score is text" in found.findings[0].detail
    assert found.seen[0].key == found.seen[1].key, "identical results have one key, which is said where sources meet"
