"""What a watcher tells, as single lines of text."""

from __future__ import annotations

import time
from typing import Any

from nucleus_sync.render.text import PLAIN, Palette, Style, count, duration, visible, visible_lines

_STYLES = {
    "good": Style.CREATE,
    "partial": Style.UPDATE,
    "waiting": Style.UPDATE,
    "held": Style.BAD,
    "failed": Style.BAD,
}


def happening_text(name: str, values: dict[str, Any], at: float, palette: Palette = PLAIN) -> str:
    """An event of a watcher by its name in JSON, as text without a closing newline; empty where it isn't worth one."""
    match name:
        case "watching":
            return _watching(values)
        case "round_finished":
            return f"{_clock(at)} {_round(values, palette)}"
        case "remark":
            first, *others = visible_lines(values["text"])
            return "\n".join([f"{_clock(at)} {palette.paint(Style.UPDATE, first)}", *(f"         {o}" for o in others)])
        case "heartbeat":
            return palette.paint(Style.DIM, f"{_clock(at)} {_heartbeat(values)}")
        case "summary":
            done = f"{values['create']:,} created, {values['update']:,} updated, {values['delete']:,} deleted"
            return f"Stopped after {count(values['rounds'], 'round')}: {done}, in {duration(values['seconds'])}."
    return ""


def _watching(values: dict[str, Any]) -> str:
    how = "by the system's events" if values["how"] == "native" else "by polling"
    folders = [f"  {visible(folder)}" for folder in values["folders"]]
    health = [f"Status page: {values['health']}"] if values["health"] else []
    return "\n".join([f"Watching for {visible(values['spec'])} {how}:", *folders, *health])


def _round(values: dict[str, Any], palette: Palette) -> str:
    outcome = values["outcome"]
    done = [
        f"{values[name]:,} {word}"
        for name, word in (
            ("create", "created"), ("update", "updated"), ("delete", "deleted"), ("rejected", "rejected"),
        )
        if values[name]
    ]  # fmt: skip
    if values["failed_steps"]:
        done.append(f"{count(values['failed_steps'], 'step')} failed")
    parts = [", ".join(done) or "nothing to do" if outcome in ("good", "partial") else ", ".join(done)]
    if outcome in ("good", "partial"):
        parts.append(f"{values['unchanged']:,} unchanged, in {duration(values['seconds'])}")
    if values["left_out"]:
        parts.append(f"{count(values['left_out'], 'file')} not ready")
    if values["next_try"] is not None:
        parts.append(f"next try in {duration(values['next_try'])}")
    as_before = "as before" if outcome in ("waiting", "held") else ""
    first, *others = visible_lines(values["message"] or as_before) or [""]
    said = "; ".join(part for part in (*parts, first) if part)
    line = palette.paint(_STYLES.get(outcome, Style.BOLD), f"round {values['round']}: {outcome}") + f"  {said}"
    return "\n".join([line, *(f"         {other}" for other in others)])


def _heartbeat(values: dict[str, Any]) -> str:
    since = values["since_good"]
    good = "no good round yet" if since is None else f"last good round {duration(since)} ago"
    return f"still watching: {count(values['rounds'], 'round')}, the last one {values['outcome']}; {good}"


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
