"""One nucleus.yaml with its ledger, its sources and its API client, opened together: wiring, no rules."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from msgspec import Struct

from nucleus_sync.errors import CredentialsError, LedgerError, Locked, NucleusSyncError, Refused
from nucleus_sync.ledger.facts import FileFacts
from nucleus_sync.ledger.ledger import Checkpoint, Ledger, no_checkpoint
from nucleus_sync.ledger.lock import Lock, beating
from nucleus_sync.plan.guard import guard_deletes, known_of
from nucleus_sync.plan.plan import Plan
from nucleus_sync.sources.reader import Patience
from nucleus_sync.spec.access import EMBEDDED, Credentials
from nucleus_sync.spec.loaded import LoadedSpec
from nucleus_sync.spec.opening import open_spec, under_environment
from nucleus_sync.survey.lines import KeptLines
from nucleus_sync.survey.survey import Survey, Surveyed
from nucleus_sync.survey.touched import TooNarrow, Touched

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.events import Event, Finished

Emit: TypeAlias = "Callable[[Event], None]"
_COLLECT_AFTER = 100_000


class Choices(Struct, frozen=True):
    """What the command line says of one plan or apply."""

    targets: tuple[str, ...] = ()
    trust_cache: bool = True
    allow_deletes: bool = False
    retry_rejected: bool = False
    verify: bool = False
    """Read back what was sent."""


class Around(Struct, frozen=True):
    """What a watcher adds to a workspace, which it opens anew for every round."""

    loaded: LoadedSpec | None = None
    """The spec as it was read before."""
    patience: Patience | None = None
    touched: Touched | None = None
    emulator: Callable[[], str] | None = None
    """The address of an emulator that outlives the workspace."""
    give_stop: Callable[[Callable[[], None]], None] | None = None
    """Told what stops an apply that runs in another thread."""


class Prepared(Struct, frozen=True):
    """A plan together with the changes behind it, which lie in the workspace's scratch folder."""

    surveyed: Surveyed
    refusal: Refused | None = None
    """What an apply would say to its deletions, unless told otherwise."""

    @property
    def plan(self) -> Plan:
        """What would be done."""
        return self.surveyed.plan

    def records(self) -> Iterator[dict[str, Any]]:
        """Every change: address, key, action, reason, source file and position; what `plan --records` writes."""
        for changes in self.surveyed.changes.values():
            yield from changes.lines()


_NOTHING = Around()


def _silence(_: Event) -> None:
    pass


def _note(emit: Emit, address: str, text: str) -> None:
    from nucleus_sync.events import Note

    emit(Note(address, text))


