"""The scan of one stream by a crew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nucleus_sync.sources.reader import Hearing, Stretches
from nucleus_sync.spool import Row
from nucleus_sync.survey.ahead import Ahead
from nucleus_sync.survey.crew import Crew
from nucleus_sync.survey.lines import KeptLines


class Scanning:
    """One stream that a crew scans."""

    def __init__(
        self, crew: Crew, stretches: Sequence[Stretches], lines: KeptLines | None, ahead: Ahead | None
    ) -> None:
        self._ahead = ahead
        self.count = 0
        """Records that were seen."""
        self._crew = crew
        self._stretches = stretches
        self._lines = lines

    def blocks(self, number: int, hearing: Hearing) -> Iterator[list[Row]]:
        """The rows of one reader in lists; each list is sorted."""
        for found in self._crew.scanned(
            number, self._stretches[number], lambda: self.read_ahead is not None, self._lines
        ):
            for problem in found.problems:
                hearing.take(problem)
            if self._ahead is not None:
                self._ahead.add(found.ahead)
            if self._lines is not None:
                self._lines.count(found.kept)
            self.count += len(found.rows)
            if found.rows:
                yield found.rows
        hearing.end()

    @property
    def read_ahead(self) -> Ahead | None:
        """Everything that was seen, read already; None where that was not to be, or could not."""
        return self._ahead if self._ahead is not None and self._ahead.is_complete else None
