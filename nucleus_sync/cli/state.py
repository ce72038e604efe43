"""`state`: looks into the ledger and mends it; nothing of it reaches Nucleus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Group

if TYPE_CHECKING:
    from pathlib import Path

    from nucleus_sync.ledger.ledger import Ledger


@click.group("state", cls=Group)
@global_flags
def command() -> None:
    """Look into the ledger and mend it; nothing here touches Nucleus."""


@command.command("list")
@click.argument("address", required=False)
@global_flags
def list_(address: str | None) -> None:
    """List what the ledger has: resources with their ids, streams with their counts."""
    from nucleus_sync.render.json import document
    from nucleus_sync.render.state import list_text

    call = Call.current()
    with call.workspace() as space:
        values = {"format_version": 1, "entries": entries(space.read_ledger(), address)}
    call.screen.answer(document(values) if call.screen.json else list_text(values, call.screen.colors))


def entries(ledger: Ledger, address: str | None = None) -> list[dict[str, Any]]:
    """Everything at or beneath an address, sorted by it."""
    found: list[dict[str, Any]] = [
        {"address": one.address, "kind": one.kind, "nucleus_id": one.nucleus_id, "records": None}
        for one in ledger.resources()
    ]
    found += [
        {"address": one.address, "kind": "stream", "nucleus_id": None, "records": one.count}
        for one in ledger.streams()
        if ledger.resource(one.address) is None
    ]
    if address is not None:
        found = [one for one in found if f"{one['address']}.".startswith(f"{address}.")]
    return sorted(found, key=lambda one: str(one["address"]))


@command.command("show")
@click.argument("address")
@click.option("--item", metavar="REFERENCE_ID", help="The records of one item, with what is known of each.")
@global_flags
def show(address: str, item: str | None) -> None:
    """Show all that the ledger knows of one resource or stream."""
    from nucleus_sync.render.json import document
    from nucleus_sync.render.state import show_text

    call = Call.current()
    with call.workspace() as space:
        values = {"format_version": 1, **shown(space.read_ledger(), address, item)}
    call.screen.answer(document(values) if call.screen.json else show_text(values, call.screen.colors))


def shown(ledger: Ledger, address: str, item: str | None) -> dict[str, Any]:
    """The document of `state show`. Raises UsageError for an address that the ledger doesn't have."""
    resource = ledger.resource(address)
    stream = next((one for one in ledger.streams() if one.address == address), None)
    if resource is None and stream is None:
        raise _nothing_at(ledger, address)
    values: dict[str, Any] = {"address": address}
    if resource is not None:
        values |= {
            "kind": resource.kind,
            "nucleus_id": resource.nucleus_id,
            "imported": bool(resource.details.get("imported")),
            "details": resource.details,
        }
    if stream is not None:
        values |= {
            "records": stream.count,
            "unsure": stream.maybes,
            "rejected": ledger.rejected_count(address),
            "invalid": stream.invalid,
            "findings": stream.findings,
            "metadata_types": ledger.metadata_types(address),
            "probed": sorted(ledger.probed(address)),
        }
    if item is not None:
        values["item"] = [_record(key, stamp) for key, stamp in ledger.known_of(address, item.encode())]
    return values


def _record(key: bytes, stamp: bytes) -> dict[str, Any]:
    from nucleus_sync.ledger.known import in_doubt
    from nucleus_sync.records.key import as_words

    return {"key": as_words(key), "stamp": stamp.hex(), "in_doubt": in_doubt(stamp)}


@command.command("rm")
@click.argument("address")
@global_flags
def rm(address: str) -> None:
    """Forget a resource or stream with all beneath it; Nucleus keeps what it has.

    What is still declared is made anew by the next apply. To take it up again instead, use import.
    A copy of the ledger is kept first.
    """
    call = Call.current()
    with call.workspace() as space, space.locked() as ledger:
        gone = entries(ledger, address)
        if not gone:
            raise _nothing_at(ledger, address)
        copy = ledger.keep_copy()
        run = ledger.begin_run(f"state rm {address}", "")
        ledger.forget_resource(address)
        ledger.finish_run(run, 0, {})
    text = f"Forgotten: {_names(gone)}. Nucleus still has it. {_kept(copy)}"
    _answer(call, {"forgotten": [one["address"] for one in gone], "copy": str(copy)}, text)


@command.command("mv")
@click.argument("address")
@click.argument("new")
@global_flags
def mv(address: str, new: str) -> None:
    """Call a dataset, model or evaluation by another name, so that renaming it in the spec changes nothing.

    A copy of the ledger is kept first.
    """
    call = Call.current()
    check_move(address, new)
    with call.workspace() as space, space.locked() as ledger:
        moved = entries(ledger, address)
        copy = ledger.keep_copy()
        run = ledger.begin_run(f"state mv {address} {new}", "")
        try:
            ledger.move(address, new)
        except BaseException:
            ledger.finish_run(run, 1, {})
            raise
        ledger.finish_run(run, 0, {})
    text = f"Moved {len(moved)} entries from {address} to {new}; let the spec say the same. {_kept(copy)}"
    _answer(call, {"moved": {"from": address, "to": new}, "copy": str(copy)}, text)


_MOVABLE = ("dataset", "model", "evaluation")


def check_move(address: str, new: str) -> None:
    """Raises UsageError for a move that no spec could follow."""
    from nucleus_sync.errors import UsageError

    kind, _, name = address.partition(".")
    new_kind, _, new_name = new.partition(".")
    whole = name and new_name and "." not in name + new_name
    if not (whole and kind == new_kind and kind in _MOVABLE):
        raise UsageError(
            f"{address} can't become {new}",
            fix="move dataset.OLD to dataset.NEW, or models and evaluations likewise; "
            "slices, taxonomies and tracks bear their names at Nucleus, and streams go with what they belong to",
        )


def _nothing_at(ledger: Ledger, address: str) -> Exception:
    from difflib import get_close_matches

    from nucleus_sync.errors import UsageError

    near = get_close_matches(address, [one["address"] for one in entries(ledger)], 1)
    fix = f"did you mean {near[0]}?" if near else "nucleus-sync state list shows what it has"
    return UsageError("the ledger has nothing there", where=address, fix=fix)


def _names(gone: list[dict[str, Any]]) -> str:
    from nucleus_sync.render.text import visible

    return ", ".join(visible(one["address"]) for one in gone)


def _kept(copy: Path) -> str:
    from nucleus_sync.render.text import visible

    return f"The ledger as it was is kept as {visible(str(copy))}."


def _answer(call: Call, values: dict[str, Any], text: str) -> None:
    from nucleus_sync.render.json import document

    call.screen.answer(document({"format_version": 1, **values}) if call.screen.json else text + "\n")
