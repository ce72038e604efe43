"""The API key reaches the server and nothing else: no output, no file, no log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus_sync.emulator.server import Emulator

from .project import Answer, Project
from .tiny import edit, truth, write_tiny

CANARY = "live_c4n4ry_s3cr3t_0123456789"
COMMANDS = [
    ("validate", "--sources"),
    ("plan", "--verbose"),
    ("plan", "--json"),
    ("plan", "--format", "markdown"),
    ("plan", "--out", "my.plan"),
    ("apply", "my.plan", "--verbose"),
    ("apply", "-y", "--json"),
    ("status", "--json"),
    ("errors",),
    ("doctor", "--verbose"),
    ("doctor", "--json"),
    ("schema",),
]


@pytest.fixture
def watched(project: Project) -> Project:
    """A project that uses the canary as its key."""
    write_tiny(project)
    project.environ["NUCLEUS_API_KEY"] = CANARY
    return project


def _traces(folder: Path) -> Iterator[Path]:
    """Files that hold the canary, as text or in the basic authentication that it travels in."""
    import base64

    told = [CANARY.encode(), base64.b64encode(f"{CANARY}:".encode()), base64.b64encode(CANARY.encode())]
    for path in folder.rglob("*"):
        if path.is_file() and any(one in path.read_bytes() for one in told):
            yield path


def _assert_silent(project: Project, answers: list[Answer]) -> None:
    import base64

    for answer in answers:
        assert CANARY not in answer.text
        assert base64.b64encode(f"{CANARY}:".encode()).decode() not in answer.text
    assert list(_traces(project.folder.parent)) == []
    assert CANARY not in repr(project.emulator.requests())


def test_through_every_command(watched: Project) -> None:
    answers = [watched(*words) for words in COMMANDS]
    assert len(watched.dataset()["annotations"]) == 6
    _assert_silent(watched, answers)


@pytest.mark.parametrize(
    "effect",
    [
        {"status": 401, "body": {"error": f"the key {CANARY} is not known"}},
        {"status": 500, "body": f"crashed with Authorization {CANARY}"},
        {"status": 400, "body": {"error": CANARY}},
        {"malformed": True},
        {"reset": "before"},
    ],
    ids=["401", "500", "400", "malformed", "reset"],
)
def test_a_server_that_shouts_the_key_is_not_echoed(watched: Project, effect: dict[str, object]) -> None:
    watched.emulator.inject([{"match": {"path": "dataset/create"}, "effect": effect}])
    answers = [
        watched("apply", "-y", "--verbose"),
        watched("status"),
        watched("errors"),
        watched("apply", "-y", "--json"),
    ]
    assert (answers[0].code == 0) is ("malformed" in effect)
    _assert_silent(watched, answers)


def test_a_crash_with_its_trace_does_not_show_it(watched: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from nucleus_sync import workspace
    from nucleus_sync.cli.main import main

    def crash(self: object, *_: object) -> None:
        raise RuntimeError(f"a bug that carries {CANARY}")

    monkeypatch.setattr(workspace.Workspace, "credentials", crash)
    for name, value in watched.environ.items():
        monkeypatch.setenv(name, value)
    import contextlib
    import io

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["-C", str(watched.folder), "apply", "-y", "--verbose"])
    assert code == 1
    assert "internal error: RuntimeError" in err.getvalue()
    assert CANARY not in out.getvalue() + err.getvalue()


def test_a_key_in_the_spec_is_refused_and_not_repeated(watched: Project) -> None:
    sections = watched.declared()
    sections["datasets"]["tiny"]["tags"] = [CANARY]
    watched.declare(**sections)
    answer = watched("plan")
    assert CANARY not in answer.text


def test_a_key_in_a_dotenv_file_works_and_stays_there(tmp_path: Path, emulator: Emulator) -> None:
    project = Project(tmp_path / "project", emulator)
    write_tiny(project)
    del project.environ["NUCLEUS_API_KEY"]
    dotenv = project.folder / ".env"
    dotenv.write_text(f"NUCLEUS_API_KEY={CANARY}\n", "utf-8")
    answers = [project(*words) for words in COMMANDS]
    assert len(project.dataset()["items"]) == 3
    dotenv.unlink()
    _assert_silent(project, answers)


def test_a_rejected_record_does_not_carry_it(watched: Project) -> None:
    rule = {"match": {"job": "uploadAnnotations"}, "effect": {"reject": {"first": 1, "error": f"denied for {CANARY}"}}}
    watched.emulator.inject([rule])
    answers = [watched("apply", "-y", "--verbose"), watched("errors"), watched("errors", "--json"), watched("plan")]
    assert answers[0].code == 3
    edit(truth(watched), lambda coco: coco["annotations"].pop())
    assert all(CANARY not in answer.text for answer in answers)
