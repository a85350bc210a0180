"""Reference catalogues into the archive: their files, and each of their stars.

A catalogue is known by its file and the columns that were asked for. Its file is gone through
twice, some thousand stars at a time: first to see that it is right to its end, so that nothing is
kept of one that is not, then to enter the stars, all in one transaction. A process that ends
between leaves the archive as it was; the file that was kept is one that nothing names.
"""

from __future__ import annotations

__all__ = ["catalogues_of", "ingest_references"]

import math
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.batches import batched
from reduction.events import mark_users_of_catalogue
from reduction.ingest import register_file
from reduction.keys import hash_of
from reduction.reference import reference_parts
from reduction.reference_files import media_type
from reduction.storage import checksum
from schemas.tables import File, Product, ReferenceSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.steps.reference import ReferenceTable

#: Stars that are entered, or compared, at once.
_PIECE: Final = 2_000


def ingest_references(
    archive: Archive, path: Path, name: str, columns: Mapping[str, str] | None = None
) -> int:
    """Take a reference catalogue into the archive.

    Parameters
    ----------
    path
        As :func:`reduction.reference.load_reference` reads it.
    name
        Name of the catalogue in the archive.
    columns
        The file's names of columns by ours, where they are not those that are usual.

    Returns
    -------
    int
        Number of stars; 0 if the file is there already, read with the same columns, or, where
        nobody wrote down which these were, with the same stars.

    Raises
    ------
    IngestError
        If the file cannot be read as a catalogue.
    """
    asked = dict(columns or {})
    digest = checksum(path)
    key = hash_of(["ReferenceCatalogue", digest, *([asked] if asked else [])])
    with archive.transaction() as session:
        if session.scalar(select(Product.product_id).where(Product.key == key)) is not None:
            return 0
        there = session.scalars(select(File).where(File.sha256 == digest)).one_or_none()
    number = sum(len(part.ra) for part in reference_parts(path, path.name, asked))
    if there is not None and _is_known(archive, there.file_id, path, asked, number):
        return 0
    if there is None:
        kind, suffix = "reference", "".join(path.suffixes[-2:])
    else:  # to its own place, from which it may have been lost
        folder, _, stored_name = there.location.rpartition("/")
        kind, suffix = folder.partition("/")[0], stored_name.removeprefix(digest)
    stored = archive.storage.copy_in(path, kind, suffix, expected=digest)
    form = media_type(path)

    def work(session: Session) -> int:
        """Register the file, if it is new, and its stars in one transaction; how many."""
        file = register_file(session, stored, path, form)
        if file is None:  # it is there, or somebody else was faster
            file = session.scalars(select(File.file_id).where(File.sha256 == digest)).one()
        catalogue = _register_catalogue(session, key, file, name, asked, number)
        if catalogue is None:
            return 0
        parts = reference_parts(archive.storage.path(stored.location), path.name, asked)
        for rows in batched(_star_rows(catalogue, parts), _PIECE):
            session.execute(insert(ReferenceSource), list(rows))
        mark_users_of_catalogue(session, archive.registry, catalogue)
        return number

    return archive.transact(work)


def _is_known(
    archive: Archive, file_number: int, path: Path, asked: Mapping[str, str], n_stars: int
) -> bool:
    """Whether a catalogue of a file, of which no columns are recorded, has the same stars.

    Columns that were asked for have not always been recorded, and no part of the key.
    """
    unrecorded = select(Product.product_id).where(
        Product.file_id == file_number,
        Product.class_name == "ReferenceCatalogue",
        Product.process_params == text("'{}'::jsonb"),
        Product.attributes["n_stars"].as_integer() == n_stars,
    )
    with archive.transaction() as session:
        numbers = session.scalars(unrecorded).all()
        return any(
            _has_stars(session, number, reference_parts(path, path.name, asked))
            for number in numbers
        )


def _has_stars(session: Session, catalogue: int, parts: Iterable[ReferenceTable]) -> bool:
    """Whether a catalogue of the archive has the stars of a file, each with the same values."""
    there = session.execute(
        select(*ReferenceSource.__table__.columns)
        .where(ReferenceSource.product_id == catalogue)
        .order_by(ReferenceSource.source_number)
        .execution_options(yield_per=_PIECE)
    ).mappings()
    return all(
        all(value == now.get(name) for name, value in before.items())
        for before, now in zip(there, _star_rows(catalogue, parts), strict=True)
    )


def catalogues_of(archive: Archive, path: Path) -> Sequence[Product]:
    """Valid catalogues of a file, whatever columns they were read with, the oldest first."""
    with archive.transaction() as session:
        return session.scalars(
            select(Product)
            .join(File, File.file_id == Product.file_id)
            .where(File.sha256 == checksum(path), Product.is_valid >= 1)
            .order_by(Product.product_id)
        ).all()


def _register_catalogue(
    session: Session, key: str, file_number: int, name: str, asked: Mapping[str, str], n_stars: int
) -> int | None:
    """Number of a new catalogue; None if it is there."""
    statement = (
        upsert(Product)
        .values(
            class_name="ReferenceCatalogue",
            key=key,
            content_hash=key,
            recipe_version="raw",
            process_params=asked,
            attributes={"name": name, "n_stars": n_stars},
            instrument="",
            chip="",
            filter="",
            file_id=file_number,
        )
        .on_conflict_do_nothing(index_elements=[Product.key])
        .returning(Product.product_id)
    )
    return session.scalars(statement).one_or_none()


def _star_rows(catalogue: int, parts: Iterable[ReferenceTable]) -> Iterator[dict[str, Any]]:
    """Rows of a catalogue's stars, numbered from 0 through all parts."""
    first = 0
    for part in parts:
        yield from _rows_of_part(catalogue, part, first)
        first += len(part.ra)


def _rows_of_part(catalogue: int, table: ReferenceTable, first: int) -> Iterator[dict[str, Any]]:
    def known(values: Mapping[str, NDArray[np.float64]], star: int) -> dict[str, float]:
        """Values of one star, by band, where there are any."""
        return {
            band: float(array[star])
            for band, array in values.items()
            if array[star] == array[star]
        }

    def number_at(values: NDArray[np.float64], star: int) -> float | None:
        """A star's value; None where it is not known."""
        value = float(values[star])
        return None if math.isnan(value) else value

    for star, (ra, dec) in enumerate(zip(table.ra.tolist(), table.dec.tolist(), strict=True)):
        yield {
            "product_id": catalogue,
            "source_number": first + star,
            "name": str(table.name[star]),
            "ra": ra,
            "dec": dec,
            "mags": known(table.mags, star),
            "mag_errs": known(table.mag_errs, star),
            **{name: number_at(array, star) for name, array in table.motion.items()},
        }
