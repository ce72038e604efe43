"""The watcher itself: turns hints into rounds, survives what they run into, and ends in good order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus_sync.errors import Exit, NucleusSyncError, SpecError
from nucleus_sync.events import Event, Finished
from nucleus_sync.spec.load import LoadedSpec, load
from nucleus_sync.watch.bell import Bell
from nucleus_sync.watch.happenings import (
    Happening,
    Heartbeat,
    Remark,
    RoundFinished,
    RoundStarted,
    Summary,
    Watching,
)
from nucleus_sync.watch.health import Health
from nucleus_sync.watch.inputs import inputs_of
from nucleus_sync.watch.memory import give_back, hold_little
from nucleus_sync.watch.mounts import Mounts
from nucleus_sync.watch.notify import Notifier
from nucleus_sync.watch.observe import Eyes
from nucleus_sync.watch.round import Ended, Opening, Round, state_of
from nucleus_sync.watch.rounds import Agenda, Outcome, Pace, Task
from nucleus_sync.watch.settle_files import Settling, identity_of
from nucleus_sync.workspace import Around, Workspace

if TYPE_CHECKING:
    from nucleus_sync.watch.metrics import Metrics
    from nucleus_sync.watch.server import HealthServer

_CUT_OFF = 15.0
"""Seconds that an apply gets to write down what is in flight, once its grace is over."""
_STILL_AFTER = 120.0
_TIDIED_EVERY = 10


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; seconds."""

    settle: float = 2.0
    pace: Pace = field(default_factory=Pace)
    poll: float | None = None
    """The interval of polling; None for the system's events."""
    grace: float = 30.0
    marker: str | None = None
    allow_deletes: bool = False
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    ready_limit: float = 900.0
    heartbeat: float = 300.0
    once: bool = False
    check: float = 1.0
    """How often folders are looked after: have they vanished, come back, or been made anew?"""
    fallback_poll: float = 10.0
    """The interval of polling where the system's events can't be had."""


