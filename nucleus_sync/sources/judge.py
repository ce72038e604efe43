"""A decoded record's complaints, turned into problems of its source."""

from __future__ import annotations

from nucleus_sync.records.check import complaints
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Record


def is_sound(record: Record, key: bytes, source: str, where: Where, name: str, report: Report) -> bool:
    """Report everything that is wrong with a record; True if it can be sent all the same.

    What can't be sent is one problem, however many complaints there are, so that counts are counts of records.
    """
    grave = []
    for complaint in complaints(record):
        if complaint.grave:
            grave.append(complaint)
        else:
            report(Problem(source, where, name, complaint.cause, complaint.detail, Severity.FINDING, key))
    if grave:
        detail = "; ".join(dict.fromkeys(complaint.detail for complaint in grave))
        report(Problem(source, where, name, grave[0].cause, detail, Severity.INVALID, key))
    return not grave
