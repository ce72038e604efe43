"""Columns of Arrow as plain bytes where that is quick, so that the process that takes them up does the work."""

from __future__ import annotations

from typing import Any

_NUMBERS: dict[str, Any] = {"int64": "q", "int32": "i", "double": "d", "float": "f"}
"""Codes of `memoryview.cast` by Arrow's types."""
_TEXT = ""
_BETWEEN = "\x1e"
"""Stands between texts; where one of them holds it, they are packed one by one."""


def packed(column: Any) -> Any:
    """A column as (code, bytes), or else as the list of its cells."""
    if column.null_count or not len(column):
        return column.to_pylist()
    kind = str(column.type)
    if kind == "string":
        together = _joined(column)
        if together.count(_BETWEEN.encode()) == len(column) - 1:
            return _TEXT, together
    elif kind in _NUMBERS:
        code = _NUMBERS[kind]
        numbers = memoryview(column.buffers()[1]).cast("B").cast(code)
        return code, bytes(numbers[column.offset : column.offset + len(column)])
    return column.to_pylist()


def _joined(column: Any) -> bytes:
    import pyarrow
    import pyarrow.compute as compute

    offsets = pyarrow.array([0, len(column)], pyarrow.int32())
    [together] = compute.binary_join(pyarrow.ListArray.from_arrays(offsets, column), _BETWEEN)
    return bytes(together.as_buffer())


def cells(column: Any) -> list[Any]:
    """The cells of a packed column."""
    if isinstance(column, list):
        return column
    code, content = column
    found: list[Any] = content.decode().split(_BETWEEN) if code == _TEXT else memoryview(content).cast(code).tolist()
    return found


def cells_as_bytes(column: Any) -> list[bytes]:
    """The cells of a packed column of text without nulls, undecoded."""
    if isinstance(column, list):
        return [cell.encode() for cell in column]
    content: bytes = column[1]
    return content.split(_BETWEEN.encode())
