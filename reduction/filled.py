"""What was found for a slot of a target."""

from __future__ import annotations

__all__ = ["Filled"]

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reduction.pools import Pool
    from schemas.tables import Product


@dataclass(slots=True)
class Filled:
    """What was found for one slot.

    Attributes
    ----------
    products
        Progenitors, in order.
    pending
        Targets that have to be made before more can be said.
    considered
        Targets that this rests on, passed-over candidates included, and their counts of events.
    providers
        Product that each target gave.
    pools
        Calibrations that were passed over together.
    failure
        Why the slot cannot be filled; empty where it is.
    """

    products: list[Product] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    considered: dict[int, int] = field(default_factory=dict)
    providers: dict[int, int] = field(default_factory=dict)
    pools: list[Pool] = field(default_factory=list)
    failure: str = ""
