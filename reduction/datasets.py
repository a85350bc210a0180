"""Published images by their identifier: which file has the pixels, which cards describe them."""

from __future__ import annotations

__all__ = ["Dataset", "find_dataset", "find_product", "raw_frames_behind"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import psycopg2.extensions

    from reduction.storage import Storage


@dataclass(frozen=True, slots=True)
class Dataset:
    """A published image.

    Attributes
    ----------
    dataset_id
        Publisher's dataset identifier.
    product_id
        Number of the product that describes it.
    pixels_id
        Number of the product whose file has its pixels.
    raw_id
        Number of its raw frame; None for an image of many.
    path
        File whose first extension is IMAGE, tile compressed.
    size
        Bytes of that file.
    cards
        FITS keyword -> (value, comment): WCS, zero point and the rest, for 1-based pixels of
        the whole image.
    attributes
        Attributes of the product by name.
    """

    dataset_id: str
    product_id: int
    pixels_id: int
    raw_id: int | None
    path: Path
    size: int
    cards: Mapping[str, tuple[Any, str]]
    attributes: Mapping[str, Any]


_COLUMNS = "dataset_id, d.product_id, pixels_id, raw_id, location, size, cards, attributes"


def find_dataset(
    connection: psycopg2.extensions.connection, storage: Storage, dataset_id: str
) -> Dataset:
    """Find a dataset as it is published in a connection's snapshot.

    Raises
    ------
    NotFoundError
        If no published dataset has that identifier.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM vo.dataset d WHERE d.dataset_id = %s "  # noqa: S608  # constant columns
            "AND d.product_id = ANY (SELECT u.product_id FROM vo.published u "
            "JOIN vo.target t USING (target_id) WHERE t.dataset_id = %s)",
            (dataset_id, dataset_id),
        )
        row = cursor.fetchone()
    if row is None:
        message = f"no published dataset has the identifier {dataset_id!r}; see ivoa.obscore"
        raise NotFoundError(message)
    return _dataset(storage, row)


def find_product(
    connection: psycopg2.extensions.connection, storage: Storage, product_id: int
) -> Dataset:
    """Find an image, current or superseded, by the number of its product.

    Raises
    ------
    NotFoundError
        If there is no such image.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM vo.dataset d WHERE d.product_id = %s",  # noqa: S608  # constant columns
            (product_id,),
        )
        row = cursor.fetchone()
    if row is None:
        message = f"there is no image with the number {product_id}; see ivoa.obscore"
        raise NotFoundError(message)
    return _dataset(storage, row)


def raw_frames_behind(
    connection: psycopg2.extensions.connection, dataset: Dataset, *, most: int
) -> list[int]:
    """Numbers of the raw science frames whose pixels an image is made of, in their order.

    Frames that helped to place or to calibrate them are not among them.

    Parameters
    ----------
    most
        How many to give at most.
    """
    if dataset.raw_id is not None:
        return [dataset.raw_id]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.progenitor_id FROM archive.lineage l JOIN archive.lineage r "
            "ON r.object_id = l.progenitor_id AND r.role = 'raw' "
            "WHERE l.object_id = %s ORDER BY l.role, l.position LIMIT %s",
            (dataset.product_id, most),
        )
        return [row[0] for row in cursor.fetchall()]


def _dataset(storage: Storage, row: tuple[Any, ...]) -> Dataset:
    did, product_id, pixels_id, raw_id, location, size, cards, attributes = row
    return Dataset(
        did,
        product_id,
        pixels_id,
        raw_id,
        storage.path(location),
        size,
        {keyword: (card[0], card[1]) for keyword, card in cards.items()},
        attributes,
    )
