"""A reader whose predictions belong to no run: boxes, polygons and cuboids only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nucleus_sync.records.annotation import Box, Cuboid, Polygon
from nucleus_sync.records.problem import Problem, Report, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.reader import FileState, Pick, Reader, Seen

_CAUSE = "a prediction without a run is a box, a polygon or a cuboid"


class RunFreeReader:
    """Another reader, less the records that Nucleus takes into runs only (docs/wire.md §10.5)."""

    def __init__(self, name: str, inner: Reader) -> None:
        self._name = name
        self._inner = inner

    def state(self) -> FileState:
        """As the other."""
        return self._inner.state()

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """As the other."""
        return self._inner.scan(kind, report)

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """Without what is no box, polygon or cuboid."""
        for pick, record in self._inner.read(kind, picks, report):
            if isinstance(record, Box | Polygon | Cuboid):
                yield pick, record
                continue
            detail = (
                f"is a {record.__struct_config__.tag or 'mask'}: leave out `run: none`, or take it out of the source"
            )
            where = self.where(kind, pick.locator)
            report(Problem(self._name, where, record.reference_id, _CAUSE, detail, key=pick.key))

    def where(self, kind: Kind, locator: bytes) -> Where:
        """As the other."""
        return self._inner.where(kind, locator)
