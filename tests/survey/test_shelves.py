"""What lies on shelves is drawn again span by span: each row once, in order, an item's rows together."""

from __future__ import annotations

import tempfile
from itertools import chain
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nucleus_sync.records.key import annotation_key, item_key, item_of
from nucleus_sync.spool import Row
from nucleus_sync.survey.shelves import Shelf, Shelves, spans

ITEMS = st.text("ab", min_size=1, max_size=3)
KEYS = st.builds(item_key, ITEMS) | st.builds(annotation_key, ITEMS, st.sampled_from(["0", "1", "10", "2"]))
LAYERS = st.lists(st.lists(KEYS, min_size=1, max_size=40).map(sorted), max_size=6)


@given(LAYERS, st.integers(1, 5), st.integers(1, 200))
def test_spans_hold_every_row_once(layers: list[list[bytes]], part: int, rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        laid = []
        for number, keys in enumerate(layers):
            shelf = Shelf(folder, number % 2)
            whole: list[Row] = [(key, number, place) for place, key in enumerate(keys)]
            laid.append(shelf.lay(whole[start : start + part] for start in range(0, len(whole), part)))
            shelf.close()
        shelves = Shelves(folder)
        drawn = []
        for low, high in spans(laid, rows):
            pieces = [piece for layer in laid if (piece := layer.piece(low, high))]
            drawn.append(shelves.drawn(pieces, low, high))
        assert list(chain.from_iterable(drawn)) == sorted(
            (key, number, place) for number, keys in enumerate(layers) for place, key in enumerate(keys)
        )
        of_spans = [{item_of(row[0]) for row in span} for span in drawn]
        assert sum(map(len, of_spans)) == len(set().union(*of_spans))
        shelves.clear()
        assert not list(folder.iterdir())
