"""What a destroy will delete, and what it has deleted, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nucleus_sync.render.text import PLAIN, Palette, Style, count, visible


def destruction_text(values: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """`values` is the document of `destroy --json`, before anything is done."""
    if not values["destroyed"]:
        return "".join([*_kept(values), "There is nothing to destroy.\n"])
    lines = [palette.paint(Style.BOLD, "To be deleted at Nucleus, for good:") + "\n"]
    for one in values["destroyed"]:
        sign = palette.paint(Style.DELETE, "-")
        taken = ", ".join(f"{count(number, 'record')} of {visible(name)}" for name, number in one["records"].items())
        named = f"{visible(one['address'])}  {visible(one['nucleus_id'] or '')}".rstrip()
        lines.append(f"  {sign} {named}" + (f"  with {taken}" if taken else "") + "\n")
    return "".join([*lines, *_kept(values)])


def _kept(values: Mapping[str, Any]) -> list[str]:
    return [f"  . {visible(address)}  is left alone: it was imported\n" for address in values["kept"]]


def destroyed_text(values: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """The closing line."""
    if not values["destroyed"]:
        return ""
    records = sum(sum(one["records"].values()) for one in values["destroyed"])
    done = f"Destroyed {count(len(values['destroyed']), 'resource')} with {count(records, 'record')}."
    return palette.paint(Style.BOLD, done) + "\n"
