"""What a job's status, message and errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

import msgspec
from msgspec import Struct

from nucleus_sync.api.refusal import shortened

ERRORS_LISTED = 10_000
"""The server's list of errors ends here (docs/wire.md §7.3): of more, only the most recent are told."""


class JobState(StrEnum):
    """Every state that Nucleus is known to answer (docs/wire.md §7.2)."""

    QUEUED = "Queued"
    RUNNING = "Running"
    COMPLETED = "Completed"
    ERRORED = "Errored"
    ERRORED_SERVER = "Errored_Server"
    ERRORED_USER = "Errored_User"
    ERRORED_PARTIAL = "Errored_Partial"
    ERRORED_HANGING = "Errored_Hanging"
    CANCELLED = "Cancelled"
    RETRIED = "Retried"


class Ending(StrEnum):
    """How a job ended, or why nobody waits for it any longer."""

    DONE = "done"
    """All through; single records may have been refused all the same."""
    PARTIAL = "partial"
    """Some records in, some not; errors and counts tell which, or reading back does."""
    SERVER_FAULT = "server fault"
    """Nucleus's own fault; worth sending once more."""
    BAD_INPUT = "bad input"
    """Not worth sending unchanged."""
    FAILED = "failed"
    """Failed without saying whose fault it was."""
    HANGING = "hanging"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    """Replaced by another job, of which only the listing can tell."""
    STUCK = "stuck"
    """Not at an end within the time that it was given; it may still go on."""
    LOST = "lost"
    """Nucleus does not know the job."""


def state_of(status: str) -> JobState | None:
    """The state of that spelling; None for one that nobody has seen."""
    try:
        return JobState(status)
    except ValueError:
        return None


def ending_of(state: JobState | None) -> Ending | None:
    """How a state ends a job; None while it goes on. An unknown state goes on until the deadline."""
    match state:
        case None | JobState.QUEUED | JobState.RUNNING:
            return None
        case JobState.COMPLETED:
            return Ending.DONE
        case JobState.ERRORED_PARTIAL:
            return Ending.PARTIAL
        case JobState.ERRORED_SERVER:
            return Ending.SERVER_FAULT
        case JobState.ERRORED_USER:
            return Ending.BAD_INPUT
        case JobState.ERRORED:
            return Ending.FAILED
        case JobState.ERRORED_HANGING:
            return Ending.HANGING
        case JobState.CANCELLED:
            return Ending.CANCELLED
        case JobState.RETRIED:
            return Ending.RETRIED
        case _:
            assert_never(state)


@dataclass(frozen=True, slots=True)
class Counts:
    """Records of a job as its message counts them; None where it says nothing."""

    total: int | None = None
    processed: int | None = None
    ignored: int | None = None
    errored: int | None = None

    @property
    def are_clean(self) -> bool:
        """Whether they show that no record was refused."""
        if self.errored != 0:
            return False
        return self.total is None or self.processed is None or self.processed + (self.ignored or 0) >= self.total


