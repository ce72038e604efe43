"""Injected faults: rules that say which requests and jobs go wrong, and how."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from .tally import Sabotage

State = Literal[
    "Completed",
    "Errored",
    "Errored_Server",
    "Errored_User",
    "Errored_Partial",
    "Errored_Hanging",
    "Cancelled",
    "Retried",
]
_OF_REQUESTS = {"delay", "status", "headers", "body", "reset", "truncate", "malformed", "expired"}
_OF_JOBS = {"state", "keep_work", "stuck", "slow", "reject", "unreachable", "keep_images", "overescape"}
_KEEPS_WORK = ("Completed", "Errored_Partial", "Errored_Hanging", "Retried")


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests (`method`, `path`) or which jobs (`job`) a rule is about, and which of those it hits.

    `path` is a regular expression, searched in the path after the base address and without a leading slash
    (`dataset/ds_x/append`, `_storage/…`). `job` is a job type, or `evaluation`, `datasetDeletion`,
    `sceneDeletion`, `modelDeletion` for work without a job id, or `*`. Of the matching ones, counted from 1,
    the rule hits the `nth` (a number or several), or those `after` a number, at most `times` of them, each
    with `probability`.
    """

    method: str | None = None
    path: str | None = None
    job: str | None = None
    nth: int | list[int] | None = None
    after: int = 0
    times: int | None = None
    probability: float | None = None
    seed: int = 0


class Reject(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which records of an upload are refused, by position from 0, and with which text."""

    indices: list[int] | None = None
    first: int | None = None
    fraction: float | None = None
    error: str = "Injected fault: this record was refused."


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes wrong. For requests: `delay` (seconds, with any other effect), `status` with `headers` and
    `body`, `reset` (the connection, before the work or after it), `truncate` (the answer's body), `malformed`
    (JSON), `expired` (a signed URL is out of date when it is handed out). For jobs: `state` (the final one),
    `keep_work` (whether the job did its work all the same), `stuck`, `slow` (seconds), `reject`, `unreachable`
    (beginnings of URLs), `keep_images` (known items keep theirs, whatever an update says), `overescape` (the
    error strings).
    """

    delay: float = 0
    status: int | None = None
    headers: dict[str, str] = {}
    body: Any = None
    reset: Literal["before", "after"] | None = None
    truncate: bool = False
    malformed: bool = False
    expired: bool = False
    state: State | None = None
    keep_work: bool | None = None
    stuck: bool = False
    slow: float = 0
    reject: Reject | None = None
    unreachable: list[str] = []
    keep_images: bool = False
    overescape: bool = False

    def does_work(self) -> bool:
        """Whether a job with this effect still does its work."""
        if self.keep_work is not None:
            return self.keep_work
        return self.state is None or self.state in _KEEPS_WORK

    def sabotage(self) -> Sabotage:
        """The part of the effect that concerns single records."""
        text = self.reject.error if self.reject else Sabotage.text
        refuses = None if self.reject is None else _refuses(self.reject)
        return Sabotage(refuses, text, tuple(self.unreachable), self.keep_images)


def _refuses(reject: Reject) -> Any:
    indices = frozenset(reject.indices or ())
    first = reject.first or 0
    fraction = reject.fraction or 0.0

    def refuses(index: int) -> bool:
        # Evenly spread, so that the number refused does not depend on chance.
        spread = int((index + 1) * fraction) > int(index * fraction)
        return index in indices or index < first or spread

    return refuses


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of a fault file."""

    effect: Effect
    match: Match = Match()


class _Counted:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._path = re.compile(rule.match.path or "")
        self._random = random.Random(rule.match.seed)
        self._seen = 0
        self._hits = 0

    def hits(self) -> bool:
        """Count one match, and say whether the rule hits it."""
        match = self.rule.match
        self._seen += 1
        if isinstance(match.nth, int) and self._seen != match.nth:
            return False
        if isinstance(match.nth, list) and self._seen not in match.nth:
            return False
        if self._seen <= match.after or (match.times is not None and self._hits >= match.times):
            return False
        if match.probability is not None and self._random.random() >= match.probability:
            return False
        self._hits += 1
        return True

    def wants_request(self, method: str, path: str) -> bool:
        match = self.rule.match
        if match.job is not None or match.method not in (None, method):
            return False
        return self._path.search(path) is not None

    def wants_job(self, kind: str) -> bool:
        return self.rule.match.job in ("*", kind)


class Faults:
    """The rules in force. The first rule that hits decides."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._lock = threading.Lock()
        self._rules = [_Counted(rule) for rule in rules]

    def replace(self, rules: Sequence[Rule]) -> None:
        """Put other rules in force, counting from the beginning."""
        with self._lock:
            self._rules = [_Counted(rule) for rule in rules]

    def for_request(self, method: str, path: str) -> Effect | None:
        """What goes wrong with this request."""
        with self._lock:
            return _first(each for each in self._rules if each.wants_request(method, path))

    def for_job(self, kind: str) -> Effect | None:
        """What goes wrong with this job."""
        with self._lock:
            return _first(each for each in self._rules if each.wants_job(kind))


def _first(wanting: Any) -> Effect | None:
    return next((each.rule.effect for each in wanting if each.hits()), None)


def read_rules(source: Path | str | Mapping[str, Any] | Sequence[Any] | None) -> list[Rule]:
    """Rules from a JSON or YAML file, or from a value: a list of rules, or an object with the key `rules`.

    Raises ValueError when a rule is not understood.
    """
    if source is None:
        return []
    value: Any = source
    if isinstance(source, str | Path):
        import yaml

        value = yaml.safe_load(Path(source).read_text("utf-8"))
    if isinstance(value, Mapping):
        value = value.get("rules", value)
    try:
        rules = msgspec.convert(value or [], list[Rule])
        for rule in rules:
            re.compile(rule.match.path or "")
            _check(rule)
    except (msgspec.ValidationError, re.error) as error:
        raise ValueError(f"Fault rules: {error}") from error
    return rules


def _check(rule: Rule) -> None:
    """Refuse a rule that could never do what it says, as one for requests that sets a job's state."""
    plain = Effect()
    given = {name for name in Effect.__struct_fields__ if getattr(rule.effect, name) != getattr(plain, name)}
    allowed = _OF_REQUESTS if rule.match.job is None else _OF_JOBS
    if rule.match.job is not None and (rule.match.path or rule.match.method):
        raise ValueError("Fault rules: a rule matches requests or jobs, not both.")
    if not given or given - allowed:
        kind = "requests" if rule.match.job is None else "jobs"
        names = ", ".join(sorted(given - allowed)) or "nothing"
        raise ValueError(f"Fault rules: a rule about {kind} cannot have the effect {names}.")
