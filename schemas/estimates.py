"""What a request is expected to take."""

from __future__ import annotations

__all__ = ["Estimate"]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """What answering a request is expected to take, before it is begun.

    Attributes
    ----------
    cost
        Of the database's plan, in its own units.
    rows
        Of the answer, as the plan expects.
    targets
        To be made before.
    making_s
        Seconds of work that this is.
    """

    cost: float
    rows: int
    targets: int = 0
    making_s: float = 0.0
