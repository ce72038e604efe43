"""Commands whose help pages are rich's, which is imported when somebody asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich_click import RichCommand


class Command(click.Command):
    """A command like click's own, up to its help."""

    def get_help(self, ctx: click.Context) -> str:
        """The page for a terminal."""
        from rich_click import RichCommand

        return _page(RichCommand(name=self.name, params=self.params, help=self.help), ctx)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    def get_help(self, ctx: click.Context) -> str:
        """The page for a terminal, with a line for each command."""
        from rich_click import RichGroup

        class Ordered(RichGroup):
            def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
                return list(self.commands)

        commands = {name: found for name in self.list_commands(ctx) if (found := self.get_command(ctx, name))}
        return _page(Ordered(name=self.name, params=self.params, help=self.help, commands=commands), ctx)


def _page(twin: RichCommand, ctx: click.Context) -> str:
    from rich_click import RichContext

    names, width = ctx.help_option_names, ctx.max_content_width
    rich = RichContext(twin, ctx.parent, ctx.info_name, help_option_names=names, max_content_width=width)
    # rich knows whether colours are wanted; click would take them out wherever there is no terminal.
    ctx.color = True
    return twin.get_help(rich)
