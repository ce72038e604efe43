"""The status page: plain HTML that needs no network, no script and no font."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from nucleus_sync.watch.gallery import Picture, Shape
from nucleus_sync.watch.health import Health

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REFRESH = 5
_COLOURS = ("#e6194b", "#0082c8", "#3cb44b", "#f58231", "#911eb4", "#008080", "#d2a106", "#f032e6")

STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 78rem; margin: 1.2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
.state { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; color: #fff; font-weight: 600; }
.good { background: #1a7f37; } .partial, .waiting { background: #9a6700; } .held, .failed { background: #cf222e; }
.starting { background: #57606a; }
.dim { color: var(--dim); } .message { white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; } th { font-weight: 600; color: var(--dim); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.figures { display: flex; flex-wrap: wrap; gap: 1.6rem; margin: .8rem 0; }
.figures b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem; }
figure { margin: 0; } figcaption { font-size: .85rem; overflow-wrap: anywhere; }
.picture { position: relative; background: #8882; line-height: 0; }
.picture img { width: 100%; height: auto; image-orientation: none; }
.picture svg { position: absolute; inset: 0; width: 100%; height: 100%; }
svg .shape { fill-opacity: .12; stroke-width: 2; vector-effect: non-scaling-stroke; }
"""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream as the ledger has it."""

    address: str
    confirmed: int
    unsure: int
    rejected: int
    invalid: int


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A record that rests."""

    address: str
    key: str
    reason: str
    where: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows beside the figures of health."""

    spec: str
    streams: tuple[StreamRow, ...] = ()
    running: tuple[tuple[str, str, int, str, float], ...] = ()
    """Address, job id, records, state, since."""
    failed: tuple[tuple[str, str, int, str, float], ...] = ()
    rejected: tuple[RejectedRow, ...] = ()
    pictures: tuple[Picture, ...] = ()
    note: str = ""


def page(health: Health, shown: Shown, now: float) -> str:
    """The whole page."""
    with health.lock:
        parts = [
            _head(health, shown, now),
            _section("Streams", _STREAM_HEAD, _streams(health, shown), "nothing was applied yet"),
            _section("Jobs running", _JOB_HEAD, _jobs(shown.running, now), "none"),
            _section("Jobs that ended badly", _JOB_HEAD, _jobs(shown.failed, now), "none"),
            _failed_steps(health, now),
            _section("Newest rejected records", _REJECTED_HEAD, _rejected(health, shown), "none"),
            _gallery(shown.pictures),
            _section("Remarks", ("when", "what"), _remarks(health, now), "none"),
        ]
    title = f"{shown.spec}: nucleus-sync"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{REFRESH}"><meta name="viewport" content="width=device-width">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/style.css"></head>\n<body>'
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _head(health: Health, shown: Shown, now: float) -> str:
    last = health.last
    state = last.outcome if last else "starting"
    said = f"{health.ready()[1]}"
    working = f"; round {health.running_round} is under way" if health.running_round is not None else ""
    message = f'<p class="message">{escape(health.reason)}</p>' if health.reason else ""
    note = f'<p class="message">{escape(shown.note)}</p>' if shown.note else ""
    figures = (
        ("rounds", f"{sum(health.rounds.values()):,}"),
        ("created", f"{health.records['create']:,}"),
        ("updated", f"{health.records['update']:,}"),
        ("deleted", f"{health.records['delete']:,}"),
        ("rejected", f"{health.records['rejected']:,}"),
        ("files settling", f"{health.waiting:,}"),
        ("lag", _span(health.lag)),
        ("up for", _span(now - health.started)),
    )
    boxes = "".join(f"<div>{escape(name)}<b>{escape(value)}</b></div>" for name, value in figures)
    return (
        f'<h1>{escape(shown.spec)} <span class="state {escape(state)}" id="state">{escape(state)}</span></h1>'
        f'<p class="dim">{escape(said + working)}</p>{message}{note}<div class="figures">{boxes}</div>'
    )


_STREAM_HEAD = ("stream", "confirmed", "unsure", "rejected", "invalid", "lag")
_JOB_HEAD = ("stream", "job", "records", "state", "since")
_REJECTED_HEAD = ("stream", "record", "reason", "where")
_RIGHT = frozenset({"confirmed", "unsure", "rejected", "invalid", "lag", "records"})
_Rows = Iterable[Sequence[str]]


def _section(title: str, head: Sequence[str], rows: _Rows, nothing: str) -> str:
    body = [
        "<tr>"
        + "".join(f"<td{_aligned(name)}>{escape(cell)}</td>" for name, cell in zip(head, row, strict=True))
        + "</tr>"
        for row in rows
    ]
    if not body:
        return f'<h2>{escape(title)}</h2><p class="dim">{escape(nothing)}</p>'
    heads = "".join(f"<th{_aligned(name)}>{escape(name)}</th>" for name in head)
    return f"<h2>{escape(title)}</h2><table><thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _aligned(name: str) -> str:
    return ' class="n"' if name in _RIGHT else ""


def _streams(health: Health, shown: Shown) -> _Rows:
    for row in shown.streams:
        lag = health.lags.get(row.address)
        counts = (row.confirmed, row.unsure, row.rejected, row.invalid)
        yield row.address, *(f"{number:,}" for number in counts), "–" if lag is None else _span(lag)


def _jobs(jobs: Iterable[tuple[str, str, int, str, float]], now: float) -> _Rows:
    return [
        (address, job_id or "no id yet", f"{records:,}", state, f"{_span(now - since)} ago")
        for address, job_id, records, state, since in jobs
    ]


def _failed_steps(health: Health, now: float) -> str:
    rows = [(f"{_span(now - at)} ago", step, error.split("\n", 1)[0]) for at, step, error in health.failed_steps]
    return _section("Steps that failed", ("when", "step", "why"), rows, "none") if rows else ""


def _rejected(health: Health, shown: Shown) -> _Rows:
    newest = [(one.address, one.key, one.reason, one.where) for one in health.rejected]
    resting = [(one.address, one.key, one.reason, one.where) for one in shown.rejected]
    return list(dict.fromkeys([*newest, *resting]))


def _remarks(health: Health, now: float) -> _Rows:
    return [(f"{_span(now - at)} ago", text) for at, text in health.remarks]


def _gallery(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    return f'<h2>Newest images</h2><div class="gallery">{"".join(map(_figure, pictures))}</div>'


def _figure(picture: Picture) -> str:
    shapes = "".join(map(_drawn, picture.shapes))
    number = len(picture.shapes)
    caption = f"{picture.width}×{picture.height}, {number:,} shape{'' if number == 1 else 's'}"
    note = f" – {picture.note}" if picture.note else ""
    return (
        f'<figure><div class="picture"><img src="/picture/{escape(picture.token)}" alt="" loading="lazy" '
        f'width="{picture.width}" height="{picture.height}">'
        f'<svg viewBox="0 0 {picture.width} {picture.height}" preserveAspectRatio="none">{shapes}</svg></div>'
        f'<figcaption>{escape(picture.reference_id)} <span class="dim">{escape(caption + note)}</span></figcaption>'
        "</figure>"
    )


def _drawn(shape: Shape) -> str:
    colour = _COLOURS[sum(shape.label.encode(errors="replace")) % len(_COLOURS)]
    title = f"<title>{escape(shape.label)}</title>"
    if shape.kind == "keypoints":
        dots = "".join(f'<circle cx="{x:g}" cy="{y:g}" r="3" fill="{colour}"/>' for x, y in shape.points)
        return f"<g>{title}{dots}</g>"
    points = " ".join(f"{x:g},{y:g}" for x, y in shape.points)
    name, fill = ("polyline", "none") if shape.kind == "line" else ("polygon", colour)
    return f'<{name} class="shape" points="{points}" fill="{fill}" stroke="{colour}">{title}</{name}>'


def _span(seconds: float) -> str:
    """A time span in its largest unit."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"
