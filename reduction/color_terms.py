"""Which colour term counts: the one that a night's standards gave, else the filter's constant."""

from __future__ import annotations

__all__ = ["terms_of", "what_colors_add"]

from typing import TYPE_CHECKING

from reduction.frame_keys import frame_key
from reduction.steps.transformation import of_color

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reduction.target import Progenitor


def what_colors_add(stars: NDArray[np.void], term: float | None) -> NDArray[np.float64]:
    """What colours add to the zero points of standard stars, mag, shape (n,).

    Parameters
    ----------
    stars
        Rows of STANDARDS of one frame.
    term
        A measured colour term; None: the constant that the rows were made with.
    """
    return stars["of_color"] if term is None else of_color(stars["color"], term)


def terms_of(frames: Sequence[Progenitor], measured: Iterable[Progenitor]) -> list[float | None]:
    """Colour term of each frame of a field, None where only the constant is known.

    Parameters
    ----------
    frames
        Products made per frame.
    measured
        PhotometricParameters, whose zero points have such a term taken off. A frame without its
        own is as the last of its camera and filter.
    """
    own, usual = {}, {}
    for one in measured:
        own[frame_key(one)] = usual[one.instrument, one.filter] = float(one["color_term"])
    return [own.get(frame_key(f), usual.get((f.instrument, f.filter))) for f in frames]
