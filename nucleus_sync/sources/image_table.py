"""The images of a COCO file by their ids, held in about a hundred bytes each."""

from __future__ import annotations

from array import array
from enum import IntEnum

from nucleus_sync.records.fingerprint import seed_of

_MOST_REASONS = 10_000
_NOWHERE = -1
_WIDEST = 16
"""Ids per image up to which they are looked up by position, which takes less memory than a dict, and fewer misses."""


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
    """Image ids, each with a place; reference ids, sizes, seeds and states by place.

    `names[starts[place]:starts[place + 1]]` is the encoded reference id.
    """

    def __init__(self) -> None:
        self._places: dict[int | str, int] = {}
        self.by_position = array("i")
        """Places of images by their ids, -1 where there is none; empty unless ids are small numbers."""
        self.names = bytearray()
        self.starts = array("Q", [0])
        self.widths = array("d")
        self.heights = array("d")
        self.seeds = array("Q")
        self.states = bytearray()
        self.sharers: dict[int | str, list[str]] = {}
        """File names of images that share an id."""
        self._reasons: dict[int, str] = {}

    def add(self, image_id: int | str, reference_id: str, width: float, height: float, called: str) -> None:
        """Take up a sound image; an id that is there already makes both ambiguous. `called` is its file name."""
        self._add(image_id, reference_id, width, height, State.SOUND, called)

    def add_unusable(self, image_id: int | str, state: State, reason: str, called: str) -> None:
        """Take up an image that annotations can't hang on."""
        if len(self._reasons) < _MOST_REASONS:
            self._reasons[len(self.states)] = reason
        self._add(image_id, "", 0, 0, state, called)

    def _add(
        self, image_id: int | str, reference_id: str, width: float, height: float, state: State, called: str
    ) -> None:
        place = len(self.states)
        other = self._places.setdefault(image_id, place)
        self.names += reference_id.encode(errors="surrogatepass")
        self.names += called.encode(errors="surrogatepass") if state else b""
        self.starts.append(len(self.names))
        self.widths.append(width)
        self.heights.append(height)
        self.seeds.append(seed_of(reference_id, width, height))
        self.states.append(state)
        if other != place:
            sharers = self.sharers.setdefault(image_id, [self.called(other)])
            sharers.append(called)
            self.states[other] = self.states[place] = State.AMBIGUOUS

    def __contains__(self, image_id: object) -> bool:
        return isinstance(image_id, int | str) and self.place(image_id) is not None

    def place(self, image_id: int | str | None) -> int | None:
        """Where an image stands in the columns."""
        if image_id.__class__ is int and 0 <= image_id < len(self.by_position):
            place = self.by_position[image_id]
            return None if place == _NOWHERE else place
        return self._places.get(image_id)  # type: ignore[arg-type]

    def sound_place(self, image_id: int | str | None) -> int:
        """Where an image stands that annotations may hang on; -1 where there is none."""
        if image_id.__class__ is int and 0 <= image_id < len(self.by_position):
            place = self.by_position[image_id]
        else:
            place = self._places.get(image_id, _NOWHERE)  # type: ignore[arg-type]
        return _NOWHERE if place >= 0 and self.states[place] else place

    def settle(self) -> None:
        """Nothing more is added: look ids up by position if they are dense enough."""
        numbers = [image_id for image_id in self._places if isinstance(image_id, int)]
        if len(numbers) < len(self._places) or min(numbers, default=-1) < 0 or len(numbers) * _WIDEST < max(numbers):
            return
        by_position = array("i", [_NOWHERE]) * (max(numbers) + 1)
        for number in numbers:
            by_position[number] = self._places[number]
        self.by_position = by_position
        self._places = {}

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
