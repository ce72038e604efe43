"""Scenes are compared by what comes back of them, and nothing is claimed of the rest."""

from __future__ import annotations

import shutil

import nucleus
import pytest

from .project import Project
from .test_scenes import Drives, box, cuboid, lidar, road, video

Client = nucleus.NucleusClient


@pytest.fixture
def drives(project: Project) -> Drives:
    """Two lidar scenes with cuboids and a label for each scene, applied."""
    made = Drives(project, "lidar")
    truth = [cuboid("d1/0/pc"), cuboid("d2/0/pc"), road("d1"), road("d2")]
    made.write([lidar("d1"), lidar("d2")], truth, [cuboid("d1/0/pc", confidence=0.5)])
    assert project.apply()["exit_code"] == 0
    return made


def test_an_applied_dataset_of_scenes_shows_no_drift(drives: Drives) -> None:
    values = drives.project.ok("refresh", "--json").json()
    figures = {one["address"]: (one["verified"], one["unverified"]) for one in values["streams"]}
    assert values["drift"] == 0
    assert figures == {
        "dataset.drives.items": (2, 0),
        "dataset.drives.annotations": (2, 2),
        "model.cnn.predictions.drives": (1, 0),
    }
    sampled = drives.project.ok("refresh", "--sample", "3", "--json").json()
    assert sampled["drift"] == 0


def test_a_scene_that_somebody_deleted_is_made_again(drives: Drives, client: Client) -> None:
    client.datasets[0].delete_scene("d2")
    for _ in range(10_000):
        if len(drives.project.dataset()["scenes"]) == 1:
            break
    values = drives.project.ok("refresh", "--write", "--json").json()
    assert ("d2", "deleted") in [(one["key"]["reference_id"], one["what"]) for one in values["records"]]
    assert drives.project.apply()["exit_code"] == 0
    assert len(drives.project.dataset()["scenes"]) == 2
    assert drives.project.ok("refresh", "--json").json()["drift"] == 0


def test_a_lost_ledger_of_scenes_is_rebuilt(project: Project, client: Client) -> None:
    made = Drives(project, "video")
    made.write([video("v1"), video("v2")], [box("v1/0"), box("v2/1")], [box("v1/0", confidence=0.5)])
    assert project.apply()["exit_code"] == 0
    shutil.rmtree(project.folder / ".nucleus-sync")
    project.ok("import", "model.cnn", client.models[0].id)
    project.ok("import", "dataset.drives", client.datasets[0].id)
    assert [step["id"] for step in project.plan()["steps"]] == ["dataset.drives.taxonomy.road:create"]
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
