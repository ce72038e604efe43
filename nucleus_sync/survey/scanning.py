"""The scan of one stream by a crew."""

from __future__ import annotations

from collections.abc import Sequence

from nucleus_sync.sources.reader import Hearing, Stretches
from nucleus_sync.survey.crew import Crew
from nucleus_sync.survey.gathering import Gathering


class Scanning:
    """One stream that a crew scans, and what comes together of it."""

    def __init__(
        self,
        crew: Crew,
        stretches: Sequence[Stretches],
        gathering: Gathering,
        *,
        reads_ahead: bool,
    ) -> None:
        self.gathering = gathering
        self.count = 0
        """Records that were seen."""
        self._crew = crew
        self._stretches = stretches
        self._reads_ahead = reads_ahead

    def scan(self, number: int, hearing: Hearing) -> None:
        """Scan one of the readers."""
        keep = self.gathering.has_lines
        for found in self._crew.scanned(number, self._stretches[number], self._is_reading_ahead, keep=keep):
            for problem in found.problems:
                hearing.take(problem)
            self.count += found.records
            self.gathering.add(found)
        hearing.end()

    def _is_reading_ahead(self) -> bool:
        return self._reads_ahead and self.gathering.is_plain
