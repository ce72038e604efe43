"""Imports run one way, and what is foreign comes in through one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nucleus_sync"

# What each part of the house may know, beside itself and `__version__`.
MAY_IMPORT = {
    "errors": set(),
    "memory": set(),
    "spool": {"errors"},
    "records": {"errors"},
    "spec": {"errors"},
    "events": {"records"},
    "plan": {"errors", "records"},
    "sources": {"errors", "records", "spec", "spool"},
    # sources only for the interface of the cache of file facts, which the ledger provides
    "ledger": {"errors", "records", "sources"},
    "api": {"errors", "records"},
    "survey": {"errors", "records", "spec", "sources", "spool", "ledger", "plan", "events"},
    "refresh": {"errors", "records", "spec", "spool", "ledger", "plan", "survey", "api"},
    "apply": {"errors", "records", "spec", "sources", "spool", "ledger", "plan", "events", "survey", "api", "refresh"},
    "workspace": {
        "errors", "records", "spec", "sources", "spool", "ledger", "plan", "events", "survey", "api", "apply",
        "memory", "emulator",
    },
    "upkeep": {"errors", "events", "ledger", "survey", "api", "refresh", "apply", "workspace"},
    "watch": {"errors", "memory", "records", "spec", "sources", "plan", "ledger", "events", "survey", "workspace"},
    "render": {"errors", "events", "plan", "records"},
    "cli": {
        "errors", "records", "spec", "ledger", "plan", "events", "api", "workspace", "upkeep", "refresh", "watch",
        "render", "emulator",
    },
    "emulator": set(),
    "__main__": {"cli"},
    "__init__": set(),
}  # fmt: skip

# Where a library may be imported: a part of the house, or a single file.
DOORS = {
    "httpx": {"api/http.py"},
    "pydantic": {"spec"},
    "pydantic_settings": {"spec"},
    "click": {"cli"},
    "rich_click": {"cli"},
    "rich": {"cli", "render/progress.py"},
    "watchdog": {"watch/observe.py"},
    "prometheus_client": {"watch/metrics.py"},
    "sqlite_utils": {"ledger"},
    "starlette": {"emulator"},
    "uvicorn": {"emulator"},
    "pycocotools": {"emulator", "sources/paint.py"},
    "obstore": {"apply/staging.py"},
    "nucleus": set(),
}

FILES = sorted(PACKAGE.rglob("*.py"))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module of a file, in full, with its line; late imports and those for types count too."""
    package = ("nucleus_sync", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            # `from nucleus_sync import errors` names a part of the house only with its second word.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def part_of(path: Path) -> str:
    """Which part of the house a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_part_imports_only_what_is_below_it(path: Path) -> None:
    part = part_of(path)
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line}: {part} must not import {module}"
        for line, module in imports_of(path)
        if module.startswith("nucleus_sync.")
        and (other := module.split(".")[1]) not in (part, "__version__")
        and other not in MAY_IMPORT[part]
    ]
    assert wrong == []


@pytest.mark.parametrize("library", sorted(DOORS))
def test_a_library_comes_in_through_its_door(library: str) -> None:
    wrong = []
    for path in FILES:
        place = path.relative_to(PACKAGE).as_posix()
        inside = place in DOORS[library] or part_of(path) in DOORS[library]
        if not inside and any(module.split(".")[0] == library for _, module in imports_of(path)):
            wrong.append(place)
    assert wrong == []


def module_of(path: Path) -> str:
    """A file's name as imports write it."""
    return ".".join(("nucleus_sync", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def test_no_import_leads_back_to_where_it_began() -> None:
    modules = {module_of(path): path for path in FILES if path.name != "__init__.py"}
    sorter = TopologicalSorter[str]()
    for name, path in modules.items():
        # A name is a module, or something in one.
        near = {word for _, found in imports_of(path) for word in (found, found.rpartition(".")[0])}
        sorter.add(name, *(near & modules.keys() - {name}))
    sorter.prepare()  # CycleError names the circle


def test_only_the_command_line_prints() -> None:
    wrong = []
    for path in FILES:
        if part_of(path) == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            printing = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            stream = isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr")
            if printing or (stream and isinstance(node.value, ast.Name) and node.value.id == "sys"):
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert wrong == []


def test_no_module_is_named_for_a_role() -> None:
    refused = {"utils", "helpers", "core", "common", "manager", "handler", "processor", "base", "misc", "data", "info"}
    assert [path.name for path in FILES if path.stem in refused] == []


def test_every_module_says_its_purpose() -> None:
    texts = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in FILES}
    silent = [name for name, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))]
    assert silent == []
