"""Records that Nucleus refuses are named with their place, rest until something changes, and hold up nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nucleus
import nucleus.async_job
import pytest

from .project import Project, write_lines
from .tiny import edit, truth

DRIVER = Path(__file__).parents[1] / "crash" / "driver.py"
REFUSE_ONE = {
    "match": {"job": "uploadAnnotations"},
    "effect": {"reject": {"indices": [1], "error": "Injected fault: too blurry."}},
}


@pytest.fixture
def refused(tiny: Project) -> Project:
    """A project of which Nucleus refused one annotation."""
    tiny.emulator.inject([REFUSE_ONE])
    summary = tiny.apply()
    assert (summary["exit_code"], summary["rejected"]) == (3, 1)
    tiny.emulator.inject(None)
    return tiny


def _only_error(project: Project) -> dict[str, Any]:
    (error,) = project("errors", "--json").lines()
    return error


def test_a_rejected_record_is_named_with_its_place(refused: Project) -> None:
    error = _only_error(refused)
    assert (error["kind"], error["address"]) == ("rejected", "dataset.tiny.annotations")
    assert error["key"].keys() == {"reference_id", "annotation_id"}
    assert "too blurry" in error["reason"]
    number = int(error["key"]["annotation_id"]) - 10
    assert (error["file"], error["position"]) == ("truth.json", f"annotations[{number}]")
    text = refused("errors").out
    for words in ("dataset.tiny.annotations", "too blurry", "truth.json", f"annotations[{number}]"):
        assert words in text


def test_all_others_are_confirmed_and_what_follows_goes_on(refused: Project) -> None:
    held = refused.dataset()
    assert len(held["annotations"]) == 5
    assert len(refused.world()["models"][0]["predictions"]) == 5
    assert refused.world()["metric_calls"]


def test_a_rejected_record_rests(refused: Project) -> None:
    plan = refused.plan("--detailed-exitcode")
    assert (plan["exit_code"], plan["summary"]["rejected"], plan["steps"]) == (0, 1, [])
    assert "1 rejected record rests" in refused.ok("plan").out
    refused.assert_settled()
    assert len(refused.dataset()["annotations"]) == 5


def test_a_changed_record_is_sent_again(refused: Project) -> None:
    number = int(_only_error(refused)["key"]["annotation_id"]) - 10
    edit(truth(refused), lambda coco: coco["annotations"][number].update(bbox=[1, 1, 9, 9]))
    summary = refused.apply()
    assert (summary["exit_code"], summary["create"] + summary["update"]) == (0, 1)
    assert refused("errors", "--json").out == ""
    assert len(refused.dataset()["annotations"]) == 6


def test_a_rejected_record_is_retried_when_asked(refused: Project) -> None:
    summary = refused.apply("--retry-rejected")
    assert (summary["exit_code"], summary["create"] + summary["update"], summary["rejected"]) == (0, 1, 0)
    assert len(refused.dataset()["annotations"]) == 6
    assert refused("errors", "--json").out == ""
    refused.assert_settled()


def test_a_retried_record_may_be_refused_again(refused: Project) -> None:
    refused.emulator.inject([REFUSE_ONE | {"effect": {"reject": {"first": 1, "error": "still too blurry"}}}])
    assert refused.apply("--retry-rejected")["exit_code"] == 3
    assert "still too blurry" in _only_error(refused)["reason"]


def test_a_rejected_record_that_leaves_the_source_is_forgotten(refused: Project) -> None:
    number = int(_only_error(refused)["key"]["annotation_id"]) - 10
    edit(truth(refused), lambda coco: coco["annotations"].pop(number))
    assert refused.plan()["summary"]["rejected"] == 0
    assert refused.apply()["exit_code"] == 0
    assert refused("errors", "--json").out == ""


def test_a_rejected_item_takes_its_annotations_along(tiny: Project) -> None:
    tiny.emulator.inject([{"match": {"job": "uploadDatasetItems"}, "effect": {"reject": {"indices": [0]}}}])
    summary = tiny.apply()
    assert (summary["exit_code"], len(tiny.dataset()["items"])) == (3, 2)
    assert len(tiny.dataset()["annotations"]) == 4
    errors = tiny("errors", "--json").lines()
    assert {one["address"] for one in errors} >= {"dataset.tiny.items"}
    tiny.emulator.inject(None)
    assert tiny("plan", "--detailed-exitcode").code == 0
    summary = tiny.apply("--retry-rejected")
    assert summary["exit_code"] == 0
    assert (len(tiny.dataset()["items"]), len(tiny.dataset()["annotations"])) == (3, 6)
    tiny.assert_settled()


def test_an_annotation_goes_up_once_its_item_is_there(tiny: Project) -> None:
    tiny.emulator.inject([{"match": {"job": "uploadDatasetItems"}, "effect": {"reject": {"indices": [0]}}}])
    assert tiny.apply()["exit_code"] == 3
    tiny.emulator.inject(None)
    edit(truth(tiny), lambda coco: [image.update(site=image["site"] + "!") for image in coco["images"]])
    assert tiny.apply()["exit_code"] == 0
    assert (len(tiny.dataset()["items"]), len(tiny.dataset()["annotations"])) == (3, 6)
    tiny.assert_settled()


@pytest.fixture
def sdk(client: nucleus.NucleusClient, monkeypatch: pytest.MonkeyPatch) -> nucleus.NucleusClient:
    monkeypatch.setattr(nucleus.async_job, "JOB_POLLING_INTERVAL", 0.01)
    return client


@pytest.fixture
def shared(project: Project) -> Project:
    """A dataset of one item from NDJSON, applied."""
    write_lines(project.folder / "items.jsonl", [_item("ours.jpg", 12.5)])
    project.declare(
        sources={"wire": {"format": "records", "path": "items.jsonl"}},
        datasets={"set": {"name": "Set", "items": ["wire"]}},
    )
    assert project.apply()["exit_code"] == 0
    return project


def _item(name: str, speed: Any) -> dict[str, Any]:
    return {"reference_id": name, "image_url": f"s3://bucket/{name}", "metadata": {"speed": speed}}


def test_metadata_that_another_client_typed_otherwise(shared: Project, sdk: nucleus.NucleusClient) -> None:
    (dataset,) = sdk.datasets
    theirs = nucleus.DatasetItem("s3://b/t.jpg", reference_id="theirs.jpg", metadata={"weather": "fog"})
    dataset.append([theirs]).sleep_until_complete(verbose_std_out=False)
    ours = _item("two.jpg", 3) | {"metadata": {"weather": 7}}
    write_lines(shared.folder / "items.jsonl", [_item("ours.jpg", 12.5), ours, _item("three.jpg", 4)])
    assert shared.apply()["exit_code"] == 3
    error = _only_error(shared)
    assert (error["key"], error["position"]) == ({"reference_id": "two.jpg"}, "line 2")
    assert "weather" in error["reason"]
    assert {item["reference_id"] for item in shared.dataset()["items"]} == {"ours.jpg", "theirs.jpg", "three.jpg"}
    shared.assert_settled()


def test_an_item_that_somebody_else_deleted(applied: Project, sdk: nucleus.NucleusClient) -> None:
    (dataset,) = sdk.datasets
    dataset.delete_item("b.png")
    edit(truth(applied), lambda coco: coco["annotations"][2].update(bbox=[1, 1, 9, 9]))
    assert applied.apply()["exit_code"] == 3
    error = _only_error(applied)
    assert error["key"] == {"reference_id": "b.png", "annotation_id": "12"}
    assert (error["file"], error["position"]) == ("truth.json", "annotations[2]")
    applied.assert_settled()


def test_many_rejections_are_counted_and_a_few_are_named(tiny: Project) -> None:
    tiny.emulator.inject([{"match": {"job": "uploadAnnotations"}, "effect": {"reject": {"fraction": 1.0}}}])
    answer = tiny("apply", "--auto-approve")
    assert answer.code == 3
    assert "6 rejected" in answer.out
    assert answer.err.count("  ! dataset.tiny.annotations  reference_id") == 3
    assert "Nucleus rejected 6 records (3 more than named above); see: nucleus-sync errors" in answer.err
    assert len(tiny("errors", "--json").lines()) == 6


def test_what_outlived_its_apply_is_named_with_its_place_too(tiny: Project) -> None:
    """Settling knows the sources of a batch only; the survey behind it finds the records in them."""
    tiny.emulator.inject([REFUSE_ONE, {"match": {"job": "uploadAnnotations"}, "effect": {"slow": 0.5}}])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUCLEUS")} | tiny.environ
    driver = [sys.executable, str(DRIVER), str(tiny.folder), os.devnull, "batch submitted", "3"]
    assert subprocess.run(driver, env=kept, check=False, timeout=100).returncode == -signal.SIGKILL
    tiny.emulator.inject(None)
    tiny.apply()
    error = _only_error(tiny)
    assert "too blurry" in error["reason"]
    number = int(error["key"]["annotation_id"]) - 10
    assert (error["file"], error["position"]) == ("truth.json", f"annotations[{number}]")


def test_a_place_follows_the_record(refused: Project) -> None:
    number = int(_only_error(refused)["key"]["annotation_id"]) - 10
    edit(truth(refused), lambda coco: coco["annotations"].reverse())
    refused.assert_settled()
    assert _only_error(refused)["position"] == f"annotations[{5 - number}]"
