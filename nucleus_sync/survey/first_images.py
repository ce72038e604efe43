"""The first image of every source that Nucleus would have to read from a URL."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.item import Item
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.open import open_reader
from nucleus_sync.sources.reader import Pick, Reader, Surroundings
from nucleus_sync.spec.loaded import LoadedSpec
from nucleus_sync.survey.declared import declared_streams

_LOOKED_AT = 100
"""Records of a source among which one is sought that is sound."""


def first_images(loaded: LoadedSpec, scratch: Path) -> Iterator[tuple[str, Item]]:
    """Sources of image items with one remote image each; those without any are left out. Raises SourceError."""
    streams = [each for each in declared_streams(loaded.spec) if each.kind is Kind.ITEMS]
    for name in dict.fromkeys(name for stream in streams for name in stream.sources):
        reader = open_reader(loaded.spec.sources[name], Surroundings(name, loaded.folder, scratch, NoFacts()))
        found = _first(reader)
        if found is not None:
            yield name, found


def _first(reader: Reader) -> Item | None:
    seen = islice(reader.scan(Kind.ITEMS, lambda _: None), _LOOKED_AT)
    records = (record for _, record in reader.read(Kind.ITEMS, (Pick(*one) for one in seen), lambda _: None))
    return next((record for record in records if isinstance(record, Item)), None)
