"""`watch`: keeps applying as files arrive."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import UsageError

if TYPE_CHECKING:
    from nucleus_sync.cli.screen import Screen
    from nucleus_sync.watch.happenings import Happening

_SECONDS = click.FloatRange(min=0.0)
_INTERVAL = click.FloatRange(min=0.0, min_open=True)


@click.command("watch", cls=Command)
@click.option(
    "--settle",
    type=_SECONDS,
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="A file counts when it has been unchanged for so long, and is complete for its format.",
)
@click.option(
    "--rescan",
    type=_INTERVAL,
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Look at everything so often, because events get lost.",
)
@click.option(
    "--poll",
    type=_INTERVAL,
    metavar="SECONDS",
    help="Look at the folders so often instead of waiting for events; for network shares.",
)
@click.option(
    "--marker",
    metavar="NAME",
    help="Files count only in folders that hold this file, such as _SUCCESS; at once when it is younger.",
)
@click.option("--once", is_flag=True, help="Do one round with what has settled, and end; for cron.")
@click.option(
    "--grace",
    type=_SECONDS,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a round may go on after SIGTERM or Ctrl-C.",
)
@click.option(
    "--health-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve /healthz, /readyz, /metrics and a status page; 0 takes a free port.",
)
@click.option(
    "--health-host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where to serve them; others than this machine are shown no images.",
)
@click.option(
    "--ready-limit",
    type=_INTERVAL,
    metavar="SECONDS",
    help="/readyz fails when the last good round is older; default: three times --rescan.",
)
@click.option("--allow-deletes", is_flag=True, help="Delete even more than delete_limit.")
@global_flags
def command(**said: Any) -> int:
    """Keep Nucleus equal to the spec while files come and go, until told to stop.

    SIGTERM and Ctrl-C let the round under way end; a second one cuts it short. SIGHUP reads the spec again, which
    happens by itself when it changes. A round that a guard refuses is held until something changes.
    """
    call = Call.current()
    options = _options(said)
    try:
        from nucleus_sync.watch.service import Service

        service = Service(
            call.spec_path, options, _Teller(call.screen).tell, environ=os.environ, embedded=call.embedded
        )
        return service.run()
    except ImportError as error:
        if error.name is None or not error.name.startswith("prometheus_client"):
            raise
        raise UsageError("--health-port needs one more package", fix="pip install 'nucleus-sync[watch]'") from None


def _options(said: dict[str, Any]) -> Any:
    from nucleus_sync.watch.options import Options
    from nucleus_sync.watch.rounds import Pace

    if said["marker"] and ("/" in said["marker"] or said["marker"] in (".", "..")):
        raise UsageError("--marker is the name of a file, without a folder")
    return Options(
        settle=said["settle"],
        pace=Pace(rescan=said["rescan"]),
        poll=said["poll"],
        grace=said["grace"],
        marker=said["marker"] or None,
        allow_deletes=said["allow_deletes"],
        health_host=said["health_host"],
        health_port=said["health_port"],
        ready_limit=said["ready_limit"] or 3 * said["rescan"],
        once=said["once"],
    )


class _Teller:
    """Writes one line per round, or every event as a line of JSON."""

    def __init__(self, screen: Screen) -> None:
        from nucleus_sync.cli.progress import StatusLines

        self._screen = screen
        self._lines = StatusLines(screen)

    def tell(self, event: Happening) -> None:
        """Write one event."""
        from nucleus_sync.cli.progress import StatusLines
        from nucleus_sync.render import json
        from nucleus_sync.watch import happenings

        if isinstance(event, happenings.RoundStarted):
            self._lines = StatusLines(self._screen)  # its count of rejected records is one round's
        values = json.event_values(event)
        if self._screen.json:
            self._screen.answer(json.line(values | {"at": round(time.time(), 3)}))
        elif type(event).__module__ == happenings.__name__:
            self._write(values)
        elif self._screen.verbose or self._deserves_a_line(event):
            self._lines.show(event)  # type: ignore[arg-type]

    def _write(self, values: dict[str, Any]) -> None:
        from nucleus_sync.render.watch import happening_text

        text = happening_text(values["event"], values, time.time(), self._screen.colors)
        if text and not (self._screen.quiet and values["event"] in ("watching", "heartbeat")):
            self._screen.answer(text + "\n")

    def _deserves_a_line(self, event: object) -> bool:
        from nucleus_sync.events import Note, RecordRejected, StepFinished

        if isinstance(event, Note):
            return not event.address  # with an address it tells of ordinary progress
        failed = isinstance(event, StepFinished) and event.outcome == "failed"
        return failed or isinstance(event, RecordRejected)