@dataclass(frozen=True, slots=True)
class JobStatus:
    """`GET job/{id}`: `state` is None for an unknown one, `progress` goes from 0 to 1, `text` is for people."""

    job_id: str
    raw_state: str
    state: JobState | None
    text: str
    counts: Counts | None
    progress: float | None = None
    completed_steps: int | None = None
    total_steps: int | None = None
    job_type: str = ""

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it goes on."""
        return ending_of(self.state)


class StatusWire(Struct, frozen=True, kw_only=True):
    """The status object as it travels."""

    job_id: str | None = None
    status: str | None = None
    job_last_known_status: str | None = None
    message: Any = None
    job_progress: Any = None
    completed_steps: Any = None
    total_steps: Any = None
    job_type: str | None = None


def parsed_status(job_id: str, wire: StatusWire) -> JobStatus:
    """A status whose message is text or object, and whose numbers may come as strings."""
    raw = wire.status or wire.job_last_known_status or ""
    message = _as_object(wire.message)
    return JobStatus(
        job_id=wire.job_id or job_id,
        raw_state=raw,
        state=state_of(raw),
        text=message_text(message),
        counts=counts_of(message),
        progress=_number(wire.job_progress),
        completed_steps=_integer(wire.completed_steps),
        total_steps=_integer(wire.total_steps),
        job_type=wire.job_type or "",
    )


def message_text(message: Any) -> str:
    """What a message says to people: the error where it names one, else all of it."""
    match message:
        case None:
            return ""
        case str():
            return shortened(message)
        case {"final_error": str(text)} | {"status_log": str(text)}:
            return shortened(text)
        case _:
            return shortened(msgspec.json.encode(message).decode())


# The sections of §7.5 that count records, and the names under which each does.
# `ingest_to_reupload_queue` counts the same items as `image_upload_step`, so it only tells the total.
_SECTIONS: tuple[tuple[str, dict[str, tuple[str, ...]]], ...] = (
    ("image_upload_step", {"processed": ("completed",), "ignored": ("ignored",), "errored": ("errored",)}),
    ("ingest_to_reupload_queue", {"total": ("total",)}),
    *(
        (
            section,
            {
                "total": ("total",),
                "processed": ("processed",),
                "ignored": ("ignored",),
                "errored": ("errored", "n_errors"),
            },
        )
        for section in ("annotation_upload", "prediction_upload", "segmentation_upload")
    ),
    (
        "scene_upload_progress",
        {
            "processed": ("new_scenes", "updated_scenes"),
            "ignored": ("ignored_scenes",),
            "errored": ("scenes_errored",),
        },
    ),
)


def counts_of(message: Any) -> Counts | None:
    """The counts in a message, added up over its sections; None where no known section is in it."""
    if not isinstance(message, dict):
        return None
    sections = {_snake(name): value for name, value in message.items() if isinstance(value, dict)}
    sums: dict[str, int] = {}
    for section, names in _SECTIONS:
        values = {_snake(name): _integer(value) for name, value in sections.get(section, {}).items()}
        for meaning, spellings in names.items():
            found = [number for spelling in spellings if (number := values.get(spelling)) is not None]
            if found:
                sums[meaning] = sums.get(meaning, 0) + sum(found)
    if not sums:
        return None
    segmentations = sections.get("segmentation_upload", {})
    if _integer(segmentations.get("processed")) and "total" not in segmentations:
        # Masks are counted but in no total: whether something is missing from it can't be told.
        sums.pop("total", None)
    return Counts(**sums)


def needs_errors(status: JobStatus) -> bool:
    """Whether the error list has to be read to know which records are in."""
    return status.ending is not Ending.DONE or status.counts is None or not status.counts.are_clean


@dataclass(frozen=True, slots=True)
class JobError:
    """One error of a job; `record` is the refused record with camelCase keys, `raw` is the string as it came."""

    text: str
    raw: str
    reference_id: str | None = None
    annotation_id: str | None = None
    record: dict[str, Any] | None = None
    lacks_item: bool = False
    """The item that the record is for is not in the dataset."""


_LACKS_ITEM = re.compile(r"Item with id (?P<reference_id>.+?) does not exist", re.DOTALL)
_RECORD_NAMES = ("annotation", "prediction", "segmentation", "item", "scene", "record")


def parsed_error(raw: Any) -> JobError:
    """An error string, which is JSON, JSON escaped once too often, or plain text (docs/wire.md §7.6)."""
    text = raw if isinstance(raw, str) else msgspec.json.encode(raw).decode()
    for body in _readings(text):
        if isinstance(body, dict):
            return _error_of_object(body, text)
        if isinstance(body, str) and body != text:
            return _error_of_text(body, text)
    return _error_of_text(text, text)


def _readings(text: str) -> Iterator[Any]:
    """The text as JSON; the JSON in a JSON string; the text with one level of escapes less, as JSON."""
    for candidate in (text, *_unescaped(text)):
        try:
            body = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(body, str):
            yield from _readings(body)
        yield body


def _unescaped(text: str) -> Iterator[str]:
    if "\\" in text:
        yield re.sub(r"\\(.)", _one_escape_less, text, flags=re.DOTALL)


def _one_escape_less(escape: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "r": "\r"}.get(escape[1], escape[1] if escape[1] in '"\\/' else escape[0])


def _error_of_object(body: dict[str, Any], raw: str) -> JobError:
    record = next((body[name] for name in _RECORD_NAMES if isinstance(body.get(name), dict)), None)
    said = body.get("error") or body.get("message") or ""
    text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    named = record or body
    lacking = _LACKS_ITEM.search(text)
    return JobError(
        text=shortened(text or raw),
        raw=raw,
        reference_id=_text_at(named, "referenceId", "reference_id", "refId", "ref_id")
        or (lacking["reference_id"] if lacking else None),
        annotation_id=_text_at(named, "annotationId", "annotation_id"),
        record=record,
        lacks_item=lacking is not None,
    )


def _error_of_text(text: str, raw: str) -> JobError:
    lacking = _LACKS_ITEM.search(text)
    return JobError(
        text=shortened(text),
        raw=raw,
        reference_id=lacking["reference_id"] if lacking else None,
        lacks_item=lacking is not None,
    )


def _text_at(body: dict[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := body.get(name), str) and value), None)


def _as_object(message: Any) -> Any:
    if not (isinstance(message, str) and message.lstrip().startswith("{")):
        return message
    try:
        return msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return message


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and abs(number) < 2**63 else None
