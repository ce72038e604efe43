"""Compares a few items, drawn at random, with all that is on them: a spot check whose cost does not grow."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nucleus_sync.records.key import item_of
from nucleus_sync.records.record import Kind
from nucleus_sync.refresh.compare import Comparison
from nucleus_sync.refresh.remote import (
    Remote,
    item_row,
    read_predictions_on,
    read_run_free_on,
    read_single_items,
    record_rows,
)
from nucleus_sync.refresh.streams import Looked
from nucleus_sync.survey.declared import items_address

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.api.wire import ItemRecords
    from nucleus_sync.ledger.ledger import Ledger


class Sampler:
    """The same items for all streams of a dataset: each is read once."""

    def __init__(self, ledger: Ledger, api: Api, size: int, chance: random.Random, *, scenes: bool) -> None:
        self._ledger = ledger
        self._api = api
        self._size = size
        self._chance = chance
        self._scenes = scenes
        self._drawn: list[str] | None = None
        self._read: dict[str, ItemRecords | None] | None = None

    async def compare(self, stream: Looked, comparison: Comparison) -> None:
        """Weigh the sampled items' records; the others stay unverified."""
        if stream.kind is Kind.SCENES:
            comparison.unverified = self._ledger.count(stream.address)
            comparison.remarks.append("scenes are not sampled")
            return
        if stream.run_free and self._is_ambiguous(stream.address):
            comparison.unverified = self._ledger.count(stream.address)
            comparison.remarks.append("without a run, predictions on items of one name in several datasets look alike")
            return
        drawn = self._draw(stream)
        if stream.kind is Kind.PREDICTIONS:
            assert stream.model_id is not None  # noqa: S101  (predictions belong to a model)
            read = read_run_free_on if stream.run_free else read_predictions_on
            found = await read(self._api, stream.dataset_id, stream.model_id, drawn)
        else:
            found = {name: _rows(read, stream) for name, read in (await self._items(stream, drawn)).items()}
        for reference, rows in found.items():
            if rows is None and self._scenes:
                continue  # a scene: what is on it as a whole can't be read with it
            ours = self._ledger.known_of(stream.address, reference.encode())
            comparison.weigh_all(sorted(rows or ()), ours)
        comparison.unverified = self._ledger.count(stream.address) - comparison.looked_at
        if comparison.unverified:
            comparison.remarks.append(f"{comparison.unverified:,} are outside the sample of {len(drawn):,} items")

    async def _items(self, stream: Looked, drawn: list[str]) -> dict[str, ItemRecords | None]:
        if self._read is None:
            self._read = await read_single_items(self._api, stream.dataset_id, drawn)
        return self._read

    def _is_ambiguous(self, address: str) -> bool:
        model = address.rpartition(".")[0] + "."
        return sum(stream.address.startswith(model) for stream in self._ledger.streams()) > 1

    def _draw(self, stream: Looked) -> list[str]:
        if self._drawn is None:
            address = stream.address if self._scenes else items_address(stream.dataset)
            address = address if self._ledger.count(address) else stream.address
            keys = (key for key, _ in self._ledger.known(address))
            self._drawn = [key.decode() for key in reservoir(keys, self._size, self._chance)]
        return self._drawn


def reservoir(keys: Iterable[bytes], size: int, chance: random.Random) -> Sequence[bytes]:
    """Items drawn evenly from sorted keys of any length; all of them where there are no more."""
    drawn: list[bytes] = []
    last, seen = None, 0
    for key in keys:
        item = item_of(key)
        if item == last:
            continue
        last = item
        seen += 1
        if len(drawn) < size:
            drawn.append(item)
        elif (place := chance.randrange(seen)) < size:
            drawn[place] = item
    return sorted(drawn)


def _rows(read: ItemRecords | None, stream: Looked) -> list[Remote] | None:
    if read is None:
        return None
    return [item_row(read.item, stream.keys)] if stream.kind is Kind.ITEMS else list(record_rows(read.records))
