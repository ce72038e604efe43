"""Colours, bars and questions: only where somebody sees them."""

from __future__ import annotations

import io

import pytest

from nucleus_sync.cli.screen import in_ci, wants_color


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "no_color", "terminal", "colored"),
    [
        ({}, False, True, True),
        ({}, False, False, False),
        ({"NO_COLOR": "1"}, False, True, False),
        ({"NO_COLOR": ""}, False, True, True),
        ({"TERM": "dumb"}, False, True, False),
        ({"FORCE_COLOR": "1"}, False, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False, True),
        ({"FORCE_COLOR": "1"}, True, True, False),
    ],
)
def test_the_rules_of_colour(environ: dict[str, str], no_color: bool, terminal: bool, colored: bool) -> None:
    stream = Terminal() if terminal else io.StringIO()
    assert wants_color(stream, environ, no_color=no_color) is colored


@pytest.mark.parametrize(
    ("environ", "ci"),
    [({}, False), ({"CI": "true"}, True), ({"CI": "false"}, False), ({"GITHUB_ACTIONS": "true"}, True)],
)
def test_a_ci_service_is_recognised(environ: dict[str, str], ci: bool) -> None:
    assert in_ci(environ) is ci
