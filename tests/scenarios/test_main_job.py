"""The main job on a small export of our own: everything goes up once, in order, and then nothing is left."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from .project import Project, write_lines


def test_all_facts_arrive_and_nothing_is_left_to_do(tiny: Project) -> None:
    summary = tiny.apply()
    assert (summary["exit_code"], summary["rejected"], summary["failed_steps"]) == (0, 0, 0)
    held = tiny.dataset("Tiny")
    assert [(item["reference_id"], item["metadata"]) for item in held["items"]] == [
        ("a.png", {"site": "berlin"}),
        ("b.png", {"site": "paris"}),
        ("c.png", {"site": "rome"}),
    ]
    boxes = {(one["reference_id"], one["annotation_id"], one["label"]) for one in held["annotations"]}
    assert boxes == {(f"{'abc'[n // 2]}.png", str(10 + n), ("cat", "dog")[n % 2]) for n in range(6)}
    predictions = tiny.world()["models"][0]["predictions"]
    assert sorted(one["confidence"] for one in predictions) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert tiny.world()["metric_calls"] == [
        {"dataset": "Tiny", "model": "cnn", "options": tiny.world()["metric_calls"][0]["options"]}
    ]
    tiny.assert_settled()


def test_the_plan_shows_the_seed_workflow(tiny: Project) -> None:
    steps = [step["id"] for step in tiny.plan()["steps"]]
    assert steps == [
        "dataset.tiny:create",
        "model.cnn:create",
        "dataset.tiny.items:ingest",
        "dataset.tiny.annotations:ingest",
        "model.cnn.predictions.tiny:ingest",
        "evaluation.dashboard:evaluate",
    ]


def test_requests_follow_the_seed_workflow(tiny: Project) -> None:
    _read_from_a_url(tiny)
    assert tiny.apply()["exit_code"] == 0
    told = [words for words in map(_in_words, tiny.emulator.requests()) if words]
    assert sorted(told[:2]) == ["create dataset", "create model"]
    probe, items, records = _split(told[2:-1], "items")
    assert probe == ["items", "job"]
    assert items == ["items", "job"]
    assert sorted(set(records)) == ["annotations", "job", "predictions"]
    assert records[-2:] == ["job", "job"]
    assert told[-1] == "metrics"


def _read_from_a_url(project: Project) -> None:
    sections = project.declared()
    del sections["sources"]["labels"]["images"]
    sections["sources"]["labels"]["image_url"] = "https://example.com/{file_name}"
    project.declare(**sections)


WORDS = {
    "POST /v1/nucleus/dataset/create": "create dataset",
    "POST /v1/nucleus/models/add": "create model",
    "append": "items",
    "annotate": "annotations",
    "uploadPredictions": "predictions",
    "calculateEvaluationMetrics": "metrics",
}


def _in_words(request: dict[str, Any]) -> str:
    """What a request is for, where it belongs to the workflow."""
    path = f"{request['method']} {request['path']}"
    last = path.rpartition("/")[2] if request["method"] == "POST" else ""
    return WORDS.get(path) or WORDS.get(last) or ("job" if "/nucleus/job/job_" in path else "")


def _split(told: list[str], word: str) -> tuple[list[str], list[str], list[str]]:
    """The requests about the first upload of items, the second, and what follows the second one's job."""
    first, second = (at for at, each in enumerate(told) if each == word)
    end = next(at for at, each in enumerate(told) if at > second and each != "job")
    return sorted(set(told[first:second])), sorted(set(told[second:end])), told[end:]


def test_only_one_item_is_probed(tiny: Project) -> None:
    _read_from_a_url(tiny)
    events = tiny("apply", "--auto-approve", "--json").lines()
    sent = [(one["step"], one["records"]) for one in events if one["event"] == "job_submitted"]
    assert sent[:2] == [("dataset.tiny.items:probe", 1), ("dataset.tiny.items:ingest", 2)]


def test_a_failing_probe_stops_everything_behind_it(tiny: Project) -> None:
    _read_from_a_url(tiny)
    tiny.emulator.inject([{"match": {"job": "uploadDatasetItems"}, "effect": {"unreachable": ["https://example.com"]}}])
    answer = tiny("apply", "--auto-approve")
    assert answer.code == 3
    assert "Nucleus can't take the first image of source labels; nothing else of it was sent" in answer.text
    assert [
        words for words in map(_in_words, tiny.emulator.requests()) if words.startswith(("items", "ann", "pre"))
    ] == ["items"]


def test_the_official_sdk_sees_what_was_applied(applied: Project, client: nucleus.NucleusClient) -> None:
    (dataset,) = client.datasets
    assert dataset.name == "Tiny"
    assert sorted(item.reference_id for item in dataset.items) == ["a.png", "b.png", "c.png"]
    found = dataset.refloc("b.png")["annotations"]["box"]
    assert sorted(box.annotation_id for box in found) == ["12", "13"]
    (model,) = client.models
    assert (model.name, model.reference_id) == ("CNN", "cnn")


def test_an_item_that_is_probed_in_one_dataset_still_goes_into_another(project: Project) -> None:
    """The other one has taken images of that source before; while it probes three others, the first is done."""

    def declare(shared: str, **datasets: list[str]) -> None:
        sources = {name: {"format": "records", "path": f"{name}.jsonl"} for name in ("shared", *"opqr")}
        for name in sources:
            items = shared if name == "shared" else name
            lines = [{"reference_id": item, "image_url": f"https://example.com/{item}"} for item in items]
            write_lines(project.folder / f"{name}.jsonl", lines)
        project.declare(
            sources=sources, datasets={name: {"name": name, "items": items} for name, items in datasets.items()}
        )

    declare("cd", one=["o"], two=["shared"])
    project.apply()
    declare("acd", one=["o", "shared"], two=["shared", "p", "q", "r"])
    project.apply()
    for name, rest in (("one", "o"), ("two", "pqr")):
        assert [item["reference_id"] for item in project.dataset(name)["items"]] == ["a", "c", "d", *rest]
    project.assert_settled()
