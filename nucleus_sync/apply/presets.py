"""Presets of groups and rules that evaluations take or keep; those that we made go with what they were made for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from nucleus_sync.api.wire import Preset
from nucleus_sync.apply.made_once import so_far
from nucleus_sync.apply.runtime import Runtime, StepFailed
from nucleus_sync.errors import NotFound
from nucleus_sync.events import Note
from nucleus_sync.ledger.resources import Resource
from nucleus_sync.plan.steps import Step

Rules = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""Rollup groups and exclusion rules in the server's spelling."""

_MADE = "presets"
"""In the details of an evaluation: names of the presets that were made for it."""


async def groups_and_rules_of(runtime: Runtime, step: Step, name: str) -> Rules:
    """What a preset holds. Raises StepFailed where there is none of that name."""
    found = await _named(runtime, name)
    if found is None:
        raise StepFailed(f"there is no preset {name!r} at Nucleus", where=step.address, fix="correct `preset`")
    return found.rollup_groups or [], found.exclusion_rules or []


async def keep_preset(runtime: Runtime, step: Step, name: str, rules: Rules) -> None:
    """Make it, or make it equal. That it is ours is durable before it is made: the next run finds it by its name."""
    groups, exclusions = rules
    found = await _named(runtime, name)
    if found is None:
        _note_made(runtime, step.address, [*_made(runtime, step.address), name])
        await runtime.api.evaluations.create_preset(name, rollup_groups=groups, exclusion_rules=exclusions)
    elif (found.rollup_groups or [], found.exclusion_rules or []) != rules:
        changes = {"rollupGroups": groups or None, "exclusionRules": exclusions or None}
        await runtime.api.evaluations.update_preset(found.id, changes)


async def drop_presets(runtime: Runtime, step: Step) -> None:
    """With `prune`, those that were made for an evaluation that names them no longer."""
    kept = (step.wanted.get("preset"), step.wanted.get("save_as_preset"))
    gone = [name for name in _made(runtime, step.address) if name not in kept]
    if gone and runtime.spec.settings.prune:
        await _remove(runtime, step.address, gone)
        _note_made(runtime, step.address, [name for name in _made(runtime, step.address) if name in kept])


async def remove_presets(runtime: Runtime, evaluation: Resource) -> None:
    """Those that were made for an evaluation that goes."""
    await _remove(runtime, evaluation.address, evaluation.details.get(_MADE, ()))


async def _remove(runtime: Runtime, address: str, names: Iterable[str]) -> None:
    """One that another evaluation takes is handed over to it."""
    for name in names:
        heir = _heir(runtime, address, name)
        if heir is not None:
            made = [*heir.details.get(_MADE, ()), name]
            runtime.ledger.put_resource(replace(heir, details={**heir.details, _MADE: list(dict.fromkeys(made))}))
            continue
        found = await _named(runtime, name)
        try:
            if found is not None:
                await runtime.api.evaluations.delete_preset(found.id)
        except NotFound:
            runtime.emit(Note(address, f"the preset {name!r} was gone already"))


def _heir(runtime: Runtime, address: str, name: str) -> Resource | None:
    for other in runtime.ledger.resources("evaluation"):
        wanted = other.details.get("wanted", {})
        if other.address != address and name in (wanted.get("preset"), wanted.get("save_as_preset")):
            return other
    return None


async def _named(runtime: Runtime, name: str) -> Preset | None:
    return next((preset for preset in await runtime.api.evaluations.presets() if preset.name == name), None)


def _made(runtime: Runtime, address: str) -> list[str]:
    return list(so_far(runtime, address).get(_MADE, ()))


def _note_made(runtime: Runtime, address: str, names: Iterable[str]) -> None:
    details = {**so_far(runtime, address), _MADE: list(dict.fromkeys(names))}
    runtime.ledger.put_resource(Resource(address, "evaluation", details.get("evaluation_id"), "", details))
