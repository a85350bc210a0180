"""Products that may have been made from altered bytes: made again when they are asked for.

A product's key says what it was made from, by content. Where a raw frame's bytes are found
altered, the keys of what was made of it may say what is not so, and nobody can know: a disk does
not write down when it changed a byte. Such products are doubted (``is_valid`` -1): nothing is made
from them, they are no answer to their own key, and another product takes their place, whose key
says which it is not. Where the same comes out, nothing that rests on it is made again.
"""

from __future__ import annotations

__all__ = ["doubt_users", "doubted", "without_doubted"]

from typing import TYPE_CHECKING

from sqlalchemy import select

from reduction.edits import set_standings
from reduction.keys import hash_of
from reduction.objects import called
from reduction.quality import DOUBTED
from schemas.tables import Lineage, Product, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.verdicts import Verdict


def doubt_users(
    archive: Archive, session: Session, raws: Sequence[Product], *, who: str
) -> list[int]:
    """Doubt what was made directly of raw frames whose bytes were found altered.

    What a person rejected is left as it is.

    Returns
    -------
    list of int
        The products; their targets, and what rests on them, are suspect now.
    """
    of_raw = {raw.product_id: called(raw) for raw in raws}
    made = select(Lineage.product_id, Lineage.progenitor_id).where(
        Lineage.progenitor_id.in_(of_raw)
    )
    users = {row.product_id: of_raw[row.progenitor_id] for row in session.execute(made)}
    products = session.scalars(
        select(Product)
        .where(Product.product_id.in_(users), Product.is_valid >= 1)
        .order_by(Product.product_id)
        .with_for_update(key_share=True)
    ).all()
    why = "it may have been made while the bytes of {} were altered"
    found = [(product, why.format(users[product.product_id])) for product in products]
    set_standings(archive, session, found, DOUBTED, who)
    return [product.product_id for product in products]


def without_doubted(verdict: Verdict, alike: Iterable[Product]) -> list[Product]:
    """Products that were made as a verdict wants it, and are not doubted.

    Where others are, what is made in their place has a key of its own.
    """
    found = list(alike)
    doubted_ones = sorted(p.product_id for p in found if p.is_valid == DOUBTED)
    if doubted_ones:
        verdict.key = hash_of([verdict.key, "instead of", doubted_ones])
    return [product for product in found if product.is_valid != DOUBTED]


def doubted(session: Session, raw_id: int) -> list[int]:
    """Products of a raw frame that the archive answers with, and that are doubted."""
    return list(
        session.scalars(
            select(Product.product_id)
            .join(Target, Target.product_id == Product.product_id)
            .join(Lineage, Lineage.product_id == Product.product_id)
            .where(Lineage.progenitor_id == raw_id, Product.is_valid == DOUBTED)
            .order_by(Product.product_id)
            .distinct()
        )
    )
