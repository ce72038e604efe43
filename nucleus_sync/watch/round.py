"""One round: what is ready is applied, what isn't is left as it stands."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xxhash import xxh3_64_hexdigest

from nucleus_sync.errors import Exit, Interrupted, NucleusSyncError
from nucleus_sync.events import Event, Finished, StepFinished
from nucleus_sync.plan.plan import Plan
from nucleus_sync.plan.steps import Action
from nucleus_sync.sources.open import open_reader
from nucleus_sync.sources.reader import Surroundings
from nucleus_sync.spec.loaded import LoadedSpec
from nucleus_sync.survey.touched import Touched
from nucleus_sync.watch.complete import missing
from nucleus_sync.watch.inputs import Inputs, ready_targets
from nucleus_sync.watch.rounds import Outcome, Task, judged
from nucleus_sync.watch.settle_files import Settling
from nucleus_sync.workspace import Around, Choices, Workspace

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a round needs to open its workspace."""

    spec_path: Path
    loaded: LoadedSpec
    inputs: Inputs
    environ: Mapping[str, str]
    embedded: bool
    emulator: Callable[[], str] | None
    allow_deletes: bool
    workspace: type[Workspace] = Workspace


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a round."""

    outcome: Outcome
    exit_code: int
    retry: bool
    finished: Finished | None = None
    message: str = ""
    serial: int | None = None
    """Of the ledger, where every stream was found equal to its sources: then single files may be looked at."""
    second_look: bool = False
    """Deletions were found of which nobody had heard; nothing was done."""
    look_at_all: bool = False
    """A look at touched files alone found one unfit: what that stops, only a look at everything tells."""
    interrupted: bool = False
    held_state: str = ""


@dataclass
class Round:
    """Run it once, in any thread; `give_stop` is told what stops it."""

    opening: Opening
    task: Task
    settling: Settling
    emit: Emit
    give_stop: Callable[[Callable[[], None]], None]
    serial: int | None = None
    """Of the ledger when everything was found in order, for a round that looks at touched files alone."""
    lost_mounts: Callable[[], Mapping[str, str]] = dict
    """Sources whose share isn't mounted any more, with the reason."""
    _plan: Plan | None = None
    _waits_for_second_look: bool = False
    _idle: bool = False
    _waiting: dict[str, str] = field(default_factory=dict)
    _first_failure: str = ""

    def run(self) -> Ended:
        """Never raises."""
        try:
            return self._run()
        except Interrupted as error:
            return Ended(Outcome.FAILED, int(Exit.INTERRUPTED), False, message=error.what, interrupted=True)
        except NucleusSyncError as error:
            outcome, retry = judged(error.exit_code, failed_steps=0)
            state = self._state() if outcome is Outcome.HELD else ""
            return Ended(outcome, int(error.exit_code), retry, message=str(error), held_state=state)
        except Exception as bug:  # a service outlives its own mistakes, too
            return Ended(Outcome.FAILED, int(Exit.ERROR), True, message=_told(bug))

    def _run(self) -> Ended:
        touched = self._touched()
        if touched is None:
            self.settling.begin_look()
            self._waiting = self._unready()
        held = frozenset(self._waiting)
        targets = ready_targets(self.opening.loaded, held)
        if targets is None:
            return self._not_ready(None)
        finished = self._applied(targets, touched)
        if self._waits_for_second_look:
            return Ended(Outcome.WAITING, 0, False, message="deletions are looked at twice", second_look=True)
        if finished.exit_code == Exit.INVALID and touched is not None:
            return Ended(Outcome.WAITING, int(Exit.INVALID), False, finished, "a file is unfit", look_at_all=True)
        if finished.exit_code == Exit.INVALID and self._plan is not None:
            return self._without_broken(finished)
        if self._waiting:
            return self._not_ready(finished)
        return self._ended(finished)

    def _ended(self, finished: Finished) -> Ended:
        outcome, retry = judged(finished.exit_code, failed_steps=finished.failed_steps)
        message = self._first_failure
        if outcome is Outcome.FAILED and not message:
            message = f"ended with exit code {finished.exit_code}"
        return Ended(outcome, finished.exit_code, retry, finished, message, self._serial_if_sound(outcome))

    def _without_broken(self, first: Finished) -> Ended:
        """A broken source stops its own streams only."""
        plan = self._plan
        broken = {failure.address: failure.error.split("\n", 1)[0] for failure in plan.failures} if plan else {}
        for count in plan.sources if plan else ():
            if count.blocking:
                shown = count.shown[0] if count.shown else None
                broken[count.address] = f"{shown.where}: {shown.detail}" if shown else f"{count.invalid:,} invalid"
        self._waiting |= broken
        targets = ready_targets(self.opening.loaded, frozenset(self._waiting))
        return self._not_ready(self._applied(targets, None) if targets else first)

    def _not_ready(self, finished: Finished | None) -> Ended:
        reasons = [f"{address}: {why}" for address, why in self._waiting.items()]
        message = "; ".join(filter(None, (self._first_failure, *reasons)))
        code, retry = int(Exit.INVALID), False
        if finished is not None and finished.exit_code not in (Exit.DONE, Exit.INVALID):
            outcome, retry = judged(finished.exit_code, failed_steps=finished.failed_steps)
            return Ended(outcome, finished.exit_code, retry, finished, message)
        return Ended(Outcome.WAITING, code, retry, finished, message)

    # --- one apply --------------------------------------------------------------------------------------------

    def _applied(self, targets: tuple[str, ...], touched: Touched | None) -> Finished:
        around = Around(
            loaded=self.opening.loaded,
            patience=self.settling,
            touched=touched,
            emulator=self.opening.emulator,
            give_stop=self.give_stop,
        )
        choices = Choices(targets=targets, allow_deletes=self.opening.allow_deletes)
        opening = self.opening
        with opening.workspace(
            opening.spec_path, environ=opening.environ, embedded=opening.embedded, around=around
        ) as space:
            finished = space.apply(choices, self._approve, self._pass_on)
            self._serial = space.read_ledger().serial
        return replace(finished, exit_code=int(Exit.DONE)) if self._idle else finished

    def _pass_on(self, event: Event) -> None:
        if isinstance(event, StepFinished) and event.outcome == "failed" and not self._first_failure:
            self._first_failure = f"{event.step}: {event.error}".split("\n", 1)[0]
        self.emit(event)

    def _approve(self, plan: Plan) -> bool:
        self._plan = plan
        self._waits_for_second_look = not self.task.second_look and self._deletes_unheard_of(plan)
        # A look that finds nothing to do leaves no trace in the ledger's history; gates are judged all the same.
        self._idle = plan.is_empty and not plan.invalid_streams and not self.opening.loaded.spec.evaluations
        return not (self._waits_for_second_look or self._idle or plan.invalid_streams)

    def _deletes_unheard_of(self, plan: Plan) -> bool:
        """Items that vanish without a word may be a tool's that writes them anew, or a share's that went away."""
        folders = {folder.source for folder in self.opening.inputs.folders}
        of_folders = {
            stream.address: stream for stream in self.opening.inputs.streams if folders.intersection(stream.sources)
        }
        return any(
            step.action is Action.DELETE and step.records and step.records.delete > self.task.gone
            for step in plan.steps
            if step.address in of_folders
        )

    # --- what is looked at ------------------------------------------------------------------------------------

    def _touched(self) -> Touched | None:
        if self.task.touched is None or self.serial is None:
            return None
        files: dict[str, set[str]] = {}
        for path in self.task.touched:
            for folder, name in self.opening.inputs.images(path):
                files.setdefault(folder.source, set()).add(name)
        return Touched({name: frozenset(paths) for name, paths in files.items()}, self.serial)

    def _serial_if_sound(self, outcome: Outcome) -> int | None:
        """Only where nothing was left out, found wrong or is resting may the next round look at single files."""
        plan = self._plan
        if outcome is not Outcome.GOOD or plan is None or plan.failures or self.settling.left_out().incomplete_count:
            return None
        if any(count.invalid for count in plan.sources) or plan.resting:
            return None
        spec = self.opening.loaded.spec
        if any(dataset.slices for dataset in spec.datasets.values()):
            return None
        return self._serial

    _serial: int = 0

    def _unready(self) -> dict[str, str]:
        """Streams with a source that isn't there, is being written, or lacks its end."""
        reasons = self._unready_sources()
        return {
            stream.address: reasons[name]
            for stream in self.opening.inputs.streams
            for name in stream.sources
            if name in reasons
        }

    def _unready_sources(self) -> dict[str, str]:
        inputs, settling = self.opening.inputs, self.settling
        found = dict(self.lost_mounts())
        for file in inputs.files:
            try:
                stat = os.stat(file.path)
            except OSError:
                found[file.source] = f"{file.shown} isn't there"
                continue
            if settling.waits_for(file.path, stat):
                found[file.source] = f"{file.shown} is still being written"
            elif why := missing(file.path, file.format):
                settling.incomplete(file.path, why)
                found[file.source] = f"{file.shown}: {why}"
        for folder in inputs.folders:
            if not os.path.isdir(folder.path):
                found[folder.source] = f"{folder.shown} isn't there"
        for source, path in inputs.beside:
            if not os.path.isdir(path):
                found[source] = f"{path} isn't there"
            elif settling.waits_below(path):
                found.setdefault(source, f"files in {path} are still being written")
        return found

    def _state(self) -> str:
        return state_of(self.opening)


def _told(bug: Exception) -> str:
    """A mistake of ours in one line, with the place that a report should name."""
    frames = traceback.extract_tb(bug.__traceback__)
    place = f" ({'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno})" if frames else ""
    return f"internal error: {type(bug).__name__}: {bug}{place}; please report this"


def state_of(opening: Opening) -> str:
    """Stands for everything that the sources' files look like now."""
    around: Any = {"folder": opening.loaded.folder, "scratch": Path(), "facts": None}
    parts = [opening.loaded.sha256]
    for name in sorted({name for stream in opening.inputs.streams for name in stream.sources}):
        try:
            reader = open_reader(opening.loaded.spec.sources[name], Surroundings(name=name, **around))
            parts.append(reader.state().digest.hex())
        except NucleusSyncError as error:
            parts.append(error.what)
    return xxh3_64_hexdigest("\0".join(parts).encode(errors="replace"))
