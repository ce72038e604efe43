"""Every folder of broken input: validate, plan and apply say the same, send what is sound, and never stumble."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import DATA
from .messy import SPECIAL, coco
from .project import Project

NOT_YET = {"30-yolo-lines", "40-voc"}
FILE_ERRORS = {"01-broken-json", "02-truncated-json", "04-utf16", "26-wrong-top-level"}
UNCOUNTED = {"50-media": 15, "60-odd-files": 6, "95-wire-items": 2, "95-wire-items.gz": 2, "96-wire-annotations": 1}
# Where EXPECTED.json leaves a choice, this is ours.
CHOSEN = {
    "10-string-ids": {"annotations": 4},
    "12-out-of-bounds": {"annotations": 5},
    "16-unicode-names": {"items": 3, "annotations": 6},
    "17-case-mismatch": {"items": 2, "annotations": 4},
    "19-flat-segmentation": {"annotations": 6},
    "22-rle": {"annotations": 4},
    "23-size-mismatch": {"annotations": 6},
    "24-exif-rotated": {"annotations": 6},
    "25-bad-shapes": {"annotations": 2},
    "06-duplicate-image-id": {"annotations": 2},
    "70-predictions": {"annotations": 6, "predictions": 3},
    "96-wire-annotations": {"annotations": 5},
}
# EXPECTED.json gives reasons in its own words; these are ours for the same ones.
IN_OUR_WORDS = {
    "two different records with one key: name both places": "2 different records share it: in/annotations.json: "
    "annotations[2]; in/annotations.json: annotations[3]",
    "their image is missing": "its image is missing: file not found: no c.jpg",
    "metadata key speed is text here, number on line 1": "metadata key speed is text here, a number on line 1",
    "one reference_id, two different records": "2 different records share it: in/items",
    "no reference_id": "line 8: reference_id is missing",
    "label fog is not in taxonomy weather (where that taxonomy is declared as sunny, rain)": "label fog is not in "
    "taxonomy weather",
    "visible keypoint without coordinates; skeleton index 1 out of range": "visible keypoint 0 without coordinates; "
    "skeleton index 1 out of range",
    "ends 0.4 px right of the image (rounding)": "ends 0.4 px right of the image: kept",
    "5000x5000 pixels: must not be decoded whole just to read its size": "5000x5000 pixels in 3,112 bytes",
    "same bytes as ok.jpg: report, do not drop": "same bytes as ok.jpg: both are sent",
    "16 bit": "16 bit per channel",
    "link leaves the folder: never follow by default": "link leaves the folder: -> ../../../../etc/hostname",
    "name is not UTF-8: rejected by name (shown escaped), the scan goes on": r"latin1_caf\xe9.jpg is not UTF-8",
    "policy: follow or skip, said; the same bytes must not become two items unsaid": "symbolic link skipped",
    "identical records: one is kept or both are, said": "identical records: one is kept",
    "no annotation_id: derived, the same on every run": "no annotation_id: 0 derived, the same on every run",
    "confidence on a ground-truth record, and above 1": "confidence on a ground-truth record, and above 1: left out",
    "link cycle: the scan must end": "link cycle: -> . is a folder around it",
    "absolute Windows path: matched by base name, said in the plan": "absolute Windows path: matched by base name: ",
    "cuboid dimension 0": "cuboid dimension x is 0",
    "empty label": "label is empty",
    "image_id 99": "image_id 99 is not in images",
    "category_id 9": "category_id 9 is not in categories",
}
# Held by how the case is declared, not by words.
UNSAID = {
    "same base name in two folders: reference ids must differ",
    "say whether the platform takes them",
    "9007199254740993 is above 2^53: kept exact",
    "empty key",
    "70 kB of metadata",
}


def _cases() -> list[str]:
    file = DATA / "messy" / "EXPECTED.json"
    if not file.exists():
        return []
    return sorted({*json.loads(file.read_text("utf-8")), "95-wire-items.gz"} - NOT_YET)


def _expected(case: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "messy" / "EXPECTED.json").read_text("utf-8"))[case.removesuffix(".gz")]
    return found


@pytest.fixture(params=_cases() or [pytest.param("", marks=pytest.mark.skip("no folder of broken input"))])
def case(request: pytest.FixtureRequest) -> str:
    """The name of one folder."""
    name: str = request.param
    return name


@pytest.fixture
def broken(case: str, project: Project, data: Callable[[str], Path]) -> Callable[[str], Project]:
    """Declares the case with `on_invalid` as said."""

    def declare(on_invalid: str) -> Project:
        SPECIAL.get(case, coco())(project, data("messy") / case.removesuffix(".gz"), on_invalid)
        return project

    return declare


def test_skipping_sends_what_is_sound_and_says_what_is_not(case: str, broken: Callable[[str], Project]) -> None:
    project = broken("skip")
    code = 6 if case in FILE_ERRORS else 0
    said = _same_everywhere(project, code)
    _assert_said(case, said + project.ok("errors").out)
    _assert_held(case, project)
    if code == 0:
        project.assert_settled()
        assert _complaints(project.ok("plan").out) == _complaints(said)


def test_an_error_stops_everything_and_says_the_same(case: str, broken: Callable[[str], Project]) -> None:
    project = broken("error")
    expected = _expected(case)
    sound = case not in FILE_ERRORS and not _rejects(case, expected)
    said = _same_everywhere(project, 0 if sound else 6)
    _assert_said(case, said + project.ok("errors").out)
    if not sound:
        assert project.sent() == []


def _rejects(case: str, expected: dict[str, Any]) -> bool:
    return bool(expected.get("rejected")) or case in ("10-string-ids", "12-out-of-bounds", "17-case-mismatch")


def _same_everywhere(project: Project, code: int) -> str:
    """Runs all three commands; what the plan says."""
    checked, planned = project("validate", "--sources", "--json"), project("plan", "--json")
    assert (checked.code, planned.code) == (code, code), checked.text + planned.text
    for name in ("sources", "failures"):
        assert checked.json()[name] == planned.json()[name]
    for name in ("invalid", "findings", "duplicates"):
        assert checked.json()["summary"][name] == planned.json()["summary"][name]
    texts = [project(*words) for words in (("validate", "--sources"), ("plan",), ("apply", "--auto-approve"))]
    assert [answer.code for answer in texts] == [code] * 3, texts[-1].text
    complaints = [_complaints(answer.out) for answer in texts]
    assert complaints[0] == complaints[1] == complaints[2]
    return texts[1].out


def _complaints(text: str) -> list[str]:
    """The part of an answer that speaks of the sources."""
    lines = text.split("\n")
    ends = [at for at, line in enumerate(lines) if re.match(r"(dataset\.|model\.|  \w|Nothing|Plan:|/)", line)]
    return [line for line in lines[: ends[0]] if line]


def _assert_said(case: str, text: str) -> None:
    expected = _expected(case)
    wanted = list(expected.get("must_say", ()))
    reasons = [entry["why"] for entry in (*expected.get("rejected", ()), *expected.get("findings", ()))]
    wanted += [IN_OUR_WORDS.get(why, why) for why in reasons if why not in UNSAID]
    missing = [words for words in wanted if words not in text]
    assert not missing, text
    assert "Traceback" not in text


def _assert_held(case: str, project: Project) -> None:
    expected, chosen = _expected(case), CHOSEN.get(case, {})
    world = project.world()
    if case in FILE_ERRORS:
        assert world["datasets"] == []
        return
    (held,) = world["datasets"]
    items = chosen.get("items", expected.get("items_ok", UNCOUNTED.get(case)))
    assert len(held["items"]) == items
    rings = expected.get("polygon_rings")
    if rings is not None:
        assert Counter(one["type"] for one in held["annotations"]) == {"polygon": rings}
        assert len({one["annotation_id"] for one in held["annotations"]}) == rings
    else:
        assert len(held["annotations"]) == chosen.get("annotations", expected.get("annotations_ok", 0))
    assert sum(len(model["predictions"]) for model in world["models"]) == chosen.get("predictions", 0)


@pytest.mark.parametrize(
    ("case", "look"),
    [
        ("09-huge-ids", lambda held: [one["annotation_id"] for one in held["annotations"]]),
        ("95-wire-items", lambda held: [one["reference_id"] for one in held["items"]]),
        ("96-wire-annotations", lambda held: [one["annotation_id"] for one in held["annotations"]]),
        ("50-media", lambda held: [one["reference_id"] for one in held["items"]]),
    ],
)
def test_sound_records_are_named_to_the_digit(
    case: str, look: Callable[[dict[str, Any]], list[str]], project: Project, data: Callable[[str], Path]
) -> None:
    SPECIAL.get(case, coco())(project, data("messy") / case, "skip")
    assert project.apply()["exit_code"] == 0
    expected = _expected(case)
    wanted = expected.get("exact_ids") or expected.get("records_ok") or expected["clean"]
    held = look(project.dataset())
    assert set(wanted) <= set(held)
    assert not set(held) & set(expected.get("ignored", ()))


def test_a_label_of_two_categories_and_no_drive_letters(project: Project, data: Callable[[str], Path]) -> None:
    coco()(project, data("messy") / "08-duplicate-category-name", "error")
    assert project.apply()["exit_code"] == 0
    assert {one["annotation_id"]: one["label"] for one in project.dataset()["annotations"]}["6"] == "cat"


def test_windows_paths_become_plain_reference_ids(project: Project, data: Callable[[str], Path]) -> None:
    coco()(project, data("messy") / "15-windows-paths", "error")
    assert project.apply()["exit_code"] == 0
    assert [one["reference_id"] for one in project.dataset()["items"]] == ["a.jpg", "b.jpg", "c.jpg"]


def test_derived_ids_do_not_depend_on_the_order(project: Project, data: Callable[[str], Path]) -> None:
    coco()(project, data("messy") / "21-only-the-required", "error")
    assert project.apply()["exit_code"] == 0
    file = project.folder / "in" / "annotations.json"
    value = json.loads(file.read_text("utf-8"))
    value["annotations"].reverse()
    file.write_text(json.dumps(value), "utf-8")
    project.assert_settled()


def test_boxes_of_bad_polygons_are_sound(project: Project, data: Callable[[str], Path]) -> None:
    coco("box")(project, data("messy") / "20-bad-polygons", "error")
    assert project.apply()["exit_code"] == 0
    assert len(project.dataset()["annotations"]) == 6


def test_a_broken_file_leaves_other_sources_planned(project: Project, data: Callable[[str], Path]) -> None:
    coco()(project, data("messy") / "01-broken-json", "error")
    sections = project.declared()
    sections["sources"]["photos"] = {"format": "images", "path": "in/images"}
    sections["datasets"]["other"] = {"name": "Other", "items": ["photos"]}
    project.declare(**sections)
    plan = project.plan()
    assert plan["exit_code"] == 6
    assert [step["records"]["create"] for step in plan["steps"] if step["id"] == "dataset.other.items:ingest"] == [3]
