"""The sky behind the sources, and its noise, on a mesh."""

from __future__ import annotations

__all__ = ["Background", "estimate_background", "unusable"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sep

from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Background:
    """Sky of a frame.

    Attributes
    ----------
    level, rms
        Sky and its noise in each pixel, shape (ny, nx), adu.
    global_level, global_rms
        The same for the whole frame, adu.
    """

    level: NDArray[np.float32]
    rms: NDArray[np.float32]
    global_level: float
    global_rms: float


def estimate_background(
    image: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    box: int = 64,
    filter_size: int = 3,
) -> Background:
    """Sky level and noise by clipped modes on a mesh, median filtered, splines between.

    Parameters
    ----------
    image
        Shape (ny, nx), adu. NaN is "no value".
    mask
        True where a pixel is not to be used, same shape.
    box
        Mesh size, pixels.
    filter_size
        Width of the median filter, in meshes.

    Raises
    ------
    UnprocessableError
        If no pixel can be used.

    Notes
    -----
    Bertin & Arnouts 1996, A&AS 117, 393, section 3, as SEP (Barbary 2016, JOSS 1, 58) does it.
    """
    bad = unusable(image, mask)
    if bad.all():
        message = "the frame has no usable pixel: expected some that are finite and not masked"
        raise UnprocessableError(message)
    ny, nx = image.shape
    pixels = np.ascontiguousarray(np.where(bad, 0, image), dtype=np.float32)
    sky = sep.Background(
        pixels,
        mask=bad,
        bw=min(box, nx),
        bh=min(box, ny),
        fw=filter_size,
        fh=filter_size,
    )
    level = np.asarray(sky.back(dtype=np.float32))
    rms = np.asarray(sky.rms(dtype=np.float32))
    return Background(level, rms, float(sky.globalback), float(sky.globalrms))


def unusable(
    image: NDArray[np.floating], mask: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Whether a pixel is masked or has no finite value, shape (ny, nx)."""
    bad: NDArray[np.bool_] = ~np.isfinite(image)
    if mask is not None:
        bad |= mask
    return bad