class Workspace:
    """Use as a context manager; `endpoint` is `embedded` for the emulator inside this process.

    `checkpoint` is told of everything that becomes durable in the ledger, and of every request before and after it.
    """

    def __init__(
        self,
        spec_path: Path,
        *,
        environ: Mapping[str, str],
        embedded: bool = False,
        checkpoint: Checkpoint = no_checkpoint,
        around: Around = _NOTHING,
    ) -> None:
        opened = under_environment(around.loaded) if around.loaded else open_spec(spec_path, environ)
        self._around = around
        self.loaded = opened.loaded
        self._credentials = Credentials(EMBEDDED) if embedded else opened.credentials
        self.endpoint = self._credentials.endpoint
        self.ledger_path = self.loaded.resolve(self.loaded.spec.settings.ledger)
        self._checkpoint = checkpoint
        self._stack = ExitStack()
        self._scratch: Path | None = None
        self._facts: FileFacts | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def scratch(self) -> Path:
        """A folder for temporary files; on the ledger's disk where that can be written, for it may have to be large."""
        if self._scratch is None:
            home = self.ledger_path.parent
            roomy = home.is_dir() and os.access(home, os.W_OK)
            if roomy:
                _sweep(home)
            prefix = f"scratch-{os.getpid()}-"
            self._scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=home if roomy else None))
            self._stack.callback(shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    @property
    def facts(self) -> FileFacts:
        """What is remembered of media files; in memory where the ledger's folder is not there yet."""
        if self._facts is None:
            home = self.ledger_path.parent
            place = home / "cache.db" if home.is_dir() else None
            self._facts = self._stack.enter_context(FileFacts(place, self.loaded.resolve))
        return self._facts

    def open_ledger(self, *, create: bool) -> Ledger:
        """The ledger to write, or, with create=False, to read; then one that isn't there is an empty one."""
        opened = Ledger.open(
            self.ledger_path,
            endpoint=self.endpoint,
            spec=self._spec_seen_from_ledger,
            readonly=not create,
            checkpoint=self._checkpoint,
        )
        return self._stack.enter_context(opened)

    def read_ledger(self) -> Ledger:
        """The ledger as it is, whatever endpoint the environment names: to tell what it knows and to do nothing."""
        return self._stack.enter_context(Ledger.read(self.ledger_path, spec=self._spec_seen_from_ledger))

    @property
    def _spec_seen_from_ledger(self) -> str:
        return os.path.relpath(self.loaded.path.absolute(), self.ledger_path.parent.absolute())

    @contextmanager
    def locked(self, emit: Emit = _silence, *, create: bool = False) -> Iterator[Ledger]:
        """The ledger, with the right to write it. Raises Locked with the holder's name."""
        if not create and not self.ledger_path.exists():
            raise LedgerError("there is no ledger", where=str(self.ledger_path), fix="nucleus-sync apply makes one")
        ledger = self.open_ledger(create=True)
        for warning in ledger.warnings:
            _note(emit, "", warning)
        lock = Lock(ledger)
        story = lock.acquire()
        try:
            if story:
                _note(emit, "", story)
            with beating(lock):
                yield ledger
        finally:
            lock.release()

    def credentials(self) -> Credentials:
        """Key and endpoint. Raises CredentialsError when there is no key."""
        return self._credentials.checked()

    def prepare(self, choices: Choices, *, with_ledger: bool = True, emit: Emit = _silence) -> Prepared:
        """Settle nothing, read the sources, compare with the ledger; without the ledger everything is new."""
        ledger = self.open_ledger(create=False) if with_ledger else None
        surveyed = self.survey(choices, ledger, emit)
        if ledger is not None and self.ledger_path.exists():
            self._remember_if_free(surveyed)
        return Prepared(surveyed, self._refusal(surveyed.plan, ledger) if ledger else None)

    def _refusal(self, plan: Plan, ledger: Ledger) -> Refused | None:
        limit = self.loaded.spec.settings.delete_limit
        try:
            guard_deletes(plan, known_of(plan, ledger.held), records=limit.records, fraction=limit.fraction)
        except Refused as refusal:
            return refusal
        return None

    def survey(self, choices: Choices, ledger: Ledger | None, emit: Emit, *, for_sending: bool = False) -> Surveyed:
        """One look at everything that is declared, or at what was touched where that is enough.

        `for_sending` keeps what will be sent.
        """
        look = partial(self._look, choices, ledger, emit, KeptLines(self.scratch) if for_sending else None)
        touched = self._around.touched
        if touched is not None and ledger is not None and ledger.serial == touched.serial:
            with suppress(TooNarrow):
                return look(touched)
        # Millions of small values come and go, hardly any of them in cycles: looking for those halves the speed.
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER, 50, 100)
        try:
            return look(None)
        finally:
            gc.unfreeze()

    def _look(
        self,
        choices: Choices,
        ledger: Ledger | None,
        emit: Emit,
        lines: KeptLines | None,
        touched: Touched | None,
    ) -> Surveyed:
        return Survey(
            loaded=self.loaded,
            ledger=ledger,
            facts=self.facts,
            scratch=self.scratch,
            clock_ns=time.time_ns,
            endpoint=self.endpoint,
            targets=choices.targets,
            trust_cache=choices.trust_cache,
            retry_rejected=choices.retry_rejected,
            lines=lines,
            say=partial(_note, emit),
            patience=self._around.patience,
            touched=touched,
        ).run()

    def _remember_if_free(self, surveyed: Surveyed) -> None:
        """A plan may note what it read, unless an apply is going on or nothing can be written."""
        from nucleus_sync.survey.remember import remember

        try:
            ledger = self.open_ledger(create=True)
            with Lock(ledger):
                remember(self.loaded.spec, ledger, surveyed)
        except (Locked, LedgerError):
            return

    def apply(self, choices: Choices, approve: Callable[[Plan], bool], emit: Emit) -> Finished:
        """Lock, settle, plan, guard, ask `approve`, perform. Raises what stops it as a whole."""
        from nucleus_sync.apply.session import Session
        from nucleus_sync.memory import hold_little

        hold_little()
        found = self.credentials()
        ledger = self.open_ledger(create=True)
        for warning in ledger.warnings:
            _note(emit, "", warning)
        ledger.assure_room()
        lock = Lock(ledger)
        story = lock.acquire()
        self._stack.callback(lock.release)
        if story:
            _note(emit, "", story)
        session = Session(
            loaded=self.loaded,
            ledger=ledger,
            lock=lock,
            scratch=self.scratch,
            survey=lambda: self.survey(choices, ledger, emit, for_sending=True),
            approve=approve,
            emit=emit,
            allow_deletes=choices.allow_deletes,
            give_stop=self._around.give_stop,
            make_api=lambda: self.fenced_api(found, ledger, emit),
            verify=choices.verify,
        )
        return session.run()

    def fenced_api(self, found: Credentials, ledger: Ledger, emit: Emit) -> Api:
        """A client that sends nothing any more once the ledger's lock was taken away."""
        return self.make_api(found, emit, self._fenced(ledger))

    def _fenced(self, ledger: Ledger) -> Checkpoint:
        """A process that was stopped, and whose lock was taken away meanwhile, must not send what it was about to."""

        def passing(name: str) -> None:
            self._checkpoint(name)
            if name.startswith("before ") and not name.startswith("before GET "):
                ledger.assure_held()

        return passing

    def make_api(self, found: Credentials, emit: Emit = _silence, checkpoint: Checkpoint = no_checkpoint) -> Api:
        """A client; for the embedded endpoint together with its emulator."""
        from nucleus_sync.api.client import Api, ApiKey, LimitedKey, RetryNote

        def on_retry(note: RetryNote) -> None:
            _note(emit, "", f"waiting {note.wait:.0f} s for Nucleus: {note.method} {note.path}: {note.reason}")

        if found.embedded:
            from uuid import uuid4

            nobody = ApiKey(f"embedded-{uuid4().hex}")
            return Api(self.start_emulator(), nobody, on_retry=on_retry, checkpoint=checkpoint)
        key = found.api_key or found.limited_access_key
        if key is None:
            raise CredentialsError("there is no API key")
        named = ApiKey(key) if found.api_key else LimitedKey(key)
        storage = os.environ.get("S3_ENDPOINT")
        return Api(
            found.endpoint,
            named,
            verify=found.verify,
            storage_endpoint=storage,
            on_retry=on_retry,
            checkpoint=checkpoint,
        )

    def start_emulator(self) -> str:
        """The address of the embedded emulator, which runs as long as this workspace is open."""
        if self._around.emulator is not None:
            return self._around.emulator()
        try:
            from nucleus_sync.emulator.server import Emulator
        except ImportError as error:
            raise CredentialsError(
                f"the embedded emulator needs more packages ({error.name} is missing)",
                fix="pip install 'nucleus-sync[emulator]'",
            ) from None
        folder = self.ledger_path.parent / "emulator"
        try:
            return self._stack.enter_context(Emulator(folder)).endpoint
        except OSError as error:
            raise NucleusSyncError(
                f"the embedded emulator can't start: {error.strerror or error}", where=str(folder)
            ) from None


def _sweep(home: Path) -> None:
    """Remove the scratch folders of processes that died."""
    for folder in home.glob("scratch-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
