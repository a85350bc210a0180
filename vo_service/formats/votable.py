"""VOTable, its rows as BINARY2, BINARY or TABLEDATA."""

from __future__ import annotations

__all__ = ["BINARY", "BINARY2", "TABLEDATA"]

from typing import TYPE_CHECKING, Final

from schemas.dali import Transport
from schemas.votable import Serialization, write_votable
from vo_service.formats.base import Format

if TYPE_CHECKING:
    from collections.abc import Generator

    from schemas.dali import TableResult

_TYPE: Final = "application/x-votable+xml"
_IDS: Final = "ivo://ivoa.net/std/TAPRegExt#output-votable-"


def _binary2(result: TableResult, base_url: str) -> Generator[bytes]:
    return write_votable(result, base_url=base_url, serialization=Serialization.BINARY2)


def _binary(result: TableResult, base_url: str) -> Generator[bytes]:
    return write_votable(result, base_url=base_url, serialization=Serialization.BINARY)


def _tabledata(result: TableResult, base_url: str) -> Generator[bytes]:
    return write_votable(result, base_url=base_url, serialization=Serialization.TABLEDATA)


BINARY2: Final = Format(
    f"{_TYPE};serialization=binary2",
    ("votable", "votable/b2", _TYPE, "text/xml"),
    _IDS + "binary2",
    "vot",
    _binary2,
)
BINARY: Final = Format(
    f"{_TYPE};serialization=binary", ("votable/b",), _IDS + "binary", "vot", _binary
)
TABLEDATA: Final = Format(
    f"{_TYPE};serialization=tabledata",
    ("votable/td",),
    _IDS + "td",
    "vot",
    _tabledata,
    Transport.TEXT,
)
