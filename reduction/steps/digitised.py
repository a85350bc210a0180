"""Whole numbers made continuous again, for medians and modes of them."""

from __future__ import annotations

__all__ = ["less_noise", "smoothed_out", "step_of"]

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Pixels that are looked at, from every so many rows; how many of them have to differ.
_ROWS: Final = 16
_FEWEST: Final = 100

#: Part of a step by which a difference may be none: rounding to float32 at 65 000 steps.
_ROUNDING: Final = 0.05

#: Five standard deviations of the variance of even noise, in units of it, times a mesh's side.
_CHANCE: Final = 5.0 * 0.8**0.5

#: Steps narrower than so many of the number format's own are its rounding.
_FINEST: Final = 8.0

#: Part of the neighbours that have to differ by whole steps: more than noise does by chance.
_MOST: Final = 0.9


def step_of(image: NDArray[np.float32], bad: NDArray[np.bool_]) -> float:
    """Distance of the numbers that pixels can have; 0 where they are not told apart.

    Parameters
    ----------
    image, bad
        Any unit, and where there is no value; shape (ny, nx).

    Notes
    -----
    By neighbours in a row: bias levels that differ from row to row or from amplifier to amplifier
    leave whole steps between them, a flat field does not.
    """
    part = slice(None, None, _ROWS)
    apart = np.abs(np.diff(image[part], axis=1))
    apart = apart[~(bad[part, 1:] | bad[part, :-1]) & (apart > 0)]
    if len(apart) < _FEWEST:
        return 0.0
    step = float(apart.min())
    largest = np.abs(image[part][~bad[part]]).max()
    if step < _FINEST * float(np.spacing(np.float32(largest))):
        return 0.0
    parts = apart / np.float32(step)
    whole = np.abs(parts - np.rint(parts)) < _ROUNDING
    return step if float(whole.mean()) > _MOST else 0.0


def smoothed_out(image: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """The image with even noise as wide as a step, the same at every call.

    A median of whole numbers is one, whatever their mean: with it, it is right to the noise.
    """
    noise = np.random.default_rng(0).random(image.shape, np.float32)
    noise -= np.float32(0.5)
    noise *= np.float32(step)
    noise += image
    return noise


def less_noise(rms: ArrayLike, step: float, *, side: int) -> NDArray[np.float32]:
    """Noise of the image from that of :func:`smoothed_out`; 0 where that is chance.

    Parameters
    ----------
    rms
        Of meshes, the pixels' unit, any shape.
    step
        As :func:`smoothed_out`.
    side
        Of a mesh, pixels.
    """
    added = step**2 / 12.0
    variance = np.square(np.asarray(rms, np.float64)) - added
    known = np.where(variance > _CHANCE / side * added, variance, 0.0)
    return np.asarray(np.sqrt(known), np.float32)
