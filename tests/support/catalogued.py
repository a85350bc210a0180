"""Products made by hand: objects of the archive whose rows a test says."""

from __future__ import annotations

__all__ = ["kept_product", "some_sources"]

from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.keys import hash_of
from reduction.rows import insert_rows, row_dtype
from schemas.tables import Base, Product, Source

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def kept_product(
    session: Session, name: str, rows: np.ndarray[Any, Any], table: type[Base] = Source
) -> int:
    """Enter a product with rows, which no target stands for; its number."""
    product = Product(
        class_name="SourceList",
        key=hash_of(name),
        content_hash=hash_of(name),
        recipe_version="1",
        process_params={},
        attributes={},
        instrument="toy",
        chip="t1",
        filter="V",
    )
    session.add(product)
    session.flush()
    insert_rows(session, table, product, rows)
    return product.product_id


def some_sources(length: int, *, seed: int = 1) -> np.ndarray[Any, Any]:
    """Rows for ``vo.source``, some magnitudes without a value."""
    random = np.random.default_rng(seed)
    rows = np.zeros(length, row_dtype(Source))
    for name in rows.dtype.names[2:]:
        rows[name] = random.normal(size=length).astype("f4")
    rows["ra"], rows["dec"] = random.uniform(0, 360, length), random.uniform(-90, 90, length)
    rows["mag"] = np.where(random.random(length) < 0.3, np.nan, rows["mag"])
    rows["flags"] = random.integers(0, 64, length)
    return rows
