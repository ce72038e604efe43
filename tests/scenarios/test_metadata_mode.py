"""Metadata that others write to, too: replaced as a whole, or merged, as the official SDK reads it back."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from .project import Project, picture, write_json, write_lines

Client = nucleus.NucleusClient
THEIRS = {"reviewed": "yes"}


def _declare(project: Project, *metadata: dict[str, Any], mode: str = "merge", **more: Any) -> None:
    items = [
        {"reference_id": str(number), "image_url": f"s3://b/{number}.png", "metadata": each, **more}
        for number, each in enumerate(metadata)
    ]
    write_lines(project.folder / "items.jsonl", items)
    project.declare(
        sources={"items": {"format": "records", "path": "items.jsonl"}},
        datasets={"set": {"name": "Set", "items": ["items"], "metadata_mode": mode}},
    )


def _applied(project: Project) -> dict[str, Any]:
    summary = project.apply()
    assert summary["exit_code"] == 0
    project.assert_settled()
    return summary


def _held(client: Client) -> dict[str, Any]:
    (dataset,) = client.datasets
    return {item.reference_id: item.metadata for item in dataset.items}


def _others_write(client: Client, *references: str) -> None:
    (dataset,) = client.datasets
    dataset.update_item_metadata(dict.fromkeys(references, THEIRS))


def _jobs(project: Project) -> list[str]:
    return [line.rpartition("/")[2] for line in project.sent() if line.endswith(("/append", "/metadata"))]


def test_keys_of_others_stay_and_are_no_drift(project: Project, client: Client) -> None:
    _declare(project, {"n": 1, "old": 1}, {"n": 2})
    _applied(project)
    _others_write(client, "0", "1")
    assert project("refresh", "--detailed-exitcode").code == 0
    _declare(project, {"n": 3}, {"n": 2})
    (change,) = project.changes()
    assert change["reason"] == "metadata changed (merged: no key is removed)"
    assert _applied(project)["update"] == 1
    assert _jobs(project)[-1] == "metadata"
    assert _held(client) == {"0": {"n": 3, "old": 1, **THEIRS}, "1": {"n": 2, **THEIRS}}
    assert project("refresh", "--detailed-exitcode").code == 0


def test_a_key_of_ours_that_others_change_is_drift_and_is_repaired(project: Project, client: Client) -> None:
    _declare(project, {"n": 1}, {"n": 2})
    _applied(project)
    _others_write(client, "0", "1")
    (dataset,) = client.datasets
    dataset.update_item_metadata({"1": {"n": 9}})
    found = project("refresh", "--detailed-exitcode", "--json", "--write")
    assert found.code == 2
    assert [(one["key"]["reference_id"], one["fields"]) for one in found.json()["records"]] == [("1", ["metadata"])]
    _applied(project)
    assert _held(client) == {"0": {"n": 1, **THEIRS}, "1": {"n": 2, **THEIRS}}


def test_an_upload_of_more_than_metadata_takes_those_of_others_along(project: Project, client: Client) -> None:
    _declare(project, {"n": 1}, {"n": 2})
    _applied(project)
    _others_write(client, "0")
    _declare(project, {"n": 3}, {"n": 2}, width=7, height=5)
    _applied(project)
    assert _jobs(project)[-1] == "append"
    assert _held(client) == {"0": {"n": 3, **THEIRS}, "1": {"n": 2}}


def test_photographs_are_merged_likewise(project: Project, client: Client) -> None:
    def declare(site: str) -> None:
        source = {"format": "images", "path": "images", "metadata": {"site": site}}
        datasets = {"set": {"name": "Set", "items": ["photos"], "metadata_mode": "merge"}}
        project.declare(sources={"photos": source}, datasets=datasets)

    for name in ("a.png", "b.png"):
        picture(project.folder / "images" / name, 9, 8)
    declare("berlin")
    _applied(project)
    _others_write(client, "a.png", "b.png")
    assert project("refresh", "--detailed-exitcode").code == 0
    declare("bonn")
    picture(project.folder / "images" / "a.png", 9, 8, 77)
    _applied(project)
    assert _held(client) == {key: {"site": "bonn", **THEIRS} for key in ("a.png", "b.png")}
    assert sorted(_jobs(project)[-2:]) == ["append", "metadata"]


def test_replacing_takes_the_keys_of_others_away(project: Project, client: Client) -> None:
    _declare(project, {"n": 1}, mode="replace")
    _applied(project)
    _others_write(client, "0")
    assert project("refresh", "--detailed-exitcode").code == 2
    _declare(project, {"n": 2}, mode="replace")
    _applied(project)
    assert _held(client) == {"0": {"n": 2}}


def test_the_mode_can_change_later(project: Project, client: Client) -> None:
    _declare(project, {"n": 1}, mode="replace")
    _applied(project)
    _others_write(client, "0")
    _declare(project, {"n": 1})
    project.assert_settled()
    assert project("refresh", "--detailed-exitcode").code == 0


def test_an_item_that_somebody_deleted_is_sent_whole(project: Project, client: Client) -> None:
    _declare(project, {"n": 1}, {"n": 2})
    _applied(project)
    (dataset,) = client.datasets
    dataset.delete_item("0")
    _declare(project, {"n": 3}, {"n": 4})
    answer = project("apply", "--auto-approve")
    assert answer.code == 3
    assert "sent whole by the next apply" in answer.text
    _applied(project)
    assert _held(client) == {"0": {"n": 3}, "1": {"n": 4}}


def test_a_record_that_the_merge_refuses_rests(project: Project, client: Client) -> None:
    _declare(project, {"n": 1}, {"n": 2})
    _applied(project)
    (dataset,) = client.datasets
    dataset.update_item_metadata({"1": {"m": "a text"}})
    _declare(project, {"n": 3}, {"n": 4, "m": 5})
    assert project.apply()["rejected"] == 1
    assert "m" in project("errors").text
    assert _held(client) == {"0": {"n": 3}, "1": {"n": 2, "m": "a text"}}


@pytest.mark.parametrize("effect", [{"state": "Errored_Server"}, {"state": "Errored_Server", "keep_work": True}])
def test_a_merge_that_fails_is_made_good(project: Project, client: Client, effect: dict[str, Any]) -> None:
    _declare(project, {"n": 1})
    _applied(project)
    _others_write(client, "0")
    project.emulator.inject([{"match": {"job": "metadataUpdate", "times": 1}, "effect": effect}])
    _declare(project, {"n": 2})
    assert project.apply()["exit_code"] == 3
    _applied(project)
    assert _held(client) == {"0": {"n": 2, **THEIRS}}


def test_a_merge_whose_answer_is_lost_is_sent_again(project: Project, client: Client) -> None:
    _declare(project, {"n": 1})
    _applied(project)
    project.emulator.inject([{"match": {"path": "/metadata", "times": 1}, "effect": {"reset": "after"}}])
    _declare(project, {"n": 2})
    _applied(project)
    assert _held(client) == {"0": {"n": 2}}


def test_cameras_stand_beside_the_metadata_as_the_sdk_sends_them(project: Project) -> None:
    vector = {"x": 0, "y": 0, "z": 0}
    camera = {"position": vector, "heading": {**vector, "w": 1}, "fx": 1, "fy": 1, "cx": 1, "cy": 1}
    _declare(project, {"n": 1})
    _applied(project)
    _declare(project, {"n": 1, "camera_params": camera})
    _applied(project)
    (sent,) = [one["body"] for one in project.emulator.requests() if one["path"].endswith("/metadata")]
    entry = {"reference_id": "0", "metadata": {"n": 1, "camera_params": camera}, "camera_params": camera}
    assert sent == {"level": "item", "metadata": [entry]}


def test_scenes_and_their_items_keep_what_others_wrote(project: Project, client: Client) -> None:
    def declare(night: str, speed: int) -> None:
        frames = [
            {"reference_id": f"clip/{n}", "url": f"s3://b/{n}.jpg", "type": "image", "metadata": {"speed": speed}}
            for n in range(2)
        ]
        scene = {"reference_id": "clip", "frame_rate": 5, "metadata": {"night": night}, "frames": frames}
        write_lines(project.folder / "scenes.jsonl", [scene])
        project.declare(
            sources={"scenes": {"format": "records", "path": "scenes.jsonl"}},
            datasets={"set": {"name": "Set", "kind": "video", "items": ["scenes"], "metadata_mode": "merge"}},
        )

    declare("yes", 1)
    _applied(project)
    (dataset,) = client.datasets
    dataset.update_scene_metadata({"clip": THEIRS})
    dataset.update_item_metadata({"clip/1": THEIRS})
    assert project("refresh", "--detailed-exitcode").code == 0
    declare("no", 2)
    _applied(project)
    (scene,) = project.dataset()["scenes"]
    assert scene["metadata"] == {"night": "no", **THEIRS}
    items = {item["reference_id"]: item["metadata"] for item in project.dataset()["items"]}
    assert items == {"clip/0": {"speed": 2}, "clip/1": {"speed": 2, **THEIRS}}
    assert project("refresh", "--detailed-exitcode").code == 0


def test_another_name_is_refused_with_what_is_allowed(project: Project) -> None:
    _declare(project, {"n": 1}, mode="append")
    write_json(project.folder / "unused.json", {})
    answer = project("validate")
    assert answer.code == 6
    assert "merge" in answer.text
