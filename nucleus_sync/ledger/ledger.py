"""The ledger as the rest of the program sees it: one method is one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nucleus_sync.errors import LedgerError
from nucleus_sync.ledger import batches, disk, history, known, problems, rejections, resources, streams, tidy
from nucleus_sync.ledger.batches import Batch, NewBatch
from nucleus_sync.ledger.bulk import Stamped
from nucleus_sync.ledger.database import CACHE_KB, Clock, Database, open_database, open_to_read
from nucleus_sync.ledger.history import Result, Run
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.ledger.known import Row
from nucleus_sync.ledger.manifest import BatchRow, Manifest
from nucleus_sync.ledger.rejections import Rejection
from nucleus_sync.ledger.resources import Creation, Resource
from nucleus_sync.ledger.streams import Standing, StreamState
from nucleus_sync.records.problem import Problem

Checkpoint = Callable[[str], None]
"""Told the name of each thing that has just become durable; a test kills the process there."""


def no_checkpoint(_: str) -> None:
    """Nobody watches."""


class Ledger:
    """What Nucleus was made to hold. Every method raises LedgerError when the file can't be used."""

    def __init__(self, database: Database, checkpoint: Checkpoint = no_checkpoint) -> None:
        self.database = database
        """For the lock, which lives in the same file."""
        self._checkpoint = checkpoint

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        endpoint: str,
        spec: str | None = None,
        clock: Clock = time.time,
        create: bool = True,
        readonly: bool = False,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> Self:
        """Open the ledger of one endpoint (`embedded` is one too) and, where given, of one spec.

        `spec` is its path from the ledger's folder, so that both can move together; it is written down at first.
        `create=False` refuses a ledger that isn't there. `readonly` changes no byte on disk; there, a ledger that
        isn't there is an empty one with an empty lineage.
        """
        endpoint = endpoint.rstrip("/")
        if readonly:
            return cls(open_to_read(path, endpoint=endpoint, clock=clock, spec=spec), checkpoint)
        if not create and not path.exists():
            raise LedgerError("there is no ledger", where=str(path), fix="nucleus-sync apply makes one")
        return cls(open_database(path, endpoint=endpoint, clock=clock, spec=spec), checkpoint)

    @classmethod
    def read(cls, path: Path, *, spec: str | None = None, clock: Clock = time.time, cache_kb: int = CACHE_KB) -> Self:
        """Open a ledger to tell what it knows, whatever endpoint it is of; one that isn't there is an empty one."""
        return cls(open_to_read(path, endpoint=None, clock=clock, spec=spec, cache_kb=cache_kb))

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def path(self) -> Path | None:
        """The file; None in memory."""
        return self.database.path

    @property
    def writable(self) -> bool:
        """Whether anything can be changed."""
        return self.database.writable

    @property
    def warnings(self) -> list[str]:
        """What opening it found that the user should know."""
        return list(self.database.warnings)

    @property
    def lineage(self) -> str:
        """Which ledger this is."""
        return str(self.database.meta("lineage"))

    @property
    def endpoint(self) -> str:
        """The Nucleus that it speaks of; `embedded` is one too."""
        return str(self.database.meta("endpoint"))

    @property
    def serial(self) -> int:
        """Raised by every transaction that changes something a plan depends on."""
        return int(self.database.meta("serial"))

    @property
    def fingerprint_version(self) -> int:
        """Of the content hashes in the known records."""
        return int(self.database.meta("fingerprint_version"))

    def assure_held(self) -> None:
        """Raise Locked when the lock that this process took was forced away from it."""
        self.database.assure_fence()

    def check(self) -> None:
        """Read every page; raises LedgerError when the file is damaged."""
        self.database.check()

    def assure_room(self, room: int = disk.ROOM) -> None:
        """Find a full or read-only disk before anything is sent."""
        if self.path is not None:
            disk.assure_room(self.path.parent, room)

    # Resources

    def resource(self, address: str) -> Resource | None:
        """One resource."""
        with self.database.reading() as conn:
            return resources.get(conn, address)

    def resources(self, prefix: str | None = None) -> list[Resource]:
        """All resources, or the one at `prefix` with those beneath it; sorted by address."""
        with self.database.reading() as conn:
            return resources.beneath(conn, prefix)

    def begin_creation(self, address: str, kind: str, request: Mapping[str, Any]) -> None:
        """Durable intent: call it before the request is sent."""
        with self.database.transaction() as tx:
            resources.begin_creation(tx, address, kind, request)
        self._checkpoint("creation begun")

    def finish_creation(
        self, address: str, nucleus_id: str | None, digest: str, details: Mapping[str, Any] | None = None
    ) -> None:
        """The creation took place, or what it had made was adopted."""
        with self.database.transaction() as tx:
            resources.finish_creation(tx, address, nucleus_id, digest, details or {})
        self._checkpoint("creation finished")

    def abandon_creation(self, address: str) -> None:
        """The creation certainly did not take place."""
        with self.database.transaction() as tx:
            resources.abandon_creation(tx, address)
        self._checkpoint("creation abandoned")

    def creations(self) -> list[Creation]:
        """Creations whose outcome is unknown, the oldest first."""
        with self.database.reading() as conn:
            return resources.creations(conn)

    def put_resource(self, resource: Resource) -> None:
        """Write a resource as it is now at Nucleus."""
        with self.database.transaction() as tx:
            resources.put(tx, resource)
        self._checkpoint("resource put")

    def forget_resource(self, address: str) -> None:
        """Forget a resource, what is beneath it, its streams, and the predictions on a dataset."""
        with self.database.transaction() as tx:
            resources.forget(tx, address)
        self._checkpoint("resource forgotten")

    def keep_copy(self) -> Path:
        """Before something is mended by hand: a copy beside the file, named after the serial."""
        return self.database.keep_copy(f"serial-{self.serial}")

    def move(self, address: str, new_address: str) -> None:
        """Call a resource or stream, and everything beneath it, by another address."""
        with self.database.transaction() as tx:
            resources.move(tx, address, new_address)
        self._checkpoint("resource moved")

    # Known records

    def streams(self) -> list[StreamState]:
        """All streams in numbers, sorted by address."""
        with self.database.reading() as conn:
            return streams.states(conn)

    def known(self, address: str, after: bytes | None = None) -> Iterator[Row]:
        """Key and stamp of every record beyond `after`, sorted by key; others may write meanwhile."""
        return known.rows_after(self.database, address, after)

    def known_pages(self, address: str) -> Iterator[list[Row]]:
        """All of them in lists of a few thousand, which costs less than one by one."""
        return known.pages_after(self.database, address, None)

    def known_between(self, address: str, low: bytes, high: bytes | None) -> list[Row]:
        """Those from one key on and before another, sorted by key; all that follow where there is none."""
        with self.database.reading() as conn:
            return known.between(conn, address, low, high)

    def known_of(self, address: str, item: bytes) -> list[Row]:
        """The records of one item, sorted by key."""
        with self.database.reading() as conn:
            return known.of_item(conn, address, item)

    def stamp(self, address: str, key: bytes) -> bytes | None:
        """The stamp of one record."""
        with self.database.reading() as conn:
            return known.stamp(conn, address, key)

    def count(self, address: str) -> int:
        """How many records are confirmed."""
        with self.database.reading() as conn:
            return streams.number(conn, address, "count")

    def held(self, address: str) -> int:
        """How many records Nucleus may hold: the confirmed ones and those in doubt."""
        with self.database.reading() as conn:
            return streams.number(conn, address, "count + maybes")

    def version(self, address: str) -> int:
        """Raised by every change of the known records."""
        with self.database.reading() as conn:
            return streams.number(conn, address, "version")

    def touch(self, address: str, rows: Iterable[Row]) -> None:
        """Replace stamps of records whose bytes changed and whose content did not; moves no plan."""
        with self.database.transaction() as tx:
            known.touch(tx, streams.make(tx, address), Stamped.of(rows))

    def adopt(self, address: str, rows: Iterable[Row]) -> None:
        """Take rows for known because Nucleus was seen to hold them; sorted rows are faster."""
        with self.database.transaction() as tx:
            known.confirm(tx, streams.make(tx, address), Stamped.of(rows))
        self._checkpoint("records adopted")

    def doubt(self, address: str, keys: Iterable[bytes]) -> None:
        """What Nucleus holds of these is unknown: the next plan sends or deletes them again."""
        with self.database.transaction() as tx:
            known.doubt(tx, streams.make(tx, address), keys)
        self._checkpoint("records doubted")

    def forget(self, address: str, keys: Iterable[bytes]) -> int:
        """Forget records because Nucleus no longer holds them; how many there were."""
        with self.database.transaction() as tx:
            gone = known.forget(tx, streams.make(tx, address), keys)
        self._checkpoint("records forgotten")
        return gone

    def forget_items(self, addresses: Sequence[str], items: Iterable[bytes]) -> int:
        """Forget everything that belongs to these items, in all of these streams; how much there was."""
        wanted = list(items)
        with self.database.transaction() as tx:
            gone = sum(known.forget_items(tx, streams.make(tx, address), wanted) for address in addresses)
        self._checkpoint("records forgotten")
        return gone

    # Batches

    def prepare(self, batch: NewBatch) -> int:
        """Durable intent: call it before the first byte is sent. The batch's number."""
        rows = batch.rows if isinstance(batch.rows, Manifest) else Manifest.of(batch.rows)
        with self.database.transaction() as tx:
            number = batches.prepare(tx, batch, rows)
        self._checkpoint("batch prepared")
        return number

    def submitted(self, batch: int, job_id: str) -> None:
        """Nucleus took it as a job: call it before the first poll."""
        with self.database.transaction() as tx:
            batches.submitted(tx, batch, job_id)
        self._checkpoint("batch submitted")

    def unknown(self, batch: int) -> None:
        """The answer was lost, or the job is."""
        with self.database.transaction() as tx:
            batches.unknown(tx, batch)
        self._checkpoint("batch unknown")

    def finish(
        self,
        batch: int,
        state: BatchState,
        *,
        rejections: Sequence[Rejection] = (),
        doubtful: Collection[bytes] | None = None,
        instead: Sequence[Row] = (),
    ) -> None:
        """End a batch and write down what it did, all in one transaction.

        `done`, `partial`, `settled`: every row is confirmed but those rejected or doubtful. `failed`: none is.
        `doubtful` left out means all rows where the state says so (settled, or failed after it was submitted), else
        none; pass `()` where it is certain that nothing was taken. `instead` are stamps for rejected records of which
        Nucleus has taken a part.
        """
        with self.database.transaction() as tx:
            batches.finish(tx, batch, state, rejections, doubtful, instead)
        self._checkpoint("batch finished")

    def open_batches(self) -> list[Batch]:
        """Batches whose end is unknown, the oldest first."""
        with self.database.reading() as conn:
            return batches.open_ones(conn)

    def batches(self, limit: int = 100) -> list[Batch]:
        """The last batches, newest first."""
        with self.database.reading() as conn:
            return batches.newest(conn, limit)

    def batch(self, number: int) -> Batch:
        """One batch."""
        with self.database.reading() as conn:
            return batches.get(conn, number)

    def rows(self, batch: int) -> list[BatchRow]:
        """Key, stamp and locator of everything in an open batch."""
        with self.database.reading() as conn:
            return batches.rows(conn, batch)

    def note_job(self, job_id: str, address: str, job_type: str) -> None:
        """Remember a job of ours that belongs to no batch."""
        with self.database.transaction() as tx:
            batches.note_job(tx, job_id, address, job_type)
        self._checkpoint("job noted")

    def job_ids(self, since: float = 0.0) -> frozenset[str]:
        """Our jobs that became known at or after a time."""
        with self.database.reading() as conn:
            return batches.job_ids(conn, since)

    def probed(self, address: str) -> frozenset[str]:
        """Sources of which Nucleus has taken a record for this stream: they need no probe."""
        with self.database.reading() as conn:
            return batches.probed(conn, address)

    # Rejections, problems, standing

    def rejections(self, address: str | None = None) -> Iterator[tuple[str, Rejection]]:
        """Address and rejection, sorted by address and key."""
        return rejections.all_of(self.database, address)

    def rejected_keys(self, address: str) -> Iterator[Row]:
        """Key and stamp of every rejected record, sorted by key."""
        return rejections.keys(self.database, address)

    def rejected_count(self, address: str | None = None) -> int:
        """How many records rest, of one stream or of all."""
        with self.database.reading() as conn:
            return rejections.count(conn, address)

    def place_rejections(self, address: str, places: Iterable[tuple[bytes, str, str]]) -> None:
        """Note the file and position where rejected records lie now, by key."""
        with self.database.transaction() as tx:
            rejections.place(tx, streams.make(tx, address), places)

    def forget_rejections(self, address: str, keys: Iterable[bytes] | None = None) -> None:
        """Let rejected records be sent again: these, or all of the stream."""
        with self.database.transaction() as tx:
            rejections.forget(tx, streams.make(tx, address), keys)

    def set_problems(self, address: str, invalid: int, findings: int, problems_: Iterable[Problem]) -> None:
        """Replace what the last reading complained of; totals are kept whole, the list is cut at 10,000."""
        with self.database.transaction() as tx:
            problems.replace(tx, address, invalid, findings, problems_)

    def problems(self, address: str | None = None) -> Iterator[tuple[str, Problem]]:
        """Address and problem, sorted by address, then in the order of reading."""
        with self.database.reading() as conn:
            return problems.all_of(conn, address)

    def standing(self, address: str) -> Standing | None:
        """The sources' state that was found equal to what is known, if neither changed since."""
        with self.database.reading() as conn:
            return streams.standing(conn, address)

    def set_standing(self, address: str, state: bytes, counts: Mapping[str, int], *, serial: int | None = None) -> bool:
        """Keep that state; refused (False) when the ledger's serial is no longer the given one."""
        with self.database.transaction() as tx:
            return streams.set_standing(tx, address, state, counts, serial)

    def metadata_types(self, address: str) -> dict[str, str]:
        """The type of each metadata key that was sent: `text` or `number`."""
        with self.database.reading() as conn:
            return streams.metadata_types(conn, address)

    def add_metadata_types(self, address: str, types: Mapping[str, str]) -> None:
        """Remember types of metadata keys."""
        with self.database.transaction() as tx:
            streams.add_metadata_types(tx, address, types)

    # History

    def put_result(self, address: str, inputs: str, result: Mapping[str, Any]) -> None:
        """Keep what an evaluation said."""
        with self.database.transaction() as tx:
            history.put_result(tx, address, inputs, result)
        self._checkpoint("result put")

    def results(self, address: str, limit: int = 10) -> list[Result]:
        """What an evaluation said, newest first."""
        with self.database.reading() as conn:
            return history.results(conn, address, limit)

    def begin_run(self, command: str, plan_digest: str) -> int:
        """Note that a command starts; the run's number. Now and then the oldest history goes."""
        with self.database.transaction() as tx:
            number = history.begin_run(tx, command, plan_digest)
            if number % tidy.EVERY == 0:
                tidy.tidy(tx)
        return number

    def finish_run(self, run: int, exit_code: int, counts: Mapping[str, int]) -> None:
        """Note how it ended."""
        with self.database.transaction() as tx:
            history.finish_run(tx, run, exit_code, counts)

    def runs(self, limit: int = 20) -> list[Run]:
        """The last runs, newest first."""
        with self.database.reading() as conn:
            return history.runs(conn, limit)
