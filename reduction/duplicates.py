"""Exposures that came more than once, in files of other bytes: one of them is used.

A file that is packed otherwise, or whose header was touched, has another checksum and so is
another frame. Counted twice it would weigh twice, and agree with itself where outliers are looked
for.
"""

from __future__ import annotations

__all__ = ["alone_again", "flag_duplicate", "see_alone", "used_twin"]

import logging
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from reduction.frame_keys import file_stem
from reduction.select import VOUCHED, usable
from reduction.superseded import successor
from reduction.targets.raw import DUPLICATE
from schemas.errors import ParameterError
from schemas.tables import Product

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sqlalchemy.orm import Session

_LOG = logging.getLogger(__name__)

#: Days by which moments of one exposure differ at most, by how they are written: a millisecond.
_SAME: Final = 1.2e-8

#: What is measured of the pixels, and differs from frame to frame by noise alone.
_MEASURED: Final = ("imstat.mean", "imstat.stdev", "imstat.min", "imstat.max", "scatter")


def used_twin(session: Session, raw: Product) -> Product | None:
    """The frame that is used and is the same exposure as a raw frame, the first if several.

    Of the same chip, beginning and exposure time, from another file; and that of the same name, or
    in the same filter with the same statistics of its pixels. Time alone does not do: clocks of
    some cameras are coarse, and frames of a series are of one moment then.
    """
    others = select(Product).where(
        Product.class_name == raw.class_name,
        Product.instrument == raw.instrument,
        Product.chip == raw.chip,
        Product.night == raw.night,
        Product.target_id.is_(None),
        Product.moment.between((raw.moment or 0.0) - _SAME, (raw.moment or 0.0) + _SAME),
        Product.file_id != raw.file_id,
    )
    for other in session.scalars(others.order_by(Product.product_id)):
        if usable(other) and _is_same(raw, other):
            return other
    return None


def _is_same(raw: Product, other: Product) -> bool:
    one, two = raw.attributes, other.attributes
    if one["exptime"] != two["exptime"]:
        return False
    if _stem(one) == _stem(two):
        return True
    measured = [one.get(word) for word in _MEASURED]
    known = None not in measured
    return known and raw.filter == other.filter and measured == [two.get(w) for w in _MEASURED]


def _stem(attributes: Mapping[str, Any]) -> str:
    return file_stem(str(attributes["name"]))


def flag_duplicate(session: Session, raw: Product) -> bool:
    """Flag a frame that comes in, and is not registered yet, if its exposure is used already.

    Of two that come at the same time one waits for the other.

    Returns
    -------
    bool
        Whether it is.
    """
    _hold(session, raw)
    other = used_twin(session, raw)
    if other is None:
        return False
    raw.quality_flags |= DUPLICATE[0]
    raw.attributes = {**raw.attributes, "duplicate_of": other.product_id}
    name, before = raw.attributes["name"], other.attributes["name"]
    message = "%s is the same exposure as %s (object %d), which stays in use"
    _LOG.warning(message, name, before, other.product_id, extra={"target": name})
    return True


def alone_again(session: Session, raw: Product) -> str:
    """Why a frame that is flagged is none of two any more, in words; empty for others.

    The other one was described to be another exposure since. One that a person rejected keeps its
    exposure out: who wants this frame in its place says so himself.
    """
    if not raw.quality_flags & DUPLICATE[0] or raw.is_valid != 1:
        return ""
    other = now = int(raw.attributes["duplicate_of"])
    while (later := successor(session, now)) is not None:
        now = later
    if now == other or session.get_one(Product, now).is_valid == 0 or used_twin(session, raw):
        return ""
    return f"duplicate_of {other} -> null: that was described again as object {now}"


def _hold(session: Session, raw: Product) -> None:
    """Let nobody else say which frame of an exposure is used, until the transaction ends."""
    exposure = f"{raw.class_name} {raw.instrument} {raw.chip} {raw.moment or 0.0:.6f}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(exposure, 0))))


def see_alone(session: Session, raw: Product, value: int) -> None:
    """See that a raw frame may be used, if ``is_valid`` is set to a value: its twin is not.

    Raises
    ------
    ParameterError
        If both would be; names the other.
    """
    _hold(session, raw)
    used = value == VOUCHED or (value == 1 and raw.quality_flags == 0)
    other = used_twin(session, raw) if used else None
    if other is not None:
        name = other.attributes["name"]
        raise ParameterError(
            "is_valid",
            value,
            f"0, or that object {other.product_id} ({name}), which is the same exposure and is "
            "used, is rejected first",
        )
