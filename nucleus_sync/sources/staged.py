"""A reader whose files are put into a bucket first, under names made of their content, and read by Nucleus there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from msgspec.structs import replace

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.fingerprint import LOOK_AGAIN, RAW_SIZE, seed_of
from nucleus_sync.records.item import LocalItem, StagedFile
from nucleus_sync.records.problem import Report, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.media import digest_of
from nucleus_sync.sources.reader import FileState, Pick, Reader, Seen, Surroundings


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
        for key, raw, locator in self.inner.scan(kind, report):
            yield Seen(key, self._turned(kind, raw), locator)

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """As the other, with addresses in the bucket."""
        inner = (pick._replace(raw=self._turned(kind, pick.raw)) for pick in picks)
        for read, record in self.inner.read(kind, inner, report):
            pick = read._replace(raw=self._turned(kind, read.raw))
            if isinstance(record, LocalItem):
                item = replace(record.item, image_url=self.read_at + object_name(record.digest, record.path))
                yield pick, replace(record, item=item)
            else:
                yield pick, record

    def _turned(self, kind: Kind, raw: bytes) -> bytes:
        """A raw hash with the place in it, or without it again: the other reader knows its own by them."""
        if kind is not Kind.ITEMS or raw == LOOK_AGAIN:
            return raw
        return (int.from_bytes(raw) ^ seed_of(self.read_at)).to_bytes(RAW_SIZE)

    def where(self, kind: Kind, locator: bytes) -> Where:
        """As the other."""
        return self.inner.where(kind, locator)


def object_name(digest: bytes, path: str) -> str:
    """The same bytes have the same name, whatever their files are called."""
    return digest.hex() + PurePosixPath(path).suffix.lower()


def staged_file(surroundings: Surroundings, folder: str, root: str, path: str, read_at: str) -> StagedFile:
    """A file that is no image, with the address that it will have. Raises SourceError where it can't be read.

    `folder` names the root in the cache.
    """
    place = os.path.join(root, path)
    try:
        facts = digest_of(surroundings, folder, root, path)
    except OSError as error:
        raise SourceError(f"can't be read: {error.strerror}", where=place) from None
    return file_at(read_at, place, facts)


def file_at(read_at: str, place: str, facts: Facts) -> StagedFile:
    """A file whose digest is known."""
    url = read_at + object_name(facts.digest, place)
    return StagedFile(url=url, path=place, size=facts.size, digest=facts.digest)
