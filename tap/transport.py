"""What COPY writes, gathered into pieces and cut into whole rows.

The driver hands over one row at a time. ``io.BufferedWriter`` gathers them, in C, until a piece is
large enough to be worth a thread's turn; what cannot find rows in such a piece without the
compiled part gathers them in Python.
"""

from __future__ import annotations

__all__ = ["Cutter", "Piece", "Sink", "cutter_for", "statements_for"]

import io
import sys
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from schemas import kernel
from schemas.blocks import Layout
from schemas.dali import Transport
from schemas.errors import FatalError, QueryError
from schemas.frames import Frames
from schemas.lines import Lines, whole_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.columns import Column

Piece: TypeAlias = "bytes | list[bytes]"

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_HEADER: Final = 19
_TRAILER: Final = b"\xff\xff"
_PIECE_BYTES: Final = 1 << 19
_FIRST_ROWS: Final = 256
_PIECE_ROWS: Final = 8192
_ROW_BYTES: Final = 1 << 26


class Sink(Protocol):
    """The file that COPY writes into: the driver calls ``write`` with one row."""

    def write(self, message: bytes, /) -> int:
        """Take a row."""

    def flush(self) -> None:
        """Hand over what has come."""


class Cutter(Protocol):
    """Finds whole rows in the pieces of one answer."""

    #: Whether what has come may be asked for from another thread.
    can_be_hurried: bool

    def sink(self, put: Callable[[Piece | QueryError], None]) -> Sink:
        """Make the file that COPY writes into."""

    def cut(self, piece: Piece, most: int | None) -> tuple[Frames | Lines | None, bool]:
        """Take the next piece; at most so many of its rows, and whether there were more."""


def cutter_for(columns: Sequence[Column], transport: Transport) -> Cutter:
    """Choose how rows are gathered and cut.

    Notes
    -----
    A csv of one column has an empty line where there is no value, which readers skip: it comes
    as binary, for the writer to say it in a way that keeps the row.
    """
    if transport is Transport.CSV and len(columns) == 1:
        transport = Transport.BINARY
    if transport is not Transport.BINARY:
        return _Lines(transport)
    return _Messages() if kernel.KERNEL is None else _Binary()


def statements_for(sql: str, columns: Sequence[Column], cutter: Cutter) -> tuple[str, ...]:
    """Give the COPY statement, the last one, and what has to be set before.

    Where rows come as text, values are said as answers say them, and numbers so that they read
    back as the same numbers.
    """
    if not isinstance(cutter, _Lines):
        return (f"COPY ({sql}) TO STDOUT (FORMAT binary)",)
    names = [f"c{index}" for index in range(len(columns))]
    said = [_said(name, column) for name, column in zip(names, columns, strict=True)]
    if said != names:
        sql = f"SELECT {', '.join(said)} FROM ({sql}) AS answer({', '.join(names)})"  # noqa: S608  # names of our own
    copy = f"COPY ({sql}) TO STDOUT (FORMAT {cutter.transport})"
    return "SET LOCAL extra_float_digits = 1", copy


def _said(name: str, column: Column) -> str:
    layout = Layout.of(column)
    if layout.dtype is None or (layout.scalar and layout.dtype.kind != "b"):
        return name
    if layout.scalar:
        return f"{name}::text"
    kind = layout.dtype.kind
    nothing = {"f": "NaN", "b": "false"}.get(kind, "0")
    return f"array_to_string({name}{'::text[]' if kind == 'b' else ''}, ' ', '{nothing}')"


class _Pieces(io.RawIOBase):
    """Takes what a BufferedWriter has gathered."""

    def __init__(self, put: Callable[[Piece | QueryError], None]) -> None:
        self._put = put

    def writable(self) -> bool:
        return True

    def write(self, gathered: bytes, /) -> int:  # type: ignore[override]  # a buffer, not kept
        size = len(gathered)
        self._put(bytes(gathered) if size <= _ROW_BYTES else _too_long(size))
        return size


def _too_long(size: int) -> QueryError:
    """Say that a row takes too much memory."""
    text = f"a row has {size >> 20} MB, expected at most {_ROW_BYTES >> 20}: ask for less"
    return QueryError(text)


class _Gathered:
    """What cutters have in common that take pieces of bytes."""

    can_be_hurried = True

    def __init__(self) -> None:
        self._kept = b""

    def sink(self, put: Callable[[Piece | QueryError], None]) -> Sink:
        return io.BufferedWriter(_Pieces(put), _PIECE_BYTES)  # type: ignore[type-var]  # no name, never truncated

    def _data(self, piece: Piece) -> bytes:
        if isinstance(piece, list):
            piece = b"".join(piece)
        return self._kept + piece if self._kept else piece


class _Binary(_Gathered):
    """Rows of COPY (FORMAT binary), found by the compiled part."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False

    def cut(self, piece: Piece, most: int | None) -> tuple[Frames | None, bool]:
        data = self._data(piece)
        if not self._started:
            if len(data) < _HEADER:
                self._kept = data
                return None, False
            self._started = True
            data = _headless(data)
        end, rows, ended = kernel.KERNEL.split(data, 0, sys.maxsize if most is None else most)
        more = rows == most and bool(kernel.KERNEL.split(data, end, 1)[1])
        self._kept = b"" if ended or more else data[end:]
        return Frames(data, rows) if rows else None, more


class _Lines(_Gathered):
    """Lines of COPY (FORMAT text) or (FORMAT csv)."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self.transport = transport

    def cut(self, piece: Piece, most: int | None) -> tuple[Lines | None, bool]:
        data = self._data(piece)
        end, rows = whole_lines(data, self.transport, most)
        more = rows == most and end < len(data)
        self._kept = data[end:]
        return Lines(data[:end], rows, self.transport) if rows else None, more


class _Messages:
    """Rows of COPY (FORMAT binary), each as the message that it came in."""

    can_be_hurried = False

    def sink(self, put: Callable[[Piece | QueryError], None]) -> Sink:
        return _MessageSink(put)

    def cut(self, piece: Piece, most: int | None) -> tuple[Frames | None, bool]:
        messages = [piece] if isinstance(piece, bytes) else piece
        more = most is not None and len(messages) > most
        messages = messages[:most] if more else messages
        return Frames.joined(messages) if messages else None, more


class _MessageSink:
    def __init__(self, put: Callable[[Piece | QueryError], None]) -> None:
        self._put = put
        self._messages: list[bytes] = []
        self._bytes = 0
        self._rows = _FIRST_ROWS
        self._started = False

    def write(self, message: bytes, /) -> int:
        """Take a message; the first begins with the header, the last is the trailer."""
        size = len(message)
        if not self._started:
            self._started = True
            message = _headless(message)
        if not message or message == _TRAILER:
            return size
        if size > _ROW_BYTES:
            self.flush()
            self._put(_too_long(size))
            return size
        self._messages.append(message)
        self._bytes += size
        if len(self._messages) >= self._rows or self._bytes >= _PIECE_BYTES:
            self.flush()
            self._rows = _PIECE_ROWS
        return size

    def flush(self) -> None:
        if self._messages:
            self._put(self._messages)
        self._messages = []
        self._bytes = 0


def _headless(data: bytes) -> bytes:
    if not data.startswith(_SIGNATURE):
        text = "COPY does not begin as it should"
        raise FatalError(text)
    return data[_HEADER:]
