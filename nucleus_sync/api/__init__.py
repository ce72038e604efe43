"""Nucleus over HTTP: calls, repetitions, jobs."""

import sys

# httpx would import its own command line, and with it rich and pygments: 60 ms and 5 MB that nothing here needs.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
