"""Which failures are repeated, for which calls, and after which wait."""

from __future__ import annotations

import pytest

from nucleus_sync.api.retry import (
    OUTAGES,
    PASSING,
    Again,
    Failure,
    Policy,
    Safety,
    Verdict,
    next_move,
    retry_after,
    wait_before_next,
)

NOT_SENT = Failure("no connection", sent=False)
LOST = Failure("no answer in time")
AGAIN = "again"


def _status(status: int) -> Failure:
    return Failure("said so", status=status)


TABLE = [
    # failure, idempotent, upsert, create
    (NOT_SENT, AGAIN, AGAIN, AGAIN),
    (LOST, AGAIN, Verdict.UNKNOWN, Verdict.UNKNOWN),
    (_status(429), AGAIN, AGAIN, AGAIN),
    *((_status(status), AGAIN, Verdict.UNKNOWN, Verdict.UNKNOWN) for status in sorted(PASSING - {429})),
    *((_status(status), Verdict.REFUSED, Verdict.REFUSED, Verdict.REFUSED) for status in (400, 401, 403, 404, 409)),
    *((_status(status), Verdict.REFUSED, Verdict.REFUSED, Verdict.REFUSED) for status in (413, 422, 501)),
    (_status(505), Verdict.REFUSED, Verdict.UNKNOWN, Verdict.UNKNOWN),
]


@pytest.mark.parametrize(("failure", "idempotent", "upsert", "create"), TABLE)
def test_a_failure_is_repeated_where_that_can_do_no_harm(
    failure: Failure, idempotent: str, upsert: str, create: str
) -> None:
    for safety, expected in zip(Safety, (idempotent, upsert, create), strict=True):
        move = next_move(Policy(), safety, failure, attempt=1, elapsed=0, chance=0.5)
        assert (AGAIN if isinstance(move, Again) else move) == expected


def test_attempts_end_at_their_limit() -> None:
    policy = Policy(attempts=3, outage_attempts=5)
    moves = {
        status: [
            isinstance(
                next_move(policy, Safety.IDEMPOTENT, _status(status), attempt=attempt, elapsed=0, chance=0), Again
            )
            for attempt in range(1, 7)
        ]
        for status in (500, 503)
    }
    assert moves[500] == [True, True, False, False, False, False]
    assert moves[503] == [True, True, True, True, False, False]


def test_patience_ends_before_the_attempts_do() -> None:
    move = next_move(Policy(patience=60), Safety.IDEMPOTENT, LOST, attempt=2, elapsed=59.9, chance=1)
    assert move is Verdict.UNREACHABLE


def test_a_server_that_keeps_failing_is_quoted() -> None:
    move = next_move(Policy(attempts=1), Safety.IDEMPOTENT, _status(500), attempt=1, elapsed=0, chance=0)
    assert move is Verdict.REFUSED


def test_a_certificate_that_cannot_be_verified_is_not_waited_for() -> None:
    failure = Failure("certificate", sent=False, hopeless=True)
    assert next_move(Policy(), Safety.CREATE, failure, attempt=1, elapsed=0, chance=0) is Verdict.UNREACHABLE


def test_waits_grow_up_to_a_ceiling_and_are_spread_below_it() -> None:
    policy = Policy(first_wait=0.5, longest_wait=30)
    assert [wait_before_next(policy, LOST, attempt=n, chance=1.0) for n in (1, 2, 3, 7, 8, 999)] == [
        0.5, 1, 2, 30, 30, 30,
    ]  # fmt: skip
    assert wait_before_next(policy, LOST, attempt=5, chance=0.0) == 0


def test_what_the_server_asks_for_is_honoured_up_to_a_cap() -> None:
    policy = Policy(longest_retry_after=120)
    for asked, waited in ((7.0, 7.0), (3600.0, 120.0)):
        failure = Failure("slow down", status=429, retry_after=asked)
        assert wait_before_next(policy, failure, attempt=1, chance=0.0) == waited


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("7", 7.0),
        ("1.5", 1.5),
        ("-3", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=10.0) == seconds


def test_every_outage_passes() -> None:
    assert OUTAGES < PASSING
