"""Whatever is done in whatever order, the ledger says what a plain dict would."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nucleus_sync.ledger.batches import NewBatch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.ledger.known import CONTENT_UNKNOWN, MAYBE_THERE
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.rejections import Rejection
from nucleus_sync.records.key import item_of

ITEMS = "dataset.street.items"
LABELS = "dataset.street.annotations"
STREAMS = (ITEMS, LABELS)

items = st.sampled_from([b"a", b"ab", b"b", b"\xff", b"\x01", "ü".encode()])
boxes = st.builds(lambda item, box: item + b"\x00a" + box, items, st.sampled_from([b"", b"1", b"\xff"]))
keys = {ITEMS: items, LABELS: st.one_of(boxes, items.map(lambda item: item + b"\x00m"))}
stamps = st.integers(1, 5).map(lambda number: number.to_bytes(24, "big"))
addressed = st.sampled_from(STREAMS).flatmap(
    lambda address: st.tuples(st.just(address), st.dictionaries(keys[address], stamps, max_size=6))
)
ends = st.sampled_from([BatchState.DONE, BatchState.PARTIAL, BatchState.FAILED, BatchState.SETTLED])
Known = dict[bytes, bytes]


class LedgerMachine(RuleBasedStateMachine):
    """Random work on a real ledger beside a model of plain dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.ledger = Ledger.open(self.path, endpoint="embedded")
        self.known: dict[str, Known] = {address: {} for address in STREAMS}
        self.rejected: dict[str, dict[bytes, Rejection]] = {address: {} for address in STREAMS}
        self.open: dict[int, tuple[str, str, Known]] = {}
        self.serial = 0

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    def confirm(self, address: str, rows: Known) -> None:
        self.known[address].update(rows)

    def doubt(self, address: str, keys: set[bytes]) -> None:
        known = self.known[address]
        for key in keys:
            known[key] = CONTENT_UNKNOWN if known.get(key, MAYBE_THERE) != MAYBE_THERE else MAYBE_THERE

    def of_items(self, address: str, wanted: set[bytes]) -> list[bytes]:
        return [key for key in self.known[address] if item_of(key) in wanted]

    @rule(work=addressed)
    def adopt(self, work: tuple[str, Known]) -> None:
        address, rows = work
        self.ledger.adopt(address, rows.items())
        self.confirm(address, rows)

    @rule(work=addressed)
    def touch(self, work: tuple[str, Known]) -> None:
        address, rows = work
        known = self.known[address]
        serial = self.ledger.serial
        self.ledger.touch(address, rows.items())
        known.update({key: stamp for key, stamp in rows.items() if known.get(key, MAYBE_THERE) != MAYBE_THERE})
        assert self.ledger.serial == serial

    @rule(work=addressed)
    def forget(self, work: tuple[str, Known]) -> None:
        address, rows = work
        gone = self.known[address].keys() & rows.keys()
        assert self.ledger.forget(address, rows) == len(gone)
        for key in gone:
            del self.known[address][key]

    @rule(wanted=st.sets(items, max_size=3))
    def forget_items(self, wanted: set[bytes]) -> None:
        gone = {address: self.of_items(address, wanted) for address in STREAMS}
        assert self.ledger.forget_items(STREAMS, wanted) == sum(map(len, gone.values()))
        for address in STREAMS:
            for key in gone[address]:
                del self.known[address][key]

    @rule(work=addressed)
    def prepare_ingest(self, work: tuple[str, Known]) -> None:
        address, rows = work
        self.prepare(address, "ingest", rows)

    @rule(wanted=st.sets(items, max_size=3))
    def prepare_clear(self, wanted: set[bytes]) -> None:
        self.prepare(LABELS, "clear", dict.fromkeys(wanted, bytes(24)))

    @rule(wanted=st.sets(items, max_size=3))
    def prepare_delete(self, wanted: set[bytes]) -> None:
        self.prepare(ITEMS, "delete", dict.fromkeys(wanted, bytes(24)))

    def prepare(self, address: str, operation: str, rows: Known) -> None:
        sent = [(key, stamp, b"") for key, stamp in sorted(rows.items())]
        details = {"streams": [LABELS]} if operation == "delete" else {}
        number = self.ledger.prepare(NewBatch(address, operation, "r", "upload", sent, ["source"], details))
        assert self.ledger.rows(number) == sent
        self.open[number] = (address, operation, rows)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), state=ends)
    def finish(self, data: st.DataObject, state: BatchState) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        address, operation, rows = self.open.pop(number)
        choice = st.sets(st.sampled_from(sorted(rows)), max_size=3) if rows else st.just(set[bytes]())
        bad, doubtful = data.draw(choice), data.draw(choice)
        lacking = data.draw(st.booleans())
        refused = [Rejection(key, rows[key], "no", "f", "1", lacking) for key in sorted(bad)]
        if state is BatchState.SETTLED:
            self.ledger.unknown(number)
        else:
            self.ledger.submitted(number, f"job_{number}")
        self.ledger.finish(number, state, rejections=refused, doubtful=doubtful)
        good = {} if state is BatchState.FAILED else {k: s for k, s in rows.items() if k not in bad | doubtful}
        if operation == "ingest":
            self.confirm(address, good)
            self.doubt(address, doubtful)
            self.sleep_and_wake(address, good)
        else:
            for each in {address} | ({LABELS} if operation == "delete" else set()):
                self.remove(each, set(good), doubtful, forgive=operation == "delete")
        self.rejected[address].update({one.key: one for one in refused})

    def sleep_and_wake(self, address: str, good: Known) -> None:
        for key in good:
            self.rejected[address].pop(key, None)
        if address == ITEMS:
            resting = self.rejected[LABELS]
            for key in [key for key, one in resting.items() if one.lacks_item and item_of(key) in good]:
                del resting[key]

    def remove(self, address: str, gone: set[bytes], doubtful: set[bytes], *, forgive: bool) -> None:
        for key in self.of_items(address, gone):
            del self.known[address][key]
        for key in self.of_items(address, doubtful):
            self.known[address][key] = MAYBE_THERE
        if forgive:
            resting = self.rejected[address]
            for key in [key for key in resting if item_of(key) in gone]:
                del resting[key]

    @rule(address=st.sampled_from(STREAMS), data=st.data())
    def forget_rejections(self, address: str, data: st.DataObject) -> None:
        wanted = data.draw(st.none() | st.sets(keys[address], max_size=3))
        self.ledger.forget_rejections(address, wanted)
        for key in list(self.rejected[address]) if wanted is None else wanted:
            self.rejected[address].pop(key, None)

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.path, endpoint="embedded")

    @invariant()
    def known_records_are_the_models(self) -> None:
        for address in STREAMS:
            assert list(self.ledger.known(address)) == sorted(self.known[address].items())
            confirmed = [stamp for stamp in self.known[address].values() if stamp != MAYBE_THERE]
            assert self.ledger.count(address) == len(confirmed)

    @invariant()
    def rejections_are_the_models(self) -> None:
        for address in STREAMS:
            expected = [(address, one) for _, one in sorted(self.rejected[address].items())]
            assert list(self.ledger.rejections(address)) == expected

    @invariant()
    def only_open_batches_are_open(self) -> None:
        assert [batch.id for batch in self.ledger.open_batches()] == sorted(self.open)

    @invariant()
    def the_serial_never_falls(self) -> None:
        serial = self.ledger.serial
        assert serial >= self.serial
        self.serial = serial


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
