"""`demo`: writes a small example, then runs the commands that a user would run, against the embedded emulator."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import click

from nucleus_sync.cli.call import Call, place_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import Exit, NucleusSyncError, UsageError

MARK = ".nucleus-sync-demo"
"""A file that says that a folder is ours to write into again."""

STEPS = (
    ("Check the spec and every record of its sources; nothing is sent.", ("validate", "--sources")),
    ("See what differs from Nucleus, and in which order it would be done.", ("plan",)),
    ("Do it: upload, wait for the jobs, evaluate.", ("apply", "--auto-approve")),
    ("See what is there now.", ("status",)),
    ("Plan once more: nothing is left, and the exit code says so.", ("plan", "--detailed-exitcode")),
)


@click.command("demo", cls=Command)
@click.argument("directory", metavar="[DIR]", default="nucleus-sync-demo")
@place_flags
def command(directory: str) -> int:
    """Write a small example, then validate, plan, apply and evaluate it against an emulator; no key needed.

    Prints each command before its output. A second run starts the example anew.
    """
    call = Call.current()
    if call.screen.json:
        raise UsageError("demo is for people and has no --json", fix="the commands that it shows have")
    folder = call.path(directory)
    _prepare(folder)
    for why, arguments in STEPS:
        _step(call, folder, why, arguments)
    _close(call, folder)
    return int(Exit.DONE)


def _prepare(folder: Path) -> None:
    from nucleus_sync.cli.quickstart import write_quickstart

    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise UsageError("this folder is not empty and no demo's", where=str(folder), fix="name another one: demo DIR")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text("Made by `nucleus-sync demo`, which starts anew here each time.\n", encoding="utf-8")
        shutil.rmtree(folder / ".nucleus-sync", ignore_errors=True)
        write_quickstart(folder)
    except OSError as error:
        raise NucleusSyncError(f"can't be written: {error.strerror}", where=str(folder)) from None


def _step(call: Call, folder: Path, why: str, arguments: tuple[str, ...]) -> None:
    from nucleus_sync.cli.main import main
    from nucleus_sync.render.text import Style

    colors = call.screen.colors
    shown = shlex.join(["nucleus-sync", "-C", str(folder), "--embedded", *arguments])
    call.screen.answer(f"\n{colors.paint(Style.DIM, f'# {why}')}\n{colors.paint(Style.BOLD, f'$ {shown}')}\n")
    flags = ["--no-color"] if call.screen.no_color else []
    flags += ["--quiet"] if call.screen.quiet else []
    flags += ["--verbose"] if call.screen.verbose else []
    code = main(["-C", str(folder), "--embedded", *flags, *arguments])
    if code != Exit.DONE:
        raise DemoFailed(f"{shown} ended with {code}", Exit(code))


def _close(call: Call, folder: Path) -> None:
    shown = shlex.quote(str(folder))
    call.screen.answer(
        f"\nThat was all of it. Change something in {shown}, then: nucleus-sync -C {shown} --embedded plan\n"
        f"For the real Nucleus: set NUCLEUS_API_KEY, and leave out --embedded.\n"
    )


class DemoFailed(NucleusSyncError):
    """A command of the demo went wrong; its exit code is the demo's."""

    def __init__(self, what: str, exit_code: Exit) -> None:
        super().__init__(what)
        self.exit_code = exit_code
