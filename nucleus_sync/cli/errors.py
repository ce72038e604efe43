"""`errors`: every record that Nucleus rejected or that a source can't yield, with its place in the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.records.problem import Problem


@click.command("errors", cls=Command)
@click.argument("address", required=False)
@global_flags
def command(address: str | None) -> None:
    """List rejected and invalid records with address, key, reason, and the source's file and position.

    With --json one line per record. ADDRESS limits the list to one stream.
    """
    from nucleus_sync.render.json import line

    call = Call.current()
    found: Counter[str] = Counter()
    with call.workspace() as space:
        for one in _faults(space.read_ledger(), address):
            found[one["kind"]] += one["count"]
            call.screen.answer(line(one) if call.screen.json else _text(one))
    if not call.screen.json:
        call.screen.answer(_summary(found) + "\n")


def _summary(found: Counter[str]) -> str:
    from nucleus_sync.render.text import count

    rejected, invalid = f"{found['rejected']:,} rejected by Nucleus", f"{found['invalid']:,} invalid"
    said = [text for kind, text in (("rejected", rejected), ("invalid", invalid)) if found[kind]]
    noted = [count(found["finding"], "finding") + ", sent all the same"] if found["finding"] else []
    return "; ".join([*(said or ["No record was rejected, none is invalid"]), *noted]) + "."


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
            "count": 1,
        }
    for stream, problem in ledger.problems(address):
        yield {
            "kind": str(problem.severity),
            "address": stream,
            "key": as_words(problem.key) if problem.key is not None else None,
            "reason": _reason(problem),
            "file": problem.where.file,
            "position": problem.where.position,
            "record": problem.record,
            "count": problem.count,
        }


def _reason(problem: Problem) -> str:
    """The cause with what is special about this record; not both where one says the other."""
    told = not problem.detail or problem.detail.startswith(problem.cause)
    return (problem.detail or problem.cause) if told else f"{problem.cause}: {problem.detail}"


def _text(one: dict[str, Any]) -> str:
    from nucleus_sync.records.problem import Where
    from nucleus_sync.render.problems import placed_line
    from nucleus_sync.render.text import visible

    named = one["record"] or ", ".join((one["key"] or {}).values())
    line = placed_line(Where(one["file"], one["position"]), named, one["reason"])
    return f"{one['kind']}  {visible(one['address'])}  {line}\n"
