"""Rows of a Parquet file with their places."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate, groupby, starmap
from pathlib import Path
from typing import Any

from xxhash import xxh3_64_digest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash
from nucleus_sync.sources.csv_rows import Block, Complain
from nucleus_sync.sources.parquet_blocks import TOGETHER, BlockPart, Decoder, Heading, take
from nucleus_sync.sources.parquet_columns import packed
from nucleus_sync.sources.reader import FileState, Pick, Stretch, Stretches, Unfolding

_FEW = 100_000
"""Bytes that hardly hold so many rows that other processes are worth their start."""
_BUFFER = 1 << 16
_SEPARATOR = "\x1f"
_NULL = "\x00"


class ParquetRows:
    """Columns know their own types; only those that are used are read.

    Where one process reads them, it is this one. For several, another one decodes blocks that go from hand to hand as
    files: neither this process, which has other uses for its memory, nor those that work on the blocks load Arrow.
    """

    has_picks_everywhere = False

    def __init__(self, path: Path, shown: str, scratch: Path, together: int = TOGETHER) -> None:
        """Up to so many rows come `together`."""
        self._together = together
        self._decoder: Decoder | None = None
        self._path = path
        self._shown = shown
        self._scratch = scratch

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
        return self._heading.columns

    @property
    def binary_columns(self) -> frozenset[str]:
        """Columns of bytes, which no JSON can hold."""
        return self._heading.binary

    @cached_property
    def _heading(self) -> Heading:
        """Of a large file as another process reads it."""
        if self._is_large:
            is_first = not Decoder.is_at_work()
            try:
                decoder = Decoder(self._path, self._shown)
            except OSError:  # no process can be started
                self._is_large = False
            else:
                self._decoder = decoder if is_first else None
                return decoder.heading
        return self.read_heading()

    @cached_property
    def _is_large(self) -> bool:
        """Whether it is worth another process."""
        return os.path.exists(self._path) and os.path.getsize(self._path) >= _FEW

    def read_heading(self) -> Heading:
        """What the file says of itself."""
        with self._opened() as file:
            fields, rows = list(file.schema_arrow), file.metadata.num_rows
            binary = frozenset(field.name for field in fields if _is_binary(field.type))
            is_plain = all(_is_plain(field.type) for field in fields)
            return Heading([field.name for field in fields], binary, rows, is_plain)

    def stretches(self, used: list[str]) -> Stretches:
        """The `used` columns in blocks on disk, of which some exist at a time; none of a small file."""
        rows = self._heading.rows
        if not self._is_large:
            return []
        decoder, self._decoder = self._decoder, None
        blocks = self._blocks(used) if decoder is None else decoder.blocks(used, self._scratch)
        return Unfolding(rows, starmap(Stretch, blocks))

    def _blocks(self, used: list[str]) -> Iterator[tuple[int, BlockPart]]:
        """Blocks of which none is decoded before the first one is asked for."""
        try:
            decoder = Decoder(self._path, self._shown)
        except OSError as error:
            what = f"no process can be started to decode it: {error.strerror}"
            raise SourceError(what, where=self._shown, fix="see that there is memory, and repeat") from error
        yield from decoder.blocks(used, self._scratch)

    def luggage(self) -> Any:
        """What another process would find out anew."""
        return tuple(self._heading)

    def take_up(self, luggage: Any) -> None:
        """Begin with what another process found out."""
        self._heading = Heading(*luggage)

    def scan(
        self,
        keys: list[str],
        used: list[str],
        seed: int,
        complain: Complain,  # noqa: ARG002 - a Parquet file is sound as a whole or not at all
        part: Any = None,
    ) -> Iterator[Block]:
        """The `keys` columns, the raw hashes of the `used` ones, and the locators of all rows, or of a stretch."""
        if part is not None:
            columns, texts = take(BlockPart(*part))
            raws = _hashed(texts, seed)
            yield [columns[used.index(key)] for key in keys], raws, _locators(part[1], len(raws))
            return
        row = 0
        with self._opened() as file:
            for batch in self._batches(file, used):
                yield (
                    [batch.column(key).to_pylist() for key in keys],
                    _hashes(batch, seed),
                    _locators(row, batch.num_rows),
                )
                row += batch.num_rows

    def packed(self, used: list[str]) -> Iterator[tuple[int, list[Any], Any]]:
        """All rows by blocks: their number, the `used` columns and the text that is hashed of each, packed."""
        with self._opened() as file:
            for batch in self._batches(file, used):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield batch.num_rows, [packed(columns[name]) for name in used], packed(_texts(batch))

    def read(self, used: list[str], seed: int, picks: Iterable[Pick]) -> Iterator[tuple[list[Pick], list[list[Any]]]]:
        """Blocks of picks with their `used` columns. Raises SourceError when a row has changed."""
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
    ) -> Iterator[tuple[list[Pick], list[list[Any]]]]:
        pick = next(picks, None)
        for batch in self._batches(file, used, [group]):
            wanted, end = [], start + batch.num_rows
            while pick is not None and (row := _row(pick)) < end:
                wanted.append((pick, row - start))
                pick = next(picks, None)
            if wanted:
                yield self._picked(batch, wanted, used, seed)
            start = end

    def _picked(
        self, batch: Any, wanted: list[tuple[Pick, int]], used: list[str], seed: int
    ) -> tuple[list[Pick], list[list[Any]]]:
        some = batch if len(wanted) == batch.num_rows else batch.take([row for _, row in wanted])
        picks = [pick for pick, _ in wanted]
        for (_, raw, _), found in zip(picks, _hashes(some, seed), strict=True):
            if raw not in (found, LOOK_AGAIN):
                raise self._changed()
        columns = dict(zip(some.schema.names, some.columns, strict=True))
        return picks, [columns[name].to_pylist() for name in used]

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        self._decoder = None  # it is this process that reads
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise SourceError(
                "reading Parquet needs pyarrow", where=self._shown, fix="pip install 'nucleus-sync[parquet]'"
            ) from error
        try:
            file = pyarrow.parquet.ParquetFile(self._path, buffer_size=_BUFFER, pre_buffer=False)
        except (pyarrow.ArrowException, OSError) as error:
            raise self._gone(error) if getattr(error, "errno", None) else self._unsound(error) from error
        try:
            with file:
                yield file
        finally:
            # Else it keeps 40 MB that nobody needs while records are sent.
            pyarrow.default_memory_pool().release_unused()

    def _batches(self, file: Any, used: list[str], groups: list[int] | None = None) -> Iterator[Any]:
        import pyarrow

        try:
            yield from file.iter_batches(self._together, row_groups=groups, columns=used, use_threads=False)
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


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _is_plain(kind: Any) -> bool:
    import pyarrow.types as types

    is_number = types.is_integer(kind) or types.is_float32(kind) or types.is_float64(kind) or types.is_boolean(kind)
    return bool(is_number or types.is_string(kind) or types.is_large_string(kind) or _is_binary(kind))


def _locators(first: int, count: int) -> list[bytes]:
    return [number.to_bytes(8) for number in range(first, first + count)]


def _row(pick: Pick) -> int:
    return int.from_bytes(pick[2])


def _hashes(batch: Any, seed: int) -> list[bytes]:
    """The raw hash of every row: its cells as one text, made column by column because that is ten times faster."""
    import pyarrow

    return _hashed(_texts(batch).cast(pyarrow.binary()).to_pylist(), seed)


def _hashed(texts: list[bytes], seed: int) -> list[bytes]:
    hashes = [xxh3_64_digest(text, seed) for text in texts]
    return hashes if LOOK_AGAIN not in hashes else [raw_hash(text, seed) for text in texts]


def _texts(batch: Any) -> Any:
    """Every row as one text."""
    import pyarrow.compute as compute

    columns = [_as_text(column) for column in batch.columns]
    return compute.binary_join_element_wise(*columns, _SEPARATOR, null_handling="replace", null_replacement=_NULL)


def _as_text(column: Any) -> Any:
    import pyarrow

    try:
        return column.cast(pyarrow.string())
    except (pyarrow.ArrowException, NotImplementedError):  # lists, structs, maps, bytes that aren't text
        return pyarrow.array([None if value is None else repr(value) for value in column.to_pylist()], pyarrow.string())
