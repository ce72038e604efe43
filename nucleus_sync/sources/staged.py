"""A reader whose files are put into a bucket first, under names made of their content, and read by Nucleus there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from msgspec.structs import replace

from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.item import LocalItem
from nucleus_sync.records.problem import Report, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.reader import FileState, Pick, Reader, Seen


@dataclass(frozen=True, slots=True)
class StagedReader:
    """Another reader; items whose files would be uploaded get the address of the staged object instead.

    `read_at` is the address of the place as Nucleus reads it, with a slash at its end.
    """

    inner: Reader
    read_at: str

    def state(self) -> FileState:
        """As the other."""
        return self.inner.state()

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """As the other; another place makes other records."""
        seed = seed_of(self.read_at)
        for key, raw, locator in self.inner.scan(kind, report):
            yield Seen(key, raw if raw == LOOK_AGAIN or kind is not Kind.ITEMS else raw_hash(raw, seed), locator)

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """As the other, with addresses in the bucket."""
        for pick, record in self.inner.read(kind, picks, report):
            if isinstance(record, LocalItem):
                item = replace(record.item, image_url=self.read_at + object_name(record))
                yield pick, replace(record, item=item)
            else:
                yield pick, record

    def where(self, kind: Kind, locator: bytes) -> Where:
        """As the other."""
        return self.inner.where(kind, locator)


def object_name(item: LocalItem) -> str:
    """The same bytes have the same name, whatever their files are called."""
    return item.digest.hex() + PurePosixPath(item.path).suffix.lower()
