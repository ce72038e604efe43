"""Pieces of files come as the bytes of one body, whatever their sizes are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_sync.api.file_pieces import CHUNK, FilePiece, chunks, streamed
from nucleus_sync.errors import SourceError

CONTENT = bytes(range(256)) * (3 * CHUNK // 256 + 7)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files of the same bytes in opposite order."""
    paths = [tmp_path_factory.mktemp("pieces") / name for name in ("one", "two")]
    paths[0].write_bytes(CONTENT)
    paths[1].write_bytes(CONTENT[::-1])
    return paths


spans = st.tuples(
    st.integers(0, 1), st.integers(0, len(CONTENT)), st.integers(0, 40) | st.integers(CHUNK - 2, CHUNK + 2)
)


@given(st.lists(spans, max_size=12))
def test_pieces_follow_each_other(files: list[Path], wanted: list[tuple[int, int, int]]) -> None:
    expected, pieces = [], []
    for number, start, size in wanted:
        part = (CONTENT if number == 0 else CONTENT[::-1])[start : start + size]
        expected.append(part)
        pieces.append(FilePiece(files[number], len(part), start))
    found = list(chunks(pieces))
    assert b"".join(found) == b"".join(expected)
    assert all(len(chunk) == CHUNK for chunk in found[:-1])
    assert all(found)


async def test_a_whole_file_is_streamed(files: list[Path]) -> None:
    assert b"".join([chunk async for chunk in streamed([FilePiece(files[0], len(CONTENT))])]) == CONTENT


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param((len(CONTENT) + 1, None), id="shorter than it was"),
        pytest.param((len(CONTENT) - 1, None), id="longer than it was"),
        pytest.param((2, len(CONTENT) - 1), id="ends within the piece"),
    ],
)
def test_a_file_that_is_not_what_it_was_is_an_error(files: list[Path], piece: tuple[int, int | None]) -> None:
    with pytest.raises(SourceError, match="changed while it was sent"):
        list(chunks([FilePiece(files[0], *piece)]))


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can't be read"):
        list(chunks([FilePiece(tmp_path / "gone", 1)]))
