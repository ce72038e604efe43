"""The legal moves of a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_sync.ledger.journal import (
    OPEN_STATES,
    BatchState,
    IllegalMove,
    Move,
    finishing_move,
    leaves_doubt,
    next_state,
)

ENDS = set(BatchState) - OPEN_STATES


def walk(moves: list[Move]) -> list[BatchState]:
    """The states that a batch goes through; illegal moves leave it where it is."""
    states = [BatchState.PREPARED]
    for move in moves:
        try:
            states.append(next_state(states[-1], move))
        except IllegalMove:
            states.append(states[-1])
    return states


@given(st.lists(st.sampled_from(Move), max_size=12))
def test_an_ended_batch_never_moves_again(moves: list[Move]) -> None:
    states = walk(moves)
    ended = [number for number, state in enumerate(states) if state in ENDS]
    assert not ended or len(set(states[ended[0] :])) == 1


@given(st.lists(st.sampled_from(Move), max_size=12))
def test_no_batch_gets_back_to_prepared(moves: list[Move]) -> None:
    states = walk(moves)
    left = [number for number, state in enumerate(states) if state is not BatchState.PREPARED]
    assert not left or BatchState.PREPARED not in states[left[0] :]


@given(st.lists(st.sampled_from(Move), max_size=12))
def test_settled_comes_out_of_unknown_only(moves: list[Move]) -> None:
    states = walk(moves)
    if BatchState.SETTLED in states:
        assert states[states.index(BatchState.SETTLED) - 1] is BatchState.UNKNOWN


@given(st.sampled_from(sorted(ENDS)), st.sampled_from(Move))
def test_an_end_refuses_every_move_by_name(state: BatchState, move: Move) -> None:
    with pytest.raises(IllegalMove, match=state.value):
        next_state(state, move)


@pytest.mark.parametrize("state", sorted(OPEN_STATES))
def test_every_open_batch_can_end(state: BatchState) -> None:
    reached, fresh = {state}, {state}
    while fresh:
        legal = set()
        for each in fresh:
            for move in Move:
                try:
                    legal.add(next_state(each, move))
                except IllegalMove:
                    continue
        fresh = legal - reached
        reached |= legal
    assert reached & ENDS


def test_the_history_of_an_ordinary_job() -> None:
    assert walk([Move.SUBMIT, Move.COMPLETE_PARTLY])[-1] is BatchState.PARTIAL


def test_a_lost_batch_can_be_sent_again() -> None:
    assert walk([Move.LOSE, Move.SUBMIT, Move.COMPLETE])[-1] is BatchState.DONE


@pytest.mark.parametrize("state", sorted(OPEN_STATES))
def test_an_open_state_ends_nothing(state: BatchState) -> None:
    with pytest.raises(IllegalMove):
        finishing_move(state, has_job=True)


@pytest.mark.parametrize(
    ("before", "after", "doubt"),
    [
        (BatchState.PREPARED, BatchState.FAILED, False),
        (BatchState.SUBMITTED, BatchState.FAILED, True),
        (BatchState.UNKNOWN, BatchState.SETTLED, True),
        (BatchState.SUBMITTED, BatchState.PARTIAL, False),
    ],
)
def test_a_job_that_ran_and_failed_leaves_doubt(before: BatchState, after: BatchState, doubt: bool) -> None:
    assert leaves_doubt(before, after) is doubt
