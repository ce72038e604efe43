"""Writes down what a look at Nucleus has found, so that the next plan repairs it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nucleus_sync.errors import Refused
from nucleus_sync.records.record import Kind
from nucleus_sync.refresh.compare import Comparison, What
from nucleus_sync.refresh.report import Report, ResourceFinding

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger

_AT_ONCE = 10_000
_Row = tuple[bytes, str, str, bytes]


def write(ledger: Ledger, report: Report) -> None:
    """Gone is forgotten, changed and unknown is kept as it was seen. Raises Refused when nothing at all is there."""
    _guard(report)
    for finding in report.resources:
        _write_resource(ledger, finding)
    for comparison in chain(report.streams, report.slices):
        if ledger.resource(_owner(comparison.address)) is not None:
            _write_stream(ledger, comparison)
    report.written = True


def _guard(report: Report) -> None:
    gone = [finding.address for finding in report.resources if finding.what is What.DELETED]
    seen = report.unchanged or any(finding.what is not What.DELETED for finding in report.resources)
    if gone and not seen:
        raise Refused(
            f"Nucleus has nothing of what the ledger knows ({', '.join(gone)}): this may be the key of another account",
            fix="check the key and the endpoint; if they are right, forget by hand: nucleus-sync state rm ADDRESS",
        )


def _owner(address: str) -> str:
    """The dataset or model that a stream or slice belongs to."""
    return ".".join(address.split(".")[:2])


def _write_resource(ledger: Ledger, finding: ResourceFinding) -> None:
    resource = ledger.resource(finding.address)
    if resource is None:
        return
    if finding.what is What.DELETED:
        ledger.forget_resource(finding.address)
    elif finding.seen is not None:
        wanted = {**resource.details.get("wanted", {}), **finding.seen}
        ledger.put_resource(replace(resource, digest="", details={**resource.details, "wanted": wanted}))


def _write_stream(ledger: Ledger, comparison: Comparison) -> None:
    rows = iter(comparison.rows)
    hanging = _hanging(ledger, comparison)
    while portion := list(islice(rows, _AT_ONCE)):
        gone = [row[0] for row in portion if not row[3]]
        if gone and hanging:
            ledger.forget_items(hanging, gone)
        elif gone:
            ledger.forget(comparison.address, gone)
        seen = [(row[0], row[3]) for row in portion if row[3]]
        if seen:
            ledger.adopt(comparison.address, seen)


def _hanging(ledger: Ledger, comparison: Comparison) -> list[str]:
    """For items the streams that lose what belongs to an item that is gone, their own among them."""
    if comparison.kind is not Kind.ITEMS or not comparison.address.endswith(".items"):
        return []
    dataset = comparison.address.split(".")[1]
    return [comparison.address, *_on_items_of(ledger, dataset)]


def _on_items_of(ledger: Ledger, dataset: str) -> Iterator[str]:
    for stream in ledger.streams():
        address = stream.address
        if address.endswith(f".predictions.{dataset}") or (
            address.startswith((f"dataset.{dataset}.slice.", f"dataset.{dataset}.annotations"))
        ):
            yield address
