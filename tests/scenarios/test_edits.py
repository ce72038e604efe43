"""One edit plans one change with its reason, and an apply does just that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.plan.plan import Plan
from nucleus_sync.workspace import Choices, Workspace

from .project import Project, picture, write_lines
from .tiny import edit, truth, write_tiny

Edit = Callable[[Project], object]


def _move_a_box(project: Project) -> None:
    edit(truth(project), lambda coco: coco["annotations"][1].update(bbox=[4, 3, 17, 16]))


def _relabel_a_box(project: Project) -> None:
    edit(truth(project), lambda coco: coco["annotations"][1].update(category_id=1))


def _change_a_metadata_value(project: Project) -> None:
    edit(truth(project), lambda coco: coco["images"][2].update(site="oslo"))


def _change_a_picture(project: Project) -> None:
    picture(project.folder / "images" / "b.png", 80, 60, 200)


def _change_a_prediction(project: Project) -> None:
    edit(project.folder / "results.json", lambda results: results[0].update(score=0.25))


EDITS: list[tuple[Edit, str, dict[str, str], str]] = [
    (_move_a_box, "dataset.tiny.annotations", {"reference_id": "a.png", "annotation_id": "11"}, "geometry changed"),
    (_relabel_a_box, "dataset.tiny.annotations", {"reference_id": "a.png", "annotation_id": "11"}, "label changed"),
    (_change_a_metadata_value, "dataset.tiny.items", {"reference_id": "c.png"}, "metadata changed"),
    (_change_a_picture, "dataset.tiny.items", {"reference_id": "b.png"}, "image changed"),
]


@pytest.mark.parametrize(
    ("change", "address", "key", "reason"), EDITS, ids=lambda value: getattr(value, "__name__", "")
)
def test_one_edit_is_one_update(applied: Project, change: Edit, address: str, key: dict[str, str], reason: str) -> None:
    before = applied.world()
    change(applied)
    (planned,) = applied.changes()
    assert (planned["address"], planned["key"], planned["action"], planned["reason"]) == (
        address,
        key,
        "update",
        reason,
    )
    assert planned["file"] == "truth.json"
    assert planned["position"].startswith(("annotations[", "images["))
    figures = applied.plan()["summary"]
    assert (figures["create"], figures["update"], figures["delete"]) == (0, 1, 0)
    assert reason in applied.ok("plan").out
    assert applied("plan", "--detailed-exitcode").code == 2
    summary = applied.apply()
    assert [summary[name] for name in ("create", "update", "delete", "resent")] == [0, 1, 0, 0]
    assert len(_different(before, applied.world())) == 1
    applied.assert_settled()


def _different(before: dict[str, Any], after: dict[str, Any]) -> list[Any]:
    """Records that are held in another form than before; what is derived, such as evaluations, is left out."""
    worlds = []
    for world in (before, after):
        records = [one for dataset in world["datasets"] for kind in ("items", "annotations") for one in dataset[kind]]
        records += [one for model in world["models"] for one in model["predictions"]]
        worlds.append({json.dumps(one, sort_keys=True) for one in records})
    return sorted(worlds[1] - worlds[0])


def test_a_changed_score_is_one_prediction(applied: Project) -> None:
    _change_a_prediction(applied)
    changes = applied.changes()
    assert {one["address"] for one in changes} == {"model.cnn.predictions.tiny"}
    assert applied.apply()["exit_code"] == 0
    scores = sorted(one["confidence"] for one in applied.world()["models"][0]["predictions"])
    assert scores == pytest.approx([0.25, 0.6, 0.7, 0.8, 0.9])
    applied.assert_settled()


def test_a_removed_annotation_is_deleted_and_its_neighbour_sent_again(applied: Project) -> None:
    edit(truth(applied), lambda coco: coco["annotations"].pop(0))
    changes = {one["action"]: one for one in applied.changes()}
    assert changes["delete"]["key"] == {"reference_id": "a.png", "annotation_id": "10"}
    assert changes["delete"]["reason"] == "source gone"
    assert changes["resend"]["key"] == {"reference_id": "a.png", "annotation_id": "11"}
    assert len(changes) == 2
    figures = applied.plan()["summary"]
    assert [figures[name] for name in ("create", "update", "delete", "resent")] == [0, 0, 1, 1]
    sent = len(applied.sent())
    summary = applied.apply()
    assert [summary[name] for name in ("create", "update", "delete", "resent")] == [0, 0, 1, 1]
    requests = [line.rpartition("/")[2] for line in applied.sent()[sent:] if "_storage" not in line]
    assert requests == ["annotations" if "annotations" in requests else requests[0], "annotate", *requests[2:]]
    assert [one["annotation_id"] for one in applied.dataset()["annotations"]] == ["11", "12", "13", "14", "15"]
    applied.assert_settled()


def test_several_parts_of_a_record_change_and_all_are_named(applied: Project) -> None:
    edit(applied.folder / "results.json", lambda results: results[4].update(score=0.1, bbox=[1, 1, 9, 9]))
    assert [one["reason"] for one in applied.changes()] == ["geometry and confidence changed"]
    edit(applied.folder / "results.json", lambda results: results[4].update(category_id=2))
    assert [one["reason"] for one in applied.changes()] == ["geometry, label and confidence changed"]


def test_a_plan_says_why_predictions_are_sent_again(applied: Project) -> None:
    edit(applied.folder / "results.json", lambda results: results.pop(4))
    assert "unchanged, sent again: Nucleus clears all predictions of a model at once" in applied.ok("plan").out


def test_without_prune_a_removed_annotation_stays_and_that_is_said(applied: Project) -> None:
    sections = applied.declared()
    sections["datasets"]["tiny"]["prune"] = False
    applied.declare(**sections)
    edit(truth(applied), lambda coco: coco["annotations"].pop(0))
    assert applied.plan()["summary"]["orphaned"] == 1
    assert "prune is off" in applied.ok("plan").out
    applied.assert_settled()
    assert len(applied.dataset()["annotations"]) == 6


def test_a_removed_prediction_goes_and_the_others_stay(applied: Project) -> None:
    edit(applied.folder / "results.json", lambda results: results.pop(4))
    figures = applied.plan()["summary"]
    assert (figures["create"], figures["delete"]) == (0, 1)
    assert applied.apply()["exit_code"] == 0
    predictions = applied.world()["models"][0]["predictions"]
    assert sorted(one["confidence"] for one in predictions) == pytest.approx([0.5, 0.6, 0.7, 0.8])
    applied.assert_settled()


def test_a_removed_item_takes_its_annotations_and_predictions_along(applied: Project) -> None:
    edit(truth(applied), _without_the_last_image)
    edit(applied.folder / "results.json", lambda results: results.pop(4))
    (step,) = [one for one in applied("plan", "--json").json()["steps"] if one["id"] == "dataset.tiny.items:delete"]
    assert step["reasons"] == {"source gone": 1, "annotations and predictions go along": 3}
    summary = applied.apply("--allow-deletes")
    assert summary["exit_code"] == 0
    held = applied.dataset()
    assert [one["reference_id"] for one in held["items"]] == ["a.png", "b.png"]
    assert {one["reference_id"] for one in held["annotations"]} == {"a.png", "b.png"}
    assert len(applied.world()["models"][0]["predictions"]) == 4
    applied.assert_settled()


def _without_the_last_image(coco: dict[str, Any]) -> None:
    coco["images"].pop()
    del coco["annotations"][4:]


def test_deleting_more_than_the_limit_needs_leave(applied: Project) -> None:
    edit(truth(applied), lambda coco: coco["annotations"].__delitem__(slice(0, 2)))
    before, sent = applied.world(), len(applied.sent())
    refused = applied("apply", "--auto-approve")
    assert refused.code == 9
    assert "would lose 2 of 6 records (33%), the limit is 20%" in refused.err
    assert "--allow-deletes" in refused.err
    assert applied.sent()[sent:] == []
    assert applied.world() == before
    assert applied.apply("--allow-deletes")["delete"] == 2
    assert len(applied.dataset()["annotations"]) == 4
    applied.assert_settled()


def test_a_plan_says_that_its_deletions_will_need_leave(applied: Project) -> None:
    edit(truth(applied), lambda coco: coco["annotations"].__delitem__(slice(0, 2)))
    planned = applied.ok("plan")
    assert "warning: apply will refuse this: dataset.tiny.annotations would lose 2 of 6 records" in planned.err
    assert "--allow-deletes" in planned.err


def test_the_limit_counts_records_too(project: Project) -> None:
    write_tiny(project, evaluate=False, delete_limit={"records": 0, "fraction": 1})
    assert project.apply()["exit_code"] == 0
    edit(truth(project), lambda coco: coco["annotations"].pop())
    refused = project("apply", "--auto-approve")
    assert refused.code == 9
    assert "would lose 1 record" in refused.err


def _empty(path: Path) -> None:
    edit(path, lambda coco: coco["annotations"].clear())


def _vanish(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("harm", [_empty, _vanish, _truncate])
def test_a_source_that_yields_nothing_is_an_error_and_never_a_deletion(
    applied: Project, harm: Callable[[Path], None]
) -> None:
    before, sent = applied.world(), len(applied.sent())
    harm(truth(applied))
    assert applied("plan").code == 6
    answer = applied("apply", "--auto-approve", "--allow-deletes")
    assert answer.code == 6
    assert "truth.json" in answer.text or "source labels: yields no annotations" in answer.text
    assert applied.sent()[sent:] == []
    assert applied.world() == before


def test_a_clearance_that_fails_is_repeated_within_the_same_limit(applied: Project) -> None:
    edit(truth(applied), lambda coco: coco["annotations"].pop(0))
    applied.emulator.inject([{"match": {"job": "annotationDeletion"}, "effect": {"state": "Errored_Server"}}])
    answer = applied("apply", "-y")
    assert answer.code == 3
    assert "clearing the annotations of 1 item: server fault" in answer.err
    assert "3 steps failed or skipped" in answer.out
    applied.emulator.inject(None)
    assert applied.apply()["exit_code"] == 0
    assert len(applied.dataset()["annotations"]) == 5
    applied.assert_settled()


def test_a_folder_of_pictures_that_is_gone_is_an_error(applied: Project) -> None:
    before = applied.world()
    (applied.folder / "images").rename(applied.folder / "elsewhere")
    answer = applied("apply", "--auto-approve", "--allow-deletes")
    assert answer.code == 6
    assert applied.world() == before
    assert "images" in answer.text


def test_a_record_that_breaks_is_not_taken_for_gone(applied: Project) -> None:
    sections = applied.declared()
    sections["sources"]["labels"]["on_invalid"] = "skip"
    applied.declare(**sections)
    edit(truth(applied), lambda coco: coco["annotations"][0].update(bbox=[1, 2, 0, 4]))
    assert applied.plan()["summary"]["delete"] == 0
    applied.assert_settled()
    assert len(applied.dataset()["annotations"]) == 6


def test_renaming_a_source_file_changes_nothing(applied: Project) -> None:
    truth(applied).rename(applied.folder / "renamed.json")
    sections = applied.declared()
    sections["sources"]["labels"]["path"] = "renamed.json"
    sections["sources"]["cnn"]["ground_truth"] = "renamed.json"
    applied.declare(**sections)
    applied.assert_settled()


def test_formatting_a_file_anew_changes_nothing(applied: Project) -> None:
    text = json.dumps(json.loads(truth(applied).read_text("utf-8")), indent=4, sort_keys=True)
    truth(applied).write_text(text, "utf-8")
    applied.assert_settled()


def test_a_new_image_with_annotations_is_added(applied: Project) -> None:
    picture(applied.folder / "images" / "d.png", 10, 10)

    def add(coco: dict[str, Any]) -> None:
        coco["images"].append({"id": 4, "file_name": "d.png", "width": 10, "height": 10, "site": "kiel"})
        coco["annotations"].append({"id": 99, "image_id": 4, "category_id": 1, "bbox": [1, 1, 5, 5]})

    edit(truth(applied), add)
    assert [(one["action"], one["reason"]) for one in applied.changes()] == [("create", "new")] * 2
    summary = applied.apply()
    assert (summary["create"], summary["update"]) == (2, 0)
    applied.assert_settled()


def test_a_source_that_changes_between_the_plan_and_its_apply(applied: Project) -> None:
    """The plan is approved, and then the file is written anew: nothing else than what was approved is sent."""
    edit(truth(applied), lambda coco: coco["annotations"][0].update(bbox=[1, 1, 9, 9]))

    def approve(_: Plan) -> bool:
        edit(truth(applied), lambda coco: coco["annotations"][0].update(bbox=[2, 2, 99, 99]))
        return True

    with pytest.MonkeyPatch.context() as patch:
        for name, value in applied.environ.items():
            patch.setenv(name, value)
        with Workspace(applied.folder / "nucleus.yaml", environ={}) as space:
            finished = space.apply(Choices(), approve, lambda _: None)
    assert finished.exit_code in (0, 3)
    held = {one["annotation_id"]: one["geometry"]["width"] for one in applied.dataset()["annotations"]}
    assert held["10"] in (16, 9)
    assert applied.apply()["exit_code"] == 0
    assert {one["annotation_id"]: one["geometry"]["width"] for one in applied.dataset()["annotations"]}["10"] == 99
    applied.assert_settled()


def test_a_stream_of_nothing_but_one_key_twice_is_told_of(project: Project) -> None:
    lines = [{"reference_id": "a", "image_url": f"s3://acme/{n}.jpg", "metadata": {}} for n in range(2)]
    write_lines(project.folder / "items.jsonl", lines)
    items = {"format": "records", "path": "items.jsonl"}
    project.declare(sources={"items": items}, datasets={"d": {"name": "D", "items": ["items"]}})
    answer = project("plan")
    assert answer.code == 6
    assert "2 different records share it: items.jsonl: line 1; items.jsonl: line 2" in answer.text


def test_a_source_that_never_held_anything_may_be_empty(tiny: Project) -> None:
    edit(truth(tiny), lambda coco: coco["annotations"].clear())
    answer = tiny("plan", "--json")
    assert answer.code == 0
    (source,) = answer.json()["sources"]
    assert (source["findings"], source["causes"][0]["cause"]) == (1, "yields no annotations")
    assert tiny.apply()["exit_code"] == 0
    tiny.assert_settled()
