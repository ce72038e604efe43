"""Predictions in a named run over several datasets, and without any run."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from .project import Project, write_lines


def _item(name: str) -> dict[str, Any]:
    return {"reference_id": name, "image_url": f"https://example.com/{name}", "width": 9, "height": 9}


def _guess(item: str, number: int, kind: str = "box") -> dict[str, Any]:
    corner = {"x": number, "y": 1}
    geometry = {"box": {**corner, "width": 4, "height": 4}, "line": {"vertices": [corner, {"x": 5, "y": 5}]}}
    told = {"type": kind, "reference_id": item, "annotation_id": f"{kind}-{number}", "label": "car", "confidence": 0.5}
    return {**told, "geometry": geometry[kind]}


@pytest.fixture
def two(project: Project) -> Project:
    """Two datasets of two items with predictions of one model."""
    sources = {}
    for name in ("day", "night"):
        write_lines(project.folder / f"{name}.jsonl", [_item("a.jpg"), _item("b.jpg")])
        guesses = [_guess(item, number) for item in ("a.jpg", "b.jpg") for number in (1, 2)]
        write_lines(project.folder / f"{name}-cnn.jsonl", guesses)
        for one in (name, f"{name}-cnn"):
            sources[one] = {"format": "records", "path": f"{one}.jsonl"}
    project.declare(
        settings={"prune": True, "delete_limit": {"records": 100, "fraction": 1}},
        sources=sources,
        datasets={name: {"name": name, "items": [name]} for name in ("day", "night")},
        models={
            "cnn": {
                "name": "CNN",
                "reference_id": "cnn",
                "predictions": {"day": ["day-cnn"], "night": ["night-cnn"]},
            }
        },
    )
    return project


def _run(project: Project, run: Any) -> None:
    sections = project.declared()
    sections["models"]["cnn"]["run"] = run
    project.declare(**sections)


def _predicted(project: Project, model: str = "cnn") -> list[tuple[str, str, str, str | None]]:
    (found,) = (one for one in project.world()["models"] if one["reference_id"] == model)
    return sorted((p["dataset"], p["reference_id"], p["annotation_id"], p["run"]) for p in found["predictions"])


def _done(project: Project) -> dict[str, Any]:
    summary = project.apply()
    assert summary["exit_code"] == 0
    project.assert_settled()
    return summary


def test_a_named_run_holds_the_predictions_on_all_datasets(two: Project, client: nucleus.NucleusClient) -> None:
    _run(two, {"name": "nightly"})
    _done(two)
    assert {run for *_, run in _predicted(two)} == {"nightly"}
    (model,) = two.world()["models"]
    assert (model["runs"], len(model["predictions"])) == (1, 8)
    ids = {run for dataset in client.datasets for run in dataset.model_runs}
    assert len(ids) == 1


def test_what_leaves_a_named_run_on_one_dataset_is_gone_and_all_else_is_sent_again(two: Project) -> None:
    _run(two, {"name": "nightly"})
    _done(two)
    write_lines(two.folder / "day-cnn.jsonl", [_guess("a.jpg", 1)])
    figures = two.plan()["summary"]
    assert (figures["delete"], figures["resent"], figures["unchanged"]) == (3, 5, 12)
    _done(two)
    assert len(_predicted(two)) == 5
    assert two.world()["models"][0]["runs"] == 1


def test_a_stream_that_leaves_the_run_takes_only_its_own(two: Project) -> None:
    _run(two, {"name": "nightly"})
    _done(two)
    sections = two.declared()
    del sections["models"]["cnn"]["predictions"]["day"]
    two.declare(**sections)
    _done(two)
    assert {dataset for dataset, *_ in _predicted(two)} == {"night"}
    assert len(_predicted(two)) == 4


def test_a_run_whose_answer_is_lost_is_found(two: Project) -> None:
    _run(two, {"name": "nightly"})
    rule = {"match": {"path": "modelRun/create", "times": 1}, "effect": {"reset": "after"}}
    two.emulator.inject([rule])
    _done(two)
    assert two.world()["models"][0]["runs"] == 1


def test_a_run_does_not_change(two: Project) -> None:
    _done(two)
    _run(two, {"name": "nightly"})
    answer = two("plan")
    assert answer.code == 6
    assert "predictions that were sent stay in the run that they are in" in answer.text


def test_predictions_without_a_run(two: Project, client: nucleus.NucleusClient) -> None:
    _run(two, "none")
    _done(two)
    assert {run for *_, run in _predicted(two)} == {None}
    assert two.world()["models"][0]["runs"] == 0
    assert not any("async=1" in line and "redictions" in line for line in two.sent())
    write_lines(two.folder / "day-cnn.jsonl", [{**_guess("a.jpg", 1), "label": "bus"}])
    plan = two.plan()["summary"]
    assert (plan["update"], plan["delete"], plan["orphaned"]) == (1, 0, 3)
    _done(two)
    labels = {(p["dataset"], p["label"]) for p in two.world()["models"][0]["predictions"]}
    assert labels == {("day", "car"), ("day", "bus"), ("night", "car")}


def test_a_line_needs_a_run(two: Project) -> None:
    _run(two, "none")
    write_lines(two.folder / "day-cnn.jsonl", [_guess("a.jpg", 1, "line")])
    answer = two("plan")
    assert answer.code == 6
    assert "a prediction without a run is a box, a polygon or a cuboid" in answer.text


def test_run_free_predictions_that_nucleus_refuses_are_named(two: Project, client: nucleus.NucleusClient) -> None:
    _run(two, "none")
    write_lines(two.folder / "day-cnn.jsonl", [_guess("a.jpg", 1), _guess("b.jpg", 2)])
    _done(two)
    # Another client has given the key a text: numbers are refused from then on.
    day, other = next(one for one in client.datasets if one.name == "day"), client.create_model("Other", "other")
    foreign = nucleus.BoxPrediction("car", 1, 1, 4, 4, "a.jpg", 0.5, "theirs", metadata={"n": "text"})
    day.upload_predictions(other, [foreign])

    bad, good = {**_guess("a.jpg", 3), "metadata": {"n": 1}}, {**_guess("b.jpg", 4), "metadata": {"m": 1}}
    write_lines(two.folder / "day-cnn.jsonl", [_guess("a.jpg", 1), _guess("b.jpg", 2), bad, good])
    summary = two.apply()
    assert (summary["exit_code"], summary["create"], summary["rejected"]) == (3, 1, 1)
    (rejected,) = two("errors", "--json").lines()
    assert (rejected["address"], rejected["key"]) == (
        "model.cnn.predictions.day",
        {"reference_id": "a.jpg", "annotation_id": "box-3"},
    )
    assert rejected["file"] == "day-cnn.jsonl"
    assert 'Metadata key "n" holds a string elsewhere in this dataset' in rejected["reason"]
    held = {(dataset, name) for dataset, _, name, _ in _predicted(two)}
    assert held & {("day", "box-3"), ("day", "box-4")} == {("day", "box-4")}
    assert two.plan()["summary"]["rejected"] == 1  # it rests
    write_lines(two.folder / "day-cnn.jsonl", [_guess("a.jpg", 1), _guess("b.jpg", 2), {**bad, "metadata": {}}, good])
    assert _done(two)["create"] == 1


def test_run_free_predictions_whose_call_fails_are_in_doubt_and_sent_again(two: Project) -> None:
    _run(two, "none")
    match = {"method": "POST", "path": "model/[^/]+/predictions$", "nth": 1}
    two.emulator.inject([{"match": match, "effect": {"status": 400, "body": {"error": "not to our taste"}}}])
    answer = two("apply", "--auto-approve")
    assert answer.code == 3
    assert "not to our taste" in answer.text
    assert len(_predicted(two)) == 4
    _done(two)
    assert len(_predicted(two)) == 8


def test_run_free_predictions_whose_answer_is_lost_are_not_doubled(two: Project) -> None:
    _run(two, "none")
    match = {"method": "POST", "path": "model/[^/]+/predictions$", "nth": 1}
    two.emulator.inject([{"match": match, "effect": {"reset": "after"}}])
    _done(two)
    assert len(_predicted(two)) == 8


def test_a_run_has_a_shape(two: Project) -> None:
    _run(two, "nightly")
    answer = two("plan")
    assert answer.code == 6
    assert "write run: {name: nightly} for a run of that name, or run: none" in answer.text


def test_a_refresh_claims_nothing_of_predictions_without_a_run(two: Project) -> None:
    _run(two, "none")
    assert two.apply()["exit_code"] == 0
    for words in (["refresh"], ["refresh", "--write"], ["refresh", "--sample", "9"]):
        values = two.ok(*words, "--json").json()
        told = {one["address"]: (one["verified"], one["unverified"]) for one in values["streams"]}
        assert told["model.cnn.predictions.day"] == (0, 4), words
        assert values["drift"] == 0, words
    two.assert_settled()


def test_a_sample_reads_predictions_without_a_run_where_one_dataset_has_them(two: Project) -> None:
    _run(two, "none")
    sections = two.declared()
    del sections["models"]["cnn"]["predictions"]["night"]
    two.declare(**sections)
    assert two.apply()["exit_code"] == 0
    values = two.ok("refresh", "--sample", "9", "--target", "model.cnn", "--json").json()
    assert [(one["verified"], one["changed"] + one["deleted"] + one["added"]) for one in values["streams"]] == [(4, 0)]


def test_a_refresh_reads_a_named_run(two: Project) -> None:
    _run(two, {"name": "nightly"})
    assert two.apply()["exit_code"] == 0
    values = two.ok("refresh", "--json").json()
    told = {one["address"]: one["verified"] for one in values["streams"]}
    assert (values["drift"], told["model.cnn.predictions.day"], told["model.cnn.predictions.night"]) == (0, 4, 4)


def test_a_named_run_stays_while_predictions_on_another_dataset_could_not_be_sent_again(two: Project) -> None:
    _run(two, {"name": "nightly"})
    sections = two.declared()
    sections["sources"]["night-cnn"]["on_invalid"] = "skip"
    two.declare(**sections)
    _done(two)
    write_lines(two.folder / "day-cnn.jsonl", [_guess("a.jpg", 1)])
    sound = [_guess(item, number) for item in ("a.jpg", "b.jpg") for number in (1, 2)]
    write_lines(two.folder / "night-cnn.jsonl", [{**sound[0], "confidence": 7}, *sound[1:]])
    assert _done(two)["delete"] == 0
    assert len(_predicted(two)) == 8
    assert "3 deletions wait: a record of model.cnn.predictions.night is at Nucleus" in two.ok("plan").text
    write_lines(two.folder / "night-cnn.jsonl", sound)
    assert _done(two)["delete"] == 3
    assert len(_predicted(two)) == 5
