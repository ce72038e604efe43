"""What a refresh found, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nucleus_sync.render.text import PLAIN, Palette, Style, count, visible

_SHOWN = 5
_SIGNS = {"changed": ("~", Style.UPDATE), "deleted": ("-", Style.DELETE), "added": ("+", Style.CREATE)}
_WORDS = ("changed", "deleted", "added")


def drift_text(values: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """`values` is the document of `refresh --json`."""
    lines: list[str] = []
    for one in values["resources"]:
        sign, style = _SIGNS[one["what"]]
        lines.append(f"{palette.paint(style, sign)} {visible(one['address'])}: {visible(one['detail'])}")
    for stream in values["streams"]:
        lines += _stream(stream, values["records"], palette)
    lines += [palette.paint(Style.DIM, f"? {visible(one['address'])}: {one['text']}") for one in values["remarks"]]
    return "\n".join([*lines, _closing(values, palette)]) + "\n"


def _stream(stream: Mapping[str, Any], records: list[Mapping[str, Any]], palette: Palette) -> Iterator[str]:
    figures = [f"verified {stream['verified']:,}"]
    figures += [f"{stream[word]:,} {word}" for word in _WORDS if stream[word]]
    figures += [f"{stream['settled']:,} no longer in doubt"] if stream["settled"] else []
    figures += [palette.paint(Style.UNSURE, f"{stream['unverified']:,} not verified")] if stream["unverified"] else []
    address = stream["address"]
    yield f"{palette.paint(Style.BOLD, visible(address))}  {', '.join(figures)}"
    yield from (palette.paint(Style.DIM, f"    {remark}") for remark in stream["remarks"])
    own = [one for one in records if one["address"] == address]
    for one in own[:_SHOWN]:
        sign, style = _SIGNS[one["what"]]
        key = visible(", ".join(one["key"].values()))
        fields = f": {' and '.join(one['fields'])} changed" if one["fields"] else f"  {one['what']}"
        yield f"  {palette.paint(style, sign)} {key}{fields}"
    more = sum(stream[word] for word in _WORDS) - len(own[:_SHOWN])
    if more > 0:
        yield f"    … and {more:,} more: nucleus-sync refresh --records FILE"


def _closing(values: Mapping[str, Any], palette: Palette) -> str:
    looked = f"A sample of {count(values['sample'], 'item')}" if values["sample"] else "Everything that was read"
    if not values["streams"] and not values["resources"] and not values["unchanged"]:
        return "The ledger has nothing that could be compared."
    if not values["drift"]:
        return palette.paint(Style.CREATE, f"{looked} is as the ledger has it.")
    said = f"{count(values['drift'], 'difference')} that no apply of this ledger has made"
    if values["written"]:
        return palette.paint(Style.BOLD, f"{said}; written down: the next plan shows what to do about them.")
    return palette.paint(Style.BOLD, f"{said}; --write lets the next plan repair them.")


def adopted_text(values: Mapping[str, Any]) -> str:
    """`values` is the document of `import --json`."""
    lines = [f"{visible(values['address'])} is {visible(values['nucleus_id'])}."]
    for stream in values["streams"]:
        known = stream["verified"] + stream["added"] + stream["changed"] + stream["settled"]
        lines.append(f"  {visible(stream['address'])}  {count(known, 'record')} known")
        lines += [f"    {remark}" for remark in stream["remarks"]]
    lines += [f"  ? {visible(one['address'])}: {one['text']}" for one in values["remarks"]]
    return "\n".join(lines) + "\n"
