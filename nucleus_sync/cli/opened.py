"""The spec and its ledger opened only to read, for commands that ask neither sources nor Nucleus."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus_sync.cli.call import Call

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.load import LoadedSpec


def ledger_path(loaded: LoadedSpec) -> Path:
    """Where the spec's ledger lies, NUCLEUS_SYNC_LEDGER included."""
    from nucleus_sync.spec.environment import override, read_environment

    return loaded.resolve(override(loaded.spec.settings, read_environment(loaded.folder)).ledger)


def endpoint_of(call: Call, loaded: LoadedSpec) -> str:
    """Which Nucleus the ledger is about."""
    from nucleus_sync.spec.environment import EMBEDDED, read_environment

    return EMBEDDED if call.embedded else read_environment(loaded.folder).endpoint


@contextmanager
def ledger_to_read(call: Call) -> Iterator[Ledger]:
    """The ledger without a byte changed; one that isn't there is an empty one."""
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.load import load

    loaded = load(call.spec_path, os.environ)
    with Ledger.open(ledger_path(loaded), endpoint=endpoint_of(call, loaded), readonly=True) as ledger:
        yield ledger
