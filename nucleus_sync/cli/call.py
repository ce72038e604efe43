"""The flags that every command takes, before or after its name, and what they mean for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click import get_current_context

from nucleus_sync.cli.screen import Screen

if TYPE_CHECKING:
    from nucleus_sync.events import Event
    from nucleus_sync.workspace import Workspace

_META = "nucleus_sync."
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    # The context's meta is one dict for the group and the command: whichever was told has its way.
    if value:
        context.meta[f"{_META}{parameter.name}"] = value
    return value


def _flag(*names: str, help_text: str, **kind: Any) -> Callable[[_Command], _Command]:
    return click.option(*names, help=help_text, callback=_remember, expose_value=False, **kind)


_FOLDER = _flag("-C", "folder", metavar="DIR", help_text="Act as if started in DIR.")
_FILE = _flag("-f", "--file", "file", metavar="FILE", help_text="The spec; default: nucleus.yaml.")
_EMBEDDED = _flag("--embedded", is_flag=True, help_text="Use an emulator inside the process instead of Nucleus.")
_OUTPUT = (
    _flag("--json", "json", is_flag=True, help_text="JSON on stdout: one document, or events as JSON Lines."),
    _flag("-q", "--quiet", "quiet", is_flag=True, help_text="Only the answer, warnings and errors."),
    _flag("-v", "--verbose", "verbose", is_flag=True, help_text="Every job, and a trace for internal errors."),
    _flag("--no-color", "no_color", is_flag=True, help_text="No colours (NO_COLOR does the same)."),
)
_Option = Callable[[_Command], _Command]


def _all_of(*options: _Option[Any]) -> _Option[_Command]:
    def add(function: _Command) -> _Command:
        for option in reversed(options):
            function = option(function)
        return function

    return add


global_flags = _all_of(_FOLDER, _FILE, _EMBEDDED, *_OUTPUT)
"""For the group, and for commands that ask the ledger or Nucleus."""
spec_flags = _all_of(_FOLDER, _FILE, *_OUTPUT)
"""For commands that only read or write the spec and its sources."""
place_flags = _all_of(_FOLDER, *_OUTPUT)
"""For commands that open a file or folder of their own."""
output_flags = _all_of(*_OUTPUT)
"""For commands that open nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the global flags of this call say."""

    folder: Path
    file: str
    embedded: bool
    screen: Screen

    @classmethod
    def current(cls) -> Call:
        """The call that is being answered."""
        meta = get_current_context().meta
        said = {name: meta.get(f"{_META}{name}") for name in ("json", "quiet", "verbose", "no_color")}
        return cls(
            folder=Path(meta.get(f"{_META}folder") or "."),
            file=meta.get(f"{_META}file") or "nucleus.yaml",
            embedded=bool(meta.get(f"{_META}embedded")),
            screen=Screen(**{name: bool(value) for name, value in said.items()}),
        )

    @property
    def spec_path(self) -> Path:
        """The spec, as the user would name it."""
        return self.path(self.file)

    def path(self, named: str | Path) -> Path:
        """A path of the command line: relative ones start at -C."""
        return self.folder / named

    def note(self, event: Event) -> None:
        """Show something that happens on stderr, one line each."""
        from nucleus_sync.cli.progress import StatusLines

        StatusLines(self.screen).show(event)

    def workspace(self) -> Workspace:
        """The spec with its ledger and API client; a context manager."""
        from nucleus_sync.workspace import Workspace

        return Workspace(self.spec_path, environ=os.environ, embedded=self.embedded)
