"""Keeps a process that lives for months from growing by what the C library holds back."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_ARENA_MAX = -8
_ARENAS = 2


def hold_little() -> None:
    """Every round brings threads of its own, and glibc keeps a heap for each unless it is told not to."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Collect cycles, and return free memory to the system where the C library can."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
