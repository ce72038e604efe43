"""Calls that make no sense, help, and errors: what, where, the way out, never a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_sync.cli.main import COMMANDS, EXIT_CODES
from nucleus_sync.errors import Exit

from .typed import Typed, process


def test_help_lists_every_command_and_every_exit_code(typed: Typed) -> None:
    answer = typed("--help")
    assert answer.code == 0
    for name in COMMANDS:
        assert f" {name} " in answer.out
    for code, meaning in EXIT_CODES.items():
        assert f"{int(code)}  {meaning}" in answer.out


def test_every_exit_code_is_documented() -> None:
    assert set(EXIT_CODES) == set(Exit)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(typed: Typed, name: str) -> None:
    answer = typed(name, "--help")
    assert answer.code == 0
    assert f"nucleus-sync {name}" in answer.out


def test_the_version_is_one_line(typed: Typed) -> None:
    from nucleus_sync import __version__

    assert typed("--version").out == f"nucleus-sync {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plann"], "no command 'plann'; did you mean plan?"),
        (["plan", "--bogus"], "--bogus"),
        (["plan", "--format", "xml"], "xml"),
        (["plan", "--format", "markdown", "--json"], "exclude each other"),
        (["apply", "p.json", "--target", "dataset.a"], "a saved plan takes no --target"),
        (["apply", "p.json"], "the plan can't be read"),
        (["show"], "PLAN"),
        (["emulator", "--port", "99999"], "99999"),
        (["emulator", "--faults", "nowhere.yaml"], "there is no such file"),
        (["demo", "--json"], "demo is for people"),
    ],
)
def test_usage_errors_exit_64_and_say_what_is_wrong(typed: Typed, arguments: list[str], said: str) -> None:
    answer = typed(*arguments)
    assert answer.code == 64
    assert said in answer.err
    assert "→" in answer.err


def test_a_call_without_a_command_shows_the_help_and_is_a_usage_error(typed: Typed) -> None:
    from nucleus_sync.cli.main import main

    assert main([]) == 64
    assert typed().code == 64


def test_under_json_a_fatal_error_ends_with_a_document(typed: Typed) -> None:
    for arguments in (["--json", "plann"], ["plan", "--json", "--bogus"], ["validate", "--json"]):
        answer = typed(*arguments)
        last = answer.lines()[-1]
        assert last["exit_code"] == answer.code
        assert last["error"]


def test_a_missing_spec_says_where_and_what_to_do(typed: Typed) -> None:
    for command in ("validate", "status", "errors"):
        answer = typed(command)
        assert answer.code == 6
        assert "nucleus.yaml" in answer.err
        assert answer.out == ""


def test_an_internal_error_is_one_line_unless_verbose(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nucleus_sync.cli.call.Call.current", burst)
    answer = typed("schema")
    assert answer.code == 1
    assert answer.err.startswith("error: internal error: RuntimeError: a bug\n")
    from nucleus_sync.cli.main import main

    assert main(["schema", "--verbose"]) == 1


def test_ctrl_c_is_130(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nucleus_sync.cli.call.Call.current", stop)
    answer = typed("schema")
    assert answer.code == 130
    assert "interrupted" in answer.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_global_flags_stand_before_or_after_the_command(quickstart: Typed, place: str) -> None:
    flags = ["--json", "-f", "nucleus.yaml"]
    answer = quickstart(*flags, "validate") if place == "before" else quickstart("validate", *flags)
    assert answer.json()["valid"] is True


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m nucleus_sync schema; echo code $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({command}) | head -n 1"], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=100
    )
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_as_a_process_it_keeps_stdout_for_the_answer(tmp_path: Path) -> None:
    answer = process("validate", cwd=tmp_path)
    assert (answer.code, answer.out) == (6, "")
    assert process("--version", cwd=tmp_path).code == 0
