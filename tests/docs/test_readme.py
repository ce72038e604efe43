"""The README's generated parts are what the program says; NUCLEUS_SYNC_WRITE_DOCS=1 (`make docs`) writes them anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nucleus_sync.cli.main import COMMANDS, EXIT_CODES
from nucleus_sync.cli.quickstart import SPEC, write_quickstart

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
WRITES = bool(os.environ.get("NUCLEUS_SYNC_WRITE_DOCS"))


def said(cwd: Path, *arguments: str) -> str:
    """What the program prints, in a terminal of 100 columns without colours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NUCLEUS", "FORCE_COLOR"))}
    done = subprocess.run(
        [sys.executable, "-m", "nucleus_sync", *arguments],
        cwd=cwd,
        env=env | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def fenced(text: str, language: str = "") -> str:
    return f"```{language}\n{text.strip()}\n```"


def plan_part(folder: Path) -> str:
    write_quickstart(folder)
    return fenced("$ nucleus-sync --embedded plan\n" + said(folder, "--embedded", "plan"))


def spec_part(_: Path) -> str:
    return fenced(SPEC.split("\n", 1)[1], "yaml")


def help_part(folder: Path) -> str:
    text = said(folder, "--help").split(" Exit codes:")[0]
    parts = [fenced(text)]
    for name in COMMANDS:
        inside = fenced(said(folder, name, "--help"))
        parts.append(f"<details><summary><code>nucleus-sync {name}</code></summary>\n\n{inside}\n\n</details>")
    return "\n\n".join(parts)


def codes_part(_: Path) -> str:
    rows = [f"| {int(code)} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(["| code | means |", "|--:|---|", *rows])


PARTS = {"plan": plan_part, "spec": spec_part, "help": help_part, "codes": codes_part}


@pytest.mark.parametrize("name", PARTS)
def test_a_generated_part_is_what_the_program_says(name: str, tmp_path: Path) -> None:
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = README.read_text(encoding="utf-8")
    wanted = f"{begin}\n{PARTS[name](tmp_path)}\n{end}"
    found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
    assert found, f"README.md has no part {name}"
    if WRITES:
        README.write_text(text.replace(found[0], wanted), encoding="utf-8")
    else:
        assert found[0] == wanted, "the program has changed: run `make docs`"


def test_the_map_of_the_house_names_every_part() -> None:
    block = README.read_text(encoding="utf-8").split("nucleus_sync/\n", 1)[1].split("tests/", 1)[0]
    named = {line.split()[0].rstrip("/") for line in block.splitlines() if line.strip()}
    package = ROOT / "nucleus_sync"
    parts = {path.name for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert named == parts - {"__init__.py", "__main__.py", "__pycache__"}


def test_what_the_readme_links_to_is_there() -> None:
    for page in (README, ROOT / "docs" / "cli.md", ROOT / "examples" / "gitops" / "README.md"):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tests_that_the_promises_name_are_there() -> None:
    table = README.read_text(encoding="utf-8").split("## What holds")[1].split("## ")[0]
    for named in re.findall(r"`(tests/[^`]+)`", table):
        assert (ROOT / named).exists(), named
