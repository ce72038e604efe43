"""COCO files that were made up: what is sent of each label, what is said, and what never happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.errors import SourceError
from nucleus_sync.records.check import complaints
from nucleus_sync.records.fingerprint import LOOK_AGAIN
from nucleus_sync.records.key import annotation_id, is_unnumbered
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Pick, Seen

from .coco_cases.reading import Reading, coco, read, results, settled

CASES = yaml.safe_load((Path(__file__).parent / "coco_cases" / "labels.yaml").read_text())
IMAGE = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50}
CATEGORIES = [
    {"id": 1, "name": "cat"},
    {"id": 2, "name": "person", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]},
    {"id": 3, "name": ""},
]
BOX = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}


def written(folder: Path, annotations: list[Any], images: list[Any] | None = None, **more: Any) -> Path:
    document = {"images": images or [IMAGE], "annotations": annotations, "categories": CATEGORIES, **more}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def labels(folder: Path, annotations: list[Any], **options: Any) -> Reading:
    return read(coco(written(folder, annotations), image_url="s3://b/{file_name}", **options), Kind.ANNOTATIONS)


def predictions(folder: Path, found: Any, **options: Any) -> Reading:
    written(folder, [])
    (folder / "results.json").write_text(json.dumps(found))
    return read(results(folder, "results.json", "annotations.json", **options), Kind.PREDICTIONS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["label"])[:60])
def test_what_becomes_of_a_label(case: dict[str, Any], tmp_path: Path) -> None:
    label = {"image_id": 1, **case["label"]} if isinstance(case["label"], dict) else case["label"]
    found = labels(tmp_path, [label], **case.get("options", {}))
    assert [each.__struct_config__.tag for each in found.records] == case.get("sent", []), found.text()
    assert case.get("says", "") in found.text()
    assert bool(found.problems) == ("says" in case), found.text()
    assert case.get("fix", "") in "".join(problem.fix or "" for problem in found.problems)


def test_rings_have_ids_of_their_own(tmp_path: Path) -> None:
    ring = [1, 1, 5, 1, 5, 5]
    found = labels(tmp_path, [{**BOX, "segmentation": [ring] * 3}])
    assert [each.annotation_id for each in found.records] == ["7", "7-1", "7-2"]
    nameless = labels(tmp_path, [{"image_id": 1, "category_id": 1, "segmentation": [ring, [2, *ring[1:]]]}])
    assert len({each.annotation_id for each in nameless.records}) == 2


def test_a_ring_that_is_closed_is_sent_open(tmp_path: Path) -> None:
    found = labels(tmp_path, [{**BOX, "segmentation": [[1, 1, 5, 1, 5, 5, 1, 1]]}])
    assert len(found.polygons[0].geometry.vertices) == 3


def test_a_polygon_is_clipped_along_the_edges(tmp_path: Path) -> None:
    ring = [90, 10, 110, 10, 110, 20, 90, 20]
    found = labels(tmp_path, [{**BOX, "segmentation": [ring]}], out_of_bounds="clip")
    corners = {(point.x, point.y) for point in found.polygons[0].geometry.vertices}
    assert corners == {(90, 10), (100, 10), (100, 20), (90, 20)}
    assert "ends 10 px right of the image: clipped" in found.text()


def test_crowds_and_templates_become_metadata(tmp_path: Path) -> None:
    label = {**BOX, "iscrowd": 1, "area": 12.5, "by": {"name": "eva"}}
    metadata = {"area": "{area}", "who": "{by.name} on {label}"}
    found = labels(tmp_path, [label], annotation_metadata=metadata, annotation_id="{by.name}-{id}")
    assert found.records[0].metadata == {"area": 12.5, "who": "eva on cat", "iscrowd": 1}
    assert found.records[0].annotation_id == "eva-7"


def test_a_template_that_a_label_can_not_fill_names_what_there_is(tmp_path: Path) -> None:
    assert (
        "there is no field {aera}; did you mean {area}?"
        in labels(tmp_path, [{**BOX, "area": 1}], annotation_metadata={"area": "{aera}"}).text()
    )
    assert "there is no field {uuid}" in labels(tmp_path, [BOX], annotation_id="{uuid}").text()


def test_ids_are_exact_as_numbers_and_as_text(tmp_path: Path) -> None:
    ids = [2**53 + 1, 2**64 + 1, -3, "é", "007"]
    found = labels(tmp_path, [{**BOX, "id": each} for each in ids])
    assert [each.annotation_id for each in found.records] == [str(each) for each in ids]


def test_labels_without_id_are_numbered_by_label_and_place(tmp_path: Path) -> None:
    without = [{"image_id": 1, "category_id": 1, "bbox": [x, 2, 3, 4]} for x in (30, -1, 4, 4)]
    found = labels(tmp_path, without)
    assert all(is_unnumbered(each.key) for each in found.seen)
    by_id = {each.annotation_id: each.geometry.x for each in found.records}
    assert by_id == {"#0": -1, "#1": 4, "#2": 4, "#3": 30}
    assert found.seen[2].key == found.seen[3].key


def test_images_and_categories_may_come_last(tmp_path: Path) -> None:
    document = {"annotations": [BOX], "info": {"n": [1, {"a": "]"}]}, "images": [IMAGE], "categories": CATEGORIES}
    (tmp_path / "annotations.json").write_text(json.dumps(document, indent=2))
    assert len(read(coco(tmp_path, image_url="s3://b/{file_name}"), Kind.ANNOTATIONS).records) == 1


def test_equal_raw_means_equal_record(tmp_path: Path) -> None:
    """Whatever else goes into a record changes its raw hash."""
    raws = set()
    options: list[dict[str, Any]] = [
        {},
        {"geometry": "box"},
        {"out_of_bounds": "clip"},
        {"annotation_metadata": {"a": 1}},
    ]
    for each in options:
        raws.add(labels(tmp_path, [BOX], **each).seen[0].raw)
    for image in ({**IMAGE, "width": 99}, {**IMAGE, "file_name": "b.jpg"}):
        written(tmp_path, [BOX], [image])
        raws.add(read(coco(tmp_path, image_url="s3://b/{file_name}"), Kind.ANNOTATIONS).seen[0].raw)
    assert len(raws) == len(options) + 2
    again = labels(tmp_path, [BOX, {**BOX, "id": 8}]).seen[0].raw
    assert again in raws


def test_a_file_that_changes_between_scan_and_read_is_an_error(tmp_path: Path) -> None:
    reader = coco(written(tmp_path, [BOX]), image_url="s3://b/{file_name}")
    seen = [Seen(*each) for each in reader.scan(Kind.ANNOTATIONS, print)]
    written(tmp_path, [{**BOX, "bbox": [1, 2, 3, 5]}])
    picks = [Pick(*each) for each in seen]
    with pytest.raises(SourceError, match="changed while it was read"):
        list(reader.read(Kind.ANNOTATIONS, picks, print))


def test_places_are_named_as_in_the_file(tmp_path: Path) -> None:
    reader = coco(written(tmp_path, [BOX, BOX]), image_url="s3://b/{file_name}")
    places = [str(reader.where(Kind.ANNOTATIONS, each[2])) for each in reader.scan(Kind.ANNOTATIONS, print)]
    assert places == ["annotations.json: annotations[0]", "annotations.json: annotations[1]"]
    places = [str(reader.where(Kind.ITEMS, each[2])) for each in reader.scan(Kind.ITEMS, print)]
    assert places == ["annotations.json: images[0]"]


# --- items ----------------------------------------------------------------------------------------------------


def test_a_source_without_images_says_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"set `images`.*or image_url"):
        read(coco(written(tmp_path, [])), Kind.ITEMS)
    with pytest.raises(SourceError, match="there is no such folder"):
        read(coco(written(tmp_path, []), images="photos"), Kind.ITEMS)


def test_addresses_are_made_from_the_entry(tmp_path: Path) -> None:
    image = {**IMAGE, "file_name": "day 1/a#.jpg", "coco_url": "http://x/1.jpg"}
    written(tmp_path, [], [image])
    urls = {
        "{coco_url}": "http://x/1.jpg",
        "s3://b/{file_name}": "s3://b/day 1/a#.jpg",
        "https://x/{parent}/{stem}{ext}?w={width}": "https://x/day%201/a%23.jpg?w=100",
    }
    for template, url in urls.items():
        found = read(coco(tmp_path, image_url=template, reference_id="{id}/{name}"), Kind.ITEMS)
        assert found.records[0].image_url == url
        assert found.records[0].reference_id == "1/a#.jpg"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"id": 1}, "image 1: no file_name"),
        ({"id": 1, "file_name": 5}, "image 1: file_name is the number 5, not a text"),
        ({"id": 1, "file_name": "\ud800.jpg"}, "half a character"),
        (5, "image without id: is the number 5, not an object"),
        ({"id": 1, "file_name": ".."}, "names no file"),
    ],
)
def test_an_entry_that_is_no_image_is_said_and_its_labels_with_it(entry: Any, said: str, tmp_path: Path) -> None:
    reader = coco(written(tmp_path, [BOX], [entry]), image_url="s3://b/{file_name}")
    found = read(reader, Kind.ITEMS)
    assert said in found.text()
    assert not found.records
    assert len(read(reader, Kind.ANNOTATIONS).invalid) == 1


def test_facts_of_images_are_remembered(tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x64\x00\x00\x00\x32\x08\x02\x00\x00\x00" + b"\x00" * 200
    (tmp_path / "a.jpg").write_bytes(png + b"\x00\x00\x00\x00IEND\xaeB`\x82")
    settled(tmp_path / "a.jpg")
    reader = coco(written(tmp_path, []), images=".")
    first = read(reader, Kind.ITEMS)
    assert [problem.detail for problem in first.findings] == ["content is PNG, name says JPEG"]
    assert first.seen[0].raw == LOOK_AGAIN
    assert first.records[0].item.width == 100


def test_what_is_invalid_keeps_its_key_so_that_it_is_not_taken_for_gone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    reader = coco(written(tmp_path, [BOX, {**BOX, "id": 8, "category_id": 99}]), images="photos")
    assert [problem.key for problem in read(reader, Kind.ITEMS).invalid] == [b"a.jpg"]
    assert [problem.key for problem in read(reader, Kind.ANNOTATIONS).invalid] == [b"a.jpg\0a7", b"a.jpg\0a8"]


# --- results --------------------------------------------------------------------------------------------------


def test_results_that_are_off_by_one_get_a_hint(tmp_path: Path) -> None:
    found = predictions(tmp_path, [{**BOX, "score": 0.5, "category_id": each} for each in (0, 1, 2)])
    assert "every unknown category_id is off by one, one too small" in (found.invalid[0].fix or "")
    found = predictions(tmp_path, [{**BOX, "score": 0.5, "image_id": 2}])
    assert "one too large" in (found.invalid[0].fix or "")
    found = predictions(tmp_path, [{**BOX, "score": 0.5, "image_id": each} for each in (2, 99)])
    assert [problem.fix for problem in found.invalid] == [None, None]


def test_results_carry_their_score_and_own_id(tmp_path: Path) -> None:
    found = predictions(tmp_path, [{**BOX, "score": 1}])
    assert (found.records[0].confidence, found.records[0].annotation_id) == (1, "7")
    assert [annotation_id(each.key) for each in found.seen] == ["7"]


# --- whatever comes -------------------------------------------------------------------------------------------

numbers = st.floats(width=32) | st.integers(-200, 200) | st.sampled_from([0, 1, 50, 100, 10**400, "3", None, True])
rings = st.lists(st.lists(numbers, max_size=9) | numbers, max_size=3)
masks = st.fixed_dictionaries(
    {"size": st.lists(st.integers(-1, 100), max_size=3), "counts": st.lists(numbers) | st.text()}
)
ids = st.sampled_from([1, 1, 1, 2, 3, "1", None, 2**65, 1.0, [], "\ud800", ""])
anything = st.recursive(numbers | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=4)
any_label = (
    st.fixed_dictionaries(
        {},
        optional={
            "id": ids,
            "image_id": ids,
            "category_id": ids,
            "bbox": st.lists(numbers, max_size=5) | anything,
            "segmentation": rings | masks | anything,
            "keypoints": st.lists(numbers, max_size=7) | anything,
            "iscrowd": anything,
            "score": numbers,
        },
    )
    | anything
)
any_image = st.fixed_dictionaries(
    {}, optional={"id": ids, "file_name": st.sampled_from(["a.jpg", "", None, "C:\\b.jpg", "\ud800"]), "width": numbers}
)


@settings(deadline=None, max_examples=300)
@given(
    found=st.lists(any_label, max_size=6),
    images=st.lists(any_image, max_size=2),
    policy=st.sampled_from(["keep", "clip", "reject"]),
)
def test_every_label_is_sent_or_said(
    found: list[Any], images: list[Any], policy: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    written(folder, found, [IMAGE, *images])
    options = {"out_of_bounds": policy}
    annotations = read(coco(folder, image_url="s3://b/{file_name}", **options), Kind.ANNOTATIONS)
    parts = len(annotations.seen) - len(annotations.records)
    assert parts <= len(annotations.invalid) <= parts + len(found)
    assert len(annotations.seen) + len(annotations.invalid) >= len(found)
    for record in annotations.records:
        assert not [each for each in complaints(record) if each.grave], record


@settings(deadline=None, max_examples=200)
@given(junk=st.binary(max_size=8), where=st.floats(0, 1), gone=st.integers(0, 12))
def test_any_bytes_are_read_or_refused(
    junk: bytes, where: float, gone: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = written(tmp_path_factory.getbasetemp(), [BOX, {**BOX, "segmentation": [[1, 1, 5, 1, 5, 5]]}])
    path = folder / "annotations.json"
    text = path.read_bytes()
    cut = int(where * len(text))
    path.write_bytes(text[:cut] + junk + text[cut + gone :])
    for kind in (Kind.ITEMS, Kind.ANNOTATIONS):
        try:
            read(coco(folder, image_url="s3://b/{file_name}"), kind)
        except SourceError as error:
            message = str(error)
        else:
            continue
        assert "annotations.json" in message


@pytest.mark.parametrize("name", ["site", "of"])
def test_half_a_character_in_metadata_is_no_text(name: str, tmp_path: Path) -> None:
    images = [{**IMAGE, "site": "x\ud800", "of": {"k\udfff": [1]}}]
    reader = coco(written(tmp_path, [BOX], images), image_url="s3://b/{file_name}", metadata={"m": f"{{{name}}}"})
    assert "half a character (a lone surrogate)" in read(reader, Kind.ITEMS).text()
    template = coco(written(tmp_path, [BOX], images), image_url="s3://b/{site}")
    assert "image_url holds half a character" in read(template, Kind.ITEMS).text()


@pytest.mark.parametrize("category", [{"name": "cat\ud800"}, {"name": "cat", "keypoints": ["nose\ud800"]}])
def test_half_a_character_in_a_category_is_said_with_its_file(category: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path, [BOX], categories=[{"id": 1, **category}])
    with pytest.raises(SourceError, match="category 1 is not Unicode text"):
        read(coco(path, image_url="s3://b/{file_name}"), Kind.ANNOTATIONS)
