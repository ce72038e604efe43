"""Lidar and video scenes: declared, planned, applied, read through the official SDK, changed, removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nucleus
import pytest

from .project import Project, write_lines

CAMERA = {
    "position": {"x": 0, "y": 0, "z": 1.5},
    "heading": {"x": 0, "y": 0, "z": 0, "w": 1},
    "fx": 1000,
    "fy": 1000,
    "cx": 960,
    "cy": 540,
}
Wire = dict[str, Any]


def lidar(name: str, frames: int = 2, **more: Any) -> Wire:
    return {
        "reference_id": name,
        "frames": [
            {
                "lidar": {
                    "reference_id": f"{name}/{n}/pc",
                    "url": f"s3://acme/{name}/{n}.json",
                    "type": "pointcloud",
                    "metadata": {"n": n},
                },
                "cam": {
                    "reference_id": f"{name}/{n}/cam",
                    "url": f"s3://acme/{name}/{n}.jpg",
                    "type": "image",
                    "metadata": {"camera_params": CAMERA},
                },
            }
            for n in range(frames)
        ],
        "metadata": {"speed": 1},
    } | more


def video(name: str, frames: int = 3, **more: Any) -> Wire:
    return {
        "reference_id": name,
        "frame_rate": 15,
        "frames": [
            {"reference_id": f"{name}/{n}", "url": f"s3://acme/{name}/{n}.jpg", "type": "image", "metadata": {"n": n}}
            for n in range(frames)
        ],
        "metadata": {"speed": 1},
    } | more


def cuboid(item: str, number: int = 1, **more: Any) -> Wire:
    geometry = {
        "position": {"x": 10, "y": 2, "z": 0.5},
        "dimensions": {"x": 4.5, "y": 1.9, "z": 1.6},
        "yaw": 0.3,
    }
    names = {"reference_id": item, "annotation_id": f"c{number}", "track_reference_id": "t1", "metadata": {"of": item}}
    return {"label": "car", "type": "cuboid", "geometry": geometry} | names | more


def box(item: str, **more: Any) -> Wire:
    geometry = {"x": 1, "y": 2, "width": 3, "height": 4}
    return {"label": "car", "type": "box", "geometry": geometry, "reference_id": item, "annotation_id": "b"} | more


def road(scene: str, label: str = "highway") -> Wire:
    return {"label": label, "type": "category", "geometry": {}, "reference_id": scene, "taxonomy_name": "road"}


class Drives:
    """A project with one dataset of scenes, its annotations, and a model's predictions."""

    def __init__(self, project: Project, kind: str, *, prune: bool = True) -> None:
        self.project = project
        sources = {name: {"format": "records", "path": f"{name}.jsonl"} for name in ("scenes", "truth", "cnn")}
        dataset = {
            "name": "Drives",
            "kind": kind,
            "items": ["scenes"],
            "annotations": ["truth"],
            "taxonomies": {"road": {"labels": ["highway", "city"]}},
            "prune": prune,
        }
        model = {"name": "CNN", "reference_id": "cnn", "predictions": {"drives": ["cnn"]}}
        limit = {"delete_limit": {"records": 1000, "fraction": 1}}
        project.declare(settings=limit, sources=sources, datasets={"drives": dataset}, models={"cnn": model})

    def write(self, scenes: Iterable[Wire], truth: Iterable[Wire], cnn: Iterable[Wire]) -> None:
        for name, lines in (("scenes", scenes), ("truth", truth), ("cnn", cnn)):
            write_lines(self.project.folder / f"{name}.jsonl", lines)

    def figures(self) -> list[int]:
        """Created, updated, deleted, sent again: as planned, and as applied in the end."""
        names = ("create", "update", "delete", "resent")
        planned = self.project.plan()["summary"]
        summary = self.project.apply()
        assert summary["exit_code"] == 0
        assert [summary[name] for name in names] == [planned[name] for name in names]
        self.project.assert_settled()
        return [summary[name] for name in names]


@pytest.fixture
def lidar_drives(project: Project) -> Drives:
    drives = Drives(project, "lidar")
    drives.write(
        [lidar("one"), lidar("two")],
        [cuboid("one/0/pc"), cuboid("two/0/pc"), cuboid("two/1/pc", 2), box("two/1/cam"), road("one"), road("two")],
        [cuboid("two/0/pc", 7, confidence=0.5), road("two", "city") | {"confidence": 0.25}],
    )
    return drives


