"""Rows of a Parquet file with their places."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash
from nucleus_sync.sources.csv_rows import Complain
from nucleus_sync.sources.reader import FileState, Pick

_BATCH = 8192
_SEPARATOR = "\x1f"
_NULL = "\x00"


class ParquetRows:
    """Columns know their own types; only those that are used are read."""

    def __init__(self, path: Path, shown: str) -> None:
        self._path = path
        self._shown = shown

    def state(self) -> FileState:
        """Raises SourceError when the file is gone."""
        try:
            stat = os.stat(self._path)
        except OSError as error:
            raise self._gone(error) from error
        identity = f"{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}"
        return FileState(identity.encode(), stat.st_mtime_ns, 1, stat.st_size)

    def columns(self) -> list[str]:
        """The top-level columns."""
        with self._opened() as file:
            return list(file.schema_arrow.names)

    @property
    def binary_columns(self) -> frozenset[str]:
        """Columns of bytes, which no JSON can hold."""
        import pyarrow.types as types

        def is_binary(kind: Any) -> bool:
            return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))

        with self._opened() as file:
            return frozenset(field.name for field in file.schema_arrow if is_binary(field.type))

    def scan(
        self,
        keys: list[str],
        used: list[str],
        seed: int,
        complain: Complain,  # noqa: ARG002 - a Parquet file is sound as a whole or not at all
    ) -> Iterator[tuple[list[Any], bytes, bytes]]:
        """The `keys` columns' values, the raw hash of the `used` ones, and the locator of every row."""
        row = 0
        with self._opened() as file:
            for batch in self._batches(file, used):
                values = [batch.column(key).to_pylist() for key in keys]
                for key, raw in zip(zip(*values, strict=True), _hashes(batch, seed), strict=True):
                    yield list(key), raw, row.to_bytes(8)
                    row += 1

    def read(self, used: list[str], seed: int, picks: Iterable[Pick]) -> Iterator[tuple[Pick, dict[str, Any]]]:
        """The `used` columns' values of the picked rows. Raises SourceError when a row has changed."""
        with self._opened() as file:
            groups = range(file.metadata.num_row_groups)
            starts = list(accumulate((file.metadata.row_group(group).num_rows for group in groups), initial=0))
            for group, wanted in groupby(picks, key=lambda pick: bisect_right(starts, _row(pick)) - 1):
                if group >= len(groups):
                    raise self._changed()
                yield from self._read_group(file, group, starts[group], used, seed, wanted)

    def position(self, locator: bytes) -> str:
        """`row 12`, counted from 1."""
        return f"row {int.from_bytes(locator) + 1}"

    def _read_group(
        self, file: Any, group: int, start: int, used: list[str], seed: int, picks: Iterator[Pick]
    ) -> Iterator[tuple[Pick, dict[str, Any]]]:
        pick = next(picks, None)
        for batch in self._batches(file, used, [group]):
            wanted = []
            while pick is not None and _row(pick) < start + batch.num_rows:
                wanted.append(pick)
                pick = next(picks, None)
            if wanted:
                some = batch.take([_row(each) - start for each in wanted])
                for each, raw, fields in zip(wanted, _hashes(some, seed), some.to_pylist(), strict=True):
                    if each.raw not in (LOOK_AGAIN, raw):
                        raise self._changed()
                    yield each, fields
            start += batch.num_rows

    def _opened(self) -> Any:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise SourceError(
                "reading Parquet needs pyarrow", where=self._shown, fix="pip install 'nucleus-sync[parquet]'"
            ) from error
        try:
            return pyarrow.parquet.ParquetFile(self._path, buffer_size=1 << 20, pre_buffer=False)
        except (pyarrow.ArrowException, OSError) as error:
            raise self._gone(error) if getattr(error, "errno", None) else self._unsound(error) from error

    def _batches(self, file: Any, used: list[str], groups: list[int] | None = None) -> Iterator[Any]:
        import pyarrow

        try:
            yield from file.iter_batches(_BATCH, row_groups=groups, columns=used, use_threads=False)
        except (pyarrow.ArrowException, OSError) as error:
            raise self._unsound(error) from error

    def _unsound(self, error: Exception) -> SourceError:
        reason = str(error).partition("\n")[0]
        return SourceError(f"not a sound Parquet file: {reason}", where=self._shown, fix="write it again")

    def _gone(self, error: Any) -> SourceError:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else f"can't be read: {error.strerror}"
        return SourceError(what, where=self._shown, fix="correct `path`, or bring the file back")

    def _changed(self) -> SourceError:
        fix = "wait until it is complete, then try again"
        return SourceError("the file changed while it was read", where=self._shown, fix=fix)


def _row(pick: Pick) -> int:
    return int.from_bytes(pick.locator)


def _hashes(batch: Any, seed: int) -> Iterator[bytes]:
    """The raw hash of every row: its cells as one text, made column by column because that is ten times faster."""
    import pyarrow.compute as compute

    columns = [_as_text(column) for column in batch.columns]
    rows = compute.binary_join_element_wise(
        *columns, _SEPARATOR, null_handling="replace", null_replacement=_NULL
    ).to_pylist()
    return (raw_hash(row.encode(), seed) for row in rows)


def _as_text(column: Any) -> Any:
    import pyarrow

    try:
        return column.cast(pyarrow.string())
    except (pyarrow.ArrowException, NotImplementedError):  # lists, structs, maps, bytes that aren't text
        return pyarrow.array([None if value is None else repr(value) for value in column.to_pylist()], pyarrow.string())
