"""Breaks bytes in the ways that files break, and in some that only an enemy would think of."""

from __future__ import annotations

import random
import re

TOKENS = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"null",
    b"NaN",
    b"Infinity",
    b"-0",
    b"1e999",
    b"1e-999",
    b"9" * 40,
    b"-1",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"[" * 3000,
    b'{"a":' * 2000,
    b"\n",
    b"\r\n",
    b",",
    b":",
    b'"',
    b"'",
    b'<!ENTITY a "aa">',
    b"<!DOCTYPE a>",
    b"&a;",
    b"*a",
    b"&a [*a, *a]",
    b"!!python/object:os.system",
    b"${HOME}",
    b"../../../../etc/passwd",
    b"/dev/zero",
    b"A" * 70_000,
    "\u202e\u0000é𝔘".encode(),
    b"\x1b[2J",
]
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def mutated(content: bytes, chance: random.Random) -> bytes:
    """One to four changes."""
    for _ in range(chance.randint(1, 4)):
        content = chance.choice(_WAYS)(content, chance)
    return content


def _flip(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _drop(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at + chance.randint(1, 30) :]


def _insert(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.choice(TOKENS) + content[at:]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    piece = content[at : at + chance.randint(1, 200)]
    return content[:at] + piece * chance.choice([2, 3, 50]) + content[at:]


def _number(content: bytes, chance: random.Random) -> bytes:
    found = list(_NUMBER.finditer(content))
    if not found:
        return content
    match = chance.choice(found)
    return content[: match.start()] + chance.choice(TOKENS) + content[match.end() :]


def _swap(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    chance.shuffle(lines)
    return b"\n".join(lines)


_WAYS = (_flip, _cut, _drop, _insert, _repeat, _number, _swap)
