"""Help and version wait for nothing that they don't need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"pydantic", "pydantic_settings", "httpx", "sqlite_utils", "watchdog", "yaml", "msgspec", "asyncio", "uvicorn"}


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        (["--version"], HEAVY | {"rich"}),
        (["--help"], HEAVY),
        (["plan", "--help"], HEAVY),
        (["schema"], {"httpx", "sqlite_utils", "watchdog", "rich", "asyncio"}),
    ],
)
def test_a_command_imports_only_what_it_needs(arguments: list[str], spared: set[str]) -> None:
    code = (
        "import sys\n"
        "from nucleus_sync.cli.main import main\n"
        f"assert main({arguments!r}) == 0\n"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert set(done.stderr.split()) & spared == set()
