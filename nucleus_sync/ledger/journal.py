"""The states of a batch, with the legal moves between them.

    prepared ──submit──▶ submitted ──complete──▶ done        every record but the named ones is in
        │                    │  └──complete_partly──▶ partial
        │                    ├──fail──▶ failed               the job ended badly
        │                    └──lose──▶ unknown              Nucleus no longer knows the job, or it never ends
        ├──lose──▶ unknown ──submit──▶ submitted             the job was found, or the batch was sent again
        │                    └──settle──▶ settled            decided by reading back, or left to the next plan
        ├──answer──▶ done, ──answer_partly──▶ partial        a call without a job: its answer is the outcome
        └──fail──▶ failed                                    refused before anything was taken

Everything else raises: a history that is not in this picture is a mistake of ours.
"""

from __future__ import annotations

from enum import StrEnum


class BatchState(StrEnum):
    """Where a batch is."""

    PREPARED = "prepared"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    SETTLED = "settled"


OPEN_STATES = frozenset({BatchState.PREPARED, BatchState.SUBMITTED, BatchState.UNKNOWN})


class Move(StrEnum):
    """What can happen to a batch."""

    SUBMIT = "submit"
    LOSE = "lose"
    COMPLETE = "complete"
    COMPLETE_PARTLY = "complete_partly"
    ANSWER = "answer"
    ANSWER_PARTLY = "answer_partly"
    FAIL = "fail"
    SETTLE = "settle"


class IllegalMove(ValueError):
    """A batch was asked to do what its state does not allow."""


_LEGAL = {
    (BatchState.PREPARED, Move.SUBMIT): BatchState.SUBMITTED,
    (BatchState.PREPARED, Move.LOSE): BatchState.UNKNOWN,
    (BatchState.PREPARED, Move.ANSWER): BatchState.DONE,
    (BatchState.PREPARED, Move.ANSWER_PARTLY): BatchState.PARTIAL,
    (BatchState.PREPARED, Move.FAIL): BatchState.FAILED,
    (BatchState.SUBMITTED, Move.COMPLETE): BatchState.DONE,
    (BatchState.SUBMITTED, Move.COMPLETE_PARTLY): BatchState.PARTIAL,
    (BatchState.SUBMITTED, Move.FAIL): BatchState.FAILED,
    (BatchState.SUBMITTED, Move.LOSE): BatchState.UNKNOWN,
    (BatchState.UNKNOWN, Move.SUBMIT): BatchState.SUBMITTED,
    (BatchState.UNKNOWN, Move.SETTLE): BatchState.SETTLED,
}


def next_state(state: BatchState, move: Move) -> BatchState:
    """Where a move leads; raises IllegalMove where the picture above has no arrow."""
    try:
        return _LEGAL[state, move]
    except KeyError:
        raise IllegalMove(f"a batch that is {state} can't {move.replace('_', ' ')}") from None


def finishing_move(state: BatchState, *, has_job: bool) -> Move:
    """The move that ends a batch in `state`; a call without a job is answered, a job completes."""
    match state:
        case BatchState.DONE:
            return Move.COMPLETE if has_job else Move.ANSWER
        case BatchState.PARTIAL:
            return Move.COMPLETE_PARTLY if has_job else Move.ANSWER_PARTLY
        case BatchState.FAILED:
            return Move.FAIL
        case BatchState.SETTLED:
            return Move.SETTLE
        case _:
            raise IllegalMove(f"{state} is no end of a batch")


def leaves_doubt(before: BatchState, after: BatchState) -> bool:
    """Whether all records of a batch that ended so may or may not have been taken.

    A job that failed has perhaps taken some; a batch refused before it was submitted has not.
    """
    return after is BatchState.SETTLED or (after is BatchState.FAILED and before is not BatchState.PREPARED)
