"""Lidar and video scenes through the official SDK."""

from __future__ import annotations

import nucleus
import pytest
from nucleus import (
    CuboidAnnotation,
    DatasetItem,
    Frame,
    LidarScene,
    Point3D,
    SceneCategoryAnnotation,
    SceneCategoryPrediction,
    VideoScene,
)
from nucleus.errors import NucleusAPIError

CAMERA = {
    "position": {"x": 0, "y": 0, "z": 1.5},
    "heading": {"x": 0, "y": 0, "z": 0, "w": 1},
    "fx": 1000,
    "fy": 1000,
    "cx": 960,
    "cy": 540,
}


def lidar_scene(name: str = "drive", speed: int = 1) -> LidarScene:
    frames = [
        Frame(
            lidar=DatasetItem(
                pointcloud_location=f"s3://acme/{name}/{n}.json", reference_id=f"{name}-{n}-pc", metadata={"n": n}
            ),
            cam=DatasetItem(
                f"s3://acme/{name}/{n}.jpg", reference_id=f"{name}-{n}-cam", metadata={"camera_params": CAMERA}
            ),
        )
        for n in range(2)
    ]
    return LidarScene(name, frames=frames, metadata={"speed": speed})


def video_scene(name: str = "clip", speed: int = 1) -> VideoScene:
    items = [DatasetItem(f"s3://acme/{name}/{n}.jpg", reference_id=f"{name}-{n}", metadata={"n": n}) for n in range(3)]
    return VideoScene(name, frame_rate=15, items=items, metadata={"speed": speed})


@pytest.fixture
def scenes(client) -> nucleus.Dataset:
    return client.create_dataset("scenes", is_scene=True)


@pytest.mark.parametrize("make", [lidar_scene, video_scene])
def test_a_scene_comes_back_as_it_went(scenes, finish, make) -> None:
    scene = make()
    job = scenes.append([scene])
    assert finish(job)["message"]["scene_upload_progress"]["new_scenes"] == 1
    assert scenes.get_scene(scene.reference_id) == scene
    (listed,) = scenes.scenes
    assert (listed.reference_id, listed.metadata) == (scene.reference_id, {"speed": 1})
    members = [each.reference_id for each in scene.get_items()]
    assert [each.reference_id for each in scenes.items_generator()] == members
    assert scenes.get_scene_from_item_ref_id(members[0]) == scene
    assert scenes.size == len(members)


@pytest.mark.parametrize("make", [lidar_scene, video_scene])
@pytest.mark.parametrize("update", [False, True])
def test_update_changes_metadata_only(scenes, finish, make, update) -> None:
    finish(scenes.append([make()]))
    status = finish(scenes.append([make(speed=2)], update=update))
    progress = status["message"]["scene_upload_progress"]
    assert (progress["updated_scenes"], progress["ignored_scenes"]) == (int(update), int(not update))
    assert scenes.get_scene(make().reference_id).metadata == {"speed": 2 if update else 1}


def test_a_video_file(scenes, finish) -> None:
    finish(scenes.append([VideoScene("film", video_location="s3://acme/film.mp4")]))
    assert scenes.get_scene("film").video_location == "s3://acme/film.mp4"


def test_a_frame_in_two_videos_is_refused(scenes, finish) -> None:
    one, two = video_scene("one"), video_scene("two")
    two.items[0].image_location = one.items[0].image_location
    job = scenes.append([one, two])
    assert finish(job)["message"]["scene_upload_progress"]["scenes_errored"] == 1
    assert "Duplicate frames found across different videos" in job.errors()[0]


def test_cuboids_and_scene_categories(scenes, finish) -> None:
    finish(scenes.append([lidar_scene()]))
    scenes.add_taxonomy("road", "category", ["highway", "city"])
    cuboid = CuboidAnnotation("car", Point3D(1, 2, 0.5), Point3D(4.5, 2, 1.5), 0.3, "drive-0-pc", "c1")
    category = SceneCategoryAnnotation("highway", "drive", "road")
    assert scenes.annotate([cuboid, category])["annotations_processed"] == 2
    assert scenes.refloc("drive-0-pc")["annotations"]["cuboid"] == [cuboid]
    assert scenes.annotate([category])["annotations_ignored"] == 1


def test_predicted_scene_categories_go_with_their_run(client, emulator, scenes, model, finish) -> None:
    finish(scenes.append([lidar_scene("told apart")]))
    sent = [SceneCategoryPrediction("highway", "told apart", confidence=0.5)]
    answer = scenes.upload_predictions(model, sent)
    assert answer["predictions_processed"] == 1

    def predicted() -> int:
        held = [scene for each in emulator.dump()["datasets"] for scene in each["scenes"]]
        return sum(scene["predicted_categories"] for scene in held if scene["reference_id"] == "told apart")

    assert predicted() == 1
    client.delete_model_run(answer["model_run_id"])
    assert predicted() == 0


def test_scene_metadata_is_merged(scenes, finish) -> None:
    finish(scenes.append([lidar_scene()]))
    scenes.update_scene_metadata({"drive": {"night": "yes"}})
    assert scenes.get_scene("drive").metadata == {"speed": 1, "night": "yes"}


def test_delete_scene_takes_its_items_along(scenes, finish, eventually) -> None:
    finish(scenes.append([lidar_scene("one"), lidar_scene("two")]))
    with pytest.raises(NucleusAPIError):
        scenes.delete_item("one-0-pc")
    scenes.delete_scene("one")
    eventually(lambda: scenes.size == 4)
    assert [each.reference_id for each in scenes.scenes] == ["two"]


def test_scenes_and_items_do_not_mix(scenes, dataset) -> None:
    with pytest.raises(NucleusAPIError) as caught:
        scenes.append([DatasetItem("s3://acme/1.jpg", reference_id="1")])
    assert caught.value.status_code == 400
