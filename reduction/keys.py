"""Identity by content: canonical JSON and the hashes made of it."""

from __future__ import annotations

__all__ = ["canonical_json", "content_hash", "hash_of"]

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.steps.blocks import row_blocks

if TYPE_CHECKING:
    from collections.abc import Mapping


def canonical_json(value: object) -> str:
    """Write a value of JSON types in the one way that is hashed.

    Keys are sorted, separators fixed, text is ASCII, numbers are written by ``repr``; NaN and
    infinities are refused because JSON has no word for them.

    Raises
    ------
    ValueError
        If the value holds NaN or an infinity.
    TypeError
        If it holds anything that is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_of(value: object) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def content_hash(
    images: Mapping[str, np.ndarray[Any, Any]],
    attributes: Mapping[str, Any],
    rows: np.ndarray[Any, Any] | None = None,
    tables: Mapping[str, np.ndarray[Any, Any]] | None = None,
) -> str:
    """Hash what a product *is*, leaving out when, by whom and from what it was made.

    Parameters
    ----------
    images
        Pixels by extension name, as read back from the stored file.
    attributes
        Values of JSON types by attribute name.
    rows
        Structured array of catalogue rows, or None.
    tables
        Structured arrays by extension name, as read back.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits. Equal content gives an equal hash whatever the byte order
        in memory (design: early cutoff).
    """
    digest = hashlib.sha256()
    for name in sorted(images):
        _add(digest, name, images[name])
    if rows is not None:
        for name in rows.dtype.names or ():
            _add(digest, name, rows[name])
    for extension, table in sorted((tables or {}).items()):
        for name in table.dtype.names or ():
            _add(digest, f"{extension}.{name}", table[name])
    digest.update(canonical_json(dict(attributes)).encode("ascii"))
    return digest.hexdigest()


def _add(digest: Any, name: str, array: np.ndarray[Any, Any]) -> None:  # noqa: ANN401  # hashlib's type is private
    data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest.update(f"{name}:{data.dtype.str}:{data.shape};".encode())
    if data.dtype.kind in "OU" or data.ndim == 0 or data.size == 0:
        digest.update(data.tobytes())
        return
    for rows in row_blocks(data):
        digest.update(data[rows].data)
