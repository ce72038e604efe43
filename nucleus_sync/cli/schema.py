"""`schema`: the JSON Schema of the spec, for editors."""

from __future__ import annotations

import rich_click as click

from nucleus_sync.cli.call import Call, output_flags


@click.command("schema")
@output_flags
def command() -> None:
    """Print the JSON Schema of nucleus.yaml, for editors."""
    from nucleus_sync.render import json
    from nucleus_sync.spec.schema import json_schema

    Call.current().screen.answer(json.document(json_schema()))
