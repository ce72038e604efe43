"""What the health port answers with: the service's figures joined with what the ledger and the sources say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.ledger.batches import Batch
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.records.key import as_words
from nucleus_sync.spec.loaded import LoadedSpec
from nucleus_sync.watch.gallery import Gallery, Picture
from nucleus_sync.watch.health import Health
from nucleus_sync.watch.metrics import CONTENT_TYPE, Metrics
from nucleus_sync.watch.page import RejectedRow, Shown, StreamRow, page
from nucleus_sync.workspace import Around, Workspace

_FAILED = ("failed", "partial")
_LOOKED_AT = 50
_REJECTED = 20


class Desk:
    """Answers from the threads of the server."""

    def __init__(
        self,
        health: Health,
        metrics: Metrics,
        gallery: Gallery,
        spec_path: Path,
        environ: Mapping[str, str],
        loaded: Callable[[], LoadedSpec],
        turned: Callable[[], float],
        still_after: float,
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._gallery = gallery
        self._spec_path = spec_path
        self._environ = environ
        self._loaded = loaded
        self._turned = turned
        self._still_after = still_after

    def alive(self) -> bool:
        """Whether the loop has turned lately."""
        return time.monotonic() - self._turned() < self._still_after

    def ready(self) -> tuple[bool, str]:
        """Whether the last good round is young enough."""
        return self._health.ready()

    def metrics(self) -> tuple[str, bytes]:
        """For Prometheus."""
        return CONTENT_TYPE, self._metrics.text()

    def picture(self, token: str) -> bytes | None:
        """An image that the page shows."""
        return self._gallery.bytes_of(token)

    def page(self, *, pictures: bool) -> str:
        """The status page; without images where others than this machine may look."""
        loaded = self._loaded()
        shown = self._gallery.pictures(loaded) if pictures else []
        return page(self._health, self._shown(loaded, tuple(shown)), time.time())

    def _shown(self, loaded: LoadedSpec, pictures: tuple[Picture, ...]) -> Shown:
        spec = str(self._spec_path)
        try:
            with Workspace(self._spec_path, environ=self._environ, around=Around(loaded=loaded)) as space:
                ledger = space.read_ledger()
                batches = ledger.batches(_LOOKED_AT)
                return Shown(
                    spec=spec,
                    streams=tuple(_streams(ledger)),
                    running=tuple(map(_job, ledger.open_batches())),
                    failed=tuple(_job(one) for one in batches if one.state in _FAILED),
                    rejected=tuple(_rejected(ledger)),
                    pictures=pictures,
                )
        except NucleusSyncError as error:
            return Shown(spec=spec, pictures=pictures, note=f"the ledger can't be read: {error}")


def _streams(ledger: Ledger) -> Iterator[StreamRow]:
    for one in ledger.streams():
        yield StreamRow(one.address, one.count, one.maybes, ledger.rejected_count(one.address), one.invalid)


def _job(batch: Batch) -> tuple[str, str, int, str, float]:
    return batch.address, batch.job_id or "", batch.records, str(batch.state), batch.prepared_at


def _rejected(ledger: Ledger) -> Iterator[RejectedRow]:
    with suppress(UnicodeError):
        for address, one in islice(ledger.rejections(), _REJECTED):
            where = f"{one.file}: {one.position}" if one.position else one.file
            yield RejectedRow(address, " ".join(as_words(one.key).values()), one.reason, where)
