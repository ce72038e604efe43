"""Tracks: metadata of what records name are declared, changed and taken away, seen through the official SDK."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from .project import Project, write_lines

BOX = {
    "type": "box",
    "reference_id": "a.jpg",
    "annotation_id": "1",
    "label": "car",
    "geometry": {"x": 1, "y": 1, "width": 4, "height": 4},
    "track_reference_id": "red car/1",
}


@pytest.fixture
def street(project: Project) -> Project:
    """Two items, a box of one track, a prediction of another; nothing applied, and no track declared."""
    items = [{"reference_id": name, "image_url": f"s3://b/{name}"} for name in ("a.jpg", "b.jpg")]
    write_lines(project.folder / "items.jsonl", items)
    write_lines(project.folder / "labels.jsonl", [BOX])
    write_lines(project.folder / "guesses.jsonl", [{**BOX, "track_reference_id": "bus"}])
    project.declare(
        settings={"prune": True},
        sources={name: {"format": "records", "path": f"{name}.jsonl"} for name in ("items", "labels", "guesses")},
        datasets={"street": {"name": "Street", "items": ["items"], "annotations": ["labels"]}},
        models={"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"street": ["guesses"]}}},
    )
    return project


def _tracks(project: Project, tracks: dict[str, Any]) -> None:
    sections = project.declared()
    sections["datasets"]["street"]["tracks"] = tracks
    project.declare(**sections)


def _read(client: nucleus.NucleusClient) -> dict[str, Any]:
    (dataset,) = client.datasets
    return {track.reference_id: track.metadata for track in dataset.tracks}


def _done(project: Project, *arguments: str) -> dict[str, Any]:
    summary = project.apply(*arguments)
    assert summary["exit_code"] == 0
    project.assert_settled()
    return summary


RED = {"reference_id": "red car/1", "metadata": {"color": "red", "seen": 2}}


def test_metadata_are_declared_changed_and_taken_away(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED, "bus": {}})
    steps = {step["id"]: step["depends_on"] for step in street.plan()["steps"]}
    assert "dataset.street.annotations:ingest" in steps["dataset.street.track.red:create"]
    assert "model.cnn.predictions.street:ingest" in steps["dataset.street.track.bus:create"]
    _done(street)
    assert _read(client) == {"red car/1": {"color": "red", "seen": 2}, "bus": {}}
    _tracks(street, {"red": {**RED, "metadata": {"color": "blue"}}, "bus": {}})
    assert [step["id"] for step in street.plan()["steps"]] == ["dataset.street.track.red:update"]
    _done(street)
    assert _read(client)["red car/1"] == {"color": "blue"}


def test_one_that_records_still_name_loses_only_its_metadata(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED})
    _done(street)
    _tracks(street, {})
    assert "records may still name it: only its metadata go" in street("plan").out
    _done(street)
    assert _read(client)["red car/1"] == {}
    (box,) = client.datasets[0].refloc("a.jpg")["annotations"]["box"]
    assert box.track_reference_id == "red car/1"


def test_one_that_nothing_names_any_more_goes(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED})
    _done(street)
    write_lines(street.folder / "labels.jsonl", [{**BOX, "track_reference_id": None}])
    _tracks(street, {})
    _done(street)
    assert list(_read(client)) == ["bus"]
    (box,) = client.datasets[0].refloc("a.jpg")["annotations"]["box"]
    assert box.track_reference_id is None


def test_without_prune_it_stays(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED})
    _done(street)
    sections = street.declared()
    sections["settings"]["prune"] = False
    street.declare(**sections)
    _tracks(street, {})
    assert street.plan()["orphaned"] == {"dataset.street.track.red": 1}
    _done(street)
    assert _read(client)["red car/1"] == RED["metadata"]


def test_one_under_another_name_keeps_its_metadata(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED})
    _done(street)
    _tracks(street, {"crimson": RED})
    _done(street)
    assert _read(client)["red car/1"] == RED["metadata"]


def test_one_that_no_record_names_fails_alone_and_says_why(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED, "ghost": {}})
    answer = street("apply", "--auto-approve")
    assert answer.code == 3
    assert "Nucleus has no track 'ghost' in this dataset: it has one once a record names it" in answer.text
    assert _read(client)["red car/1"] == RED["metadata"]
    write_lines(street.folder / "labels.jsonl", [BOX, {**BOX, "annotation_id": "2", "track_reference_id": "ghost"}])
    _done(street)


def test_an_answer_that_is_lost_is_asked_for_again(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED})
    match = {"method": "POST", "path": "/tracks$", "times": 1}
    street.emulator.inject([{"match": match, "effect": {"reset": "after"}}])
    _done(street)
    assert _read(client)["red car/1"] == RED["metadata"]


def test_drift_is_seen_and_repaired(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED, "bus": {"metadata": {"line": 9}}})
    _done(street)
    (dataset,) = client.datasets
    found = {track.reference_id: track for track in dataset.tracks}
    found["red car/1"].update({"color": "green"})
    dataset.delete_tracks(["bus"])
    report = street("refresh", "--write", "--json").json()
    told = {(one["address"], one["what"]) for one in report["resources"]}
    assert told == {("dataset.street.track.red", "changed"), ("dataset.street.track.bus", "deleted")}
    _done(street)
    assert _read(client) == {"red car/1": RED["metadata"], "bus": {"line": 9}}


def test_an_imported_dataset_brings_its_tracks(street: Project, client: nucleus.NucleusClient) -> None:
    _tracks(street, {"red": RED})
    _done(street)
    dataset_id = client.datasets[0].id
    street.ok("state", "rm", "dataset.street")
    street.ok("import", "dataset.street", dataset_id)
    assert street("plan", "--target", "dataset.street.track.red", "--detailed-exitcode").code == 0
    _tracks(street, {})
    assert "track" not in str(street.plan()["steps"])


def test_two_tracks_of_one_reference_id_are_refused(street: Project) -> None:
    _tracks(street, {"red": RED, "red car": RED})
    answer = street("validate")
    assert answer.code == 6
    assert "tracks are declared twice: red car/1" in answer.text


def test_another_reference_id_is_another_track(street: Project) -> None:
    _tracks(street, {"red": RED})
    _done(street)
    _tracks(street, {"red": {**RED, "reference_id": "blue car"}})
    answer = street("apply", "--auto-approve")
    assert answer.code == 6
    assert "a track's reference id is its identity" in answer.text
