"""What a question touches: the answer needs these targets fresh, and no others."""

from __future__ import annotations

__all__ = ["Circle", "Scope"]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Circle:
    """A cap of the sphere, ICRS, degrees."""

    ra: float
    dec: float
    radius: float


@dataclass(frozen=True, slots=True)
class Scope:
    """The targets that could contribute to an answer.

    None means not restricted. What is not understood of a question must be None: a scope may be
    too wide, never too narrow.

    Attributes
    ----------
    classes
        Target classes whose products could contribute; empty where nothing needs to be fresh.
    instruments, chips, filters
        Names, as published.
    region
        Where on the sky.
    time
        First and last moment, MJD.
    datasets
        Values of ``obs_publisher_did``.
    """

    classes: frozenset[str]
    instruments: frozenset[str] | None = None
    chips: frozenset[str] | None = None
    filters: frozenset[str] | None = None
    region: Circle | None = None
    time: tuple[float, float] | None = None
    datasets: frozenset[str] | None = None
