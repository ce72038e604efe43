"""What a watcher saw change since everything was found in order: single files, so that a folder needn't be walked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nucleus_sync.records.facts import FactsCache
from nucleus_sync.sources.reader import Reader
from nucleus_sync.spec.source import ImagesSource
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.declared import DeclaredStream

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Spec


class TooNarrow(Exception):
    """Looking at the touched files alone could overlook something: look at everything."""


class Touched(Struct, frozen=True):
    """Files that are new or written again, none that is gone, of sources that are folders of images."""

    files: Mapping[str, frozenset[str]]
    """Relative paths by source."""
    serial: int
    """Of the ledger when everything was found in order."""

    def reaches(self, declared: DeclaredStream) -> bool:
        """Whether a stream has records from a touched file."""
        return any(name in self.files for name in declared.sources)


def as_it_stands(ledger: Ledger | None, declared: DeclaredStream, scratch: Path) -> ChangeSet:
    """A stream that nothing has touched."""
    count = ledger.count(declared.address) if ledger else 0
    changes = ChangeSet(declared.address, declared.kind, None, scratch, known=count)
    changes.counts["unchanged"] = count
    return changes


def known_of_touched(
    touched: Touched,
    declared: DeclaredStream,
    readers: Mapping[str, Reader],
    ledger: Ledger,
    spec: Spec,
    facts: FactsCache,
) -> list[tuple[bytes, bytes]]:
    """Key and stamp of the touched files' records that are known, ascending.

    Raises TooNarrow where another file may yield one of them: a key that is known, and a file that never was.
    """
    stamps: dict[bytes, bytes] = {}
    for name, reader in readers.items():
        source = spec.sources[name]
        if not isinstance(source, ImagesSource):
            raise TooNarrow
        is_new = any(facts.recall(source.path, path) is None for path in touched.files[name])
        is_alone = "{path}" in source.reference_id and len(declared.sources) == 1
        for key, _, _ in reader.scan(declared.kind, lambda _: None):
            stamp = ledger.stamp(declared.address, key)
            if stamp is not None and is_new and not is_alone:
                raise TooNarrow
            if stamp is not None:
                stamps[key] = stamp
    return sorted(stamps.items())
