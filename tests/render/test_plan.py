"""A plan as text: risk first, waits visible, the summary last."""

from __future__ import annotations

import textwrap

from msgspec.structs import replace

from nucleus_sync.plan.steps import Action, Holds, RecordCounts, Step
from nucleus_sync.render.plan import plan_text
from nucleus_sync.render.text import Palette

from . import plans


def expected(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def test_a_first_plan_shows_the_workflow_in_order() -> None:
    assert plan_text(plans.first()) == expected(
        """
        dataset.street
          +  dataset
          +  items        120  new
          +  annotations  391  new

        model.cnn
          +  model
          +  predictions.street  98  new

        evaluation.nightly
          *  evaluation    never evaluated

        Order
          1.  create    dataset.street
          2.  create    model.cnn
          3.  probe     dataset.street.items             1 record  after 1
          4.  ingest    dataset.street.items          120 records  after 3
              wait until the jobs of 4 have finished
          5.  ingest    dataset.street.annotations    391 records  after 4
          6.  ingest    model.cnn.predictions.street   98 records  after 2, 4
              wait until the jobs of 5, 6 have finished
          7.  evaluate  evaluation.nightly                         after 5, 6

        Plan: 611 to create, 0 to update, 0 to delete, 0 unchanged.
        """
    )


def test_deletions_come_first_and_reasons_stand_beside_their_counts() -> None:
    text = plan_text(plans.edits())
    assert text.startswith(
        expected(
            """
            dataset.street
              -  annotations     12  source gone
              ~  annotations    318  290 geometry changed · 28 label changed
              ~  dataset             tags
              +  annotations  1,204  new
              =  annotations     40  unchanged, sent again: Nucleus clears the annotations of a whole item
            """
        )
    )
    assert "7  rest: Nucleus refused them, and they have not changed since" in text
    assert "3  stay at Nucleus: no source yields them any more and prune is off" in text
    last = (
        "Plan: 1,204 to create, 319 to update, 12 to delete, 6,200 unchanged. (7 rejected records rest; 3 orphaned)\n"
    )
    assert text.endswith(last)


def test_nothing_to_do_is_one_line() -> None:
    assert plan_text(plans.empty()) == "Nothing to do: 132 unchanged.\n"
    assert plan_text(plans.empty(resting={"dataset.street.items": 7})).endswith(
        "Nothing to do: 132 unchanged. (7 rejected records rest)\n"
    )


def test_invalid_records_come_before_everything_by_cause_with_three_examples() -> None:
    assert plan_text(plans.invalid()) == expected(
        """
        ! model.cnn.predictions.street  can't be read: nothing of it is sent
            exports/cnn.json: cut off at line 9

        ! dataset.street.annotations  10 invalid records: nothing of this stream is sent
          !     10  a box of zero or negative size
                      exports/a.json: annotations[1]: annotation 1: width is -1
                      exports/a.json: annotations[2]: annotation 2: width is -2
                      exports/a.json: annotations[3]: annotation 3: width is -3
                      … and 7 more
                      → on_invalid: skip leaves them out
          ·      1  an image without annotations
          ·      2  identical records, of which one is kept

        Nothing to do: 132 unchanged. (10 invalid records; 2 streams can't be applied)
        """
    )


def test_colour_adds_nothing_but_colour() -> None:
    import re

    painted = plan_text(plans.edits(), Palette(on=True))
    assert "\x1b[31m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plan_text(plans.edits())


def test_a_name_from_outside_can_not_reach_the_terminal_raw() -> None:
    step = Step(Action.INGEST, "dataset.a\x1b[2J.items", Holds.ITEMS, (), RecordCounts(create=1), {"new\x07": 1})
    assert "\x1b" not in plan_text(replace(plans.first(), steps=(step,)))
    assert "\x07" not in plan_text(replace(plans.first(), steps=(step,)))
