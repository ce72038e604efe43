"""Evaluations on benchmarks of every sort, and the gates on their numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nucleus
import pytest

from .project import Project
from .tiny import edit, write_tiny


@pytest.fixture
def judged(project: Project) -> Project:
    """The small project with an evaluation that is still to be declared."""
    write_tiny(project, evaluate=False)
    sections = project.declared()
    sections["datasets"]["tiny"]["slices"] = {"ab": {"reference_ids": ["a.png", "b.png"]}}
    project.declare(**sections)
    return project


def _declare(project: Project, **evaluation: Any) -> None:
    sections = project.declared()
    told = {"kind": "benchmark", "model": "cnn", **evaluation}
    project.declare(**sections | {"settings": {"prune": True}, "evaluations": {"nightly": told}})


def _done(project: Project, *arguments: str, code: int = 0) -> list[Any]:
    answer = project("apply", "--auto-approve", "--json", *arguments)
    assert answer.code == code, answer.text
    return answer.lines()


def _benchmarks(project: Project) -> list[tuple[list[int], list[str]]]:
    """Version and items of each, in order."""
    return [(one["version"], [name for _, name in one["items"]]) for one in project.world()["benchmarks"]]


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ({"dataset": "tiny"}, ["a.png", "b.png", "c.png"]),
        ({"benchmark": {"datasets": ["tiny"]}}, ["a.png", "b.png", "c.png"]),
        ({"benchmark": {"slices": ["tiny.ab"]}}, ["a.png", "b.png"]),
        ({"benchmark": {"items": {"tiny": ["c.png"]}}}, ["c.png"]),
        ({"benchmark": {"items": {"tiny": ["c.png"]}, "slices": ["tiny.ab"]}}, ["a.png", "b.png", "c.png"]),
    ],
)
def test_what_a_benchmark_is_made_of(
    judged: Project, client: nucleus.NucleusClient, source: dict[str, Any], items: list[str]
) -> None:
    _declare(judged, **source)
    _done(judged)
    judged.assert_settled()
    assert _benchmarks(judged) == [([1, 0], items)]
    (benchmark,) = client.list_benchmarks()
    assert (benchmark.item_count, benchmark.status) == (len(items), "ready")


def test_a_changed_slice_is_a_new_version_without_what_left(judged: Project) -> None:
    _declare(judged, benchmark={"slices": ["tiny.ab"], "bump": "major"})
    _done(judged)
    sections = judged.declared()
    sections["datasets"]["tiny"]["slices"]["ab"]["reference_ids"] = ["b.png", "c.png"]
    judged.declare(**sections)
    assert "evaluation.nightly:evaluate" in [step["id"] for step in judged.plan()["steps"]]
    _done(judged)
    judged.assert_settled()
    assert sorted(_benchmarks(judged)) == [([1, 0], ["a.png", "b.png"]), ([2, 0], ["b.png", "c.png"])]


def test_a_draft_changes_in_place_and_is_evaluated_once_it_is_none(judged: Project) -> None:
    _declare(judged, benchmark={"items": {"tiny": ["a.png"]}, "draft": True})
    _done(judged)
    judged.assert_settled()
    _declare(judged, benchmark={"items": {"tiny": ["b.png", "c.png"]}, "draft": True})
    _done(judged)
    (draft,) = judged.world()["benchmarks"]
    assert (draft["status"], draft["evaluations"]) == ("draft", 0)
    assert _benchmarks(judged) == [([1, 0], ["b.png", "c.png"])]
    _declare(judged, benchmark={"items": {"tiny": ["b.png", "c.png"]}})
    _done(judged)
    judged.assert_settled()
    (ready,) = judged.world()["benchmarks"]
    assert (ready["status"], ready["evaluations"]) == ("ready", 1)


def test_presets_are_saved_and_taken(judged: Project, client: nucleus.NucleusClient) -> None:
    groups = {"pet": ["cat", "dog"]}
    _declare(judged, dataset="tiny", rollup_groups=groups, save_as_preset="pets")
    _done(judged)
    (preset,) = client.list_evaluation_v2_presets()
    assert (preset.name, [(one.class_name, one.labels) for one in preset.rollup_groups]) == (
        "pets",
        [("pet", ["cat", "dog"])],
    )
    _declare(judged, dataset="tiny", preset="pets")
    (result,) = [one for one in _done(judged) if one["event"] == "evaluated"]
    assert list(result["metrics"]["labels"]) == ["pet"]
    _declare(judged, dataset="tiny", preset="none")
    assert "there is no preset 'none' at Nucleus" in judged("apply", "--auto-approve").text


def test_a_preset_goes_with_the_evaluation_that_made_it(judged: Project, client: nucleus.NucleusClient) -> None:
    def presets() -> list[str]:
        return sorted(one.name for one in client.list_evaluation_v2_presets())

    client.create_evaluation_v2_preset("theirs")
    groups = {"pet": ["cat", "dog"]}
    _declare(judged, dataset="tiny", rollup_groups=groups, save_as_preset="pets")
    _done(judged)
    _declare(judged, dataset="tiny", rollup_groups=groups, save_as_preset="animals")
    _done(judged)
    assert presets() == ["animals", "theirs"]
    _declare(judged, dataset="tiny", rollup_groups=groups, save_as_preset="theirs")
    _done(judged)
    assert presets() == ["theirs"]
    _declare(judged, dataset="tiny", rollup_groups=groups, save_as_preset="pets")
    _done(judged)
    sections = judged.declared()
    del sections["evaluations"]
    judged.declare(**sections)
    _done(judged)
    assert presets() == ["theirs"]


def test_a_preset_that_another_evaluation_takes_is_handed_over(judged: Project, client: nucleus.NucleusClient) -> None:
    sections = {**judged.declared(), "settings": {"prune": True}}
    common = {"kind": "benchmark", "model": "cnn", "dataset": "tiny"}
    maker = {**common, "rollup_groups": {"pet": ["cat", "dog"]}, "save_as_preset": "pets"}
    judged.declare(**{**sections, "evaluations": {"maker": maker}})
    _done(judged)
    judged.declare(**{**sections, "evaluations": {"maker": maker, "taker": {**common, "preset": "pets"}}})
    _done(judged)
    judged.declare(**{**sections, "evaluations": {"taker": {**common, "preset": "pets"}}})
    _done(judged)
    assert len(client.list_evaluation_v2_presets()) == 1
    judged.declare(**{**sections, "evaluations": {}})
    _done(judged)
    assert client.list_evaluation_v2_presets() == []


def test_a_preset_whose_answer_is_lost_is_ours_all_the_same(judged: Project, client: nucleus.NucleusClient) -> None:
    match = {"method": "POST", "path": "evaluationV2Presets$", "times": 1}
    judged.emulator.inject([{"match": match, "effect": {"reset": "after"}}])
    _declare(judged, dataset="tiny", rollup_groups={"pet": ["cat"]}, save_as_preset="pets")
    assert judged("apply", "--auto-approve").code == 3
    _done(judged)
    assert len(client.list_evaluation_v2_presets()) == 1
    judged.ok("destroy", "--auto-approve")
    assert client.list_evaluation_v2_presets() == []


def test_a_removed_evaluation_takes_its_benchmarks_along(judged: Project, client: nucleus.NucleusClient) -> None:
    _declare(judged, dataset="tiny")
    _done(judged)
    sections = judged.declared()
    del sections["evaluations"]
    judged.declare(**sections)
    assert [step["id"] for step in judged.plan()["steps"]] == ["evaluation.nightly:delete"]
    _done(judged)
    judged.assert_settled()
    assert client.list_benchmarks() == []


def test_a_gate_says_which_by_how_much_and_against_what(judged: Project) -> None:
    expect = {"mAP50": ">= 0.5", "no_worse_than": "previous", "by": 0.01}
    _declare(judged, dataset="tiny", expect=expect)
    _done(judged)
    edit(judged.folder / "results.json", lambda results: results[0].update(bbox=[60, 40, 3, 3]))
    events = _done(judged, code=5)
    notes = [one["text"] for one in events if one["event"] == "note" and "gate failed" in one["text"]]
    assert any("no worse than previous by 0.01" in text and "of the previous run" in text for text in notes)
    assert any("short by 0." in text for text in notes)
    (result,) = [one for one in events if one["event"] == "evaluated"]
    assert result["previous"]["mAP50"] > result["metrics"]["mAP50"]
    assert judged("apply", "--auto-approve").code == 5  # nothing to do, and still not good
    assert "(-0." in judged.ok("status").out
    table = judged.ok("status", "--format", "markdown").out
    assert "| metric | value | difference |" in table
    assert judged.ok("status", "--json").json()["evaluations"][0]["previous"] is not None


@pytest.mark.parametrize(("bound", "code"), [(0.50, 0), (0.51, 5)])
def test_the_published_numbers_pass_and_fail_a_gate(
    project: Project, data: Callable[[str], Path], bound: float, code: int
) -> None:
    folder = data("coco-val2014-eval")
    truth, results = folder / "gt_bbox.json", folder / "results_bbox.json"
    sources = {
        "truth": {"format": "coco", "path": str(truth), "image_url": "https://example.com/{file_name}"},
        "cnn": {"format": "coco-results", "path": str(results), "ground_truth": str(truth)},
    }
    project.declare(
        sources=sources,
        datasets={"val": {"name": "Val", "items": ["truth"], "annotations": ["truth"]}},
        models={"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"val": ["cnn"]}}},
        evaluations={
            "ap": {"kind": "benchmark", "model": "cnn", "dataset": "val", "expect": {"mAP": f">= {bound:.2f}"}}
        },
    )
    (result,) = [one for one in _done(project, code=code) if one["event"] == "evaluated"]
    assert result["metrics"]["mAP"] == pytest.approx(0.503647, abs=0.000001)
