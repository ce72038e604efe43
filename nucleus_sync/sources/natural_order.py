"""Names in the order in which people count: `frame9` comes before `frame10`."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"([0-9]+)")


def natural_order(name: str) -> bytes:
    """Sorts as the name does, with each run of digits taken as a number; different names are never equal."""
    pieces = _DIGITS.split(name)
    words = [
        _counted(piece) if number % 2 else piece.encode(errors="surrogatepass") for number, piece in enumerate(pieces)
    ]
    return b"".join(words) + b"\x00" + name.encode(errors="surrogatepass")


def _counted(digits: str) -> bytes:
    """Longer numbers behind shorter ones, both among the digits."""
    plain = digits.lstrip("0") or "0"
    length = len(plain)
    return b"0" + length.to_bytes(4) + plain.encode()
