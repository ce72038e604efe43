"""Compares the members that slices should have with those that they were given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from xxhash import xxh3_128, xxh3_128_digest

from nucleus_sync.errors import SourceError
from nucleus_sync.plan.diff import Presence, outer_join
from nucleus_sync.plan.order import Placed
from nucleus_sync.plan.steps import Action, Holds, Step
from nucleus_sync.records.fingerprint import CONTENT_UNKNOWN, MAYBE_THERE
from nucleus_sync.records.item import LocalItem
from nucleus_sync.records.key import item_key
from nucleus_sync.records.record import Record
from nucleus_sync.records.scene import SceneItem
from nucleus_sync.spool import Sorter, Spool

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Slice

MEMBER = b"\x01" * 24
"""The stamp of a member: there is nothing to it but that it belongs."""
_SHOWN = 3

Records = Callable[[], Iterator[Record | SceneItem]]
Keys = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class SliceChanges:
    """What a slice needs: members to add, whether it must be made anew, and how many stay."""

    address: str
    dataset: str
    name: str
    added: Spool
    """Rows (item key,); all members where it is made anew."""
    gone: int
    unchanged: int
    exists: bool
    state: bytes = b""
    """Stands for the declaration and the items behind it; empty while these are not settled."""
    digest: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be done."""
        return self.exists and not len(self.added) and not self.gone

    @property
    def is_made_anew(self) -> bool:
        """Whether it gets a new id."""
        return not self.exists or self.gone > 0

    def placed(self) -> Iterator[Placed]:
        """Its steps: Nucleus's slices only grow, so one that shrinks is deleted and made anew under a new id."""
        wanted = {"name": self.name, "members": self.digest}
        if self.exists and self.gone:
            yield self._step(Action.DELETE, wanted, {"members left": self.gone})
        if self.is_made_anew:
            yield self._step(Action.CREATE, wanted, {"members": len(self.added)})
        elif len(self.added):
            yield self._step(Action.UPDATE, wanted, {"members added": len(self.added)})

    def _step(self, action: Action, wanted: Mapping[str, Any], reasons: Mapping[str, int]) -> Placed:
        step = Step(action, self.address, Holds.SLICE, reasons=reasons, wanted=wanted)
        return Placed(step, self.dataset, None, self.name)


@dataclass
class SliceSurvey:
    """One slice. `items` are all item keys that exist or will, `records` all records of the dataset's items."""

    address: str
    dataset: str
    name: str
    declared: Slice
    items: Keys
    records: Records
    resolve: Callable[[str], Path]
    ledger: Ledger | None
    scratch: Path
    made_anew: Collection[bytes] = frozenset()
    """Items that are deleted before they are sent again: they leave the slice with that."""

    def run(self, state: bytes) -> SliceChanges:
        """Raises SourceError for members that are no items, or a list that can't be read."""
        exists = self.ledger is not None and self.ledger.resource(self.address) is not None
        standing = self.ledger.standing(self.address) if self.ledger else None
        if exists and state and standing is not None and standing.state == state:
            return SliceChanges(
                self.address, self.dataset, self.name, Spool(self.scratch), 0, standing.counts["members"], True, state
            )
        members = Sorter(self.scratch)
        members.extend((key,) for key in self._members())
        return self._compared(members, exists, state)

    def _members(self) -> Iterator[bytes]:
        declared = self.declared
        if declared.reference_ids is not None:
            return map(item_key, declared.reference_ids)
        if declared.file is not None:
            return self._listed(declared.file)
        conditions = declared.where or {}
        return (item_key(record.reference_id) for record in self.records() if _meets(record, conditions))

    def _listed(self, path: str) -> Iterator[bytes]:
        """One reference id a line; blank lines and lines that start with # are passed over."""
        try:
            with self.resolve(path).open(encoding="utf-8") as file:
                for line in file:
                    reference = line.rstrip("\r\n")
                    if reference and not reference.startswith("#"):
                        yield item_key(reference)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SourceError(f"the list of slice {self.name} can't be read: {reason}", where=path) from None

    def _compared(self, members: Sorter, exists: bool, state: bytes) -> SliceChanges:
        known = self.ledger.known(self.address) if self.ledger else ()
        added, everyone = Spool(self.scratch), Spool(self.scratch)
        gone = unchanged = 0
        digest = xxh3_128()
        for key, desired, stamp in outer_join(self._sound(members), known):
            if desired is None or stamp == CONTENT_UNKNOWN:
                gone += 1  # where it, or the slice itself, was only perhaps deleted, a new slice is sure to be right
            if desired is None:
                continue
            digest.update(key + b"\x00")
            everyone.add((key,))
            if stamp is None or stamp == MAYBE_THERE or key in self.made_anew:
                added.add((key,))
            else:
                unchanged += 1
        rows = everyone if gone or not exists else added
        kept = 0 if gone else unchanged
        return SliceChanges(self.address, self.dataset, self.name, rows, gone, kept, exists, state, digest.hexdigest())

    def _sound(self, members: Sorter) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Members once each; all must be items, or Nucleus refuses the whole call."""
        presence = Presence(self.items())
        missing: list[str] = []
        last = None
        for (key,) in members.sorted():
            if key == last:
                continue
            last = key
            if key not in presence:
                missing.append(key.decode())
            yield key, MEMBER[:8], b""
        if missing:
            shown = ", ".join(missing[:_SHOWN]) + (
                f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            )
            raise SourceError(
                f"slice {self.name} names {len(missing)} items that are neither declared nor known: {shown}",
                where=self.address,
                fix="take them out of the slice, or declare their items",
            )


def slice_state(items_state: bytes, declared: Slice, resolve: Callable[[str], Path]) -> bytes:
    """Stands for what decides a slice's members; empty where its list can't be looked at."""
    listed = 0
    if declared.file is not None:
        try:
            listed = resolve(declared.file).stat().st_mtime_ns
        except OSError:
            return b""
    decides = [declared.said(), listed]
    return xxh3_128_digest(items_state + msgspec.msgpack.encode(decides, order="deterministic"))


def _meets(record: Record | SceneItem, conditions: Mapping[str, Any]) -> bool:
    metadata = record.item.metadata if isinstance(record, LocalItem) else getattr(record, "metadata", {})
    return all(_same(metadata.get(name.removeprefix("metadata.")), value) for name, value in conditions.items())


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON has it: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
