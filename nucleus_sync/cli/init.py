"""`init`: looks at a folder and writes a spec for what it recognises."""

from __future__ import annotations

from pathlib import Path

import click

from nucleus_sync.cli.call import Call, spec_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import NucleusSyncError, UsageError


@click.command("init", cls=Command)
@click.argument("directory", metavar="[DIR]", default=".")
@spec_flags
def command(directory: str) -> None:
    """Look at a folder, guess its formats, and write a commented nucleus.yaml that validates."""
    from nucleus_sync.render import json
    from nucleus_sync.render.text import visible
    from nucleus_sync.spec.discover import discover

    call = Call.current()
    root = call.path(directory)
    target = root / call.file
    try:
        _write_new(target, discover(root))
    except FileExistsError:
        fix = "name another file with -f, or remove this one; init never overwrites"
        raise NucleusSyncError("there is a spec already", where=str(target), fix=fix) from None
    except NotADirectoryError:
        raise UsageError("this is not a folder", where=str(root)) from None
    except OSError as error:
        raise NucleusSyncError(f"can't be written: {error.strerror}", where=str(target)) from None
    declared = _declared(target)
    if call.screen.json:
        call.screen.answer(json.document({"format_version": 1, "written": str(target), "declares": declared}))
        return
    call.screen.answer(f"Wrote {visible(str(target))}: {_words(declared)}.\n")
    call.screen.say("Read it, change it, then: nucleus-sync validate --sources")


def _write_new(target: Path, text: str) -> None:
    with target.open("x", encoding="utf-8") as file:
        file.write(text)


def _declared(target: Path) -> dict[str, int]:
    """What the new spec declares; loading it proves that it validates."""
    import os

    from nucleus_sync.cli.validate import declared
    from nucleus_sync.spec.load import load

    return declared(load(target, os.environ).spec)


def _words(declared: dict[str, int]) -> str:
    from nucleus_sync.render.text import count

    said = [count(number, name.removesuffix("s")) for name, number in declared.items() if number]
    return ", ".join(said) or "nothing recognised here, a skeleton to fill in"
