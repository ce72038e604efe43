"""Random stories end well; a failure is shrunk to the steps that matter."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from crash.conftest import _own_environment  # noqa: F401  (a fixture)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.story import APPLIES, EDITS, Step, Story

_named = st.one_of(
    st.sampled_from([step.__name__ for step in EDITS]), st.sampled_from([step.__name__ for step in APPLIES])
)
_steps = st.lists(st.tuples(_named, st.integers(0, 500)), max_size=20)


@settings(
    max_examples=int(os.environ.get("NUCLEUS_SYNC_EXAMPLES", "6")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(steps=_steps)
def test_any_story_ends_well(steps: list[Step]) -> None:
    told(steps)


KNOWN: list[list[Step]] = [
    [("apply_clean", 0), ("put_box", 3), ("apply_with_bad_jobs", 0), ("apply_clean", 0)],
    [("apply_clean", 0), ("add_item", 1), ("die", 20), ("somebody_else", 1), ("apply_clean", 0)],
    [("apply_clean", 0), ("remove_item", 0), ("add_item", 1), ("add_picture", 2), ("die", 30), ("remove_box", 0)],
    [("die", 72), ("pick_members", 2), ("apply_under_faults", 177), ("pick_members", 1), ("apply_clean", 0)],
]


@pytest.mark.parametrize("steps", KNOWN)
def test_stories_that_once_ended_badly(steps: list[Step]) -> None:
    told(steps)


def told(steps: list[Step]) -> None:
    """One story from its beginning to its end."""
    with tempfile.TemporaryDirectory() as folder, Story(Path(folder)) as story:
        story.tell(steps)
        story.end()
