"""One nucleus.yaml with its ledger, its sources and its API client, opened together: wiring, no rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nucleus_sync.events import Event, Finished
from nucleus_sync.plan.plan import Plan

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says of one plan or apply."""

    targets: tuple[str, ...] = ()
    trust_cache: bool = True
    allow_deletes: bool = False
    retry_rejected: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan together with the changes behind it, which lie in the workspace's scratch folder."""

    plan: Plan

    def records(self) -> Iterator[dict[str, Any]]:
        """Every change: address, key, action, reason, source file and position; what `plan --records` writes."""
        raise NotImplementedError


class Workspace:
    """Use as a context manager; `endpoint` is `embedded` for the emulator inside this process."""

    def __init__(self, spec_path: Path, *, environ: Mapping[str, str], embedded: bool = False) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    def prepare(self, choices: Choices, *, with_ledger: bool = True, emit: Emit | None = None) -> Prepared:
        """Settle nothing, read the sources, compare with the ledger; without the ledger everything is new."""
        raise NotImplementedError

    def apply(self, choices: Choices, approve: Callable[[Plan], bool], emit: Emit) -> Finished:
        """Lock, settle, plan, ask `approve`, guard, perform. Raises what stops it as a whole."""
        raise NotImplementedError
