"""The ledger never claims what the world doesn't hold: its stamps against the emulator's records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nucleus_sync.apply.readback import parsed
from nucleus_sync.ledger.batches import Operation
from nucleus_sync.ledger.known import in_doubt
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.records.fingerprint import RAW_SIZE, content_hash
from nucleus_sync.records.item import Item
from nucleus_sync.records.key import item_of
from nucleus_sync.records.record import key_of

ITEMS, TRUTH = "dataset.town.items", "dataset.town.annotations"
PREDICTIONS = "model.cnn.predictions.town"


def false_claims(ledger_path: Path, world: dict[str, Any]) -> list[str]:
    """Every record that the ledger is sure of and the world holds otherwise; batches in flight claim nothing."""
    if not ledger_path.exists():
        return []
    with Ledger.open(ledger_path, endpoint=_endpoint_of(ledger_path), readonly=True) as ledger:
        flying, cleared = _in_flight(ledger)
        wrong = []
        for address, contents in _held(world).items():
            for key, stamp in ledger.known(address):
                if in_doubt(stamp) or (address, key) in flying or (address, item_of(key)) in cleared:
                    continue
                if key not in contents:
                    wrong.append(f"{address}: {key!r} is not held")
                elif contents[key] not in (None, stamp[RAW_SIZE:]):
                    wrong.append(f"{address}: {key!r} is held with other content")
    return wrong


def _in_flight(ledger: Ledger) -> tuple[set[tuple[str, bytes]], set[tuple[str, bytes]]]:
    records, items = set(), set()
    for batch in ledger.open_batches():
        for key, _, _ in ledger.rows(batch.id):
            match batch.operation:
                case Operation.INGEST | Operation.PROBE:
                    records.add((batch.address, key))
                case Operation.CLEAR | Operation.DELETE:
                    items |= {(address, key) for address in (batch.address, *batch.details.get("streams", ()))}
    return records, items


def _held(world: dict[str, Any]) -> dict[str, dict[bytes, bytes | None]]:
    datasets = [one for one in world["datasets"] if one["name"] == "Town"]
    models = [one for one in world["models"] if one["reference_id"] == "cnn"]
    return {
        ITEMS: dict(_item(one) for dataset in datasets for one in dataset["items"]),
        TRUTH: dict(_records(one for dataset in datasets for one in dataset["annotations"])),
        PREDICTIONS: dict(_records(one for model in models for one in model["predictions"])),
    }


def _item(one: dict[str, Any]) -> tuple[bytes, bytes | None]:
    """The content of a picture that was uploaded can't be told from what is held: None."""
    key = one["reference_id"].encode()
    if one["sha256"]:
        return key, None
    item = Item(reference_id=one["reference_id"], metadata=one["metadata"] or {}, image_url=one["url"])
    return key, content_hash(item)


def _records(found: Iterator[dict[str, Any]]) -> Iterator[tuple[bytes, bytes]]:
    for one in found:
        plain = {name: value for name, value in one.items() if name not in ("dataset", "run")}
        record = parsed(plain)
        assert record is not None, one
        yield key_of(record), content_hash(record)


def _endpoint_of(path: Path) -> str:
    import sqlite3

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as conn:
        return str(conn.execute("SELECT value FROM meta WHERE name = 'endpoint'").fetchone()[0])
