"""Which metadata keys a dataset's items declare, kept with the dataset: what is ours where metadata is merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nucleus_sync.records.merged import KeySets, as_they_are, noted, recalled

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Spec
    from nucleus_sync.survey.changes import ChangeSet

_DETAIL = "metadata_names"


def remember_names(ledger: Ledger, changes: ChangeSet) -> None:
    """Add the sets of keys of these records; where metadata isn't merged, too, since that may be declared later."""
    resource = ledger.resource(changes.address.removesuffix(".items"))
    if not changes.metadata_names or resource is None:
        return
    kept = noted(resource.details.get(_DETAIL, []), changes.metadata_names)
    if kept != resource.details.get(_DETAIL, []):
        ledger.put_resource(replace(resource, details={**resource.details, _DETAIL: kept}))


def key_sets(spec: Spec, ledger: Ledger, dataset: str) -> KeySets | None:
    """What tells our metadata from that of others; None where there are too many sets of keys for that."""
    declared = spec.datasets.get(dataset)
    if declared is None or declared.metadata_mode == "replace":
        return as_they_are()
    resource = ledger.resource(f"dataset.{dataset}")
    details: dict[str, Any] = resource.details if resource else {}
    names = recalled(details.get(_DETAIL, []))
    return None if names is None else KeySets(names)
