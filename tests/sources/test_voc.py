"""Pascal VOC: every object a box, every image found by its name, and no entity ever expanded."""

from __future__ import annotations

import time
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.record import Kind

from .coco_cases.reading import Reading, read
from .label_cases.opening import folder
from .label_cases.pictures import picture
from .test_yolo import box, shared

OBJECT = (
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>{}</object>"
)


def annotation(filename: str, *objects: str) -> str:
    return f"<annotation><filename>{filename}</filename>{''.join(objects)}</annotation>"


def labels(root: Path, scratch: Path, kind: Kind = Kind.ANNOTATIONS, **options: Any) -> Reading:
    return read(folder("voc", root, scratch, **options), kind)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_chess(tmp_path: Path) -> None:
    found = labels(shared("chess-voc"), tmp_path)
    counts = Counter(each.label for each in found.boxes)
    (knight,) = [each for each in found.boxes if each.reference_id == "c78.jpg"]
    assert (knight.label, box(knight)) == ("black-knight", (443, 93, 40, 66))
    (missed,) = found.invalid
    assert missed.detail == "file not found: no 0af.jpg; there is 0AF.jpg"
    assert sum(counts.values()) + missed.count == 180
    assert "1be is taken as 1be.jpg" in found.text()
    assert len(labels(shared("chess-voc"), tmp_path, Kind.ITEMS).records) == 12


def test_broken_files_are_named_and_the_others_stay(tmp_path: Path) -> None:
    found = labels(shared("messy/40-voc"), tmp_path)
    accepted = {(each.reference_id, each.label, box(each)) for each in found.boxes}
    assert accepted == {
        ("blank_label.jpg", "cat", (1, 1, 7, 8)),
        ("floats.jpg", "cat", (1.5, 2.25, 10, 10.5)),
        ("latin1_declared.jpg", "café", (1, 2, 10, 10)),
        ("stem_differs.jpg", "cat", (1, 1, 7, 8)),
        ("swapped.jpg", "dog", (1, 1, 7, 8)),
        ("zero_size.jpg", "cat", (1, 1, 7, 8)),
    }
    said = found.text()
    for words in (
        "not UTF-8 and no encoding declared",
        "entities refused",
        "external entity refused",
        "xmin > xmax",
        "label is empty",
        "read from the file, 64x48",
        "no other_name.jpg; matched by the XML stem: stem_differs.jpg",
    ):
        assert words in said
    assert "/etc/hostname" not in said


def test_a_bomb_takes_neither_memory_nor_time(tmp_path: Path) -> None:
    names = "abcdefghijklmnop"
    nested = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise(names))
    write(
        tmp_path / "x.xml", f'<!DOCTYPE q [<!ENTITY a "ha">{nested}]><annotation><filename>&p;</filename></annotation>'
    )
    picture(tmp_path / "x.png", 10, 10)
    tracemalloc.start()
    begun = time.monotonic()
    found = labels(tmp_path, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [each.cause for each in found.invalid] == ["entities refused"]
    assert peak < 8 << 20
    assert time.monotonic() - begun < 60


def test_pixels_that_count_from_one(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", annotation("a.png", OBJECT.format("cat", 1, 1, 10, 20, "")))
    picture(tmp_path / "a.png", 10, 20)
    assert box(labels(tmp_path, tmp_path).records[0]) == (1, 1, 9, 19)
    assert box(labels(tmp_path, tmp_path, one_based=True).records[0]) == (0, 0, 10, 20)


def test_the_folders_of_voc_itself(tmp_path: Path) -> None:
    found = labels(shared("formats-mini/voc_dataset/voc_dataset1"), tmp_path)
    assert [(each.label, box(each), each.metadata) for each in found.boxes] == [
        ("cat", (1, 2, 2, 2), {"truncated": 1, "difficult": 0}),
        ("person", (4, 5, 2, 2), {}),
    ]
    items = labels(shared("formats-mini/voc_dataset/voc_dataset1"), tmp_path, Kind.ITEMS)
    assert [each.reference_id for each in items.records] == ["JPEGImages/2007_000001.jpg", "JPEGImages/2007_000002.jpg"]


def test_an_image_beside_the_file_comes_before_one_elsewhere(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write(tmp_path / part / "1.xml", annotation("1.png", OBJECT.format(part, 1, 1, 5, 5, "")))
        picture(tmp_path / part / "1.png", 10, 10)
    found = labels(tmp_path, tmp_path)
    assert {each.reference_id: each.label for each in found.records} == {"train/1.png": "train", "val/1.png": "val"}
    assert not found.problems


def test_attributes_and_poses_are_metadata(tmp_path: Path) -> None:
    attribute = "<attributes><attribute><name>colour</name><value>012</value></attribute></attributes>"
    more = f"<pose>Left</pose><difficult>1</difficult>{attribute}"
    write(tmp_path / "a.xml", annotation("a.png", OBJECT.format("cat", 1, 1, 5, 5, more)))
    picture(tmp_path / "a.png", 10, 10)
    assert labels(tmp_path, tmp_path).records[0].metadata == {"difficult": 1, "pose": "Left", "colour": "012"}


def test_paths_of_other_machines_match_by_name_only(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", annotation("C:\\Users\\me\\a.png", OBJECT.format("cat", 1, 1, 5, 5, "")))
    write(tmp_path / "b.xml", annotation("../../../etc/passwd.png", OBJECT.format("cat", 1, 1, 5, 5, "")))
    for name in "ab":
        picture(tmp_path / f"{name}.png", 10, 10)
    found = labels(tmp_path, tmp_path)
    assert [each.reference_id for each in found.records] == ["a.png", "b.png"]


def test_other_xml_is_ignored_and_said(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", annotation("a.png", OBJECT.format("cat", 1, 1, 5, 5, "")))
    write(tmp_path / "cvat.xml", "<annotations/>")
    picture(tmp_path / "a.png", 10, 10)
    found = labels(tmp_path, tmp_path)
    assert (len(found.records), [each.cause for each in found.problems]) == (1, ["XML, but no VOC annotation: ignored"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no XML: empty file"),
        ("<annotation>", "is no XML: no element found"),
        (annotation("a.png", OBJECT.format("cat", 1, 1, "ten", 5, "")), "xmax is 'ten', no number"),
        (annotation("a.png", "<object><name>cat</name></object>"), "no <bndbox>"),
        (annotation("a.png", OBJECT.format("cat", 1, 1, 1, 5, "")), "width 0"),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">' + annotation("z.png"), "file not found: no z.png"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path / "b.xml", text)
    picture(tmp_path / "a.png", 10, 10)
    found = labels(tmp_path, tmp_path)
    assert not found.records
    assert said in found.text()


def test_a_folder_without_xml_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no XML files"):
        labels(tmp_path, tmp_path)
