"""`schema`: the JSON Schema of the spec, for editors."""

from __future__ import annotations

import click

from nucleus_sync.cli.call import Call, output_flags
from nucleus_sync.cli.command import Command


@click.command("schema", cls=Command)
@output_flags
def command() -> None:
    """Print the JSON Schema of nucleus.yaml, for editors."""
    from nucleus_sync.render import json
    from nucleus_sync.spec.schema import json_schema

    Call.current().screen.answer(json.document(json_schema()))
