"""What happens during a run, as single lines of text."""

from __future__ import annotations

from typing import assert_never

from nucleus_sync.events import (
    Evaluated,
    Event,
    Finished,
    JobFinished,
    JobSubmitted,
    Note,
    RecordRejected,
    StepFinished,
    StepStarted,
    Verified,
)
from nucleus_sync.render.metrics import metrics_text
from nucleus_sync.render.text import PLAIN, Palette, Style, count, duration, size, visible, visible_lines


def event_text(event: Event, palette: Palette = PLAIN) -> str:
    """An event as one line (an evaluation: a table), without a closing newline."""
    match event:
        case StepStarted():
            number = f"  {count(event.records, 'record')}" if event.records else ""
            return f"  {event.action:<8}  {visible(event.address)}{number}"
        case JobSubmitted():
            carries = f"{count(event.records, 'record')}, {size(event.bytes)}"
            return palette.paint(Style.DIM, f"  job       {visible(event.address)}  {visible(event.job_id)}: {carries}")
        case JobFinished():
            return _job_finished(event, palette)
        case RecordRejected():
            key = ", ".join(f"{name} {visible(value)}" for name, value in event.key.items())
            said = f"  ! {visible(event.address)}  {key}: {visible(event.reason)}  ({visible(str(event.where))})"
            return palette.paint(Style.BAD, said)
        case StepFinished():
            return _step_finished(event, palette)
        case Note():
            about = f"{visible(event.address)}  " if event.address else ""
            return palette.paint(Style.DIM, f"  note      {about}{visible(event.text)}")
        case Verified():
            return _verified(event, palette)
        case Evaluated():
            return metrics_text(event, palette).rstrip("\n")
        case Finished():
            return finished_text(event, palette)
        case _:
            assert_never(event)


def _verified(event: Verified, palette: Palette) -> str:
    of_all = f" (a sample of {event.total:,})" if event.total > event.looked_at else ""
    others = ""
    if event.held is not None and event.held != event.total:
        others = f"; Nucleus counts {event.held:,}, the ledger {event.total:,}"
    line = f"  verified  {visible(event.address)}  {event.verified:,}/{event.looked_at:,}{of_all}{others}"
    return palette.paint(Style.BAD if event.verified < event.looked_at else Style.CREATE, line)


def _job_finished(event: JobFinished, palette: Palette) -> str:
    refused = f", {event.rejected:,} rejected" if event.rejected else ""
    said = f"{visible(event.status)}, {event.records:,} confirmed{refused}, {duration(event.seconds)}"
    line = f"  job       {visible(event.address)}  {visible(event.job_id)}: {said}"
    return palette.paint(Style.UPDATE if event.rejected else Style.DIM, line)


def _step_finished(event: StepFinished, palette: Palette) -> str:
    done = ", ".join(f"{number:,} {_DONE.get(name, name)}" for name, number in event.records.items() if number)
    what = f"{event.action} {visible(event.address)}"
    match event.outcome:
        case "done":
            return palette.paint(Style.CREATE, f"  ✓ {what}") + (f"  {done}" if done else "")
        case "skipped":
            return palette.paint(Style.UPDATE, f"  ! {what}  skipped: it waits for {visible(event.because_of)}")
        case _:
            lines = [f"  ! {what}  {visible(event.outcome)}" + (f": {done}" if done else "")]
            lines += [f"      {line}" for line in visible_lines(event.error)] if event.error else []
            return palette.paint(Style.BAD, "\n".join(lines))


_DONE = {"create": "created", "update": "updated", "delete": "deleted", "resent": "sent again"}


def finished_text(event: Finished, palette: Palette = PLAIN) -> str:
    """The closing line of an apply."""
    failed = [
        f"{event.rejected:,} rejected" if event.rejected else "",
        f"{event.invalid:,} invalid" if event.invalid else "",
        f"{count(event.failed_steps, 'step')} failed or skipped" if event.failed_steps else "",
    ]
    aside = "".join(f", {part}" for part in failed if part)
    word = "Done" if event.exit_code == 0 else "Done in part" if event.exit_code == 3 else "Ended"
    done = f"{event.create:,} created, {event.update:,} updated, {event.delete:,} deleted"
    line = f"{word}: {done}, {event.unchanged:,} unchanged{aside}, in {duration(event.seconds)}."
    return palette.paint(Style.BOLD if event.exit_code == 0 else Style.BAD, line)
