"""The scan of one stream by a crew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nucleus_sync.sources.reader import Hearing, Stretches
from nucleus_sync.spool import Row
from nucleus_sync.survey.crew import Crew, Scanned
from nucleus_sync.survey.gathering import Gathering
from nucleus_sync.survey.lines import KeptLines


class Scanning:
    """One stream that a crew scans; what it reads along with that goes to the `gathering`."""

    def __init__(
        self, crew: Crew, stretches: Sequence[Stretches], lines: KeptLines | None, gathering: Gathering | None
    ) -> None:
        self.gathering = gathering
        self.count = 0
        """Records that were seen."""
        self._crew = crew
        self._stretches = stretches
        self._lines = lines

    def blocks(self, number: int, hearing: Hearing) -> Iterator[list[Row]]:
        """The rows of one reader in lists, each of them sorted, without those that the gathering has."""
        for found in self._crew.scanned(number, self._stretches[number], self._reads_ahead, self._lines):
            for problem in found.problems:
                hearing.take(problem)
            if isinstance(found, Scanned):
                self.count += len(found.rows)
                yield found.rows
            else:
                assert self.gathering is not None  # noqa: S101  (or else nothing is read ahead)
                self.count += found.records
                self.gathering.add(found)
                if self._lines is not None:
                    self._lines.count(found.kept)
        hearing.end()

    def _reads_ahead(self) -> bool:
        return self.gathering is not None and self.gathering.is_plain

    def close(self) -> None:
        """Give the disk space back."""
        if self.gathering is not None:
            self.gathering.close()