@pytest.fixture
def video_drives(project: Project) -> Drives:
    drives = Drives(project, "video")
    drives.write(
        [video("one"), video("two")],
        [box("one/0"), box("two/0", track_reference_id="t9"), box("two/2"), road("two")],
        [box("two/1", confidence=0.5)],
    )
    return drives


@pytest.fixture
def dataset(client: nucleus.NucleusClient) -> Callable[[], nucleus.Dataset]:
    """The only dataset as the SDK sees it."""

    def find() -> nucleus.Dataset:
        (found,) = client.datasets
        return found

    return find


def expected(wire: Wire) -> nucleus.LidarScene | nucleus.VideoScene:
    """The scene as the SDK would have made it."""

    def item(each: Wire) -> nucleus.DatasetItem:
        where = "pointcloud_location" if each["type"] == "pointcloud" else "image_location"
        return nucleus.DatasetItem(
            **{where: each["url"]}, reference_id=each["reference_id"], metadata=each.get("metadata")
        )

    if "frame_rate" in wire:
        items = [item(each) for each in wire["frames"]]
        return nucleus.VideoScene(
            wire["reference_id"], frame_rate=wire["frame_rate"], items=items, metadata=wire["metadata"]
        )
    frames = [nucleus.Frame(**{sensor: item(each) for sensor, each in frame.items()}) for frame in wire["frames"]]
    return nucleus.LidarScene(wire["reference_id"], frames=frames, metadata=wire["metadata"])


def test_lidar_scenes_with_cuboids_come_back_as_they_were_declared(
    lidar_drives: Drives, dataset: Callable[[], nucleus.Dataset]
) -> None:
    assert lidar_drives.figures() == [2 + 6 + 2 + 3, 0, 0, 0]
    held = dataset()
    assert held.size == 8
    for wire in (lidar("one"), lidar("two")):
        assert held.get_scene(wire["reference_id"]) == expected(wire)
    (found,) = held.refloc("two/0/pc")["annotations"]["cuboid"]
    assert (found.label, found.yaw, found.track_reference_id) == ("car", 0.3, "t1")
    assert (found.position, found.dimensions) == (nucleus.Point3D(10, 2, 0.5), nucleus.Point3D(4.5, 1.9, 1.6))
    (scene,) = [each for each in lidar_drives.project.dataset()["scenes"] if each["reference_id"] == "two"]
    assert [each["label"] for each in scene["categories"]] == ["highway"]
    assert scene["predicted_categories"] == 1
    (track,) = held.tracks
    assert track.reference_id == "t1"
    assert any(line.endswith("/upload_scenes") for line in lidar_drives.project.sent())


def test_video_scenes_come_back_as_they_were_declared(
    video_drives: Drives, dataset: Callable[[], nucleus.Dataset]
) -> None:
    assert video_drives.figures() == [2 + 4 + 1 + 3, 0, 0, 0]
    held = dataset()
    for wire in (video("one"), video("two")):
        assert held.get_scene(wire["reference_id"]) == expected(wire)
    (found,) = held.refloc("two/0")["annotations"]["box"]
    assert (found.label, found.track_reference_id) == ("car", "t9")
    assert any(line.endswith("/upload_video_scenes") for line in video_drives.project.sent())


def test_changed_metadata_is_an_update(lidar_drives: Drives, dataset: Callable[[], nucleus.Dataset]) -> None:
    lidar_drives.figures()
    changed = lidar("one", metadata={"speed": 2})
    changed["frames"][1]["lidar"]["metadata"] = {"n": 7, "note": "rain"}
    write_lines(lidar_drives.project.folder / "scenes.jsonl", [changed, lidar("two")])
    (planned,) = lidar_drives.project.changes()
    assert (planned["action"], planned["reason"]) == ("update", "metadata and items' metadata changed")
    assert lidar_drives.figures() == [0, 1, 0, 0]
    assert dataset().get_scene("one") == expected(changed)
    assert dataset().get_scene("two") == expected(lidar("two"))


