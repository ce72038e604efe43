"""What jobs say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nucleus_sync.api.states import (
    Counts,
    Ending,
    JobState,
    StatusWire,
    counts_of,
    ending_of,
    needs_errors,
    parsed_error,
    parsed_status,
    state_of,
)

ENDINGS = {
    "Queued": None,
    "Running": None,
    "Completed": Ending.DONE,
    "Errored": Ending.FAILED,
    "Errored_Server": Ending.SERVER_FAULT,
    "Errored_User": Ending.BAD_INPUT,
    "Errored_Partial": Ending.PARTIAL,
    "Errored_Hanging": Ending.HANGING,
    "Cancelled": Ending.CANCELLED,
    "Retried": Ending.RETRIED,
    "Started": None,
    "": None,
}


@pytest.mark.parametrize(("status", "ending"), ENDINGS.items())
def test_a_state_ends_a_job_or_does_not(status: str, ending: Ending | None) -> None:
    assert ending_of(state_of(status)) == ending


def test_every_state_has_a_case() -> None:
    assert {state.value for state in JobState} <= set(ENDINGS)


MESSAGES: list[tuple[Any, Counts | None]] = [
    (None, None),
    ("Job completed successfully.", None),
    ({"final_error": "BadRequestError: no"}, None),
    ({"status_log": "No additional information can be provided at this time."}, None),
    (
        {
            "PayloadUrl": "",
            "image_upload_step": {"errored": 1, "pending": 0, "completed": 4},
            "started_image_processing": "Dataset: ds_1, Job: job_1",
            "ingest_to_reupload_queue": {"epoch": 1, "total": 5, "datasetId": "ds_1", "processed": 5},
        },
        Counts(total=5, processed=4, errored=1),
    ),
    (
        {
            "annotation_upload": {"epoch": 1, "total": 4, "errored": 1, "ignored": 1, "processed": 2},
            "segmentation_upload": {"ignored": 0, "n_errors": 0, "processed": 0},
        },
        Counts(total=4, processed=2, ignored=1, errored=1),
    ),
    (
        {
            "prediction_upload": {"total": "2", "errored": "0", "ignored": "0", "processed": "2"},
            "segmentation_upload": {"ignored": 1, "n_errors": 2, "processed": 3},
        },
        Counts(total=None, processed=5, ignored=1, errored=2),
    ),
    (
        {
            "scene_upload_progress": {
                "errors": [],
                "new_scenes": 1,
                "ignored_scenes": 2,
                "scenes_errored": 3,
                "updated_scenes": 4,
            }
        },
        Counts(processed=5, ignored=2, errored=3),
    ),
    ({"annotationUpload": {"nErrors": 1, "processed": 1}}, Counts(processed=1, errored=1)),
    ('{"annotation_upload": {"total": 1, "errored": 0, "processed": 1}}', Counts(total=1, processed=1, errored=0)),
    ({"annotation_upload": {"total": 2}}, Counts(total=2)),
    ({"annotation_upload": {"total": None, "errored": "many"}}, None),
    ({"annotation_upload": None, "result": ["https://x"]}, None),
]


@pytest.mark.parametrize(("message", "counts"), MESSAGES)
def test_counts_are_found_in_messages_of_all_shapes(message: Any, counts: Counts | None) -> None:
    assert parsed_status("job_1", StatusWire(status="Completed", message=message)).counts == counts


def test_numbers_come_as_numbers_or_strings() -> None:
    wire = StatusWire(status="Running", job_progress="0.33", completed_steps="1", total_steps=3)
    status = parsed_status("job_1", wire)
    assert (status.progress, status.completed_steps, status.total_steps) == (0.33, 1, 3)
    odd = parsed_status("job_1", StatusWire(status="Running", job_progress="much", completed_steps=None))
    assert (odd.progress, odd.completed_steps, odd.total_steps) == (None, None, None)


@pytest.mark.parametrize(
    ("status", "message", "needed"),
    [
        ("Completed", None, True),
        ("Completed", {"annotation_upload": {"total": 2, "errored": 0, "ignored": 0, "processed": 2}}, False),
        ("Completed", {"annotation_upload": {"total": 2, "errored": 0, "ignored": 1, "processed": 1}}, False),
        ("Completed", {"annotation_upload": {"total": 2, "errored": 1, "ignored": 0, "processed": 1}}, True),
        ("Completed", {"annotation_upload": {"total": 2, "errored": 0, "ignored": 0, "processed": 1}}, True),
        ("Completed", {"annotation_upload": {"total": 2}}, True),
        ("Errored_Partial", {"annotation_upload": {"total": 2, "errored": 0, "processed": 2}}, True),
        ("Errored_User", None, True),
    ],
)
def test_errors_are_read_unless_the_counts_are_clean(status: str, message: Any, needed: bool) -> None:
    assert needs_errors(parsed_status("job_1", StatusWire(status=status, message=message))) is needed


def test_the_text_is_the_error_where_one_is_named() -> None:
    assert parsed_status("j", StatusWire(message={"final_error": "BadRequestError: x"})).text == "BadRequestError: x"
    assert parsed_status("j", StatusWire(message="fine")).text == "fine"


RECORD = {
    "annotation": {
        "label": "car",
        "geometry": {"x": 1},
        "referenceId": "bad",
        "annotationId": "b-1",
        "metadata": {"note": 'a "quoted"\nline\tand C:\\dir'},
    },
    "error": "Item with id bad does not exist.",
}
GOOD = json.dumps(RECORD)
ESCAPED_ONCE_TOO_OFTEN = GOOD.replace("\\", "\\\\").replace('"', '\\"')
AS_JSON_STRING = json.dumps(GOOD)


@pytest.mark.parametrize("raw", [GOOD, ESCAPED_ONCE_TOO_OFTEN, AS_JSON_STRING, RECORD])
def test_a_refused_record_is_found_however_it_was_escaped(raw: Any) -> None:
    error = parsed_error(raw)
    assert (error.reference_id, error.annotation_id, error.lacks_item) == ("bad", "b-1", True)
    assert error.text == "Item with id bad does not exist."
    assert error.record == RECORD["annotation"]


PLAIN: list[tuple[str, str | None, bool]] = [
    ("Item with id street/1.jpg does not exist.", "street/1.jpg", True),
    ("Item with id a does not exist, b does not exist.", "a", True),
    ("Duplicate frames found across different videos", None, False),
    ("", None, False),
    ("{broken", None, False),
    ('"a quoted text"', None, False),
    ("[1, 2]", None, False),
    ("C:\\path\\new", None, False),
    ("null", None, False),
]


@pytest.mark.parametrize(("raw", "reference_id", "lacks_item"), PLAIN)
def test_plain_texts_stay_as_they_are(raw: str, reference_id: str | None, lacks_item: bool) -> None:
    error = parsed_error(raw)
    assert (error.reference_id, error.lacks_item, error.raw) == (reference_id, lacks_item, raw)
    assert error.text.strip('"') == raw.strip('"')


def test_other_kinds_of_records_are_found_too() -> None:
    error = parsed_error(json.dumps({"prediction": {"reference_id": "r", "annotation_id": "p"}, "error": "no"}))
    assert (error.reference_id, error.annotation_id) == ("r", "p")
    flat = parsed_error(json.dumps({"referenceId": "r", "error": "url not reachable"}))
    assert (flat.reference_id, flat.text) == ("r", "url not reachable")


def test_counts_that_do_not_add_up_are_not_clean() -> None:
    assert counts_of({"annotation_upload": {"errored": 0}}) == Counts(errored=0)
    assert Counts(errored=0).are_clean
    assert not Counts(total=3, processed=2, errored=0).are_clean
    assert not Counts(total=3, processed=3).are_clean
