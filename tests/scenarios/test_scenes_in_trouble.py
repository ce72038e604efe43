"""Scenes when Nucleus refuses them, fails, or when an apply is killed while one is made anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import nucleus
import pytest

from nucleus_sync.emulator.server import Emulator

from .project import Project, write_lines
from .test_scenes import Drives, box, cuboid, expected, lidar, road, video

DRIVER = Path(__file__).parents[1] / "crash" / "driver.py"


def drives_of(project: Project) -> Drives:
    """Two lidar scenes with everything that can hang on them."""
    made = Drives(project, "lidar")
    made.write(
        [lidar("one"), lidar("two")],
        [cuboid("one/0/pc"), cuboid("two/0/pc"), box("two/1/cam"), road("one"), road("two")],
        [cuboid("two/0/pc", 7, confidence=0.5)],
    )
    return made


@pytest.fixture
def drives(project: Project) -> Drives:
    return drives_of(project)


def change_structure(project: Project) -> None:
    """One scene gets a frame more, which means deleting and making it anew."""
    write_lines(project.folder / "scenes.jsonl", [lidar("one"), lidar("two", frames=3)])


def killed_at(project: Project, point: str, nth: int) -> None:
    """Kill an apply when it passes a point for the nth time."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUCLEUS")}
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(project.folder), os.devnull, point, str(nth)],
        env=kept | project.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def assert_whole(project: Project) -> None:
    """One more apply, and everything is as it was declared, once."""
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    held = project.dataset()
    assert len(held["items"]) == 4 + 6
    names = sorted((one["reference_id"], one["type"]) for one in held["annotations"])
    assert names == [("one/0/pc", "cuboid"), ("two/0/pc", "cuboid"), ("two/1/cam", "box")]
    assert [len(one["categories"]) for one in held["scenes"]] == [1, 1]
    assert len(project.world()["models"][0]["predictions"]) == 1


POINTS = [
    ("batch prepared", 1),
    ("before DELETE dataset/*/scene/two", 1),
    ("after DELETE dataset/*/scene/two", 1),
    ("after GET dataset/*/scene/two", 2),
    ("batch finished", 1),
    ("before POST */upload_scenes", 1),
    ("after POST */upload_scenes", 1),
    ("batch submitted", 1),
    ("batch finished", 2),
    ("batch prepared", 3),
]


@pytest.mark.parametrize(("point", "nth"), POINTS)
def test_a_scene_that_is_made_anew_survives_a_kill(drives: Drives, point: str, nth: int) -> None:
    assert drives.project.apply()["exit_code"] == 0
    change_structure(drives.project)
    killed_at(drives.project, point, nth)
    assert_whole(drives.project)


def test_a_slow_deletion_is_waited_for(drives: Drives, emulator: Emulator) -> None:
    project = drives.project
    assert project.apply()["exit_code"] == 0
    change_structure(project)
    emulator.inject([{"match": {"job": "sceneDeletion"}, "effect": {"slow": 0.3}}])
    before = len(project.requests())
    assert project.apply()["exit_code"] == 0
    said = [line for line in project.requests()[before:] if line.endswith("/scene/two") or "upload_scenes" in line]
    assert said[0].startswith("GET")
    assert said[1].startswith("DELETE")
    assert said.count(said[0]) > 2
    assert "upload_scenes" in said[-1]
    emulator.inject(None)
    assert_whole(project)


def test_a_deletion_that_fails_stops_what_waits_for_it(drives: Drives, emulator: Emulator) -> None:
    project = drives.project
    assert project.apply()["exit_code"] == 0
    before = project.dataset()
    change_structure(project)
    emulator.inject([{"match": {"method": "DELETE", "path": "/scene/"}, "effect": {"status": 400}}])
    summary = project.apply()
    assert summary["exit_code"] == 3
    assert project.dataset() == before
    emulator.inject(None)
    assert_whole(project)


