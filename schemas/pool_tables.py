"""Zero points that targets passed over, and the targets that rest on them together."""

from __future__ import annotations

__all__ = ["Pool", "PoolMember", "PoolUser"]

from sqlalchemy import ForeignKey, Identity, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from schemas.base import Base


class Pool(Base):
    """Zero points of a day that targets passed over: one thing to rest on instead of many.

    Its count of events grows where one of them changes, or another comes.
    """

    __tablename__ = "pool"
    __table_args__ = (
        UniqueConstraint("class_name", "instrument", "chip", "filter", "day", name="uq_pool"),
    )

    pool_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    class_name: Mapped[str]
    instrument: Mapped[str]
    chip: Mapped[str]
    filter: Mapped[str]
    day: Mapped[int] = mapped_column(Integer)
    epoch: Mapped[int] = mapped_column(server_default="0")


class PoolMember(Base):
    """Which targets a pool has: calibrations that could not be made when they were passed over."""

    __tablename__ = "pool_member"

    target_id: Mapped[int] = mapped_column(
        ForeignKey("vo.target.target_id", ondelete="CASCADE"), primary_key=True
    )
    pool_id: Mapped[int] = mapped_column(ForeignKey("vo.pool.pool_id"), primary_key=True)


class PoolUser(Base):
    """Which targets' last verdicts rested on a pool; dirt flows through it."""

    __tablename__ = "pool_user"

    target_id: Mapped[int] = mapped_column(
        ForeignKey("vo.target.target_id", ondelete="CASCADE"), primary_key=True
    )
    pool_id: Mapped[int] = mapped_column(
        ForeignKey("vo.pool.pool_id"), primary_key=True, index=True
    )