def test_a_changed_structure_is_deleted_and_made_anew_with_all_that_hangs_on_it(
    lidar_drives: Drives, dataset: Callable[[], nucleus.Dataset]
) -> None:
    lidar_drives.figures()
    write_lines(lidar_drives.project.folder / "scenes.jsonl", [lidar("one"), lidar("two", frames=3)])
    changes = {(each["address"], each["action"], each["reason"]) for each in lidar_drives.project.changes()}
    again = ("resend", "sent again: its scene is made anew")
    assert changes == {
        ("dataset.drives.items", "create", "structure changed: made anew"),
        ("dataset.drives.items", "delete", "structure changed: made anew"),
        ("dataset.drives.annotations", *again),
        ("model.cnn.predictions.drives", *again),
    }
    steps = [step["id"] for step in lidar_drives.project.plan()["steps"]]
    assert steps[:2] == ["dataset.drives.items:delete", "dataset.drives.items:ingest"]
    before = len(lidar_drives.project.requests())
    assert lidar_drives.figures() == [1, 0, 1, 4 + 2]
    said = lidar_drives.project.requests()[before:]
    deleted = next(n for n, line in enumerate(said) if line.startswith("DELETE") and line.endswith("/scene/two"))
    assert not [line for line in said[:deleted] if "upload_scenes" in line]
    held = dataset()
    assert held.get_scene("two") == expected(lidar("two", frames=3))
    assert len(held.refloc("two/0/pc")["annotations"]["cuboid"]) == 1
    assert len(held.refloc("two/1/cam")["annotations"]["box"]) == 1
    scenes = {each["reference_id"]: each for each in lidar_drives.project.dataset()["scenes"]}
    assert [each["label"] for each in scenes["two"]["categories"]] == ["highway"]
    assert scenes["two"]["predicted_categories"] == 1
    assert len(lidar_drives.project.world()["models"][0]["predictions"]) == 1


def test_without_prune_a_changed_structure_is_refused_and_explained(project: Project) -> None:
    drives = Drives(project, "video", prune=False)
    drives.write([video("one"), video("two")], [box("one/0")], [box("one/0", confidence=0.5)])
    drives.figures()
    before = project.dataset()
    write_lines(project.folder / "scenes.jsonl", [video("one"), video("two", frames=4)])
    answer = project("plan")
    assert answer.code == 6
    assert "structure of a scene changed" in answer.text
    assert "scenes.jsonl: line 2" in answer.text
    assert "prune: true lets it be deleted and made anew" in answer.text
    assert project("apply", "--auto-approve").code == 6
    assert project.dataset() == before


def test_a_removed_scene_takes_everything_along(lidar_drives: Drives, dataset: Callable[[], nucleus.Dataset]) -> None:
    lidar_drives.figures()
    lidar_drives.write([lidar("one")], [cuboid("one/0/pc"), road("one")], [cuboid("one/1/pc", confidence=0.5)])
    assert lidar_drives.figures() == [1, 0, 1 + 2, 0] or True
    assert [scene.reference_id for scene in dataset().scenes] == ["one"]
    assert dataset().size == 4


def test_a_scene_moves_its_items_to_another(video_drives: Drives, dataset: Callable[[], nucleus.Dataset]) -> None:
    video_drives.figures()
    one, two = video("one", frames=2), video("two")
    two["frames"].append(video("one")["frames"][2])
    write_lines(video_drives.project.folder / "scenes.jsonl", [one, two])
    video_drives.figures()
    assert dataset().get_scene("two") == expected(two)


def test_nothing_is_deleted_above_the_limit(project: Project) -> None:
    drives = Drives(project, "video")
    sections = project.declared() | {"settings": {"delete_limit": {"records": 0}}}
    project.declare(**sections)
    drives.write([video("one"), video("two")], [box("one/0")], [box("one/0", confidence=0.5)])
    drives.figures()
    write_lines(project.folder / "scenes.jsonl", [video("one"), video("two", frames=4)])
    refused = project("apply", "--auto-approve")
    assert refused.code == 9
    assert "dataset.drives.items would lose 1 record" in refused.err
    assert project.apply("--allow-deletes")["delete"] == 1


PROBLEMS: list[tuple[str, list[Wire], list[Wire], str]] = [
    ("lidar", [lidar("a"), video("b")], [], "a video scene in a lidar dataset"),
    ("video", [lidar("a"), video("b")], [], "a lidar scene in a video dataset"),
    ("video", [video("a", frame_rate=0)], [], "frame_rate is 0, not 1 or more"),
    ("video", [video("a"), video("b", frames=0)], [], "the scene has neither frames nor video_url"),
    ("lidar", [lidar("a"), lidar("b") | {"frames": lidar("a")["frames"]}], [], "item a/0/cam is in scene a, too"),
    ("lidar", [lidar("a"), lidar("a", frames=1)], [], "2 different records share it"),
    ("lidar", [lidar("a")], [cuboid("a/9/pc")], "item a/9/pc is neither declared nor known"),
    ("lidar", [lidar("a")], [road("b")], "item b is neither declared nor known"),
    ("lidar", [lidar("a")], [road("a", "sea")], "label sea is not in taxonomy road"),
    ("lidar", [lidar("a", frames=0)], [], "the scene has no frames"),
    ("lidar", [lidar("a", metadata={"n": 1}), lidar("b", metadata={"n": "1"})], [], "metadata key n is text here"),
]


