"""Text from outside can't harm a terminal, and numbers read well."""

from __future__ import annotations

import pytest

from nucleus_sync.render.text import Palette, Style, columns, count, duration, size, visible


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain.jpg", "plain.jpg"),
        ("Straße 東京.jpg", "Straße 東京.jpg"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("caf\udce9.jpg", "caf\\xe9.jpg"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("nul\x00", "nul\\x00"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_what_could_move_the_cursor_is_escaped(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_colour_is_painted_only_where_it_is_wanted() -> None:
    assert Palette(on=False).paint(Style.DELETE, "x") == "x"
    assert Palette(on=True).paint(Style.DELETE, "x") == "\x1b[31mx\x1b[0m"


def test_wide_characters_keep_columns_aligned() -> None:
    first, second = columns([("東京", "1"), ("oslo", "20")], right=frozenset({1}))
    assert first == "  東京   1"
    assert second == "  oslo  20"


def test_numbers_for_people() -> None:
    assert count(1, "record") == "1 record"
    assert count(2000, "record") == "2,000 records"
    assert size(999) == "999 B"
    assert size(1_234_567) == "1.2 MB"
    assert duration(0.42) == "0.4 s"
    assert duration(185) == "3 min 05 s"
    assert duration(7810) == "2 h 10 min"
