"""`errors`: every record that Nucleus rejected or that a source can't yield, with its place in the source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import rich_click as click

from nucleus_sync.cli.call import Call, global_flags

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger


@click.command("errors")
@click.argument("address", required=False)
@global_flags
def command(address: str | None) -> None:
    """List rejected and invalid records with address, key, reason, and the source's file and position.

    With --json one line per record. ADDRESS limits the list to one stream.
    """
    from nucleus_sync.render.json import line
    from nucleus_sync.render.text import count

    call = Call.current()
    number = 0
    with call.workspace() as space:
        for number, one in enumerate(_faults(space.open_ledger(create=False), address), 1):  # noqa: B007
            call.screen.answer(line(one) if call.screen.json else _text(one))
    if not call.screen.json:
        said = f"{count(number, 'record')} can't be synced." if number else "No record was rejected, none is invalid."
        call.screen.answer(f"{said}\n")


def _faults(ledger: Ledger, address: str | None) -> Iterator[dict[str, Any]]:
    from nucleus_sync.records.key import as_words

    for stream, rejection in ledger.rejections(address):
        yield {
            "kind": "rejected",
            "address": stream,
            "key": as_words(rejection.key),
            "reason": rejection.reason,
            "file": rejection.file,
            "position": rejection.position,
            "record": "",
        }
    for stream, problem in ledger.problems(address):
        yield {
            "kind": str(problem.severity),
            "address": stream,
            "key": as_words(problem.key) if problem.key is not None else None,
            "reason": f"{problem.cause}: {problem.detail}" if problem.detail else problem.cause,
            "file": problem.where.file,
            "position": problem.where.position,
            "record": problem.record,
        }


def _text(one: dict[str, Any]) -> str:
    from nucleus_sync.render.text import visible

    place = ": ".join(part for part in (one["file"], one["position"]) if part)
    key = ", ".join((one["key"] or {}).values())
    named = one["record"] or key
    return visible(f"{one['kind']}  {one['address']}  {place}: {named}: {one['reason']}") + "\n"
