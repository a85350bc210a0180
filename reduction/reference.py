"""Reading reference catalogues from files: CSV, FITS tables, VOTables."""

from __future__ import annotations

__all__ = ["load_reference", "read_reference", "reference_parts"]

import io
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.reference_columns import named
from reduction.reference_files import file_parts
from reduction.steps.reference import (
    ReferenceKind,
    ReferenceTable,
    parse_reference,
    recognise_reference,
)
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

_POSITION: Final = ("name", "ra", "dec")
_AS_THEY_ARE: Final[Mapping[str, str]] = MappingProxyType({})


def load_reference(path: Path, columns: Mapping[str, str] = _AS_THEY_ARE) -> ReferenceTable:
    """Read a whole catalogue file: CSV, FITS or VOTable, as it is or compressed by gzip.

    Parameters
    ----------
    path
        The file; its bytes say what it is, not its name.
    columns
        The file's name of a column by ours: see
        :func:`reduction.reference_columns.named`.

    Raises
    ------
    IngestError
        If it is no table of a form that :func:`reduction.steps.reference.parse_reference`
        knows; names the file, what was found and what was expected.
    """
    return _joined(list(reference_parts(path, path.name, columns)))


def read_reference(
    content: bytes, name: str, columns: Mapping[str, str] = _AS_THEY_ARE
) -> ReferenceTable:
    """Read a catalogue from a file's bytes; ``name`` is used in errors only.

    Raises
    ------
    IngestError
        As :func:`load_reference`.
    """
    return _joined(list(_parts(io.BytesIO(content), name, columns)))


def reference_parts(
    path: Path, name: str, columns: Mapping[str, str] = _AS_THEY_ARE
) -> Iterator[ReferenceTable]:
    """Read a catalogue file some thousand stars at a time, in their order; all is never in memory.

    Parameters
    ----------
    path, columns
        As for :func:`load_reference`.
    name
        Of the file, in errors.

    Raises
    ------
    IngestError
        As :func:`load_reference`; where the file is found to be wrong, which may be after many
        parts.
    """
    with path.open("rb") as stream:
        yield from _parts(stream, name, columns)


def _parts(stream: BinaryIO, name: str, columns: Mapping[str, str]) -> Iterator[ReferenceTable]:
    kind, first = None, 0
    try:
        for there in file_parts(stream):
            found = named(there, columns)
            kind = kind or _kind(found, list(there.texts))
            number = max(map(len, found.values()), default=0)
            if not first:
                _see_rows(number)
            yield parse_reference(found, kind, first=first)
            first += number
    except IngestError as error:
        raise IngestError(name, error.what) from error


def _joined(parts: Sequence[ReferenceTable]) -> ReferenceTable:
    """Some parts of a catalogue as one; all have the same bands."""
    if len(parts) == 1:
        return parts[0]

    def all_of(name: str) -> dict[str, np.ndarray]:
        """Arrays by name, each of all parts."""
        known = getattr(parts[0], name)
        return {key: np.concatenate([getattr(part, name)[key] for part in parts]) for key in known}

    return ReferenceTable(
        np.concatenate([part.name for part in parts]),
        np.concatenate([part.ra for part in parts]),
        np.concatenate([part.dec for part in parts]),
        all_of("mags"),
        all_of("mag_errs"),
        all_of("motion"),
    )


def _see_rows(number: int) -> None:
    """See that there is a star.

    Raises
    ------
    IngestError
        If there is none.
    """
    if not number:
        raise IngestError("", "found a table without rows, expected at least a star")


def _kind(columns: Mapping[str, Sequence[str]], there: Sequence[str]) -> ReferenceKind:
    """Form of a catalogue with these columns under our names, of a file with those.

    Raises
    ------
    IngestError
        If it is none; where it is nearly our own, with the columns that are missing.
    """
    try:
        return recognise_reference(list(columns))
    except IngestError:
        missing = [word for word in _POSITION if word not in columns]
        if len(missing) == len(_POSITION):
            return recognise_reference(there)
        what = f"found no column for {', '.join(missing)} among {', '.join(there)}"
        what += f"; `--column {missing[0]}=COLUMN` says which it is"
        raise IngestError("", what) from None
