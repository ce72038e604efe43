"""The background jobs: one worker that does what is due, and the answers about jobs."""

from __future__ import annotations

import datetime
import heapq
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .faults import Effect, Faults
from .refusals import Refused, Stopped, UserFault, missing
from .world import World, from_json, time_text, to_json

LISTING_LIMIT = 50_000
_LOG = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What a job came to."""

    state: str = "Completed"
    message: Any = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    steps: tuple[int, int] = (1, 1)


class Jobs:
    """Runs jobs one after the other, each when its latency has passed."""

    def __init__(self, world: World, faults: Faults, latency: float, perform: Callable[..., Outcome]) -> None:
        self._world = world
        self._faults = faults
        self.latency = latency
        self._perform = perform
        self._due: list[tuple[float, int]] = []
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="nucleus-emulator-jobs", daemon=True)

    def start(self) -> None:
        """Take up what an earlier run left unfinished, and begin."""
        rows = self._world.jobs.reader().execute(
            "SELECT pk, due FROM jobs WHERE state IN ('Queued', 'Running') AND due IS NOT NULL"
        )
        self._due = [(row["due"], row["pk"]) for row in rows]
        heapq.heapify(self._due)
        self._thread.start()

    def stop(self) -> None:
        """Stop within a batch of records; what is unfinished is taken up at the next start."""
        self._world.stopping.set()
        with self._wake:
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def forget(self) -> None:
        """Drop what is due, for a reset."""
        with self._wake:
            self._due = []

    def submit(self, kind: str, dataset_id: str | None, work: dict[str, Any]) -> dict[str, Any]:
        """Queue a piece of work, and answer with the job object."""
        effect = self._faults.for_job(kind.lstrip("_")) or Effect()
        created = time.time()
        due = None if effect.stuck else created + self.latency + effect.slow
        row = (kind, dataset_id, created, created + self.latency / 2, due, to_json(work), to_json(effect))
        with self._world.jobs.transaction() as c:
            pk = c.execute(
                "INSERT INTO jobs (type, dataset, state, created, starts, due, work, fault, message, completed,"
                " total) VALUES (?, ?, 'Queued', ?, ?, ?, ?, ?, '{}', 0, 1)",
                row,
            ).lastrowid
        if due is not None:
            with self._wake:
                heapq.heappush(self._due, (due, pk or 0))
                self._wake.notify_all()
        return self.job_object(self._row(pk or 0))

    def _run(self) -> None:
        while (pk := self._next()) is not None:
            try:
                self._finish(pk)
            except Stopped:
                return
            except sqlite3.Error:
                _LOG.exception("job %s could not be recorded", pk)

    def _next(self) -> int | None:
        with self._wake:
            while not self._world.stopping.is_set():
                wait = self._due[0][0] - time.time() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[1]
                self._wake.wait(wait)
        return None

    def _finish(self, pk: int) -> None:
        row = self._world.jobs.reader().execute("SELECT * FROM jobs WHERE pk = ?", (pk,)).fetchone()
        if row is None:
            return
        effect = msgspec.json.decode(row["fault"], type=Effect)
        outcome = self._outcome(row, effect)
        errors = outcome.errors
        if effect.overescape:
            errors = [text.replace("\\", "\\\\").replace('"', '\\\\"') for text in errors]
        with self._world.jobs.transaction() as c:
            known = c.execute(
                "UPDATE jobs SET state = ?, message = ?, completed = ?, total = ? WHERE pk = ?",
                (outcome.state, to_json(outcome.message), *outcome.steps, pk),
            ).rowcount
            if known:  # a reset may have come in between
                rows = [(pk, each) for each in errors]
                c.executemany("INSERT INTO job_errors (job, text) VALUES (?, ?)", rows)

    def _outcome(self, row: sqlite3.Row, effect: Effect) -> Outcome:
        outcome = self._work_once(row, effect)
        if effect.state is not None:
            outcome.state = effect.state
        return outcome

    def _work_once(self, row: sqlite3.Row, effect: Effect) -> Outcome:
        """Do the work, unless an earlier run did it and died before it could say so."""
        pk = row["pk"]
        c = self._world.held.reader()
        done = c.execute("SELECT outcome FROM done_jobs WHERE job = ?", (pk,)).fetchone()
        if done is not None:
            return msgspec.json.decode(done[0], type=Outcome)

        def note(outcome: Outcome) -> None:
            c.execute("INSERT INTO done_jobs VALUES (?, ?)", (pk, to_json(outcome)))

        try:
            return self._perform(self._world, from_json(row["work"]), effect, note)
        except UserFault as fault:
            text = str(fault)
            return Outcome("Errored_User", {"final_error": f"BadRequestError: {text}"}, [text], (0, 1))
        except Refused as refused:
            message = {"final_error": f"BadRequestError: {refused.text}"}
            return Outcome("Errored_User", message, [refused.text], (0, 1))
        except Stopped:
            raise
        except Exception as error:
            _LOG.exception("job %s failed", pk)
            return Outcome("Errored_Server", {"final_error": f"{type(error).__name__}: {error}"}, [str(error)], (0, 1))

    def _row(self, pk: int) -> sqlite3.Row:
        query = "SELECT * FROM jobs WHERE pk = ?"
        return self._world.jobs.reader().execute(query, (pk,)).fetchone()  # type: ignore[no-any-return]

    def find(self, job_id: str) -> sqlite3.Row:
        """A job's row, or 404."""
        row = self._row(self._world.ids.read("job", job_id))
        if row is None or row["type"].startswith("_"):
            raise missing("Job", job_id)
        return row

    def job_object(self, row: sqlite3.Row) -> dict[str, Any]:
        """The four keys of a job object (7.1)."""
        return {
            "job_id": self._world.ids.spell("job", row["pk"]),
            "job_last_known_status": _state(row),
            "job_type": row["type"],
            "job_creation_time": time_text(row["created"]),
        }

    def status_object(self, job_id: str) -> dict[str, Any]:
        """The nine keys of a status object (7.1)."""
        row = self.find(job_id)
        message = from_json(row["message"])
        return self.job_object(row) | {
            "status": _state(row),
            "message": message or f"Job is {_state(row).lower()}.",
            "job_progress": f"{row['completed'] / row['total']:.2f}",
            "completed_steps": row["completed"],
            "total_steps": row["total"],
        }

    def errors(self, job_id: str) -> list[str]:
        """The error strings of a job, at most 10,000."""
        pk = self.find(job_id)["pk"]
        query = "SELECT text FROM job_errors WHERE job = ? ORDER BY pk"
        return [row[0] for row in self._world.jobs.reader().execute(query, (pk,))]

    def listing(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The answer of `POST jobs/`, newest first."""
        limit = body.get("limit")
        limit = LISTING_LIMIT if limit is None else limit
        if not isinstance(limit, int) or not 0 < limit <= LISTING_LIMIT:
            raise Refused(400, f"limit must be between 1 and {LISTING_LIMIT}.")
        rows = self._world.jobs.reader().execute(
            "SELECT * FROM jobs WHERE type NOT LIKE '\\_%' ESCAPE '\\' AND (?1 IS NULL OR dataset = ?1)"
            " AND (?2 IS NULL OR created >= ?2) AND (?3 IS NULL OR created <= ?3)"
            " AND (?4 OR state IN ('Queued', 'Running'))"
            " AND (?5 = '[]' OR type IN (SELECT value FROM json_each(?5))) ORDER BY pk DESC LIMIT ?6",
            (
                body.get("dataset_id"),
                _unix(body.get("from_date")),
                _unix(body.get("to_date")),
                bool(body.get("show_completed")),
                to_json(body.get("job_types") or []),
                limit,
            ),
        )
        return [self.job_object(row) for row in rows]


def _state(row: sqlite3.Row) -> str:
    """What the clock makes of a stored state: a queued job runs once its time has come."""
    if row["state"] == "Queued" and time.time() >= row["starts"]:
        return "Running"
    return str(row["state"])


def _unix(date: object) -> float | None:
    if date is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(str(date))
    except ValueError:
        raise Refused(400, f"{date} is not a date.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
