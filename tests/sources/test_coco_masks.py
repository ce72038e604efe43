"""Masks painted from COCO: one an item, an index for each object, a byte for each pixel."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import content_hash
from nucleus_sync.records.key import mask_key
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.records.record import Kind, key_of
from nucleus_sync.sources.coco_label import Rle
from nucleus_sync.sources.paint import Layer, painted, write_png
from nucleus_sync.sources.reader import Reader

from .coco_cases.reading import SHARED, Reading, coco, read, results
from .label_cases.opening import folder
from .label_cases.pictures import picture

pytest.importorskip("pycocotools")

SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]


def shared(name: str) -> Path:
    root = SHARED / name
    if not root.exists():
        pytest.skip(f"no {root}")
    return root


def read_masks(reader: Reader, kind: Kind = Kind.ANNOTATIONS) -> Reading:
    """Masks have no id to be numbered by, so that the harness for labels fits as it is."""
    return read(reader, kind)


def export(root: Path, *annotations: dict[str, Any], **more: Any) -> Path:
    images = [{"id": 1, "file_name": "a.png", "width": 10, "height": 8}]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    labels = [{"id": number, "image_id": 1, "category_id": 1, **each} for number, each in enumerate(annotations, 1)]
    root.mkdir(exist_ok=True)
    value = {"images": images, "categories": categories, "annotations": labels, **more}
    (root / "annotations.json").write_text(json.dumps(value))
    return root


def counts(mask: PaintedMask) -> dict[int, int]:
    return dict(Counter(mask.pixels))


def test_polygons_and_both_forms_of_rle_are_painted_alike(tmp_path: Path) -> None:
    compressed = {"size": [8, 10], "counts": "1464`0"}
    pixels, areas, seen = painted(10, 8, [Layer([[2, 2, 6, 2, 6, 6, 2, 6]], 0)])
    runs = [18, 4, 4, 4, 4, 4, 4, 4, 34]
    other, _, _ = painted(10, 8, [Layer(Rle([8, 10], runs), 0)])
    assert (areas, seen) == ([16], [16])
    assert other == pixels
    assert [pixels[10 * y : 10 * y + 10] for y in (1, 2, 5, 6)] == [
        bytes(10),
        b"\0\0\1\1\1\1\0\0\0\0",
        b"\0\0\1\1\1\1\0\0\0\0",
        bytes(10),
    ]
    assert compressed


def test_the_masks_of_the_messy_case_have_their_areas(tmp_path: Path) -> None:
    root = shared("messy/22-rle")
    first, second = json.loads((root / "annotations.json").read_text())["annotations"][:2]
    for each in (first, second):
        shape = Rle(**each["segmentation"])
        pixels, areas, _ = painted(64, 48, [Layer(shape, 0)])
        assert areas == [200]
        painted_at = {(place % 64, place // 64) for place, value in enumerate(pixels) if value}
        assert painted_at == {(x, y) for x in range(10, 30) for y in range(5, 15)}


def test_the_messy_case_as_masks(tmp_path: Path) -> None:
    found = read_masks(coco(shared("messy/22-rle"), images="images", geometry="mask"))
    assert [(each.reference_id, len(each.mask.annotations)) for each in found.records] == [("a.jpg", 2), ("c.jpg", 2)]
    said = found.text()
    assert "annotation 3: RLE size 48x64 is not the image size 60x80" in said
    assert "annotation 4: RLE counts add up to 35, not height x width" in said
    assert "annotation 1: hidden under others: no pixel of it is left" in said


def test_one_mask_an_item_with_an_index_for_each_object(tmp_path: Path) -> None:
    root = export(
        tmp_path / "in",
        {"segmentation": [SQUARE]},
        {"segmentation": [[0, 0, 2, 0, 2, 2, 0, 2], [8, 0, 10, 0, 10, 2, 8, 2]], "category_id": 2},
        {"segmentation": [SQUARE], "iscrowd": 1},
    )
    (mask,) = read_masks(coco(root, geometry="mask")).records
    assert [(each.label, each.index) for each in mask.mask.annotations] == [("cat", 1), ("dog", 2), ("cat", 3)]
    assert mask.mask.annotations[2].metadata == {"iscrowd": 1}
    assert counts(mask) == {0: 56, 1: 16, 2: 8}
    assert key_of(mask) == mask_key("a.png")
    assert mask.mask.mask_url.endswith(".png")


def test_the_smaller_of_two_lies_on_top_whatever_their_order(tmp_path: Path) -> None:
    small, large = {"segmentation": [[3, 3, 5, 3, 5, 5, 3, 5]]}, {"segmentation": [SQUARE]}
    for objects, smaller in (([small, large], 1), ([large, small], 2)):
        (mask,) = read_masks(coco(export(tmp_path / "in", *objects), geometry="mask")).records
        assert counts(mask)[smaller] == 4


def test_of_predictions_the_surer_lies_on_top(tmp_path: Path) -> None:
    root = export(tmp_path / "in")
    shape = {"size": [8, 10], "counts": [18, 4, 4, 4, 4, 4, 4, 4, 34]}
    detections = [
        {"image_id": 1, "category_id": 1, "segmentation": shape, "score": 0.9},
        {"image_id": 1, "category_id": 2, "segmentation": shape, "score": 0.3},
    ]
    (root / "results.json").write_text(json.dumps(detections))
    found = read_masks(results(root, "results.json", "annotations.json", geometry="mask"), Kind.PREDICTIONS)
    (mask,) = found.records
    assert counts(mask) == {0: 64, 1: 16}
    assert "scores are left out: masks have none at Nucleus" in found.text()


def test_the_fingerprint_is_of_the_pixels_and_the_labels(tmp_path: Path) -> None:
    def printed(*objects: dict[str, Any]) -> bytes:
        (mask,) = read_masks(coco(export(tmp_path / "in", *objects), geometry="mask")).records
        return content_hash(mask)

    one = printed({"segmentation": [SQUARE]})
    assert printed({"segmentation": [[float(number) for number in SQUARE]], "score": 1}) == one
    assert printed({"segmentation": [[3, *SQUARE[1:]]]}) != one
    assert printed({"segmentation": [SQUARE], "category_id": 2}) != one


def test_more_objects_than_a_byte_has_values(tmp_path: Path) -> None:
    full = export(tmp_path / "in", *[{"segmentation": [SQUARE]}] * 255)
    assert len(read_masks(coco(full, geometry="mask")).records) == 1
    found = read_masks(coco(export(tmp_path / "in", *[{"segmentation": [SQUARE]}] * 256), geometry="mask"))
    assert not found.records
    assert [each.cause for each in found.invalid] == ["more than 255 objects on an item"]
    assert "256 objects on one item: a mask has one byte a pixel, so 255 at most" in found.text()


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"bbox": [1, 1, 2, 2]}, "no segmentation, only a box"),
        ({"segmentation": [[1, 1, 2, 2]]}, "polygon of 2 points"),
        ({"segmentation": [[1, 1, 2, 2, 3]]}, "odd"),
        ({"segmentation": {"size": [8, 10], "counts": "ÿ"}}, "RLE counts hold the character"),
        ({"segmentation": [[1, 1, 1, 1, 1, 1]]}, "smaller than a pixel: none is painted"),
    ],
)
def test_what_cannot_be_painted_is_left_out_and_said(tmp_path: Path, label: dict[str, Any], said: str) -> None:
    found = read_masks(coco(export(tmp_path / "in", {"segmentation": [SQUARE]}, label), geometry="mask"))
    assert len(found.records) == 1
    assert said in found.text()


def test_an_image_without_a_size_takes_that_of_its_run_lengths(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.png"}]
    rle = {"segmentation": {"size": [8, 10], "counts": [18, 4, 58]}}
    (mask,) = read_masks(coco(export(tmp_path / "in", rle, images=images), geometry="mask")).records
    assert (mask.width, mask.height) == (10, 8)
    found = read_masks(coco(export(tmp_path / "in", {"segmentation": [SQUARE]}, images=images), geometry="mask"))
    assert [each.cause for each in found.invalid] == ["image size unknown"]


def test_a_png_holds_the_indices(tmp_path: Path) -> None:
    from PIL import Image

    (mask,) = read_masks(coco(export(tmp_path / "in", {"segmentation": [SQUARE]}), geometry="mask")).records
    size = write_png(mask, tmp_path / "mask.png")
    assert size == (tmp_path / "mask.png").stat().st_size
    with Image.open(tmp_path / "mask.png") as png:
        assert (png.mode, png.size, png.tobytes()) == ("L", (10, 8), mask.pixels)


def test_without_the_library_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(SourceError, match=r"nucleus-sync\[masks\]"):
        read_masks(coco(export(tmp_path / "in", {"segmentation": [SQUARE]}), geometry="mask"))


def test_coco8_as_masks(tmp_path: Path) -> None:
    found = read_masks(coco(shared("coco8"), "instances.json", images="images", geometry="mask"))
    assert (len(found.records), sum(len(each.mask.annotations) for each in found.records)) == (8, 139)
    assert not found.invalid


# --- panoptic -------------------------------------------------------------------------------------------------


def panoptic(root: Path, scratch: Path, **options: Any) -> Reader:
    return folder("coco-panoptic", root, scratch, **{"path": "panoptic.json", **options})


def test_panoptic_segments(tmp_path: Path) -> None:
    reader = panoptic(shared("coco8"), tmp_path, masks="panoptic_masks", images="images")
    found = read_masks(reader)
    masks = found.records
    assert (len(masks), sum(len(each.mask.annotations) for each in masks)) == (8, 163)
    assert not found.problems
    infos = json.loads((shared("coco8") / "panoptic.json").read_text())
    names = {each["id"]: each["name"] for each in infos["categories"]}
    files = {each["id"]: each["file_name"] for each in infos["images"]}
    areas = {
        (files[each["image_id"]], number): (names[segment["category_id"]], segment["area"])
        for each in infos["annotations"]
        for number, segment in enumerate(each["segments_info"], start=1)
    }
    painted_areas = {
        (each.reference_id, segment.index): (segment.label, counts(each).get(segment.index, 0))
        for each in masks
        for segment in each.mask.annotations
    }
    assert painted_areas == areas
    assert len(read(reader, Kind.ITEMS).records) == 8


def write_panoptic(root: Path, pixels: list[int], segments: list[dict[str, Any]], **image: Any) -> Path:
    from PIL import Image

    root.mkdir(exist_ok=True)
    (root / "panoptic").mkdir(exist_ok=True)
    colours = b"".join(bytes((value % 256, value // 256 % 256, value // 65536)) for value in pixels)
    Image.frombytes("RGB", (2, len(pixels) // 2), colours).save(root / "panoptic" / "a.png")
    value = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 2, "height": 2, **image}],
        "categories": [{"id": 1, "name": "sky"}, {"id": 2, "name": "sea"}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
    }
    (root / "panoptic.json").write_text(json.dumps(value))
    return root


def test_ids_of_three_bytes_become_one(tmp_path: Path) -> None:
    segments = [{"id": 70000, "category_id": 2}, {"id": 300, "category_id": 1, "iscrowd": 1}]
    (mask,) = read_masks(panoptic(write_panoptic(tmp_path / "in", [70000, 300, 0, 70000], segments), tmp_path)).records
    assert mask.pixels == bytes((1, 2, 0, 1))
    assert [(each.label, each.index) for each in mask.mask.annotations] == [("sea", 1), ("sky", 2)]


@pytest.mark.parametrize(
    ("pixels", "segments", "image", "said"),
    [
        (
            [9, 9, 9, 7],
            [{"id": 9, "category_id": 1}],
            {},
            "pixels of 1 segments that the file doesn't list, 7 among them",
        ),
        (
            [9] * 4,
            [{"id": 9, "category_id": 1}, {"id": 8, "category_id": 1}],
            {},
            "1 segments have no pixel in the PNG",
        ),
        ([9] * 4, [{"id": 9, "category_id": 5}], {}, "category_id 5 is not in categories"),
        ([9] * 4, [{"id": 9, "category_id": 1}], {"width": 3}, "the mask is 2x2, its image 3x2"),
        ([9] * 4, [{"id": 9, "category_id": 1}] * 2, {}, "two segments share the id 9"),
        ([9] * 4, [{"id": n, "category_id": 1} for n in range(1, 257)], {}, "256 segments on one item"),
        ([9] * 4, [{"id": "9", "category_id": 1}], {}, "is no panoptic annotation"),
    ],
)
def test_what_is_wrong_with_a_panoptic_mask(
    tmp_path: Path, pixels: list[int], segments: list[dict[str, Any]], image: dict[str, Any], said: str
) -> None:
    found = read_masks(panoptic(write_panoptic(tmp_path / "in", pixels, segments, **image), tmp_path))
    assert said in found.text()


def test_a_missing_png_is_named(tmp_path: Path) -> None:
    root = write_panoptic(tmp_path / "in", [9] * 4, [{"id": 9, "category_id": 1}])
    picture(root / "panoptic" / "A.png", 2, 2)
    (root / "panoptic" / "a.png").unlink()
    found = read_masks(panoptic(root, tmp_path))
    assert [each.detail for each in found.invalid] == ["mask not found: no a.png; there is A.png"]


def test_a_changed_png_changes_the_record(tmp_path: Path) -> None:
    segments = [{"id": 9, "category_id": 1}]
    before = read_masks(panoptic(write_panoptic(tmp_path / "in", [9, 9, 9, 9], segments), tmp_path)).seen
    after = read_masks(panoptic(write_panoptic(tmp_path / "in", [9, 9, 9, 0], segments), tmp_path)).seen
    assert (before[0].key, before[0].raw != after[0].raw) == (after[0].key, True)
