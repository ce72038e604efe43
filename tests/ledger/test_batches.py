"""What a finished batch does to the known records."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nucleus_sync.ledger.batches import NewBatch
from nucleus_sync.ledger.journal import BatchState, IllegalMove
from nucleus_sync.ledger.known import CONTENT_UNKNOWN, MAYBE_THERE
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.manifest import BatchRow, Manifest, unpack
from nucleus_sync.ledger.rejections import Rejection

ITEMS = "dataset.street.items"
LABELS = "dataset.street.annotations"
PREDICTED = "model.cnn.predictions.street"
OTHER = "dataset.alley.annotations"


def stamp(number: int) -> bytes:
    return number.to_bytes(24, "big")


def rows(*keys: bytes, version: int = 1) -> list[BatchRow]:
    return [(key, stamp(version), b"line %d" % number) for number, key in enumerate(keys)]


def send(
    ledger: Ledger,
    address: str,
    sent: Sequence[BatchRow],
    state: BatchState = BatchState.DONE,
    *,
    operation: str = "ingest",
    rejections: Sequence[Rejection] = (),
    doubtful: Sequence[bytes] | None = None,
    details: dict[str, list[str]] | None = None,
) -> int:
    number = ledger.prepare(NewBatch(address, operation, "r", "upload", sent, ["images"], details or {}))
    ledger.submitted(number, f"job_{number}")
    if state is BatchState.SETTLED:
        ledger.unknown(number)
    ledger.finish(number, state, rejections=rejections, doubtful=doubtful)
    return number


def refused(key: bytes, *, lacks_item: bool = False) -> Rejection:
    return Rejection(key, stamp(1), "no", "labels.json", "annotations[0]", lacks_item)


def test_a_prepared_batch_confirms_nothing(ledger: Ledger) -> None:
    sent = rows(b"a", b"b")
    number = ledger.prepare(NewBatch(ITEMS, "ingest", "r", "upload", sent))
    assert (list(ledger.known(ITEMS)), ledger.serial, ledger.rows(number)) == ([], 0, sent)
    assert [batch.id for batch in ledger.open_batches()] == [number]


def test_a_done_batch_confirms_its_rows_and_drops_its_manifest(ledger: Ledger) -> None:
    number = send(ledger, ITEMS, rows(b"a", b"b"))
    assert list(ledger.known(ITEMS)) == [(b"a", stamp(1)), (b"b", stamp(1))]
    assert (ledger.count(ITEMS), ledger.version(ITEMS), ledger.serial) == (2, 1, 1)
    assert (ledger.rows(number), ledger.open_batches(), ledger.batch(number).confirmed) == ([], [], 2)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_batches_of_any_size_write_every_row_and_count_what_is_new(ledger: Ledger, count: int) -> None:
    keys = [b"%04d" % number for number in range(count)]
    send(ledger, ITEMS, rows(*keys[1::7]))
    send(ledger, ITEMS, rows(*keys[3::7]), BatchState.SETTLED)
    assert ledger.held(ITEMS) == len(keys[1::7]) + len(keys[3::7])
    send(ledger, ITEMS, rows(*keys, version=2))
    assert list(ledger.known(ITEMS)) == [(key, stamp(2)) for key in keys]
    assert ledger.count(ITEMS) == ledger.held(ITEMS) == count


def test_a_refused_record_stays_as_it_was(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a", b"b"))
    send(ledger, ITEMS, rows(b"a", b"b", version=2), BatchState.PARTIAL, rejections=[refused(b"b")])
    assert list(ledger.known(ITEMS)) == [(b"a", stamp(2)), (b"b", stamp(1))]
    assert list(ledger.rejections()) == [(ITEMS, refused(b"b"))]
    assert list(ledger.rejected_keys(ITEMS)) == [(b"b", stamp(1))]


def test_a_later_success_ends_a_rejection(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a", b"b"), BatchState.PARTIAL, rejections=[refused(b"a"), refused(b"b")])
    send(ledger, ITEMS, rows(b"b", version=2))
    assert [one.key for _, one in ledger.rejections(ITEMS)] == [b"a"]


def test_a_doubtful_record_that_was_known_keeps_its_place_only(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a"))
    send(ledger, ITEMS, rows(b"a", b"b", b"c", version=2), BatchState.PARTIAL, doubtful=[b"a", b"b"])
    assert list(ledger.known(ITEMS)) == [(b"a", CONTENT_UNKNOWN), (b"b", MAYBE_THERE), (b"c", stamp(2))]
    assert ledger.count(ITEMS) == 2


def test_a_maybe_that_is_confirmed_counts(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a"), BatchState.FAILED)
    send(ledger, ITEMS, rows(b"a", b"b"))
    (stream,) = ledger.streams()
    assert (stream.count, stream.maybes) == (2, 0)


def test_a_batch_refused_as_a_whole_leaves_no_trace(ledger: Ledger) -> None:
    number = ledger.prepare(NewBatch(ITEMS, "ingest", "r", "upload", rows(b"a")))
    ledger.finish(number, BatchState.FAILED)
    assert (list(ledger.known(ITEMS)), ledger.serial) == ([], 0)


def test_a_failed_job_leaves_doubt_unless_told(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a"), BatchState.FAILED)
    send(ledger, ITEMS, rows(b"b"), BatchState.FAILED, doubtful=())
    assert list(ledger.known(ITEMS)) == [(b"a", MAYBE_THERE)]
    assert ledger.count(ITEMS) == 0


def test_what_was_verified_of_a_lost_batch_is_confirmed(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a", b"b"), BatchState.SETTLED, doubtful=[b"b"])
    assert list(ledger.known(ITEMS)) == [(b"a", stamp(1)), (b"b", MAYBE_THERE)]


def test_a_lost_batch_can_be_submitted_again(ledger: Ledger) -> None:
    number = ledger.prepare(NewBatch(ITEMS, "ingest", "r", "upload", rows(b"a")))
    ledger.unknown(number)
    ledger.submitted(number, "job_2")
    ledger.finish(number, BatchState.DONE)
    assert (ledger.count(ITEMS), ledger.batch(number).job_id) == (1, "job_2")


def test_a_call_without_a_job_is_finished_by_its_answer(ledger: Ledger) -> None:
    number = ledger.prepare(NewBatch(ITEMS, "delete", "r", "", rows(b"a")))
    ledger.finish(number, BatchState.DONE)
    assert ledger.batch(number).state is BatchState.DONE


def test_a_job_is_not_done_before_it_was_submitted(ledger: Ledger) -> None:
    number = ledger.prepare(NewBatch(ITEMS, "ingest", "r", "upload", rows(b"a")))
    with pytest.raises(IllegalMove):
        ledger.finish(number, BatchState.DONE)
    assert (list(ledger.known(ITEMS)), ledger.rows(number)) == ([], rows(b"a"))


def test_nothing_is_finished_twice(ledger: Ledger) -> None:
    number = send(ledger, ITEMS, rows(b"a"))
    with pytest.raises(IllegalMove):
        ledger.finish(number, BatchState.DONE)


def test_clearing_forgets_all_records_of_an_item_in_one_stream(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a", b"ab"))
    send(ledger, LABELS, rows(b"a\x00a1", b"a\x00a2", b"ab\x00a1"))
    send(ledger, LABELS, rows(b"a"), operation="clear")
    assert [key for key, _ in ledger.known(LABELS)] == [b"ab\x00a1"]
    assert (ledger.count(ITEMS), ledger.count(LABELS)) == (2, 1)


def test_a_clearing_of_unknown_outcome_leaves_its_records_in_doubt(ledger: Ledger) -> None:
    send(ledger, LABELS, rows(b"a\x00a1", b"b\x00a1"))
    send(ledger, LABELS, rows(b"a"), BatchState.SETTLED, operation="clear")
    assert list(ledger.known(LABELS)) == [(b"a\x00a1", MAYBE_THERE), (b"b\x00a1", stamp(1))]
    assert ledger.count(LABELS) == 1


def test_deleting_an_item_forgets_what_hangs_on_it(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a", b"b"))
    for address in (LABELS, PREDICTED):
        send(ledger, address, rows(b"a\x00a1", b"b\x00a1"), BatchState.PARTIAL, rejections=[refused(b"a\x00a2")])
    send(ledger, ITEMS, rows(b"a"), operation="delete", details={"streams": [LABELS, PREDICTED]})
    assert [[key for key, _ in ledger.known(address)] for address in (ITEMS, LABELS, PREDICTED)] == [
        [b"b"],
        [b"b\x00a1"],
        [b"b\x00a1"],
    ]
    assert list(ledger.rejections()) == []


def test_an_item_that_could_not_be_deleted_is_still_known(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a", b"b"))
    send(ledger, ITEMS, rows(b"a", b"b"), BatchState.PARTIAL, operation="delete", rejections=[refused(b"b")])
    assert [key for key, _ in ledger.known(ITEMS)] == [b"b"]


def test_an_item_that_appears_wakes_what_was_refused_for_lack_of_it(ledger: Ledger) -> None:
    for address in (LABELS, PREDICTED, OTHER):
        lacking = [refused(b"a\x00a1", lacks_item=True), refused(b"z\x00a1", lacks_item=True), refused(b"a\x00a2")]
        send(ledger, address, [], BatchState.PARTIAL, rejections=lacking)
    send(ledger, ITEMS, rows(b"a", b"b"))
    left = {address: [one.key for _, one in ledger.rejections(address)] for address in (LABELS, PREDICTED, OTHER)}
    assert left == {
        LABELS: [b"a\x00a2", b"z\x00a1"],
        PREDICTED: [b"a\x00a2", b"z\x00a1"],
        OTHER: [b"a\x00a1", b"a\x00a2", b"z\x00a1"],
    }


def test_a_source_whose_record_was_taken_needs_no_probe(ledger: Ledger) -> None:
    send(ledger, ITEMS, rows(b"a"), BatchState.PARTIAL, operation="probe", rejections=[refused(b"a")])
    before = ledger.probed(ITEMS)
    send(ledger, ITEMS, rows(b"a"), operation="probe")
    assert (before, ledger.probed(ITEMS)) == (frozenset(), {"images"})


def test_our_jobs_are_told_from_strangers(ledger: Ledger) -> None:
    number = send(ledger, ITEMS, rows(b"a"))
    ledger.note_job("job_eval", "evaluation.nightly", "modelMetrics")
    assert ledger.job_ids() == {f"job_{number}", "job_eval"}
    assert ledger.job_ids(since=9e9) == frozenset()


def test_batches_are_listed_newest_first(ledger: Ledger) -> None:
    numbers = [send(ledger, ITEMS, rows(b"a")) for _ in range(3)]
    assert [batch.id for batch in ledger.batches(2)] == numbers[:0:-1]


def test_a_manifest_comes_back_as_it_was() -> None:
    sent = rows(b"a", b"\x00\xff", b"b" * 300)
    assert (unpack(Manifest.of(sent).contents), unpack(Manifest.of([]).contents)) == (sent, [])


def test_a_manifest_takes_no_stamp_of_another_size() -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        Manifest.of([(b"a", b"short", b"")])
