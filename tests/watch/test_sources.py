"""Sources other than folders of images: what is observed of them, and how they change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.emulator.server import Emulator
from nucleus_sync.sources import line_file
from nucleus_sync.spec.load import load
from nucleus_sync.survey import crew, reading
from nucleus_sync.watch.inputs import inputs_of, ready_targets

from .conftest import SPEC, Watched, eventually
from .writers import coco, image, moved, renamed, write_labels

Held = Callable[[], dict[str, Any]]
LABELS = SPEC.replace("datasets:", "  labels: {labels}\ndatasets:").replace(
    "items: [images]", "items: [images], annotations: [labels]"
)
FRAMES = """
version: 1
sources:
  clips: {format: frames, path: export/clips, frame_rate: 10, image_url: "s3://acme/{path}"}
datasets:
  crossings: {name: Crossings, kind: video, items: [clips], prune: true}
"""
OBSERVED = {
    "{format: frames, path: f, frame_rate: 5, image_url: 's3://b/{path}'}": {"f/a/1.png"},
    "{format: kitti-3d, path: k, calib: c, pointcloud_url: 's3://b/{path}'}": {"k/velodyne/0.bin", "c/calib/0.txt"},
    "{format: yolo, path: y, images: i, data: d/data.yaml}": {"y/1.txt", "i/1.png", "d/data.yaml"},
    "{format: voc, path: v, images: i}": {"v/1.xml", "i/1.png"},
    "{format: kitti, path: k, images: i}": {"k/1.txt", "i/1.png"},
    "{format: coco, path: c.json, images: i}": {"c.json", "i/1.png"},
    "{format: coco-panoptic, path: p/c.json, masks: m, images: i}": {"p/c.json", "m/1.png", "i/1.png"},
    "{format: records, path: r.jsonl}": {"r.jsonl"},
    "{format: table, path: t.csv}": {"t.csv"},
}


@pytest.mark.parametrize("source", OBSERVED)
def test_everything_that_a_source_reads_is_observed_before_it_is_there(tmp_path: Path, source: str) -> None:
    kind = "kind: lidar, " if "kitti-3d" in source else "kind: video, " if "frames" in source else ""
    spec = f"version: 1\nsources:\n  s: {source}\ndatasets:\n  d: {{name: D, {kind}items: [s]}}\n"
    if "panoptic" in source:
        spec = spec.replace("items: [s]", "annotations: [s]")
    (tmp_path / "nucleus.yaml").write_text(spec)
    inputs = inputs_of(load(tmp_path / "nucleus.yaml", {}))
    for name in OBSERVED[source]:
        path = str(tmp_path / name)
        assert inputs.matters(path)
        assert inputs.is_whole(path)
        assert any(path.startswith(place.path + "/") for place in inputs.places)
    assert not inputs.matters(str(tmp_path / "other" / "1.png"))


def test_a_track_waits_for_the_records_that_may_name_it(tmp_path: Path) -> None:
    spec = FRAMES.replace("datasets:", "  boxes: {format: records, path: boxes.jsonl}\ndatasets:")
    spec = spec.replace("items: [clips]", "items: [clips], annotations: [boxes], tracks: {red: {metadata: {a: b}}}")
    (tmp_path / "nucleus.yaml").write_text(spec)
    loaded = load(tmp_path / "nucleus.yaml", {})
    assert ready_targets(loaded, frozenset({"dataset.crossings.annotations"})) == ("dataset.crossings.items",)
    assert ready_targets(loaded, frozenset()) == ()


def boxes(emulator: Emulator) -> dict[str, tuple[float, ...]]:
    """Where the boxes are, by the item and their id."""
    held = [one for dataset in emulator.dump()["datasets"] for one in dataset["annotations"]]
    return {
        f"{one['reference_id']} {one['annotation_id']}": (one["geometry"]["x"], one["geometry"]["y"]) for one in held
    }


def line(item: str, number: int) -> bytes:
    box = {"x": number, "y": 1, "width": 2, "height": 2}
    record = {"reference_id": item, "annotation_id": str(number), "type": "box", "label": "car", "geometry": box}
    return json.dumps(record).encode() + b"\n"


def test_records_that_are_appended_are_sent_once_their_line_is_whole(watched: Watched, emulator: Emulator) -> None:
    (watched.folder / "nucleus.yaml").write_text(
        LABELS.replace("{labels}", "{format: records, path: export/labels.jsonl}")
    )
    labels = watched.folder / "export" / "labels.jsonl"
    renamed(watched.images / "a.png", image(1))
    labels.write_bytes(line("a.png", 1))
    watched.start()
    eventually(lambda: set(boxes(emulator)) == {"a.png 1"})
    eventually(watched.service_rests)
    with labels.open("ab", buffering=0) as file:
        file.write(line("a.png", 2) + line("a.png", 3)[:20])
        eventually(lambda: any("the last line ends early" in one.message for one in watched.rounds("waiting")))
        assert set(boxes(emulator)) == {"a.png 1"}, "the file stands as it was until it is whole"
        file.write(line("a.png", 3)[20:])
        eventually(lambda: set(boxes(emulator)) == {"a.png 1", "a.png 2", "a.png 3"})
        eventually(watched.service_rests)
        file.write(line("a.png", 4))
    eventually(lambda: len(boxes(emulator)) == 4)
    eventually(watched.service_rests)
    # With the dataset and the image; each line was sent once, however often the file was read.
    assert sum(one.create for one in watched.rounds()) == 6
    assert sum(one.update + one.delete for one in watched.rounds()) == 0


def test_a_coco_file_that_is_replaced_changes_what_differs_only(watched: Watched, emulator: Emulator) -> None:
    source = "{format: coco, path: export/labels.json, images: export/images}"
    (watched.folder / "nucleus.yaml").write_text(
        LABELS.replace("{labels}", source).replace("items: [images]", "items: [labels]")
    )
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        renamed(watched.images / name, image(number))
    labels = coco(names)
    write_labels(watched.folder / "export" / "labels.json", labels)
    watched.start()
    eventually(lambda: len(boxes(emulator)) == 6)
    eventually(watched.service_rests)
    labels["annotations"][2]["bbox"][0] = 5
    write_labels(watched.folder / "export" / "labels.json", labels)
    eventually(lambda: boxes(emulator)["2.png 3"] == (5, 2))
    eventually(watched.service_rests)
    assert sum(one.update for one in watched.rounds()) == 1
    labels["images"] = labels["images"][:5]
    labels["annotations"] = labels["annotations"][:5]
    write_labels(watched.folder / "export" / "labels.json", labels)
    eventually(lambda: len(boxes(emulator)) == 5)
    assert sum(one.create for one in watched.rounds()) == 13, "with the dataset"


def test_a_folder_of_frames_may_come_after_its_watcher(watched: Watched, emulator: Emulator) -> None:
    (watched.folder / "nucleus.yaml").write_text(FRAMES)
    clips, aside = watched.folder / "export" / "clips", watched.folder / "aside"
    frames = {f"{number}.png": image(number) for number in range(3)}

    def scenes() -> Counter[str]:
        return Counter(item["scene"] for dataset in emulator.dump()["datasets"] for item in dataset["items"])

    watched.start()
    eventually(lambda: any("isn't there" in one.message for one in watched.rounds("waiting")))
    moved(clips / "north", frames, aside)
    eventually(lambda: scenes() == {"north": 3})
    eventually(watched.service_rests)
    moved(clips / "south", frames, aside)
    eventually(lambda: scenes() == {"north": 3, "south": 3})
    clips.rename(aside)
    eventually(lambda: sum("isn't there" in one.message for one in watched.rounds("waiting")) == 2)
    assert len(scenes()) == 2


def test_a_file_that_is_no_image_is_named_and_stops_its_stream_alone(watched: Watched, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    watched.start()
    eventually(lambda: watched.rounds("good") and watched.service_rests())
    renamed(watched.images / "b.png", b"<html>no image</html>")
    eventually(lambda: any("b.png" in one.message for one in watched.rounds("waiting")))
    (watched.images / "b.png").unlink()
    renamed(watched.images / "c.png", image(3))
    eventually(lambda: set(held()) == {"a.png", "c.png"})


def test_once_says_what_is_unfit_though_it_came_late(watched: Watched) -> None:
    renamed(watched.images / "a.png", image(1))
    (watched.images / "b.png").write_bytes(b"<html>no image</html>")
    watched.start(once=True)
    eventually(lambda: watched.code is not None)
    assert watched.code == 6
    assert "b.png" in watched.rounds()[-1].message
    assert watched.rounds()[-1].next_try is None


@pytest.mark.parametrize("source", ["{format: coco, path: export/a.json, image_url: 's3://b/{file_name}'}", "lines"])
def test_a_file_so_large_that_several_processes_read_it(
    watched: Watched, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(reading, "WORTH_A_CREW", 1)
    monkeypatch.setattr(crew, "_processors", lambda: 2)
    monkeypatch.setattr(line_file, "_FEW", 1)
    monkeypatch.setattr("nucleus_sync.sources.coco_labels.TOGETHER", 1)
    names = [f"{number}.png" for number in range(40)]
    items = [{"reference_id": name, "image_url": f"s3://b/{name}"} for name in names]
    lines = "".join(json.dumps(item) + "\n" for item in items).encode() + b"".join(line(name, 1) for name in names)
    content = lines if source == "lines" else json.dumps(coco(names)).encode()
    spec = LABELS.replace("{labels}", source.replace("lines", "{format: records, path: export/a.json}"))
    (watched.folder / "nucleus.yaml").write_text(spec.replace("items: [images]", "items: [labels]"))
    renamed(watched.folder / "export" / "a.json", content)
    watched.start()
    eventually(lambda: watched.rounds("good", "failed"))
    assert not [one.message for one in watched.rounds("failed")]
    assert len(boxes(emulator)) == len(names)
