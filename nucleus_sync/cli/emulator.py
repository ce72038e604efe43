"""`emulator`: serves an emulated Nucleus on loopback until it is stopped."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from nucleus_sync.cli.call import Call, place_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import NucleusSyncError, UsageError

if TYPE_CHECKING:
    from nucleus_sync.emulator.server import Emulator


@click.command("emulator", cls=Command)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free one.")
@click.option(
    "--data",
    metavar="DIR",
    default=".nucleus-sync/emulator",
    show_default=True,
    help="Where it keeps what it was sent.",
)
@click.option(
    "--latency",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=0.05,
    show_default=True,
    help="Before a job works.",
)
@click.option("--faults", metavar="FILE", help="YAML or JSON rules: which requests and jobs go wrong, and how.")
@place_flags
def command(port: int, data: str, latency: float, faults: str | None) -> None:
    """Serve an emulated Nucleus on 127.0.0.1 until Ctrl-C; the official SDK works against it, too."""
    try:
        from nucleus_sync.emulator.server import serve
    except ModuleNotFoundError as error:
        raise NucleusSyncError(
            f"the emulator needs {error.name}, which is not installed",
            fix="pip install 'nucleus-sync[emulator]'",
        ) from None
    call = Call.current()
    rules = call.path(faults) if faults is not None else None
    if rules is not None and not rules.is_file():
        raise UsageError("there is no such file", where=str(rules), fix="--faults names a file of rules")
    try:
        serve(call.path(data), port=port, latency=latency, faults=rules, on_ready=partial(_announce, call))
    except OSError as error:
        raise NucleusSyncError(f"can't listen: {error.strerror}", where=f"127.0.0.1:{port}") from None
    except ValueError as error:
        raise UsageError(f"the rules can't be used: {error}", where=faults) from None


def _announce(call: Call, emulator: Emulator) -> None:
    from nucleus_sync.render.json import line

    if call.screen.json:
        call.screen.answer(line({"endpoint": emulator.endpoint, "address": emulator.address, "port": emulator.port}))
        return
    call.screen.answer(f"{emulator.endpoint}\n")
    call.screen.say(f"Use it: NUCLEUS_ENDPOINT={emulator.endpoint} NUCLEUS_API_KEY=any nucleus-sync plan")
