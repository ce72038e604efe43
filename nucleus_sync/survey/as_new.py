"""Takes a new stream as a whole, where a crew has read it along with its scan and all is to be sent as it was seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from nucleus_sync.records.record import Kind
from nucleus_sync.spool import Spool
from nucleus_sync.survey.change import Change
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.gathering import Gathering
from nucleus_sync.survey.metadata import MetadataTypes
from nucleus_sync.survey.tally import Tally


def taken_as_new(
    gathered: Gathering,
    stream: DesiredStream,
    tally: Tally,
    metadata_types: Mapping[str, str],
    changes: ChangeSet,
    present: Spool,
) -> bool:
    """False if somebody has to look at the records one by one: then nothing was said or done yet.

    `present` gets rows (key, False) of items; `metadata_types` are those that Nucleus has seen in this stream.
    """
    types = MetadataTypes(dict(metadata_types))
    if not gathered.is_plain or tally.flagged or not _agree(gathered, stream, types):
        return False
    found = gathered.finished(stand_alone=changes.kind is Kind.ITEMS)
    if found is None:
        return False
    for each in found:
        changes.adopt_new(each.changes, each.records, each.digest)
        present.adopt(each.present)
        if changes.kept is not None:
            changes.kept.count(each.kept)
        for row in each.remote:
            changes.note_remote(Change(*row))
    for problem in gathered.said():
        tally.report(problem)
    tally.flagged.clear()  # the rows were marked when they were read
    changes.note_names(gathered.names)
    changes.metadata_types = types.fresh
    return True


def _agree(gathered: Gathering, stream: DesiredStream, types: MetadataTypes) -> bool:
    """Whether a metadata key is of one type everywhere."""
    places = ((each, partial(stream.position, place)) for each, place in gathered.types)
    return not any(types.conflict(each, place) for each, place in places)
