"""When rounds are due: pure, with times that the test chooses."""

from __future__ import annotations

from nucleus_sync.watch.rounds import Agenda, Outcome, Pace, judged


def agenda() -> Agenda:
    """One whose first look is done."""
    made = Agenda(Pace(rescan=100.0, first_backoff=1.0, longest_backoff=8.0))
    made.take(0.0, may_narrow=False)
    made.finished(Outcome.GOOD, 0.0, retry=False)
    return made


def test_the_first_round_looks_at_everything_at_once() -> None:
    made = Agenda(Pace())
    assert made.due(5.0) == 5.0
    assert made.take(5.0, may_narrow=True).touched is None


def test_nothing_is_due_before_the_next_look_at_everything() -> None:
    assert agenda().due(1.0) == 100.0


def test_what_settles_together_is_one_round() -> None:
    made = agenda()
    made.settled({"a"}, 0, whole=False)
    made.settled({"b"}, 0, whole=False)
    assert made.due(2.0) == 2.0
    assert made.take(2.0, may_narrow=True).touched == {"a", "b"}
    assert made.due(3.0) == 100.0


def test_a_file_that_counts_as_a_whole_and_one_that_is_gone_need_a_look_at_everything() -> None:
    for gone, whole in ((0, True), (1, False)):
        made = agenda()
        made.settled({"a"}, gone, whole=whole)
        task = made.take(2.0, may_narrow=True)
        assert (task.touched, task.gone) == (None, gone)


def test_failures_back_off_and_a_success_forgets_them() -> None:
    made, now, waits = agenda(), 0.0, []
    for _ in range(5):
        waits.append(made.finished(Outcome.FAILED, now, retry=True))
        assert made.due(now) == now + (waits[-1] or 0)
        made.take(now + (waits[-1] or 0), may_narrow=True)
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]
    made.finished(Outcome.GOOD, now, retry=False)
    assert made.finished(Outcome.FAILED, now, retry=True) == 1.0


def test_a_change_does_not_break_through_a_backoff_but_a_mended_spec_does() -> None:
    made = agenda()
    made.finished(Outcome.FAILED, 10.0, retry=True)
    made.settled({"a"}, 0, whole=False)
    assert made.due(10.0) == 11.0
    made.need_everything("the spec has changed", at_once=True)
    assert made.due(10.0) == 10.0


def test_a_refusal_is_held_until_something_changes() -> None:
    made = agenda()
    made.finished(Outcome.HELD, 10.0, retry=False)
    assert made.due(10.0) == 100.0
    made.settled({"a"}, 0, whole=False)
    assert made.due(10.0) == 10.0


def test_what_every_exit_code_means() -> None:
    assert judged(0, failed_steps=0) == (Outcome.GOOD, False)
    assert judged(3, failed_steps=0) == (Outcome.PARTIAL, False)
    assert judged(3, failed_steps=1) == (Outcome.PARTIAL, True)
    assert judged(6, failed_steps=0) == (Outcome.WAITING, False)
    assert judged(9, failed_steps=0) == (Outcome.HELD, False)
    for code in (1, 7, 8, 11, 12):
        assert judged(code, failed_steps=0) == (Outcome.FAILED, True)
