"""Scans streams and reads their candidates, in this process or, where there are many, in several."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from nucleus_sync.records.problem import Report
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Pick, records_in
from nucleus_sync.spool import Row
from nucleus_sync.survey.crew import Crew
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.gathering import Gathering
from nucleus_sync.survey.lines import KeptLines, LineFile
from nucleus_sync.survey.portion import Portion, portions, records_of, tagged
from nucleus_sync.survey.scanning import Scanning

WORTH_A_CREW = 30_000
"""Candidates from which on more processes pay for their start."""
_WORTH_A_START = 16 << 20
"""Bytes of sources which surely hold so many candidates."""
_OWN_FILE = 0


class Reading:
    """How sources are read in one run; with `lines`, what is sent later is kept."""

    def __init__(self, scratch: Path, lines: KeptLines | None) -> None:
        self.lines = lines
        self._scratch = scratch
        self._crew: Crew | None = None
        self._file: LineFile | None = None

    def portions(
        self,
        stream: DesiredStream,
        kind: Kind,
        candidates: Iterable[list[Row]],
        count: int,
        taxonomies: Mapping[str, Collection[str]],
        report: Report,
    ) -> Iterator[Portion]:
        """The records of `count` candidates in reading order; a portion's rows are candidates. Raises SourceError."""
        crew = self._opened(stream, kind, taxonomies, to_read=True) if count >= WORTH_A_CREW else None
        if crew is None:
            found = self._alone(stream, kind, candidates, taxonomies, report)
        else:
            found = crew.portions(candidates, self.lines)
        for portion in found:
            if self.lines is not None:
                self.lines.count(sum(portion.sizes))
            yield portion

    def scanning(
        self, stream: DesiredStream, kind: Kind, taxonomies: Mapping[str, Collection[str]], *, ahead: bool
    ) -> Scanning | None:
        """A scan by several processes, which read `ahead` what they see; None where this process has to scan."""
        stretches = stream.stretches()
        count = sum(map(records_in, stretches or ()))
        if stretches is None or count < WORTH_A_CREW:
            return None
        crew = self._opened(stream, kind, taxonomies, to_read=False)
        if crew is None:
            return None
        gathering = Gathering(self._scratch, crew, has_lines=self.lines is not None)
        has_room = self.lines is None or self.lines.has_room_for(count)
        return Scanning(crew, stretches, gathering, reads_ahead=ahead and has_room)

    def expect(self, stream: DesiredStream, size: int) -> None:
        """Start the other processes if they will be wanted: they load what they need while this one looks around."""
        if self._crew is None and size >= _WORTH_A_START and stream.may_be_parted:
            self._crew = Crew.started(self._scratch)

    def _opened(
        self, stream: DesiredStream, kind: Kind, taxonomies: Mapping[str, Collection[str]], *, to_read: bool
    ) -> Crew | None:
        """The crew, turned to a stream; None where there can't be one."""
        readers = stream.portable(to_read=to_read)
        if readers is None:
            return None
        self._crew = self._crew or Crew.started(self._scratch)
        if self._crew is not None:
            self._crew.open(readers, kind, taxonomies)
        return self._crew

    def _alone(
        self,
        stream: DesiredStream,
        kind: Kind,
        candidates: Iterable[list[Row]],
        taxonomies: Mapping[str, Collection[str]],
        report: Report,
    ) -> Iterator[Portion]:
        waiting: deque[tuple[Pick, Any]] = deque()
        records = records_of(stream.readers, kind, chain.from_iterable(candidates), waiting, report)
        return portions(tagged(records, waiting), taxonomies, self._keep if self.lines else None, [])

    def _keep(self, lines: list[bytes]) -> int | None:
        if self.lines is None or not self.lines.has_room:
            return None
        self._file = self._file or LineFile(self.lines.folder, _OWN_FILE)
        return self._file.append(lines)

    def close(self) -> None:
        """End the other processes."""
        if self._crew is not None:
            self._crew.close()
            self._crew = None
        if self._file is not None:
            self._file.close()
