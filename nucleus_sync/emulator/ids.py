"""Server-made ids: a prefix, the world's salt, and a row number, so that no index is needed to find the row."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SALT = 8
_NUMBER = 12


def new_salt() -> str:
    """Eight characters that make the ids of two worlds differ."""
    return "c" + "".join(secrets.choice(_DIGITS) for _ in range(_SALT - 1))


@dataclass(frozen=True)
class Ids:
    """Spells and reads ids such as `ds_c3k9x0a2000000000007`."""

    salt: str

    def spell(self, prefix: str, pk: int) -> str:
        """The id of row `pk`."""
        digits = ""
        while pk:
            pk, digit = divmod(pk, 36)
            digits = _DIGITS[digit] + digits
        return f"{prefix}_{self.salt}{digits.zfill(_NUMBER)}"

    def read(self, prefix: str, text: object) -> int:
        """The row number in an id, or 0, which no row has, when it is not an id of this world."""
        head = f"{prefix}_{self.salt}"
        if not isinstance(text, str) or not text.startswith(head) or len(text) != len(head) + _NUMBER:
            return 0
        number = text[len(head) :]
        if not all(digit in _DIGITS for digit in number):
            return 0
        return int(number, 36)
