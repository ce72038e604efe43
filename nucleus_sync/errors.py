"""Every error that a user can meet: what went wrong, where, and the way out, each with its exit code.

NucleusSyncError              1
├── SpecError                 6   the spec has problems; holds all of them
├── SourceError               6   a source as a whole is unusable, or records in it are
├── UsageError               64   a call that makes no sense
├── CredentialsError          7   no key, a refused key, a missing permission
├── ApiError                  1   Nucleus answered with an error
│   ├── NotFound              1   … 404
│   ├── Conflict              1   … 409, or a name that is taken
│   └── Unreachable           1   no answer within the time limit
│       └── OutcomeUnknown    8   sent, no answer, and not safe to repeat
├── Undecided                 8   a lost creation that only a person can decide
├── StalePlan                 4   a saved plan no longer fits
├── Refused                   9   a guard said no
├── Locked                   11   somebody else is applying
├── LedgerError              12   the ledger can't be used
└── Interrupted             130   the user or the system said stop
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    ERROR = 1
    CHANGES = 2
    PARTIAL = 3
    STALE = 4
    GATE_FAILED = 5
    INVALID = 6
    CREDENTIALS = 7
    UNKNOWN = 8
    REFUSED = 9
    LOCKED = 11
    LEDGER = 12
    USAGE = 64
    INTERRUPTED = 130


class NucleusSyncError(Exception):
    """An error with a place and a way out.

    `what` is one sentence; `where` names a file and position, an address or a URL path; `fix` says what to do.
    """

    exit_code: Exit = Exit.ERROR

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        way_out = f"\n  {self.fix}" if self.fix else ""
        return f"{place}{self.what}{way_out}"


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """One complaint about the spec; line and column count from 1."""

    message: str
    path: str = ""
    """Where in the document: `sources.labels.format`."""
    file: str = ""
    line: int | None = None
    column: int | None = None
    excerpt: str | None = None
    """The line itself with a caret under the column, two lines of text."""
    hint: str | None = None
    """What is allowed, or the near miss."""


class SpecError(NucleusSyncError):
    """The spec has problems: all of them, in the order of the file."""

    exit_code = Exit.INVALID

    def __init__(self, problems: list[SpecProblem]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the spec")
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(_spec_problem_text(problem) for problem in self.problems)


def _spec_problem_text(problem: SpecProblem) -> str:
    place = problem.file
    if problem.line is not None:
        place += f":{problem.line}:{problem.column or 1}"
    named = f"{problem.path}: " if problem.path else ""
    lines = [f"{place}: {named}{problem.message}" if place else f"{named}{problem.message}"]
    if problem.excerpt:
        lines += [f"    {line}" for line in problem.excerpt.splitlines()]
    if problem.hint:
        lines.append(f"    {problem.hint}")
    return "\n".join(lines)


class SourceError(NucleusSyncError):
    """A source as a whole can't be used: its file is missing, cut off, of another format, or suddenly empty."""

    exit_code = Exit.INVALID


class UsageError(NucleusSyncError):
    """A call that makes no sense: flags that exclude each other, an address that nobody declared."""

    exit_code = Exit.USAGE


class CredentialsError(NucleusSyncError):
    """No key, two keys, or one that Nucleus refuses (401, 402, 403)."""

    exit_code = Exit.CREDENTIALS


class ApiError(NucleusSyncError):
    """Nucleus answered with an error; `status` is the HTTP status, `answer` its text without credentials."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        fix: str | None = None,
        status: int | None = None,
        answer: str = "",
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status
        self.answer = answer


class NotFound(ApiError):
    """404: the thing is not there, or this key may not see it."""


class Conflict(ApiError):
    """409, or a 400 that says that a name or reference id is taken."""


class Unreachable(ApiError):
    """No usable answer within the time limit; nothing that was sent had an effect that matters."""


class OutcomeUnknown(Unreachable):
    """The request went out, no answer came, and repeating it blindly could double something."""

    exit_code = Exit.UNKNOWN


class StalePlan(NucleusSyncError):
    """A saved plan that no longer fits: `moved` names what changed since."""

    exit_code = Exit.STALE

    def __init__(self, what: str, moved: list[str], *, fix: str | None = None) -> None:
        super().__init__(what, fix=fix)
        self.moved = moved


class Refused(NucleusSyncError):
    """A guard said no; `fix` names the flag or setting that lifts it."""

    exit_code = Exit.REFUSED


class Locked(NucleusSyncError):
    """Somebody else holds the ledger; the text says who."""

    exit_code = Exit.LOCKED


class LedgerError(NucleusSyncError):
    """The ledger can't be used: corrupt, newer than this program, of another endpoint, read-only, disk full."""

    exit_code = Exit.LEDGER


class Interrupted(NucleusSyncError):
    """Ctrl-C or SIGTERM."""

    exit_code = Exit.INTERRUPTED


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something at Nucleus that an unknown creation may have made."""

    nucleus_id: str
    description: str


class Undecided(NucleusSyncError):
    """A creation whose answer was lost and whose trace is ambiguous: a person decides."""

    exit_code = Exit.UNKNOWN

    def __init__(self, address: str, candidates: list[Candidate]) -> None:
        super().__init__(
            f"it is unknown whether {address} was created: {len(candidates)} candidates at Nucleus",
            where=address,
            fix=f"decide with: nucleus-sync resolve {address} --adopt ID | --retry | --forget",
        )
        self.address = address
        self.candidates = candidates
