"""Words, numbers and colours that every text for people shares."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Style(StrEnum):
    """What a colour means; the sign beside it always says the same without colour."""

    CREATE = "32"
    UPDATE = "33"
    DELETE = "31"
    BAD = "1;31"
    UNSURE = "35"
    DIM = "2"
    BOLD = "1"


SIGNS = {"create": "+", "update": "~", "delete": "-", "probe": "?", "ingest": "»", "evaluate": "="}


@dataclass(frozen=True, slots=True)
class Palette:
    """Paints text where colours are wanted, and hands it back unchanged where not."""

    on: bool = False

    def paint(self, style: Style, text: str) -> str:
        """The text in a style."""
        return f"\x1b[{style.value}m{text}\x1b[0m" if self.on and text else text


PLAIN = Palette()


def visible(text: str) -> str:
    """Text from outside made safe for a terminal.

    Control characters, line breaks, direction marks and bytes that are no UTF-8 (surrogate escapes) are written as
    escapes, so that a file name can neither move the cursor nor hide what stands before it.
    """
    return text if text.isprintable() else "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _BIDI:
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return character


def visible_lines(text: str) -> list[str]:
    """Text of several lines, each made safe; its own line breaks stay."""
    return [visible(line.expandtabs(4)) for line in text.split("\n")]


def count(number: int, thing: str, things: str | None = None) -> str:
    """A number with its thing: `1 record`, `2,000 records`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def size(count_of_bytes: float) -> str:
    """Bytes for people: `12 B`, `3.4 MB`."""
    amount = float(count_of_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def columns(rows: Iterable[Sequence[str]], right: frozenset[int] = frozenset(), indent: str = "  ") -> list[str]:
    """Rows as aligned lines; `right` numbers the columns that are right-aligned. Cells hold no colours yet."""
    table = [tuple(row) for row in rows]
    if not table:
        return []
    widths = [max(map(width, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = [_padded(cell, widths[at], at in right) for at, cell in enumerate(row)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def _padded(cell: str, wanted: int, to_the_right: bool) -> str:
    blanks = " " * (wanted - width(cell))
    return blanks + cell if to_the_right else cell + blanks


def width(text: str) -> int:
    """How many columns a terminal gives the text; East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def rows_of(head: Sequence[str], body: Iterable[Sequence[object]]) -> list[tuple[str, ...]]:
    """A head and a body as rows of text, every cell made safe."""
    return [tuple(head), *(tuple(visible(str(cell)) for cell in row) for row in body)]
