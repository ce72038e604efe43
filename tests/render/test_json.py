"""The shapes that programs rely on."""

from __future__ import annotations

import json

from nucleus_sync.errors import SpecError, SpecProblem, StalePlan
from nucleus_sync.events import Evaluated, Finished, RecordRejected, StepStarted
from nucleus_sync.records.problem import Where
from nucleus_sync.render import json as form


def test_events_are_named_as_documented() -> None:
    started = form.event_values(StepStarted("dataset.a.items", "dataset.a.items:ingest", "ingest", 3))
    assert started == {
        "event": "step_started",
        "address": "dataset.a.items",
        "step": "dataset.a.items:ingest",
        "action": "ingest",
        "records": 3,
    }
    assert form.event_values(Finished(1, 0, 0, 2, 0, 0, 0, 1.5, 0))["event"] == "summary"
    rejected = form.event_values(RecordRejected("a", {"reference_id": "x"}, "no", Where("f.json", "line 2")))
    assert rejected["event"] == "record_rejected"
    assert rejected["where"] == {"file": "f.json", "position": "line 2"}


def test_a_metric_without_a_number_is_null() -> None:
    values = json.loads(form.line(form.event_values(Evaluated("evaluation.a", {"mAP": float("nan"), "recall": 0.5}))))
    assert values["metrics"] == {"mAP": None, "recall": 0.5}


def test_a_name_that_is_no_utf8_still_makes_json() -> None:
    assert json.loads(form.line({"file": "caf\udce9.jpg"}).encode()) == {"file": "caf\udce9.jpg"}


def test_an_error_carries_its_code_and_its_particulars() -> None:
    spec = form.error_values(SpecError([SpecProblem("unknown key", path="a.b", file="n.yaml", line=3, column=5)]))
    assert spec["error"] == "1 problem in the spec"
    assert spec["exit_code"] == 6
    assert spec["problems"][0]["line"] == 3
    stale = form.error_values(StalePlan("stale", ["spec: edited"]))
    assert (stale["exit_code"], stale["moved"]) == (4, ["spec: edited"])
