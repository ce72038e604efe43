"""Elements of a JSON file that were found before, read again in ascending order."""

from __future__ import annotations

from nucleus_sync.sources.json_slices import JsonFile

_BLOCK = 256 * 1024


class Fetch:
    """Neighbours are read by the block, lonely ones a little at a time."""

    def __init__(self, document: JsonFile) -> None:
        self._document = document
        self._start = 0
        self._block = b""

    def bytes_at(self, offset: int, length: int) -> bytes:
        """The bytes of one element."""
        begin = offset - self._start
        if begin >= 0 and begin + length <= len(self._block):
            return self._block[begin : begin + length]
        is_near = 0 <= begin <= len(self._block) + _BLOCK
        wanted = max(length, _BLOCK if is_near else 0)
        self._block = self._document.bytes_at(offset, min(wanted, max(length, self._document.size - offset)))
        self._start = offset
        return self._block[:length]
