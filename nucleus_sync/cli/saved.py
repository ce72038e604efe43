"""Plans in files: written for one apply, read back as the same value, compared with what is true by then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from nucleus_sync.errors import NucleusSyncError, StalePlan, UsageError
from nucleus_sync.plan.plan import FORMAT_VERSION, Failure, Plan, SourceCount, as_values
from nucleus_sync.plan.steps import Action, Holds, RecordCounts, Step
from nucleus_sync.records.problem import Problem, Severity, Where
from nucleus_sync.render.json import document

_STREAMS = {"items": Holds.ITEMS, "annotations": Holds.ANNOTATIONS, "predictions": Holds.PREDICTIONS}
_PARTS = {"taxonomy": Holds.TAXONOMY, "slice": Holds.SLICE, "track": Holds.TRACK, **_STREAMS}


def plan_values(plan: Plan) -> dict[str, Any]:
    """The document of `plan --json` and of a saved plan: everything that a plan holds."""
    aside = {
        "unchanged": dict(plan.unchanged),
        "resting": dict(plan.resting),
        "orphaned": dict(plan.orphaned),
        "invalid_streams": list(plan.invalid_streams),
    }
    return {**as_values(plan), **aside}


def save(plan: Plan, path: Path) -> None:
    """Write a plan for `apply`; nobody else may read it, for it names files and metadata."""
    text = document(plan_values(plan)).encode()
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise NucleusSyncError(f"the plan can't be saved: {error.strerror}", where=str(path)) from None


def read(path: Path) -> Plan:
    """Read a saved plan. Raises UsageError for what is none, and for one that was changed by hand."""
    try:
        values = json.loads(path.read_bytes())
        version = values["format_version"]
        if version != FORMAT_VERSION:
            raise UsageError(f"the plan has format {version}, this program reads {FORMAT_VERSION}", where=str(path))
        plan = _plan(values)
    except OSError as error:
        fix = "make one with: nucleus-sync plan --out FILE"
        raise UsageError(f"the plan can't be read: {error.strerror}", where=str(path), fix=fix) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        fix = "make one with: nucleus-sync plan --out FILE"
        raise UsageError("this is not a saved plan", where=str(path), fix=fix) from None
    if plan.digest() != values.get("digest"):
        raise UsageError("the saved plan was changed since it was made", where=str(path), fix="plan again")
    return plan


def _plan(values: Mapping[str, Any]) -> Plan:
    return Plan(
        spec_path=values["spec"]["path"],
        spec_sha256=values["spec"]["sha256"],
        lineage=values["ledger"]["lineage"],
        serial=values["ledger"]["serial"],
        steps=tuple(_step(step) for step in values["steps"]),
        unchanged=values["unchanged"],
        resting=values["resting"],
        orphaned=values["orphaned"],
        sources=tuple(_source(source) for source in values["sources"]),
        failures=tuple(Failure(one["address"], one["error"]) for one in values["failures"]),
        contents=values["contents"],
        endpoint=values["endpoint"],
        targets=tuple(values["targets"]),
    )


def _step(values: Mapping[str, Any]) -> Step:
    address: str = values["address"]
    return Step(
        action=Action(values["action"]),
        address=address,
        holds=_holds(address),
        depends_on=tuple(values["depends_on"]),
        records=RecordCounts(**values["records"]) if "records" in values else None,
        reasons=values.get("reasons", {}),
        wanted=values.get("wanted", {}),
    )


def _holds(address: str) -> Holds:
    parts = address.split(".")
    return _PARTS[parts[2]] if len(parts) > 2 else Holds(parts[0])


def _source(values: Mapping[str, Any]) -> SourceCount:
    return SourceCount(
        address=values["address"],
        invalid=values["invalid"],
        findings=values["findings"],
        duplicates=values["duplicates"],
        shown=tuple(_problem(one) for one in values["shown"]),
        causes=tuple((one["severity"], one["cause"], one["count"]) for one in values["causes"]),
        blocking=values["blocking"],
    )


def _problem(values: Mapping[str, Any]) -> Problem:
    return Problem(
        source=values["source"],
        where=Where(values["file"], values["position"]),
        record=values["record"],
        cause=values["cause"],
        detail=values["detail"],
        severity=Severity(values["severity"]),
        fix=values["fix"],
    )


def check_fresh(saved: Plan, now: Plan) -> None:
    """Raise StalePlan, saying what moved, unless the plan of now does exactly what the saved one does."""
    # A plan made before there was a ledger fits the one that its apply has just made: what counts is the contents.
    as_then = now if saved.lineage else replace(now, lineage="")
    if saved.digest() == as_then.digest():
        return
    fix = "look at what is different now and save it: nucleus-sync plan --out FILE"
    raise StalePlan("the saved plan no longer fits, nothing was done", list(moved(saved, now)), fix=fix)


def moved(saved: Plan, now: Plan) -> Iterable[str]:
    """What is different, in words, the causes before their effects."""
    if saved.endpoint != now.endpoint:
        yield f"endpoint: planned for {saved.endpoint or 'none'}, now it is {now.endpoint or 'none'}"
    if saved.spec_sha256 != now.spec_sha256:
        yield f"spec: {now.spec_path} was edited"
    if not saved.lineage:
        if now.serial:
            yield "ledger: there was none when planned: something was applied since"
    elif saved.lineage != now.lineage:
        yield "ledger: it is another one than the plan was made with"
    elif saved.serial != now.serial:
        yield f"ledger: serial {saved.serial} when planned, {now.serial} now: something was applied since"
    if sorted(saved.targets) != sorted(now.targets):
        yield "targets: not those of the plan"
    yield from _moved_contents(saved, now)


def _moved_contents(saved: Plan, now: Plan) -> Iterable[str]:
    then, later = _steps_by_address(saved), _steps_by_address(now)
    for address in sorted({*then, *later, *saved.contents, *now.contents}):
        if then.get(address) == later.get(address) and saved.contents.get(address) == now.contents.get(address):
            continue
        if address not in later:
            yield f"{address}: nothing is left to do there"
        elif address not in then:
            yield f"{address}: there was nothing to do there"
        else:
            before, after = _in_words(then[address]), _in_words(later[address])
            same = f"sources of {address}: still {after}, but other contents"
            yield same if before == after else f"sources of {address}: planned {before}, now {after}"


def _steps_by_address(plan: Plan) -> dict[str, list[Step]]:
    steps: dict[str, list[Step]] = {}
    for step in plan.steps:
        steps.setdefault(step.address, []).append(step)
    return steps


def _in_words(steps: Iterable[Step]) -> str:
    said = []
    for step in steps:
        counts = step.records
        if counts is None or step.action is Action.PROBE:
            said.append(str(step.action))
        else:
            said.append(f"{step.action} +{counts.create} ~{counts.update} -{counts.delete}")
    return ", ".join(said)