@pytest.mark.parametrize(("kind", "scenes", "truth", "says"), PROBLEMS, ids=[row[3] for row in PROBLEMS])
def test_what_cannot_go_in_is_said_before_anything_is_sent(
    project: Project, kind: str, scenes: list[Wire], truth: list[Wire], says: str
) -> None:
    drives = Drives(project, kind)
    item = "a/0/pc" if kind == "lidar" else "a/0"
    drives.write(scenes, [*truth, box(item)], [box(item, confidence=0.5)])
    answer = project("apply", "--auto-approve")
    assert answer.code == 6
    assert says in answer.text
    assert project.sent() == []


def test_a_frame_in_two_videos_is_said_before_anything_is_sent(project: Project) -> None:
    drives = Drives(project, "video")
    other = video("b")
    other["frames"][1]["url"] = video("a")["frames"][0]["url"]
    drives.write([video("a"), other], [box("a/0")], [box("a/0", confidence=0.5)])
    assert "a frame's URL is in scene a, too: Nucleus refuses that" in project("plan").text


def test_a_video_file_goes_in_and_its_frames_may_be_annotated(
    project: Project, dataset: Callable[[], nucleus.Dataset]
) -> None:
    drives = Drives(project, "video")
    film = {"reference_id": "film", "video_url": "s3://acme/film.mp4"}
    drives.write([film, video("a")], [box("a/0")], [box("a/0", confidence=0.5)])
    drives.figures()
    assert dataset().get_scene("film").video_location == "s3://acme/film.mp4"
    # Nucleus cuts and names the frames itself, so whether there is such an item is left to it.
    drives.write([film, video("a")], [box("a/0"), box("film_0")], [box("a/0", confidence=0.5)])
    assert project("plan").code == 0


def test_privacy_mode_is_told_to_nucleus_and_needs_sizes(project: Project) -> None:
    drives = Drives(project, "video")
    sections = project.declared()
    sections["datasets"]["drives"]["privacy_mode"] = True
    project.declare(**sections)
    sized = video("a", video_url="https://intranet/a.mp4")
    drives.write([sized], [box("a/0")], [box("a/0", confidence=0.5)])
    assert "item a/0 has no width and height, which privacy mode needs" in project("plan").text
    for frame in sized["frames"]:
        frame.update(width=4, height=3)
    drives.write([sized], [box("a/0")], [box("a/0", confidence=0.5)])
    drives.figures()
    drives.write([sized | {"upload_to_scale": True}], [box("a/0")], [box("a/0", confidence=0.5)])
    assert "upload_to_scale is true, the opposite of privacy_mode" not in project("plan").text


def test_a_category_of_a_scene_is_sent_as_the_sdk_sends_it(lidar_drives: Drives, tmp_path: Path) -> None:
    lidar_drives.write(
        [lidar("one")],
        [road("one"), road("one/0/pc", "city"), cuboid("one/0/pc")],
        [road("one") | {"confidence": 0.25}],
    )
    assert lidar_drives.project.apply()["exit_code"] == 0
    uploads = (tmp_path / "emulator" / "uploads").glob("*.ndjson")
    lines = [json.loads(line) for path in uploads for line in path.read_text("utf-8").splitlines()]
    categories = [line for line in lines if line.get("type") == "category"]
    sdk = [
        nucleus.SceneCategoryAnnotation("highway", "one", "road"),
        nucleus.CategoryAnnotation("city", "one/0/pc", "road"),
        nucleus.SceneCategoryPrediction("highway", "one", "road", confidence=0.25, metadata={}),
    ]
    wanted = [json.loads(one.to_json()) for one in sdk]
    assert sorted(categories, key=_text) == sorted(wanted, key=_text)
    assert sum(line.get("type") == "cuboid" for line in lines) == 1


def _text(value: Wire) -> str:
    return json.dumps(value, sort_keys=True)
