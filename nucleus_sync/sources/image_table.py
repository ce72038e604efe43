"""The images of a COCO file by their ids, laid out in one block of bytes that several processes can map."""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import weakref
from array import array
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from xxhash import xxh3_64_intdigest

from nucleus_sync.records.fingerprint import seed_of

NOWHERE: Final = -1
_MOST_REASONS = 10_000
_IN_MEMORY = 1 << 20
"""Bytes up to which a table is not worth a file."""
_WRITTEN = 16 << 10
"""Bytes: Linux keeps what is written at once as one piece, and maps all of it for whoever looks at a part."""
_PARTS = ("names", "starts", "seeds", "slots", "widths", "heights", "by_position", "states", "ids")
"""Wide values first, so that all of them are aligned."""
_ID = struct.Struct("=II")
"""Before an id's bytes: the image's place, and how many they are."""
_OFFSET_BITS = 40
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1


class State(IntEnum):
    """Whether annotations may hang on an image."""

    SOUND = 0
    AMBIGUOUS = 1
    """Another image has the same id."""
    MISSING = 2
    """Its file isn't there."""
    UNUSABLE = 3
    """It gives no reference id."""


class ImageTable:
    """Image ids, each with a place; reference ids, sizes, seeds and states by place. About fifty bytes an image.

    `names[starts[place]:starts[place + 1]]` is the encoded reference id. A large table lies in a file, which goes when
    the table that it was made with does; one that was pickled and is loaded in another process maps that file.
    """

    def __init__(
        self,
        content: bytes | Path,
        sizes: Mapping[str, int],
        sharers: dict[int | str, list[str]],
        reasons: dict[int, str],
    ) -> None:
        """`sizes` are the bytes of each part of the content, in their order."""
        self._content = content
        self._sizes = sizes
        self.sharers = sharers
        """File names of images that share an id."""
        self._reasons = reasons
        self.names = content if isinstance(content, bytes) else _mapped(content)
        """Bytes that begin with the reference ids of all images."""
        parts, offset, whole = {}, 0, memoryview(self.names)
        for name, size in sizes.items():
            parts[name] = whole[offset : offset + size]
            offset += size
        self.starts, self.seeds = parts["starts"].cast("Q"), parts["seeds"].cast("Q")
        self.widths, self.heights = parts["widths"].cast("d"), parts["heights"].cast("d")
        self.states = parts["states"]
        self._by_position = parts["by_position"].cast("i")
        self._positions = len(self._by_position)
        self._slots, self._ids = parts["slots"].cast("Q"), parts["ids"]

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageTable, (self._content, self._sizes, self.sharers, self._reasons)

    def __contains__(self, image_id: object) -> bool:
        return isinstance(image_id, int | str) and self.place(image_id) is not None

    def place(self, image_id: int | str | None) -> int | None:
        """Where an image stands in the columns."""
        if image_id.__class__ is int and 0 <= image_id < self._positions:
            place = self._by_position[image_id]
        else:
            place = self._place_of_other(image_id)
        return None if place == NOWHERE else place

    def sound_place(self, image_id: int | str | None) -> int:
        """Where an image stands that annotations may hang on; -1 where there is none."""
        if image_id.__class__ is int and 0 <= image_id < self._positions:
            place: int = self._by_position[image_id]
        else:
            place = self._place_of_other(image_id)
        return NOWHERE if place >= 0 and self.states[place] else place

    def _place_of_other(self, image_id: int | str | None) -> int:
        if image_id is None or not self._slots:
            return NOWHERE
        return _looked_up(self._slots, self._ids, _encoded(image_id))[1]

    def let_go(self) -> None:
        """Hold no pages of the file for now: the system still has them, once for all processes."""
        if isinstance(self.names, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self.names.madvise(mmap.MADV_DONTNEED)

    def called(self, place: int) -> str:
        """The reference id, or the file name of an image that has none."""
        return self.names[self.starts[place] : self.starts[place + 1]].decode(errors="replace")

    def size(self, place: int) -> tuple[float, float]:
        """Width and height in pixels; zeros where the file doesn't say."""
        return self.widths[place], self.heights[place]

    def reason(self, place: int) -> str:
        """Why an image is unusable."""
        return self._reasons.get(place, "")

    def twin(self, image_id: int | str) -> int | str | None:
        """The same id written the other way, as a number or as a text, if an image has that one."""
        if isinstance(image_id, str):
            twin: int | str = int(image_id) if image_id.isascii() and image_id.isdigit() else image_id
        else:
            twin = str(image_id)
        return twin if twin != image_id and twin in self else None


class ImageRows:
    """Neighbouring images that are to be taken up: lists that go together."""

    def __init__(self) -> None:
        self.ids: list[int | str] = []
        self.names: list[bytes] = []
        self.widths: list[float] = []
        self.heights: list[float] = []
        self.seeds: list[int] = []
        self.states: dict[int, State] = {}
        """By number in the lists, where they aren't sound."""
        self.called: dict[int, str] = {}
        """File names, by number in the lists, of images that aren't called by their reference ids."""
        self.reasons: dict[int, str] = {}
        """Why images are unusable, by number in the lists."""

    def add(self, image_id: int | str, reference_id: str, width: float, height: float, called: str) -> None:
        """A sound image; `called` is its file name."""
        if called != reference_id:
            self.called[len(self.ids)] = called
        self.ids.append(image_id)
        self.names.append(reference_id.encode())
        self.widths.append(width)
        self.heights.append(height)
        self.seeds.append(seed_of(reference_id, width, height))

    def add_unusable(self, image_id: int | str, state: State, reason: str, called: str) -> None:
        """An image that annotations can't hang on."""
        if len(self.reasons) < _MOST_REASONS:
            self.reasons[len(self.ids)] = reason
        self.called[len(self.ids)] = called
        self.states[len(self.ids)] = state
        self.ids.append(image_id)
        self.names.append(called.encode(errors="surrogatepass"))
        self.widths.append(0)
        self.heights.append(0)
        self.seeds.append(0)


class TableParts:
    """A table that is being made: its columns as they grow."""

    def __init__(self, most: int) -> None:
        """`most` is how many images there can be."""
        self.names = bytearray()
        self.starts = array("Q", [0])
        self.seeds = array("Q")
        self.slots = array("Q")
        """A hash table of ids that are no small numbers: bits of the hash above, where the id lies in `ids` below."""
        self.widths = array("d")
        self.heights = array("d")
        self.by_position = array("i")
        """Places of images whose ids are small numbers, -1 where there is none."""
        self.states = bytearray()
        self.ids = bytearray(1)
        """The other ids; nothing begins at 0, which stands for an empty slot."""
        self.sharers: dict[int | str, list[str]] = {}
        self.reasons: dict[int, str] = {}
        self._most = most
        # By position takes less memory than by hash, and fewer misses, as long as ids have few gaps.
        self._small = most * 16 + 1

    def extend(self, rows: ImageRows) -> None:
        """Take up neighbouring images; an id that is there already makes both ambiguous."""
        first = len(self.states)
        self.starts.extend(accumulate(map(len, rows.names), initial=self.starts.pop()))
        self.names += b"".join(rows.names)
        self.widths.extend(rows.widths)
        self.heights.extend(rows.heights)
        self.seeds.extend(rows.seeds)
        self.states += bytes(len(rows.ids))
        for number, state in rows.states.items():
            self.states[first + number] = state
        for number, reason in rows.reasons.items():
            if len(self.reasons) < _MOST_REASONS:
                self.reasons[first + number] = reason
        for place, image_id in enumerate(rows.ids, first):
            other = self._put(image_id, place)
            if other >= 0:
                self._share(image_id, other, place, rows.called.get(place - first))

    def _put(self, image_id: int | str, place: int) -> int:
        """Where another image of this id stands; otherwise the id leads to this one from now on."""
        if image_id.__class__ is not int or not 0 <= image_id < self._small:
            return self._put_aside(image_id, place)
        if image_id >= len(self.by_position):
            missing = int(image_id) + 1 - len(self.by_position)
            self.by_position.extend(array("i", [NOWHERE]) * (missing + len(self.by_position) // 8))
        other = self.by_position[image_id]
        if other < 0:
            self.by_position[image_id] = place
        return int(other)

    def _put_aside(self, image_id: int | str, place: int) -> int:
        if not self.slots:
            self.slots = array("Q", [0]) * (1 << (2 * self._most + 1).bit_length())
        encoded = _encoded(image_id)
        slot, other = _looked_up(self.slots, self.ids, encoded)
        if other < 0:
            self.slots[slot] = xxh3_64_intdigest(encoded) & ~_OFFSET_MASK | len(self.ids)
            self.ids += _ID.pack(place, len(encoded)) + encoded
        return other

    def _share(self, image_id: int | str, other: int, place: int, called: str | None) -> None:
        sharers = self.sharers.setdefault(image_id, [self._called(other)])
        sharers.append(self._called(place) if called is None else called)
        self.states[other] = self.states[place] = State.AMBIGUOUS

    def _called(self, place: int) -> str:
        return self.names[self.starts[place] : self.starts[place + 1]].decode(errors="replace")

    def settled(self, scratch: Path) -> ImageTable:
        """The table of what was taken up. Nothing may be added any more."""
        self.names += bytes(-len(self.names) % 8)
        parts: dict[str, Any] = {name: getattr(self, name) for name in _PARTS}
        sizes = {name: len(memoryview(part).cast("B")) for name, part in parts.items()}
        said = sizes, self.sharers, self.reasons
        if sum(sizes.values()) <= _IN_MEMORY:
            return ImageTable(b"".join(parts.values()), *said)
        with tempfile.NamedTemporaryFile(dir=scratch, prefix="images-", delete=False) as file:
            for part in parts.values():
                content = memoryview(part).cast("B")
                for start in range(0, len(content), _WRITTEN):
                    file.write(content[start : start + _WRITTEN])
        table = ImageTable(Path(file.name), *said)
        weakref.finalize(table, _remove, file.name)
        return table


def _mapped(path: Path) -> mmap.mmap | bytes:
    """The file's bytes; held in memory where its file system maps nothing, as some on networks don't."""
    with path.open("rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:
            return file.read()


def _remove(path: str) -> None:
    with suppress(OSError):  # the scratch folder may be gone
        os.unlink(path)


def _encoded(image_id: int | str) -> bytes:
    """An id as bytes that no other id has; one that is no id at all has those of none."""
    if image_id.__class__ is int:
        return b"%d" % image_id
    return b'"' + image_id.encode(errors="surrogatepass") if isinstance(image_id, str) else b""


def _looked_up(slots: Any, ids: Any, encoded: bytes) -> tuple[int, int]:
    """The slot of an id, or an empty one that it may have, and its image's place; -1 where there is none."""
    hashed = xxh3_64_intdigest(encoded)
    most = len(slots) - 1
    slot, above = hashed & most, hashed >> _OFFSET_BITS
    while found := slots[slot]:
        if found >> _OFFSET_BITS == above:
            begin = found & _OFFSET_MASK
            place, size = _ID.unpack_from(ids, begin)
            if ids[begin + _ID.size : begin + _ID.size + size] == encoded:
                return slot, place
        slot = (slot + 1) & most
    return slot, NOWHERE
