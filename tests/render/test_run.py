"""A run as lines, and the numbers of an evaluation as a table."""

from __future__ import annotations

from rich.console import Console

from nucleus_sync.events import (
    Evaluated,
    Finished,
    JobFinished,
    JobSubmitted,
    Note,
    RecordRejected,
    StepFinished,
    StepStarted,
)
from nucleus_sync.records.problem import Where
from nucleus_sync.render.progress import Flow, LiveProgress
from nucleus_sync.render.run import event_text
from nucleus_sync.render.text import PLAIN

STEP = "dataset.a.items:ingest"


def test_a_step_begins_and_ends_with_its_counts() -> None:
    assert (
        event_text(StepStarted("dataset.a.items", STEP, "ingest", 1200)) == "  ingest    dataset.a.items  1,200 records"
    )
    done = StepFinished("dataset.a.items", STEP, "ingest", "done", {"create": 1200, "rejected": 0})
    assert event_text(done) == "  ✓ ingest dataset.a.items  1,200 created"


def test_a_failed_step_says_why_and_a_skipped_one_because_of_what() -> None:
    failed = StepFinished("dataset.a.items", STEP, "ingest", "failed", {}, error="Nucleus said no\nask them")
    assert event_text(failed) == "  ! ingest dataset.a.items  failed\n      Nucleus said no\n      ask them"
    skipped = StepFinished("evaluation.a", "evaluation.a:evaluate", "evaluate", "skipped", because_of=STEP)
    assert event_text(skipped) == f"  ! evaluate evaluation.a  skipped: it waits for {STEP}"


def test_a_rejected_record_names_key_reason_and_place() -> None:
    event = RecordRejected(
        "dataset.a.items", {"reference_id": "a\x1b.jpg"}, "no such image", Where("a.json", "images[3]")
    )
    assert event_text(event) == "  ! dataset.a.items  reference_id a\\x1b.jpg: no such image  (a.json: images[3])"


def test_the_last_line_counts_what_was_really_done() -> None:
    done = Finished(
        create=3, update=1, delete=0, unchanged=9, rejected=0, invalid=0, failed_steps=0, seconds=2.5, exit_code=0
    )
    assert event_text(done) == "Done: 3 created, 1 updated, 0 deleted, 9 unchanged, in 2.5 s."
    part = Finished(
        create=3, update=1, delete=0, unchanged=9, rejected=2, invalid=0, failed_steps=1, seconds=75, exit_code=3
    )
    assert event_text(part) == (
        "Done in part: 3 created, 1 updated, 0 deleted, 9 unchanged, 2 rejected, "
        "1 step failed or skipped, in 1 min 15 s."
    )


def test_an_evaluation_is_a_table_with_its_gates() -> None:
    metrics = {"mAP": 0.5036, "mAP50": 0.697, "AP_small": -1, "labels": {"car": {"AP": 0.4}, "bus": {"AP": None}}}
    gates = [{"gate": "mAP50 >= 0.6", "metric": "mAP50", "value": 0.697, "passed": True}]
    text = event_text(Evaluated("evaluation.nightly", metrics, gates))
    assert text.splitlines() == [
        "evaluation.nightly",
        "  mAP       0.5036",
        "  mAP50     0.6970",
        "  AP_small       –",
        "  label      AP",
        "  bus         –",
        "  car    0.4000",
        "  ✓ mAP50 >= 0.6: 0.6970",
    ]


def test_progress_counts_jobs_by_state_from_events_alone() -> None:
    flow = Flow(records=100)
    flow.take(JobSubmitted("a", STEP, "job_1", 60, 2_000_000))
    flow.take(JobSubmitted("a", STEP, "job_2", 40, 1_000_000))
    flow.take(JobFinished("a", STEP, "job_1", "Completed", 58, 2, 1.0))
    assert flow.jobs() == "jobs 1 running, 1 done"
    assert flow.counts(2.0) == "58/100 · 3.0 MB · 29/s · 2 rejected"


def test_bars_take_every_event_of_a_run() -> None:
    console = Console(file=__import__("io").StringIO(), force_terminal=True, width=120)
    with LiveProgress(console, PLAIN, verbose=True) as live:
        for event in (
            StepStarted("a", STEP, "ingest", 10),
            JobSubmitted("a", STEP, "job_1", 10, 100),
            Note("a", "waiting"),
            JobFinished("a", STEP, "job_1", "Completed", 10, 0, 0.1),
            StepFinished("a", STEP, "ingest", "done", {"create": 10}),
        ):
            live.show(event)
    assert "✓ ingest a  10 created" in console.file.getvalue()  # type: ignore[attr-defined]
