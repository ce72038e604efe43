"""What the machine itself needs for the same bytes: plain scripts that parse, hash, insert and PUT, and nothing else.

`python -m benchmarks.limits WORK INPUT ENDPOINT`; no checks, no journal, everything in memory.
"""

from __future__ import annotations

import http.client
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, Struct
from xxhash import xxh3_64_digest


class _Keys(Struct, gc=False):
    id: int = 0
    image_id: int = 0


class _Coco(Struct):
    annotations: list[Raw]


_keys = msgspec.json.Decoder(_Keys).decode


def _slices(path: Path) -> Iterable[Raw]:
    content = path.read_bytes()
    if content[:1] == b"[":
        return msgspec.json.decode(content, type=list[Raw])
    return msgspec.json.decode(content, type=_Coco).annotations


def _hashed(path: Path) -> list[tuple[bytes, bytes]]:
    rows = []
    for raw in _slices(path):
        keys = _keys(raw)
        rows.append((b"%012d\x00a%d" % (keys.image_id, keys.id or len(rows)), xxh3_64_digest(raw)))
    rows.sort()
    return rows


def _insert(rows: list[tuple[bytes, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        conn = sqlite3.connect(os.path.join(folder, "limit.db"))
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE known (key BLOB PRIMARY KEY, stamp BLOB) WITHOUT ROWID")
        with conn:
            conn.executemany("INSERT INTO known VALUES (?, ?)", rows)
        conn.close()


def _put(paths: Iterable[Path], endpoint: str) -> None:
    parts = urlsplit(endpoint)
    conn = http.client.HTTPConnection(parts.hostname or "", parts.port)
    for path in paths:
        with path.open("rb") as file:
            conn.request("PUT", "/storage/x", file, {"Content-Length": str(path.stat().st_size)})
            conn.getresponse().read()


def _json_list(path: Path, endpoint: str) -> None:
    _insert(_hashed(path))
    _put([path], endpoint)


def _lines(path: Path, endpoint: str) -> None:
    with path.open("rb") as file:
        rows = [(msgspec.json.decode(line)["reference_id"].encode(), xxh3_64_digest(line)) for line in file]
    rows.sort()
    _insert(rows)
    _put([path], endpoint)


def _table(path: Path, endpoint: str) -> None:
    import pyarrow.parquet

    rows = []
    with tempfile.NamedTemporaryFile() as file:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                line = msgspec.json.encode(row)
                file.write(line + b"\n")
                rows.append((row["reference_id"].encode(), xxh3_64_digest(line)))
        rows.sort()
        _insert(rows)
        file.flush()
        _put([Path(file.name)], endpoint)


def _photos(path: Path, endpoint: str) -> None:
    files = sorted(path.iterdir())
    _insert([(file.name.encode(), xxh3_64_digest(file.read_bytes())) for file in files])
    _put(files, endpoint)


def _compare(path: Path, _endpoint: str) -> None:
    """Slice, take keys, hash, and compare with what was known: what a plan of a rewritten file can't avoid."""
    known = dict(_hashed_before(path))
    changed = [key for key, digest in _hashed(path) if known.get(key) != digest]
    print(len(changed))


def _hashed_before(path: Path) -> list[tuple[bytes, bytes]]:
    """Kept beside the input by the first run, so that only reading it is measured."""
    kept = path.with_name(path.name + ".known")
    if not kept.exists():
        conn = sqlite3.connect(kept)
        conn.execute("CREATE TABLE known (key BLOB PRIMARY KEY, stamp BLOB) WITHOUT ROWID")
        with conn:
            conn.executemany("INSERT INTO known VALUES (?, ?)", _hashed(path))
        conn.close()
    return sqlite3.connect(kept).execute("SELECT key, stamp FROM known ORDER BY key").fetchall()


WORKS: dict[str, Callable[[Path, str], None]] = {
    "coco": _json_list,
    "results": _json_list,
    "ndjson": _lines,
    "parquet": _table,
    "photos": _photos,
    "compare": _compare,
}


if __name__ == "__main__":
    WORKS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
