"""Which reader an uploaded file is for: what its sender says first, then what it looks like."""

from __future__ import annotations

__all__ = ["read"]

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from schemas.errors import UploadError
from tap.uploads.fits import read_fits
from tap.uploads.parquet import read_parquet
from tap.uploads.separated import read_separated
from tap.uploads.votable import read_votable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap.uploads.reading import Opener, Reading

_Reader = "Callable[[Opener], Reading]"

_CSV: Final = partial(read_separated, separator=",")
_TSV: Final = partial(read_separated, separator="\t")
_BY_MEDIA_TYPE: Final[dict[str, Callable[[Opener], Reading]]] = {
    "application/x-votable+xml": read_votable,
    "application/xml": read_votable,
    "text/xml": read_votable,
    "text/csv": _CSV,
    "application/csv": _CSV,
    "text/tab-separated-values": _TSV,
    "application/fits": read_fits,
    "image/fits": read_fits,
    "application/vnd.apache.parquet": read_parquet,
    "application/x-parquet": read_parquet,
    "application/parquet": read_parquet,
}
_MARK: Final = b"\xef\xbb\xbf"
_LOOKED_AT: Final = 4096


def read(opener: Opener, media_type: str) -> Reading:
    """Read an uploaded table: its columns now, its rows when they are asked for.

    Parameters
    ----------
    opener
        Opens the file.
    media_type
        MIME type that its sender says; one that names no table format is not believed.

    Raises
    ------
    UploadError
        If it is none of the formats, or cannot be read.
    """
    said = media_type.partition(";")[0].strip().lower()
    with closing(opener()) as stream:
        head = stream.read(_LOOKED_AT)
    if not head:
        raise UploadError("the file is empty: expected a table")
    return (_BY_MEDIA_TYPE.get(said) or _looks_like(head))(opener)


def _looks_like(head: bytes) -> Callable[[Opener], Reading]:
    if head.startswith(b"PAR1"):
        return read_parquet
    if head.startswith(b"SIMPLE  ="):
        return read_fits
    if head.startswith((b"\xff\xfe<", b"\xfe\xff\0<")):
        return read_votable
    text = head.removeprefix(_MARK).lstrip()
    if text.startswith(b"<"):
        return read_votable
    if text.startswith(b"# %ECSV"):
        raise UploadError("ECSV is not read: expected VOTable, CSV without comments, or FITS")
    if b"\0" in head:
        raise UploadError(
            "the file is in no format that is read: expected VOTable, CSV, TSV, FITS or Parquet"
        )
    first = text.splitlines()[0] if text else b""
    return _TSV if b"\t" in first and b"," not in first else _CSV
