"""Resources, known records, standings, problems, history: what is written is what is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nucleus_sync.errors import UsageError
from nucleus_sync.ledger.batches import NewBatch
from nucleus_sync.ledger.history import Result
from nucleus_sync.ledger.known import CONTENT_UNKNOWN, MAYBE_THERE, in_doubt
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.problems import MOST
from nucleus_sync.ledger.resources import Creation, Resource
from nucleus_sync.records.problem import Problem, Severity, Where

if TYPE_CHECKING:
    from .conftest import HandClock

ITEMS = "dataset.street.items"
LABELS = "dataset.street.annotations"


def stamp(number: int) -> bytes:
    return number.to_bytes(24, "big")


def resource(address: str) -> Resource:
    return Resource(address, address.split(".")[0], "id_1", "digest", {"name": "Straße"})


def test_a_creation_is_listed_until_it_is_finished(ledger: Ledger, clock: HandClock) -> None:
    ledger.begin_creation("dataset.street", "dataset", {"name": "Street"})
    assert ledger.creations() == [Creation("dataset.street", "dataset", {"name": "Street"}, clock.now)]
    ledger.finish_creation("dataset.street", "ds_1", "abc", {"x": 1})
    assert ledger.creations() == []
    assert ledger.resource("dataset.street") == Resource("dataset.street", "dataset", "ds_1", "abc", {"x": 1})


def test_a_creation_begun_again_keeps_its_first_time(ledger: Ledger, clock: HandClock) -> None:
    ledger.begin_creation("model.cnn", "model", {})
    clock.now += 100
    ledger.begin_creation("model.cnn", "model", {"name": "CNN"})
    assert ledger.creations() == [Creation("model.cnn", "model", {"name": "CNN"}, clock.now - 100)]


def test_a_creation_that_was_never_begun_can_not_finish(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="no creation"):
        ledger.finish_creation("model.cnn", "prj_1", "abc")


def test_an_abandoned_creation_leaves_nothing(ledger: Ledger) -> None:
    ledger.begin_creation("model.cnn", "model", {})
    ledger.abandon_creation("model.cnn")
    assert (ledger.creations(), ledger.resources(), ledger.serial) == ([], [], 0)


def test_a_prefix_covers_what_is_beneath_it_and_no_namesake(ledger: Ledger) -> None:
    for address in ("dataset.street", "dataset.street.slice.night", "dataset.streets", "model.cnn"):
        ledger.put_resource(resource(address))
    assert [each.address for each in ledger.resources("dataset.street")] == [
        "dataset.street",
        "dataset.street.slice.night",
    ]
    assert len(ledger.resources()) == 4


def fill(ledger: Ledger) -> None:
    ledger.put_resource(resource("dataset.street"))
    ledger.put_resource(resource("dataset.street.slice.night"))
    ledger.put_resource(resource("model.cnn"))
    for address in (ITEMS, "model.cnn.predictions.street", "model.cnn.predictions.mainstreet"):
        ledger.adopt(address, [(b"a", stamp(1))])


def test_forgetting_a_dataset_forgets_its_streams_and_the_predictions_on_it(ledger: Ledger) -> None:
    fill(ledger)
    ledger.forget_resource("dataset.street")
    assert [each.address for each in ledger.resources()] == ["model.cnn"]
    assert [each.address for each in ledger.streams()] == ["model.cnn.predictions.mainstreet"]
    assert list(ledger.known(ITEMS)) == []


def test_forgetting_a_dataset_ends_its_open_batches(ledger: Ledger) -> None:
    fill(ledger)
    rows = [(b"b", stamp(1), b"")]
    number = ledger.prepare(NewBatch(ITEMS, "ingest", "r", "upload", rows))
    other = ledger.prepare(NewBatch("dataset.alley.items", "ingest", "r", "upload", rows))
    ledger.forget_resource("dataset.street")
    assert [batch.id for batch in ledger.open_batches()] == [other]
    assert (ledger.batch(number).state, list(ledger.known(ITEMS))) == ("settled", [])


def test_moving_a_dataset_takes_everything_along(ledger: Ledger) -> None:
    fill(ledger)
    ledger.move("dataset.street", "dataset.road")
    assert [each.address for each in ledger.resources("dataset.street")] == []
    assert [each.address for each in ledger.resources("dataset.road")] == ["dataset.road", "dataset.road.slice.night"]
    assert [each.address for each in ledger.streams()] == [
        "dataset.road.items",
        "model.cnn.predictions.mainstreet",
        "model.cnn.predictions.road",
    ]
    assert list(ledger.known("dataset.road.items")) == [(b"a", stamp(1))]


@pytest.mark.parametrize(("old", "new"), [("dataset.nowhere", "dataset.x"), ("dataset.street", "model.cnn")])
def test_a_move_from_nothing_or_onto_something_is_refused(ledger: Ledger, old: str, new: str) -> None:
    fill(ledger)
    with pytest.raises(UsageError):
        ledger.move(old, new)


def test_nothing_moves_while_batches_are_in_flight(ledger: Ledger) -> None:
    fill(ledger)
    ledger.prepare(NewBatch(ITEMS, "ingest", "r", "upload", [(b"b", stamp(1), b"")]))
    with pytest.raises(UsageError, match="in flight"):
        ledger.move("dataset.street", "dataset.road")


def test_known_records_come_sorted_and_can_be_taken_up_anywhere(ledger: Ledger) -> None:
    rows = [(b"%05d" % number, stamp(number)) for number in range(1, 5_001)]
    ledger.adopt(ITEMS, reversed(rows))
    assert list(ledger.known(ITEMS)) == rows
    assert list(ledger.known(ITEMS, after=b"04990")) == rows[4_990:]


def test_known_records_can_be_read_while_others_write(ledger: Ledger, path: Path) -> None:
    rows = [(b"%05d" % number, stamp(number)) for number in range(1, 5_001)]
    ledger.adopt(ITEMS, rows)
    reading = ledger.known(ITEMS)
    first = next(reading)
    with Ledger.open(path, endpoint="embedded") as other:
        other.adopt(ITEMS, [(b"99999", stamp(1))])
        other.forget(ITEMS, [b"04000"])
    assert [first, *reading] == [row for row in rows if row[0] != b"04000"] + [(b"99999", stamp(1))]


def test_an_item_has_its_own_records_only(ledger: Ledger) -> None:
    ledger.adopt(LABELS, [(key, stamp(1)) for key in (b"a", b"a\x00a1", b"a\x00m", b"a\x01", b"ab\x00a1")])
    assert [key for key, _ in ledger.known_of(LABELS, b"a")] == [b"a", b"a\x00a1", b"a\x00m"]
    assert (ledger.stamp(LABELS, b"a"), ledger.stamp(LABELS, b"b")) == (stamp(1), None)


def test_a_touch_moves_no_plan(ledger: Ledger) -> None:
    ledger.adopt(ITEMS, [(b"a", stamp(1))])
    ledger.set_standing(ITEMS, b"state", {})
    before = (ledger.serial, ledger.version(ITEMS))
    ledger.touch(ITEMS, [(b"a", stamp(2)), (b"unheard of", stamp(2))])
    assert (ledger.serial, ledger.version(ITEMS)) == before
    assert list(ledger.known(ITEMS)) == [(b"a", stamp(2))]
    assert ledger.standing(ITEMS) is not None


def test_forgetting_items_reaches_into_every_stream_named(ledger: Ledger) -> None:
    ledger.adopt(ITEMS, [(b"a", stamp(1)), (b"b", stamp(1))])
    ledger.adopt(LABELS, [(b"a\x00a1", stamp(1)), (b"b\x00a1", stamp(1))])
    serial = ledger.serial
    assert ledger.forget_items([ITEMS, LABELS], [b"a", b"missing"]) == 2
    assert (ledger.count(ITEMS), ledger.count(LABELS), ledger.serial) == (1, 1, serial + 1)


def test_a_standing_holds_until_something_changes(ledger: Ledger) -> None:
    def stand() -> None:
        assert ledger.set_standing(ITEMS, b"state", {"unchanged": 1}, serial=ledger.serial)
        found = ledger.standing(ITEMS)
        assert found is not None
        assert (found.state, found.counts) == (b"state", {"unchanged": 1})

    for change in (
        lambda: ledger.adopt(ITEMS, [(b"a", stamp(1))]),
        lambda: ledger.doubt(ITEMS, [b"a"]),
        lambda: ledger.forget(ITEMS, [b"a"]),
    ):
        stand()
        change()
        assert ledger.standing(ITEMS) is None


def test_a_standing_seen_in_an_older_ledger_is_not_kept(ledger: Ledger) -> None:
    serial = ledger.serial
    ledger.adopt(ITEMS, [(b"a", stamp(1))])
    assert not ledger.set_standing(ITEMS, b"state", {}, serial=serial)
    assert ledger.standing(ITEMS) is None


def test_nothing_forgotten_moves_nothing(ledger: Ledger) -> None:
    ledger.adopt(ITEMS, [(b"a", stamp(1))])
    serial = ledger.serial
    assert ledger.forget(ITEMS, [b"b"]) == 0
    ledger.forget_rejections(ITEMS)
    assert ledger.serial == serial


def test_doubt_never_equals_content() -> None:
    assert (in_doubt(MAYBE_THERE), in_doubt(CONTENT_UNKNOWN), in_doubt(stamp(1))) == (True, True, False)


def problem(number: int) -> Problem:
    place = Where("labels.json", f"annotations[{number}]")
    return Problem("labels", place, f"annotation {number}", "negative width", "-1", Severity.INVALID, b"k", "fix", 2)


def test_problems_are_replaced_by_those_of_the_next_reading(ledger: Ledger) -> None:
    ledger.set_problems(LABELS, 2, 0, [problem(1), problem(2)])
    ledger.set_problems(LABELS, 1, 3, [problem(3)])
    assert list(ledger.problems(LABELS)) == list(ledger.problems()) == [(LABELS, problem(3))]
    assert [(each.invalid, each.findings) for each in ledger.streams()] == [(1, 3)]


def test_the_list_of_problems_is_cut_and_the_total_is_not(ledger: Ledger) -> None:
    ledger.set_problems(LABELS, MOST + 5, 0, (problem(number) for number in range(MOST + 5)))
    assert len(list(ledger.problems())) == MOST
    assert ledger.streams()[0].invalid == MOST + 5


def test_metadata_types_add_up(ledger: Ledger) -> None:
    ledger.add_metadata_types(ITEMS, {"site": "text", "night": "number"})
    ledger.add_metadata_types(ITEMS, {"speed": "number"})
    assert ledger.metadata_types(ITEMS) == {"night": "number", "site": "text", "speed": "number"}
    assert ledger.metadata_types(LABELS) == {}


def test_results_come_newest_first(ledger: Ledger, clock: HandClock) -> None:
    ledger.put_result("evaluation.nightly", "in1", {"mAP": 0.5})
    clock.now += 1
    ledger.put_result("evaluation.nightly", "in2", {"mAP": 0.6})
    assert ledger.results("evaluation.nightly", 1) == [Result("in2", {"mAP": 0.6}, clock.now)]


def test_a_run_that_died_stays_unfinished(ledger: Ledger, clock: HandClock) -> None:
    ledger.begin_run("apply", "p1")
    second = ledger.begin_run("apply", "p2")
    clock.now += 5
    ledger.finish_run(second, 3, {"create": 2})
    newest, died = ledger.runs()
    assert (newest.exit_code, newest.finished_at, newest.counts) == (3, clock.now, {"create": 2})
    assert (died.exit_code, died.finished_at, died.counts) == (None, None, {})


def test_every_durable_step_is_named(path: Path) -> None:
    names: list[str] = []
    with Ledger.open(path, endpoint="embedded", checkpoint=names.append) as ledger:
        ledger.begin_creation("model.cnn", "model", {})
        ledger.finish_creation("model.cnn", "prj_1", "abc")
        ledger.adopt(ITEMS, [(b"a", stamp(1))])
    assert names == ["creation begun", "creation finished", "records adopted"]
