"""Where output goes: the answer to stdout, everything else to stderr, in colour only where that is wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from nucleus_sync.render.text import Palette

_CI = (
    "CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "TF_BUILD", "JENKINS_URL", "BITBUCKET_COMMIT",
    "CODEBUILD_BUILD_ARN", "DRONE", "TEAMCITY_VERSION", "TRAVIS", "APPVEYOR", "CF_BUILD_URL",
)  # fmt: skip


def in_ci(environ: Mapping[str, str]) -> bool:
    """Whether a CI service runs this, so that nobody can answer a question."""
    return any(environ.get(name, "").lower() not in ("", "0", "false") for name in _CI)


def is_a_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream; a closed one has nobody."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def wants_color(stream: TextIO, environ: Mapping[str, str], *, no_color: bool) -> bool:
    """--no-color, then FORCE_COLOR, then NO_COLOR, then TERM=dumb, then whether that stream is a terminal."""
    if no_color:
        return False
    if environ.get("FORCE_COLOR", "") not in ("", "0"):
        return True
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return is_a_terminal(stream)


@dataclass(frozen=True, slots=True)
class Screen:
    """Both output streams with what the global flags say of them."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    def answer(self, text: str) -> None:
        """What the user asked for, to stdout."""
        _write(sys.stdout, text)

    def say(self, text: str) -> None:
        """What goes on, to stderr, unless --quiet."""
        if not self.quiet:
            self.warn(text)

    def detail(self, text: str) -> None:
        """What only --verbose shows, to stderr."""
        if self.verbose and not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """What must be seen, to stderr."""
        _write(sys.stderr, text if text.endswith("\n") else text + "\n")

    @property
    def colors(self) -> Palette:
        """For text on stdout."""
        return Palette(wants_color(sys.stdout, os.environ, no_color=self.no_color))

    @property
    def aside_colors(self) -> Palette:
        """For text on stderr."""
        return Palette(wants_color(sys.stderr, os.environ, no_color=self.no_color))

    @property
    def can_ask(self) -> bool:
        """Whether somebody can read a question and answer it."""
        people = is_a_terminal(sys.stdin) and is_a_terminal(sys.stdout) and is_a_terminal(sys.stderr)
        return people and os.environ.get("TERM") != "dumb" and not in_ci(os.environ)

    @property
    def is_live(self) -> bool:
        """Whether moving bars make sense on stderr."""
        calm = self.quiet or self.json or os.environ.get("TERM") == "dumb" or in_ci(os.environ)
        return not calm and is_a_terminal(sys.stderr)


def _write(stream: TextIO, text: str) -> None:
    """Write at once. A reader who went away (`… | head`) silences the stream; the work and its exit code go on."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def never_fail_on_a_character() -> None:
    """A console that can't show a character gets an escape for it instead of an exception."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
