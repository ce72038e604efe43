"""Keeps a process from growing by what the C library holds back."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_ARENA_MAX = -8
_ARENAS = 1


def hold_little() -> None:
    """Threads come and go, each with large things in its hands, and glibc keeps a heap for each unless told not to."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Collect cycles, and return free memory to the system where the C library can."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