class Service:
    """Run it once. `emit` is told of everything, by several threads but never at the same time."""

    def __init__(
        self,
        spec_path: Path,
        options: Options,
        emit: Callable[[Happening], None],
        *,
        environ: Mapping[str, str],
        embedded: bool = False,
        workspace: type[Workspace] = Workspace,
    ) -> None:
        self._spec_path = spec_path
        self._options = options
        self._tell = emit
        self._environ = environ
        self._embedded = embedded
        self._workspace = workspace
        self._loaded = load(spec_path, environ)
        self._inputs = inputs_of(self._loaded)
        self._bell = Bell()
        self._settling = Settling(options.settle, options.marker)
        self._agenda = Agenda(options.pace)
        self._eyes = Eyes(self, self._remark, poll=options.poll, interval=options.poll or options.fallback_poll)
        self._mounts = Mounts()
        self._notifier = Notifier(environ)
        self._health = Health(limit=options.ready_limit)
        self._metrics: Metrics | None = None
        self._emitting = threading.Lock()
        self._folders: set[str] = set()
        self._folders_lock = threading.Lock()
        self._lost = False
        self._files_of_spec = self._spec_identities()
        self._thread: threading.Thread | None = None
        self._task: Task | None = None
        self._ended: Ended | None = None
        self._stop_apply: Callable[[], None] | None = None
        self._serial: int | None = None
        self._held_state = ""
        self._number = 0
        self._said = ""
        self._stopping = False
        self._stop_at: float | None = None
        self._turned = time.monotonic()
        self._begun = time.monotonic()
        self._next_check = 0.0
        self._next_beat = self._begun + options.heartbeat
        self._stack = ExitStack()
        self._emulator_address: str | None = None
        self._last_code = int(Exit.DONE)
        self._cut_off = False

    # --- hints, told by the observer's threads ----------------------------------------------------------------

    def changed(self, path: str, *, renamed: bool = False) -> None:
        """Something happened to a file."""
        if path == self._inputs.spec or os.path.basename(path) == ".env":
            self._next_check = 0.0
            self._bell.hint()
        elif os.path.basename(path) == self._options.marker:
            self.folder(os.path.dirname(path))
        elif self._inputs.matters(path):
            self._note_change()
            self._settling.changed(path, renamed=renamed)
            self._bell.hint()

    def folder(self, path: str) -> None:
        """A folder is new, moved or gone."""
        if self._inputs.is_aside(path):
            return
        with self._folders_lock:
            self._folders.add(path)
        self._bell.hint()

    def lost(self) -> None:
        """Events were lost: only a look at everything tells."""
        self._lost = True
        self._bell.hint()

    def _note_change(self) -> None:
        if self._health.oldest is None:
            self._health.oldest = time.time()

    # --- the loop ---------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Watch until told to stop, or until one round is done; the exit code."""
        hold_little()
        with self._stack:
            self._stack.callback(self._eyes.close)
            with self._signals():
                address = self._open_health()
                if not self._options.once:
                    self._eyes.arm(self._inputs.places)
                folders = tuple(place.path for place in self._inputs.places)
                self._emit(Watching(str(self._spec_path), folders, self._eyes.how, address))
                self._notifier.ready()
                while not self._turn():
                    pass
                self._notifier.stopping()
            return self._summed_up()

    def _turn(self) -> bool:
        """One turn of the loop; whether it was the last."""
        self._turned = now = time.monotonic()
        self._notifier.alive()
        if now >= self._next_check:
            self._look_after(now)
        self._settle()
        if self._thread is None and (self._stopping or self._is_done_once()):
            return True
        due = self._agenda.due(now)
        if self._thread is None and due is not None and due <= now:
            self._start_round(now)
        self._beat(now)
        for rung in self._bell.wait(self._pause()):
            self._answer(rung)
        return self._is_cut_off()

    def _pause(self) -> float:
        """Seconds until there is something to do by itself."""
        now = time.monotonic()
        times = [self._next_check, self._next_beat, now + (self._notifier.interval or 60.0)]
        if (due := self._settling.due) is not None:
            times.append(max(due, now + 0.01))
        if self._thread is None and (start := self._agenda.due(now)) is not None:
            times.append(start)
        if self._stop_at is not None:
            times.append(self._stop_at)
        return max(0.0, min(times) - now)

    def _answer(self, rung: object) -> None:
        match rung:
            case "stop":
                self._begin_to_stop()
            case "stop now":
                self._begin_to_stop()
                self._stop_at = time.monotonic()
            case "reload":
                self._reload(asked=True)
            case "done":
                self._finish_round()

    def _look_after(self, now: float) -> None:
        self._next_check = now + self._options.check
        if not self._options.once:
            self._eyes.check()
        if (found := self._spec_identities()) != self._files_of_spec:
            self._files_of_spec = found
            self._reload(asked=False)

    def _settle(self) -> None:
        with self._folders_lock:
            folders, self._folders = self._folders, set()
        for folder in folders:
            self._look_into(folder)
        settled = self._settling.advance()
        files = {path for path in settled.files if self._inputs.matters(path)}
        gone = {path for path in settled.gone if self._inputs.matters(path)}
        if files or gone:
            whole = any(self._inputs.is_whole(path) for path in files | gone)
            self._agenda.settled(files, len(gone), whole=whole)
        if settled.flood or self._lost:
            self._lost = False
            self._agenda.need_everything("so much has changed that everything is looked at")
        self._health.waiting = self._settling.waiting

    def _look_into(self, folder: str) -> None:
        """The library misses events of files in folders that are new."""
        if not os.path.isdir(folder):
            if any(place.path.startswith(folder) or folder.startswith(place.path) for place in self._inputs.places):
                self._agenda.need_everything("a folder is gone")
            return
        if folder in {place.path for place in self._inputs.places}:
            if self._serial is not None or self._number:
                self._agenda.need_everything("a folder is watched anew")
            return
        for parent, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(parent, name)
                if self._inputs.matters(path):
                    self._note_change()
                    self._settling.found(path)

    # --- rounds -----------------------------------------------------------------------------------------------

    def _start_round(self, now: float) -> None:
        held = self._agenda.held
        task = self._agenda.take(now, may_narrow=self._serial is not None)
        self._number += 1
        self._task = task
        opening = Opening(
            self._spec_path,
            self._loaded,
            self._inputs,
            self._environ,
            self._embedded,
            self._emulator if self._embedded else None,
            self._options.allow_deletes,
            self._workspace,
        )
        one = Round(opening, task, self._settling, self._pass_on, self._take_stop, self._serial, self._lost_mounts)
        touched = len(task.touched) if task.touched is not None else 0
        self._emit(RoundStarted(self._number, task.reason, touched))
        state = self._held_state if held else ""
        self._thread = threading.Thread(target=self._do, args=(one, state), name="round")
        self._thread.start()

    def _do(self, one: Round, held_state: str) -> None:
        begun = time.monotonic()
        if held_state and state_of(one.opening) == held_state:
            self._ended = Ended(Outcome.HELD, int(Exit.REFUSED), False, message=self._said, held_state=held_state)
        else:
            self._ended = one.run()
        if time.monotonic() - begun > 1.0 or self._number % _TIDIED_EVERY == 0:
            give_back()
        self._bell.ring("done")

    def _lost_mounts(self) -> dict[str, str]:
        return self._mounts.lost(self._inputs)

    def _take_stop(self, stop: Callable[[], None]) -> None:
        self._stop_apply = stop
        if self._stop_at is not None and self._stop_at <= time.monotonic():
            stop()

    def _pass_on(self, event: Event) -> None:
        if not isinstance(event, Finished):
            self._emit(event)

    def _finish_round(self) -> None:
        thread, ended, task = self._thread, self._ended, self._task
        if thread is None or ended is None or task is None:
            return
        thread.join()
        self._thread = self._ended = self._task = self._stop_apply = None
        now = time.monotonic()
        if ended.second_look:
            self._agenda.look_twice(now + max(self._options.settle, 0.05))
        retry = ended.retry and not ended.interrupted
        wait = self._agenda.finished(ended.outcome, now, retry=retry)
        self._serial = ended.serial
        self._held_state = ended.held_state
        self._last_code = ended.exit_code
        self._report(ended, wait)

    def _report(self, ended: Ended, wait: float | None) -> None:
        is_good = ended.outcome in (Outcome.GOOD, Outcome.PARTIAL)
        lag = None
        if is_good and self._health.oldest is not None:
            lag = time.time() - self._health.oldest
            self._health.oldest = time.time() if self._settling.waiting or self._agenda.touched else None
        done = ended.finished or Finished(0, 0, 0, 0, 0, 0, 0, 0.0, ended.exit_code)
        left = self._settling.left_out()
        message = ended.message or _named(left.incomplete, left.incomplete_count)
        repeated = ended.outcome in (Outcome.HELD, Outcome.WAITING) and message and message == self._said
        self._said = message
        event = RoundFinished(
            round=self._number,
            outcome=str(ended.outcome),
            create=done.create,
            update=done.update,
            delete=done.delete,
            unchanged=done.unchanged,
            rejected=done.rejected,
            invalid=done.invalid,
            failed_steps=done.failed_steps,
            seconds=round(done.seconds, 3),
            lag=None if lag is None else round(lag, 3),
            exit_code=ended.exit_code,
            message="" if repeated else message,
            next_try=wait,
            left_out=left.young + left.incomplete_count,
        )
        self._emit(event)
        self._notifier.status(f"round {self._number}: {ended.outcome}" + (f": {message}" if message else ""))

    def _is_done_once(self) -> bool:
        if not self._options.once or not self._number:
            return False
        waits = self._settling.waiting or self._agenda.touched or self._agenda.second_look_at is not None
        return not waits or time.monotonic() - self._begun > 10 * self._options.settle + self._options.grace

    # --- the spec ---------------------------------------------------------------------------------------------

    def _spec_identities(self) -> tuple[object, ...]:
        return tuple(identity_of(path) for path in (self._inputs.spec, str(self._loaded.folder / ".env")))

    def _reload(self, *, asked: bool) -> None:
        self._notifier.reloading()
        try:
            loaded = load(self._spec_path, self._environ)
            inputs = inputs_of(loaded)
        except SpecError as error:
            self._remark("spec_broken", f"the spec is broken, and the one before stays in force:\n{error}")
        except NucleusSyncError as error:
            self._remark("spec_broken", f"the spec can't be watched, and the one before stays in force: {error}")
        else:
            if loaded.sha256 != self._loaded.sha256 or loaded.digest != self._loaded.digest or asked:
                self._remark("spec_reloaded", f"the spec was read again: {self._spec_path}")
            self._loaded, self._inputs, self._serial = loaded, inputs, None
            if not self._options.once:
                self._eyes.arm(inputs.places)
            self._agenda.need_everything("the spec or the environment has changed", at_once=True)
        self._notifier.ready()

    # --- signs of life ----------------------------------------------------------------------------------------

    def _emit(self, event: Happening) -> None:
        with self._emitting:
            self._health.take(event)
            if self._metrics is not None:
                self._metrics.take(event)
            self._tell(event)

    def _remark(self, kind: str, text: str) -> None:
        self._emit(Remark(kind, text))

    def _beat(self, now: float) -> None:
        if now < self._next_beat:
            return
        self._next_beat = now + self._options.heartbeat
        last = self._health.last
        good = self._health.last_good
        since = None if good is None else round(time.time() - good, 1)
        self._emit(Heartbeat(self._number, last.outcome if last else "starting", self._settling.waiting, since))

    def _open_health(self) -> str:
        options = self._options
        if options.health_port is None:
            return ""
        import tempfile

        from nucleus_sync.watch.desk import Desk
        from nucleus_sync.watch.gallery import Gallery
        from nucleus_sync.watch.metrics import Metrics
        from nucleus_sync.watch.server import HealthServer

        scratch = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="nucleus-sync-watch-"))
        self._metrics = Metrics(self._health)
        desk = Desk(
            self._health,
            self._metrics,
            Gallery(Path(scratch)),
            self._spec_path,
            self._environ,
            lambda: self._loaded,
            lambda: self._turned,
            _STILL_AFTER,
        )
        server: HealthServer = HealthServer(options.health_host, options.health_port, desk)
        server.start()
        self._stack.callback(server.close)
        return server.address

    def _emulator(self) -> str:
        """One emulator for all rounds: a job must outlive the round that submitted it."""
        if self._emulator_address is None:
            self._emulator_address = self._stack.enter_context(_embedded(self._loaded, self._environ))
        return self._emulator_address

    # --- the end ----------------------------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        actions = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.reload}
        before = {number: signal.signal(number, lambda *_, act=act: act()) for number, act in actions.items()}
        try:
            yield
        finally:
            for number, action in before.items():
                signal.signal(number, action)

    def stop(self) -> None:
        """Begin no new round and let the present one end within the grace; a second time: at once. From any thread."""
        self._bell.ring("stop now" if self._stopping else "stop")

    def reload(self) -> None:
        """Read the spec again, and look at everything. From any thread."""
        self._bell.ring("reload")

    def _begin_to_stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._stop_at = time.monotonic() + self._options.grace
        if self._thread is not None:
            self._remark("stopping", f"stopping; the round under way has {self._options.grace:g} s to end")

    def _is_cut_off(self) -> bool:
        """Stop an apply whose grace is over; what is in flight is in the ledger by then."""
        if self._thread is None or self._stop_at is None or time.monotonic() < self._stop_at:
            return False
        self._cut_off = True
        if self._stop_apply is not None:
            self._stop_apply()
        self._thread.join(_CUT_OFF)
        if self._thread.is_alive():
            return True
        self._finish_round()
        return True

    def _summed_up(self) -> int:
        health = self._health
        code = int(Exit.INTERRUPTED) if self._cut_off else self._last_code if self._options.once else int(Exit.DONE)
        failed = sum(number for outcome, number in health.rounds.items() if outcome not in ("good", "partial"))
        self._emit(
            Summary(
                rounds=self._number,
                create=health.records["create"],
                update=health.records["update"],
                delete=health.records["delete"],
                rejected=health.records["rejected"],
                failed_rounds=failed,
                seconds=round(time.monotonic() - self._begun, 3),
                exit_code=code,
                counts=dict(health.rounds),
            )
        )
        return code


def _named(incomplete: tuple[tuple[str, str], ...], count: int) -> str:
    if not count:
        return ""
    more = f", and {count - len(incomplete)} more" if count > len(incomplete) else ""
    return "waiting for the rest of " + ", ".join(f"{path} ({why})" for path, why in incomplete) + more


@contextmanager
def _embedded(loaded: LoadedSpec, environ: Mapping[str, str]) -> Iterator[str]:
    with Workspace(loaded.path, environ=environ, embedded=True, around=Around(loaded=loaded)) as space:
        yield space.start_emulator()
