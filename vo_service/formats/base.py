"""What a form of answers is."""

from __future__ import annotations

__all__ = ["Format"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.dali import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from schemas.dali import TableResult


@dataclass(frozen=True, slots=True)
class Format:
    """A form in which a table can be asked for.

    Attributes
    ----------
    mime
        MIME type that answers carry.
    aliases
        Other values of RESPONSEFORMAT that mean it.
    ivo_id
        Its identifier in TAPRegExt, or empty.
    suffix
        Of the names of its files.
    write
        Table and base URL of the service to pieces of the document. What fails before the first
        bytes is raised there (pieces may be empty while rows are awaited); later failures are
        said in the document where it has a place for them, and are raised where it has none or
        where readers do not look.
    transport
        How rows that come from the database in bulk should come.
    """

    mime: str
    aliases: tuple[str, ...]
    ivo_id: str
    suffix: str
    write: Callable[[TableResult, str], Generator[bytes]]
    transport: Transport = Transport.BINARY
