"""`doctor`: checks everything that an apply needs, one line each, before the apply does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from nucleus_sync.cli.call import Call, global_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import Exit, NucleusSyncError

if TYPE_CHECKING:
    from nucleus_sync.spec.access import Credentials
    from nucleus_sync.workspace import Workspace

_SKEW_ALLOWED = 60.0
"""Seconds that clocks may differ before signed URLs and heartbeats become doubtful."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says; `exit_code` is 0 where all is well."""

    check: str
    said: str
    fix: str | None = None
    exit_code: int = 0


@click.command("doctor", cls=Command)
@global_flags
def command() -> int:
    """Check spec, key, endpoint, clock, ledger, and that Nucleus can read one image of each source.

    \b
    For the images a dataset named "nucleus-sync doctor …" is made, and deleted again.
    """
    call = Call.current()
    findings = list(_examine(call))
    code = next((one.exit_code for one in findings if one.exit_code), int(Exit.DONE))
    if call.screen.json:
        from nucleus_sync.render.json import document

        checks = [asdict(one) for one in findings]
        call.screen.answer(document({"format_version": 1, "checks": checks, "exit_code": code}))
    else:
        call.screen.answer("".join(_lines(findings, call)))
    return code


def _examine(call: Call) -> Iterator[Finding]:
    """Every check, as far as the ones before allow it."""
    try:
        space = call.workspace()
    except NucleusSyncError as error:
        yield Finding("spec", error.what, "nucleus-sync validate shows where", int(error.exit_code))
        return
    with space:
        yield Finding("spec", f"{space.loaded.path} is valid")
        reached = list(_checked("endpoint", lambda: _endpoint(space)))
        yield from reached
        yield from _checked("ledger", lambda: _ledger(space))
        if not any(one.exit_code for one in reached) and not space.credentials().embedded:
            yield from _checked("images", lambda: _images(space))


def _checked(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except NucleusSyncError as error:
        where = f" ({error.where})" if error.where else ""
        yield Finding(name, f"{error.what}{where}", error.fix, int(error.exit_code))


def _endpoint(space: Workspace) -> Iterator[Finding]:
    found = space.credentials()
    if found.embedded:
        yield from _embedded()
        return
    yield Finding("key", f"{'NUCLEUS_API_KEY' if found.api_key else 'NUCLEUS_LIMITED_ACCESS_KEY'} is set")
    yield from _reach(space, found)


def _embedded() -> Iterator[Finding]:
    try:
        import nucleus_sync.emulator.server  # noqa: F401
    except ModuleNotFoundError as error:
        fix = "pip install 'nucleus-sync[emulator]'"
        yield Finding("endpoint", f"the emulator needs {error.name}, which is not installed", fix, int(Exit.ERROR))
    else:
        yield Finding("endpoint", "the emulator inside the process, no key needed")


def _reach(space: Workspace, found: Credentials) -> Iterator[Finding]:
    import asyncio

    from nucleus_sync.api.client import Checked

    async def ask() -> Checked:
        async with space.make_api(found) as api:
            return await api.check()

    checked = asyncio.run(ask())
    yield Finding("endpoint", f"{found.endpoint} answers in {checked.latency_seconds:.2f} s and takes the key")
    skew = checked.clock_skew_seconds
    if skew is None:
        yield Finding("clock", "the endpoint does not tell its time")
    elif abs(skew) > _SKEW_ALLOWED:
        fix = "set this machine's clock, for example with NTP"
        yield Finding("clock", f"differs from the endpoint's by {abs(skew):.0f} s", fix, int(Exit.ERROR))
    else:
        yield Finding("clock", f"differs from the endpoint's by {abs(skew):.1f} s")


def _ledger(space: Workspace) -> Iterator[Finding]:
    path, ledger = space.ledger_path, space.open_ledger(create=False)
    if not ledger.lineage:
        yield Finding("ledger", f"{path} is not there yet; the first apply makes it")
        return
    ledger.check()
    yield Finding("ledger", f"{path} is sound, serial {ledger.serial}")
    for warning in ledger.warnings:
        yield Finding("ledger", warning)
    if unknown := ledger.creations():
        names = ", ".join(one.address for one in unknown)
        yield Finding("ledger", f"it is unknown whether these were created: {names}", "the next apply finds out")


def _images(space: Workspace) -> Iterator[Finding]:
    """Local files need no check: an apply uploads them."""
    from nucleus_sync.upkeep import try_images

    tried = try_images(space)
    for source, refused in tried:
        if refused is None:
            yield Finding("images", f"Nucleus reads the first image of source {source}")
        else:
            fix = "let Nucleus read that bucket or URL, or upload the files: `upload_to` of the source, or a local path"
            yield Finding(
                "images", f"Nucleus can't read the first image of source {source}: {refused}", fix, int(Exit.ERROR)
            )
    if not tried:
        yield Finding("images", "no source has images that Nucleus would have to read from elsewhere")


def _lines(findings: list[Finding], call: Call) -> Iterator[str]:
    from nucleus_sync.render.text import Style, visible

    colors = call.screen.colors
    for one in findings:
        sign = colors.paint(Style.BAD, "✗") if one.exit_code else colors.paint(Style.CREATE, "✓")
        yield f"{sign} {one.check:<9} {visible(one.said)}\n"
        if one.fix:
            yield f"            → {visible(one.fix)}\n"
