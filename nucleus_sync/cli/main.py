"""The command `nucleus-sync`: finds the subcommand, maps every error to text and an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.exceptions import Abort
from click.exceptions import Exit as ClickExit

from nucleus_sync import __version__
from nucleus_sync.cli.call import global_flags
from nucleus_sync.cli.command import Group
from nucleus_sync.cli.screen import Screen, never_fail_on_a_character
from nucleus_sync.errors import Exit, Interrupted, NucleusSyncError, UsageError

if TYPE_CHECKING:
    from types import FrameType

COMMANDS = (
    "init", "validate", "plan", "show", "apply", "watch", "status", "errors",
    "refresh", "import", "destroy", "state", "resolve", "history", "unlock",
    "doctor", "schema", "emulator", "demo",
)  # fmt: skip

_MODULES = {"import": "adopt"}
"""Commands whose name no module can have."""

EXIT_CODES = {
    Exit.DONE: "done, or nothing to do",
    Exit.ERROR: "error",
    Exit.CHANGES: "plan or refresh --detailed-exitcode found changes",
    Exit.PARTIAL: "applied in part: Nucleus rejected records, or steps failed",
    Exit.STALE: "the saved plan is stale",
    Exit.GATE_FAILED: "an evaluation's gate failed",
    Exit.INVALID: "the spec or a source is invalid",
    Exit.CREDENTIALS: "credentials or permissions",
    Exit.UNKNOWN: "an outcome is unknown and needs a decision",
    Exit.REFUSED: "refused by a guard, such as delete_limit",
    Exit.LOCKED: "locked by another apply",
    Exit.LEDGER: "the ledger is unusable",
    Exit.USAGE: "usage",
    Exit.INTERRUPTED: "interrupted",
}


class _Commands(Group):
    """Imports a command when it is asked for: `--version` pays for none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"nucleus_sync.cli.{_MODULES.get(cmd_name, cmd_name)}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0] if args else ""
        if not name.startswith("-") and name not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            raise click.UsageError(f"no command {name!r}" + (f"; did you mean {near[0]}?" if near else ""), ctx)
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        codes = [f"   {int(code):>3}  {meaning}" for code, meaning in EXIT_CODES.items()]
        return "\n".join([super().get_help(ctx), " Exit codes:", *codes])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@global_flags
@click.version_option(__version__, prog_name="nucleus-sync", message="%(prog)s %(version)s")
def cli() -> None:
    """Keep Scale Nucleus equal to a file under review.

    nucleus.yaml declares datasets, annotations, predictions and evaluations; plan says what differs, record by record;
    apply makes it so and can be killed at any instant; a second apply does nothing.
    """


def main(arguments: Sequence[str]) -> int:
    """Answer one call; returns its exit code and raises nothing."""
    never_fail_on_a_character()
    screen = _screen_of(arguments)
    try:
        done = cli.main(list(arguments) or ["--help"], prog_name="nucleus-sync", standalone_mode=False)
        code = done if isinstance(done, int) else Exit.DONE
        return int(code) if arguments else int(Exit.USAGE)
    except ClickExit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, Abort):
        return _report(Interrupted("interrupted"), screen)
    except click.ClickException as mistake:
        return _report(_usage_error(mistake), screen)
    except NucleusSyncError as error:
        return _report(error, screen)
    except BrokenPipeError:
        return int(Exit.ERROR)
    except Exception as bug:
        return _internal(bug, screen, _keys(arguments))


def _screen_of(arguments: Sequence[str]) -> Screen:
    """What the flags say before they are parsed: a mistake among them must be reported in their way, too."""
    said = set(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    return Screen(
        json="--json" in said,
        verbose=bool(said & {"-v", "--verbose"}),
        no_color="--no-color" in said,
    )


def _usage_error(mistake: click.ClickException) -> UsageError:
    context = getattr(mistake, "ctx", None)
    command = context.command_path if context else "nucleus-sync"
    return UsageError(mistake.format_message(), fix=f"see: {command} --help")


def _report(error: NucleusSyncError, screen: Screen) -> int:
    from nucleus_sync.render import json
    from nucleus_sync.render.error import error_text

    screen.warn(error_text(error, screen.aside_colors))
    if screen.json:
        screen.answer(json.line(json.error_values(error)))
    return int(error.exit_code)


def _keys(arguments: Sequence[str]) -> list[str]:
    """The keys that this call may have known: of the environment, and of `.env` in the folder of -C."""
    from nucleus_sync.spec.environment import keys_around

    folders = [after for flag, after in pairwise(arguments) if flag == "-C"]
    return keys_around(Path(folders[-1] if folders else "."))


def _internal(bug: Exception, screen: Screen, keys: Sequence[str]) -> int:
    # What an exception says may hold anything, even a key; the trace is there on request.
    def without_keys(text: str) -> str:
        for key in keys:
            text = text.replace(key, "***")
        return text

    if screen.verbose:
        import traceback

        screen.warn(without_keys(traceback.format_exc()))
    fix = "please report this with what you did" + ("" if screen.verbose else "; --verbose shows the trace")
    what = without_keys(f"internal error: {type(bug).__name__}: {bug}".split("\n", 1)[0])
    return _report(NucleusSyncError(what, fix=fix), screen)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def run() -> NoReturn:
    """The console script: answers the call and ends the process. SIGTERM means what Ctrl-C means."""
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:]))
