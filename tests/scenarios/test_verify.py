"""An apply that reads back what it sent says how much of it is there, and believes no job's own words."""

from __future__ import annotations

import os
from typing import Any

import nucleus
import pytest

from .project import Project
from .tiny import edit, truth


def verified(project: Project, *arguments: str) -> tuple[int, dict[str, Any]]:
    answer = project("apply", "--auto-approve", "--verify", "--json", *arguments)
    events = [event for event in answer.lines() if event["event"] == "verified"]
    return answer.code, {
        one["address"]: (one["verified"], one["looked_at"], one["total"], one["held"]) for one in events
    }


def test_everything_that_was_sent_is_read_back(tiny: Project) -> None:
    assert verified(tiny) == (
        0,
        {
            "dataset.tiny.items": (3, 3, 3, 3),
            "dataset.tiny.annotations": (6, 6, 6, None),
            "model.cnn.predictions.tiny": (5, 5, 5, None),
        },
    )
    tiny.assert_settled()


def test_the_text_says_how_many_of_how_many(tiny: Project) -> None:
    said = tiny.ok("apply", "--auto-approve", "--verify").err
    assert "verified  dataset.tiny.annotations  6/6\n" in said


def test_only_what_was_sent_is_verified(applied: Project) -> None:
    edit(truth(applied), lambda found: found["annotations"][0].update(bbox=[0, 0, 5, 5]))
    code, streams = verified(applied)
    assert (code, list(streams)) == (0, ["dataset.tiny.annotations"])


def test_a_job_that_claims_what_it_has_not_done_is_found_out_and_repaired(tiny: Project) -> None:
    tiny.emulator.inject(
        [{"match": {"job": "uploadAnnotations", "times": 1}, "effect": {"state": "Completed", "keep_work": False}}]
    )
    code, streams = verified(tiny)
    assert (code, streams["dataset.tiny.annotations"]) == (3, (0, 6, 6, None))
    assert tiny.dataset()["annotations"] == []
    assert verified(tiny)[1]["dataset.tiny.annotations"] == (6, 6, 6, None)
    tiny.assert_settled()
    assert len(tiny.dataset()["annotations"]) == 6


def test_a_change_that_did_not_arrive_is_sent_again(applied: Project) -> None:
    edit(truth(applied), lambda found: found["annotations"][0].update(bbox=[0, 0, 5, 5]))
    os.utime(truth(applied), (1e9, 1e9))  # a file that is not young is not read again without a reason
    applied.emulator.inject(
        [{"match": {"job": "uploadAnnotations", "times": 1}, "effect": {"state": "Completed", "keep_work": False}}]
    )
    assert verified(applied) == (3, {"dataset.tiny.annotations": (5, 6, 6, None)})
    assert verified(applied) == (0, {"dataset.tiny.annotations": (6, 6, 6, None)})
    applied.assert_settled()


def test_what_others_added_is_counted_and_left_alone(applied: Project, client: nucleus.NucleusClient) -> None:
    client.datasets[0].append([nucleus.DatasetItem("s3://b/theirs.png", "theirs.png")])
    edit(truth(applied), lambda found: found["images"][0].update(site="oslo"))
    code, streams = verified(applied)
    assert (code, streams["dataset.tiny.items"]) == (0, (3, 3, 3, 4))
    assert applied.plan()["summary"]["delete"] == 0


def test_large_streams_are_sampled(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nucleus_sync.apply.verify.READ_WHOLE", 2)
    monkeypatch.setattr("nucleus_sync.apply.verify.SAMPLED_ITEMS", 1)
    code, streams = verified(tiny)
    assert code == 0
    assert streams["dataset.tiny.items"][:3] == (1, 1, 3)
    assert streams["dataset.tiny.annotations"][:3] == (2, 2, 6)
