"""Every schema that was ever released is kept as a file, written by the code of its time, and opened by the newest."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.ledger.batches import NewBatch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.lock import Lock, peek
from nucleus_sync.ledger.migrations import VERSION

RELEASED = Path(__file__).with_name("released")
ENDPOINT = "https://api.scale.com/v1/nucleus"


@pytest.fixture(params=sorted(RELEASED.glob("*.db.gz")), ids=lambda path: path.name)
def released(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of the file, which an apply that was killed has left, and what it held."""
    packed: Path = request.param
    path = tmp_path / "ledger.db"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return path, json.loads(packed.with_name(packed.name.replace(".db.gz", ".json")).read_text("utf-8"))


def test_there_is_one_of_every_schema() -> None:
    assert {path.name for path in RELEASED.glob("*.db.gz")} == {f"schema-{n}.db.gz" for n in range(1, VERSION + 1)}


def test_it_is_opened_and_holds_what_it_held(released: tuple[Path, dict[str, Any]]) -> None:
    path, facts = released
    with Ledger.open(path, endpoint=ENDPOINT) as ledger:
        ledger.check()
        found = {
            "serial": ledger.serial,
            "streams": {stream.address: [stream.count, stream.maybes] for stream in ledger.streams()},
            "resources": sorted(resource.address for resource in ledger.resources()),
            "open": [[batch.address, str(batch.state), batch.records] for batch in ledger.open_batches()],
            "rejected": ledger.rejected_count(),
            "runs": len(ledger.runs()),
        }
        assert found == facts
        for stream in ledger.streams():
            assert len(list(ledger.known(stream.address))) == stream.count + stream.maybes
        for batch in ledger.open_batches():
            assert len(ledger.rows(batch.id)) == batch.records


def test_it_goes_on_being_written(released: tuple[Path, dict[str, Any]]) -> None:
    """What was open is ended, its dead holder is taken over, and new batches follow."""
    path, _ = released
    with Ledger.open(path, endpoint=ENDPOINT) as ledger:
        assert peek(ledger) is not None
        with Lock(ledger, host="somewhere"):
            for batch in ledger.open_batches():
                if batch.state is not BatchState.UNKNOWN:
                    ledger.unknown(batch.id)
                ledger.finish(batch.id, BatchState.SETTLED)
            rows = [(b"r99", bytes(range(24)), b"")]
            number = ledger.prepare(NewBatch("dataset.town.items", "ingest", "request", "uploadDatasetItems", rows))
            ledger.submitted(number, "job_1")
            ledger.finish(number, BatchState.DONE)
            assert ledger.stamp("dataset.town.items", b"r99") == bytes(range(24))
            assert ledger.open_batches() == []