def test_a_scene_that_nucleus_refuses_is_named_with_the_reason(project: Project, emulator: Emulator) -> None:
    drives = Drives(project, "video")
    drives.write([video("one"), video("two")], [box("one/0"), box("two/0")], [box("one/0", confidence=0.5)])
    emulator.inject([{"match": {"job": "uploadVideoScene", "nth": 2}, "effect": {"reject": {"indices": [0]}}}])
    assert project.apply()["exit_code"] == 3
    rejected = {one["key"]["reference_id"]: one for one in project("errors", "--json").lines()}
    assert set(rejected) == {"two", "two/0"}
    assert "Injected fault" in rejected["two"]["reason"]
    assert (rejected["two"]["file"], rejected["two"]["position"]) == ("scenes.jsonl", "line 2")
    project.assert_settled()
    emulator.inject(None)
    summary = project.apply("--retry-rejected")
    assert (summary["exit_code"], summary["create"]) == (0, 2)
    project.assert_settled()


def test_a_lost_answer_to_the_trigger_doubles_nothing(drives: Drives, emulator: Emulator) -> None:
    emulator.inject([{"match": {"path": "/upload_scenes", "times": 1}, "effect": {"reset": "after"}}])
    assert drives.project.apply()["exit_code"] == 0
    emulator.inject(None)
    drives.project.assert_settled()
    assert [one["reference_id"] for one in drives.project.dataset()["scenes"]] == ["one", "two"]


def test_slices_are_made_of_the_items_inside_scenes(
    drives: Drives, client: nucleus.NucleusClient, project: Project
) -> None:
    sections = project.declared()
    sections["datasets"]["drives"]["slices"] = {
        "first": {"where": {"metadata.n": 0}},
        "listed": {"reference_ids": ["one/0/cam", "two/1/pc"]},
    }
    project.declare(**sections)
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    members = {one["name"]: sorted(one["items"]) for one in project.dataset()["slices"]}
    assert members == {"first": ["one/0/pc", "two/0/pc"], "listed": ["one/0/cam", "two/1/pc"]}


def test_a_dataset_without_scenes_any_more_is_emptied(drives: Drives, project: Project) -> None:
    assert project.apply()["exit_code"] == 0
    sections = project.declared()
    del sections["datasets"]["drives"]["items"], sections["datasets"]["drives"]["annotations"]
    del sections["models"]["cnn"]["predictions"]
    project.declare(**sections)
    assert project.apply()["exit_code"] == 0
    assert project.dataset()["scenes"] == project.dataset()["items"] == []
    project.assert_settled()


def test_a_watched_file_of_scenes_is_kept_equal(drives: Drives, project: Project) -> None:
    assert project.apply()["exit_code"] == 0
    change_structure(project)
    answer = project("watch", "--once", "--settle", "0")
    assert answer.code == 0, answer.text
    assert_whole(project)


def test_the_sdk_reads_what_was_made_anew(drives: Drives, client: nucleus.NucleusClient) -> None:
    assert drives.project.apply()["exit_code"] == 0
    change_structure(drives.project)
    assert drives.project.apply()["exit_code"] == 0
    assert client.datasets[0].get_scene("two") == expected(lidar("two", frames=3))


def test_a_scene_is_not_made_anew_while_something_on_it_could_not_be_sent_again(
    drives: Drives, project: Project
) -> None:
    sections = project.declared()
    for name in ("truth", "cnn"):
        sections["sources"][name]["on_invalid"] = "skip"
    project.declare(**sections)
    assert project.apply()["exit_code"] == 0
    before = project.dataset()
    change_structure(project)
    sound = [cuboid("one/0/pc"), cuboid("two/0/pc"), box("two/1/cam"), road("one"), road("two")]
    write_lines(project.folder / "truth.jsonl", [*sound[:1], cuboid("two/0/pc", geometry={}), *sound[2:]])
    summary = project.apply()
    assert (summary["exit_code"], summary["create"], summary["delete"]) == (0, 0, 0)
    assert project.dataset() == before
    assert "1 deletion on two waits" in project.ok("plan").text
    write_lines(project.folder / "truth.jsonl", sound)
    write_lines(project.folder / "cnn.jsonl", [{**cuboid("two/0/pc", 7), "confidence": "high"}])
    assert project.apply()["delete"] == 0
    assert project.dataset() == before
    write_lines(project.folder / "cnn.jsonl", [cuboid("two/0/pc", 7, confidence=0.5)])
    assert_whole(project)
