"""`validate`: checks the spec and, when asked, every record of every source; sends nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from nucleus_sync.cli.call import Call, spec_flags
from nucleus_sync.cli.command import Command
from nucleus_sync.errors import Exit

if TYPE_CHECKING:
    from nucleus_sync.plan.plan import Plan
    from nucleus_sync.spec.loaded import LoadedSpec
    from nucleus_sync.spec.model import Spec

SECTIONS = ("sources", "datasets", "models", "evaluations")


@click.command("validate", cls=Command)
@click.option("--sources", "with_sources", is_flag=True, help="Read every source and check every record, too.")
@click.option("--no-cache", is_flag=True, help="Read files again that have not changed.")
@spec_flags
def command(with_sources: bool, no_cache: bool) -> int:
    """Check the spec, and with --sources every record; send nothing."""
    from nucleus_sync.spec.load import load

    call = Call.current()
    loaded = load(call.spec_path, os.environ)
    plan = _read_sources(call, trust_cache=not no_cache) if with_sources else None
    code = Exit.INVALID if plan is not None and plan.invalid_streams else Exit.DONE
    if call.screen.json:
        from nucleus_sync.render import json

        call.screen.answer(json.document(_values(loaded, plan, code)))
    else:
        _tell(call, loaded, plan)
    return int(code)


def declared(spec: Spec) -> dict[str, int]:
    """How many things each section of the spec declares."""
    return {section: len(getattr(spec, section)) for section in SECTIONS}


def _read_sources(call: Call, *, trust_cache: bool) -> Plan:
    from nucleus_sync.cli.progress import show_progress
    from nucleus_sync.workspace import Choices

    with call.workspace() as space, show_progress(call.screen) as progress:
        return space.prepare(Choices(trust_cache=trust_cache), with_ledger=False, emit=progress.show).plan


def _values(loaded: LoadedSpec, plan: Plan | None, code: Exit) -> dict[str, Any]:
    from nucleus_sync.plan.plan import as_values
    from nucleus_sync.render.json import spec_problem_values

    values: dict[str, Any] = {
        "format_version": 1,
        "spec": {"path": str(loaded.path), "sha256": loaded.sha256},
        "valid": code is Exit.DONE,
        "declares": declared(loaded.spec),
        "warnings": [spec_problem_values(problem) for problem in loaded.warnings],
        "exit_code": int(code),
    }
    if plan is not None:
        whole = as_values(plan)
        values |= {name: whole[name] for name in ("summary", "sources", "failures")}
        values["streams"] = {step.address: step.records.create for step in plan.steps if step.records}
    return values


def _tell(call: Call, loaded: LoadedSpec, plan: Plan | None) -> None:
    from nucleus_sync.render.error import spec_problem_lines
    from nucleus_sync.render.problems import problems_text
    from nucleus_sync.render.text import columns, count, visible

    screen = call.screen
    if loaded.warnings:
        screen.warn("\n".join(["warnings:", *spec_problem_lines(list(loaded.warnings), screen.aside_colors), ""]))
    parts = [count(number, name.removesuffix("s")) for name, number in declared(loaded.spec).items() if number]
    path = visible(str(loaded.path))
    if plan is None:
        screen.answer(f"{path} is valid: {', '.join(parts) or 'it declares nothing'}.\n")
        return
    lines = problems_text(plan, screen.colors)
    streams = [(visible(step.address), f"{step.records.create:,}", "sound") for step in plan.steps if step.records]
    lines += columns(dict.fromkeys(streams), right=frozenset({1}))
    figures = plan.summary()
    found = f"{count(figures.invalid, 'invalid record')}, {count(figures.findings, 'finding')}"
    verdict = "not valid" if plan.invalid_streams else "valid"
    screen.answer("\n".join([*lines, f"{path} and its sources are {verdict}: {', '.join(parts)}; {found}."]) + "\n")
