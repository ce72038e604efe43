"""`unlock`: says who holds the ledger, and clears the lock of a holder that is gone."""

from __future__ import annotations

from typing import Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.cli.status import moment
from nucleus_sync.errors import Locked


@click.command("unlock", cls=Command)
@click.option(
    "--force", is_flag=True, help="Take the lock away from a living holder, too; its writes are refused then."
)
@global_flags
def command(force: bool) -> None:
    """Clear a lock whose holder is gone; with --force any lock. A living holder is named, exit 11.

    Seldom needed: every command takes over the lock of a dead process by itself.
    """
    from nucleus_sync.ledger.lock import Lock, peek
    from nucleus_sync.render.json import document
    from nucleus_sync.render.state import lock_text

    call = Call.current()
    values: dict[str, Any] = {"format_version": 1, "held_by": None, "living": False, "unlocked": False}
    with call.workspace() as space:
        if space.ledger_path.exists():
            ledger = space.open_ledger(create=True)
            holder = peek(ledger)
            values |= {"living": _clear(Lock(ledger), force=force), "unlocked": holder is not None}
            if holder is not None:
                values["held_by"] = {
                    "owner": holder.owner,
                    "host": holder.host,
                    "pid": holder.pid,
                    "since": moment(holder.since),
                    "heartbeat": moment(holder.heartbeat),
                }
    call.screen.answer(document(values) if call.screen.json else lock_text(values))


def _clear(lock: Any, *, force: bool) -> bool:
    """Take the lock and give it back; whether its holder lives. Raises Locked when it does and isn't forced."""
    living = False
    try:
        lock.acquire()
    except Locked:
        if not force:
            raise
        living = True
        lock.acquire(force=True)
    lock.release()
    return living
