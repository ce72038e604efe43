"""The watcher itself: turns hints into rounds, survives what they run into, and ends in good order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus_sync.errors import Exit, NucleusSyncError, SpecError
from nucleus_sync.events import Event, Finished
from nucleus_sync.memory import hold_little
from nucleus_sync.spec.load import load
from nucleus_sync.spec.loaded import LoadedSpec
from nucleus_sync.watch.bell import Bell
from nucleus_sync.watch.happenings import Happening, RoundStarted, Watching
from nucleus_sync.watch.hints import Hints
from nucleus_sync.watch.inputs import inputs_of
from nucleus_sync.watch.mounts import Mounts
from nucleus_sync.watch.observe import Eyes
from nucleus_sync.watch.options import Options
from nucleus_sync.watch.round import Ended, Opening, Round
from nucleus_sync.watch.rounds import Agenda, Outcome
from nucleus_sync.watch.settle_files import Settling, identity_of
from nucleus_sync.watch.signs import Signs
from nucleus_sync.watch.under_way import UnderWay, held_again
from nucleus_sync.workspace import Around, Workspace

if TYPE_CHECKING:
    from nucleus_sync.watch.server import HealthServer

_STILL_AFTER = 120.0
_TIDIED_EVERY = 10


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
        self._environ = environ
        self._embedded = embedded
        self._workspace = workspace
        self._loaded = load(spec_path, environ)
        self._bell = Bell()
        self._settling = Settling(options.settle, options.marker)
        self._agenda = Agenda(options.pace)
        self._signs = Signs(emit, environ, ready_limit=options.ready_limit, heartbeat=options.heartbeat)
        self._health = self._signs.health
        inputs = inputs_of(self._loaded)
        self._hints = Hints(inputs, self._settling, self._bell, self._health, self._look_soon, marker=options.marker)
        self._eyes = Eyes(
            self._hints, self._signs.remark, poll=options.poll, interval=options.poll or options.fallback_poll
        )
        self._mounts = Mounts()
        self._under_way = UnderWay(self._bell)
        self._files_of_spec = self._spec_identities()
        self._serial: int | None = None
        self._held_state = ""
        self._number = 0
        self._stopping = False
        self._turned = time.monotonic()
        self._begun = time.monotonic()
        self._next_check = 0.0
        self._stack = ExitStack()
        self._emulator_address: str | None = None
        self._last_code = int(Exit.DONE)
        self._cut_off = False

    # --- the loop ---------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Watch until told to stop, or until one round is done; the exit code."""
        hold_little()
        with self._stack:
            self._stack.callback(self._eyes.close)
            with self._signals():
                address = self._open_health()
                if not self._options.once:
                    self._eyes.arm(self._hints.inputs.places)
                folders = tuple(place.path for place in self._hints.inputs.places)
                self._signs.emit(Watching(str(self._spec_path), folders, self._eyes.how, address))
                self._signs.notifier.ready()
                while not self._turn():
                    pass
                self._signs.notifier.stopping()
            return self._summed_up()

    def _turn(self) -> bool:
        """One turn of the loop; whether it was the last."""
        self._turned = now = time.monotonic()
        self._signs.notifier.alive()
        if now >= self._next_check:
            self._look_after(now)
        self._hints.settle(self._agenda, looked_before=self._serial is not None or self._number > 0)
        if self._under_way.is_idle and (self._stopping or self._is_done_once()):
            return True
        due = self._agenda.due(now)
        if self._under_way.is_idle and due is not None and due <= now:
            self._start_round(now)
        self._signs.beat(now, self._number, self._settling.waiting)
        for rung in self._bell.wait(self._pause()):
            self._answer(rung)
        return self._is_cut_off()

    def _pause(self) -> float:
        """Seconds until there is something to do by itself."""
        now = time.monotonic()
        times = [self._next_check, self._signs.next_beat, now + (self._signs.notifier.interval or 60.0)]
        if (due := self._settling.due) is not None:
            times.append(max(due, now + 0.01))
        if self._under_way.is_idle and (start := self._agenda.due(now)) is not None:
            times.append(start)
        if self._under_way.stop_at is not None:
            times.append(self._under_way.stop_at)
        return max(0.0, min(times) - now)

    def _answer(self, rung: object) -> None:
        match rung:
            case "stop":
                self._begin_to_stop()
            case "stop now":
                self._begin_to_stop()
                self._under_way.stop_at = time.monotonic()
            case "reload":
                self._reload(asked=True)
            case "done":
                self._finish_round()

    def _look_soon(self) -> None:
        self._next_check = 0.0

    def _look_after(self, now: float) -> None:
        self._next_check = now + self._options.check
        if not self._options.once:
            self._eyes.check()
        if (found := self._spec_identities()) != self._files_of_spec:
            self._files_of_spec = found
            self._reload(asked=False)

    # --- rounds -----------------------------------------------------------------------------------------------

    def _start_round(self, now: float) -> None:
        held = self._agenda.held
        task = self._agenda.take(now, may_narrow=self._serial is not None)
        self._number += 1
        opening = Opening(
            self._spec_path,
            self._loaded,
            self._hints.inputs,
            self._environ,
            self._embedded,
            self._emulator if self._embedded else None,
            self._options.allow_deletes,
            self._workspace,
        )
        one = Round(
            opening, task, self._settling, self._pass_on, self._under_way.take_stop, self._serial, self._lost_mounts
        )
        touched = len(task.touched) if task.touched is not None else 0
        self._signs.emit(RoundStarted(self._number, task.reason, touched))
        again = held_again(self._held_state, self._signs.said) if held and self._held_state else None
        self._under_way.start(one, held=again, tidy=self._number % _TIDIED_EVERY == 0)

    def _lost_mounts(self) -> dict[str, str]:
        return self._mounts.lost(self._hints.inputs)

    def _pass_on(self, event: Event) -> None:
        if not isinstance(event, Finished):
            self._signs.emit(event)

    def _finish_round(self) -> None:
        ended = self._under_way.finish()
        if ended is None:
            return
        now = time.monotonic()
        if ended.second_look:
            self._agenda.look_twice(now + max(self._options.settle, 0.05))
        retry = ended.retry and not ended.interrupted and not self._options.once
        wait = self._agenda.finished(ended.outcome, now, retry=retry)
        if ended.look_at_all:
            self._agenda.need_everything("a file is unfit", at_once=True)
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
        self._signs.round_finished(self._number, ended, self._settling.left_out(), lag=lag, wait=wait)

    def _is_done_once(self) -> bool:
        if not self._options.once or not self._number:
            return False
        agenda = self._agenda
        waits = self._settling.waiting or agenda.touched or agenda.second_look_at is not None
        waits = waits or (agenda.everything and not agenda.failures)
        return not waits or time.monotonic() - self._begun > 10 * self._options.settle + self._options.grace

    # --- the spec ---------------------------------------------------------------------------------------------

    def _spec_identities(self) -> tuple[object, ...]:
        return tuple(identity_of(path) for path in (self._hints.inputs.spec, str(self._loaded.folder / ".env")))

    def _reload(self, *, asked: bool) -> None:
        self._signs.notifier.reloading()
        try:
            loaded = load(self._spec_path, self._environ)
            inputs = inputs_of(loaded)
        except SpecError as error:
            self._signs.remark("spec_broken", f"the spec is broken, and the one before stays in force:\n{error}")
        except NucleusSyncError as error:
            self._signs.remark("spec_broken", f"the spec can't be watched, and the one before stays in force: {error}")
        else:
            if loaded.sha256 != self._loaded.sha256 or loaded.digest != self._loaded.digest or asked:
                self._signs.remark("spec_reloaded", f"the spec was read again: {self._spec_path}")
            self._loaded, self._hints.inputs, self._serial = loaded, inputs, None
            if not self._options.once:
                self._eyes.arm(inputs.places)
            self._agenda.need_everything("the spec or the environment has changed", at_once=True)
        self._signs.notifier.ready()

    # --- signs of life ----------------------------------------------------------------------------------------

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
        self._signs.metrics = Metrics(self._health)
        desk = Desk(
            self._health,
            self._signs.metrics,
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
        self._under_way.stop_at = time.monotonic() + self._options.grace
        if not self._under_way.is_idle:
            self._signs.remark("stopping", f"stopping; the round under way has {self._options.grace:g} s to end")

    def _is_cut_off(self) -> bool:
        """Whether the round under way had to be stopped, its grace being over."""
        if not self._under_way.is_overdue:
            return False
        self._cut_off = True
        if self._under_way.cut_off():
            self._finish_round()
        return True

    def _summed_up(self) -> int:
        code = int(Exit.INTERRUPTED) if self._cut_off else self._last_code if self._options.once else int(Exit.DONE)
        self._signs.sum_up(self._number, seconds=time.monotonic() - self._begun, exit_code=code)
        return code


@contextmanager
def _embedded(loaded: LoadedSpec, environ: Mapping[str, str]) -> Iterator[str]:
    with Workspace(loaded.path, environ=environ, embedded=True, around=Around(loaded=loaded)) as space:
        yield space.start_emulator()
