"""A frame that trails are looked for on, and what of it stands out of the sky."""

from __future__ import annotations

__all__ = ["Frame", "heights"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    import sep
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Mask = NDArray[np.bool_]
else:
    sep = deferred("sep")

#: From more binning than this on two rows of those that make one will do.
_SMALL_BINNING: Final = 4

#: Pixels of the binned image a side of the meshes that its sky is taken from.
_MESH: Final = 16


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, and its bad and saturated pixels."""

    image: Image
    bad: Mask | None
    saturated: Mask | None

    def noise(self) -> float:
        """Scatter of every 91st pixel about its neighbour, adu; NaN where hardly one is good.

        A slope of the sky is none of it.
        """
        part, beside = np.s_[::13, :-1:7], np.s_[::13, 1::7]
        values = self.image[part] - self.image[beside]
        good = np.isfinite(values) & ~self.rejected(part) & ~self.rejected(beside)
        if good.mean() < 0.1:
            return math.nan
        values = values[good]
        return float(1.4826 / math.sqrt(2.0) * np.median(np.abs(values - np.median(values))))

    def rejected(self, part: Any) -> Mask:  # noqa: ANN401  # any index
        """Whether pixels are bad or saturated."""
        given = [mask[part] for mask in (self.bad, self.saturated) if mask is not None]
        if not given:
            return np.zeros_like(self.image[part], dtype=np.bool_)
        return np.asarray(given[0] if len(given) == 1 else given[0] | given[1])

    def without(self, mask: Mask) -> Frame:
        """The frame with more pixels to look over."""
        return Frame(self.image, mask if self.bad is None else self.bad | mask, self.saturated)

    def full(self, y: NDArray[np.intp], x: NDArray[np.intp]) -> Mask:
        """Whether pixels are saturated."""
        if self.saturated is None:
            return np.zeros(y.shape, dtype=np.bool_)
        return np.asarray(self.saturated[y, x])


def heights(frame: Frame, binning: int, most: float) -> Image:
    """Heights of the binned image above its sky, in units of their scatter, -most to most.

    Of frames that are binned much two rows in each are looked at. 0 where nothing is known.
    """
    ny, nx = (n // binning * binning for n in frame.image.shape)
    rows = range(0, binning, binning // 2 if binning > _SMALL_BINNING else 1)
    total = np.zeros((ny // binning, nx), dtype=np.float32)
    wrong = np.zeros((ny // binning, nx), dtype=np.uint8)
    for row in rows:
        part = np.s_[row:ny:binning, :nx]
        total += frame.image[part]
        wrong += frame.rejected(part)
    at = np.flatnonzero(wrong != 0)
    for row in rows:
        y, x = np.divmod(at, nx)
        y = y * binning + row
        out = frame.rejected((y, x))
        total.ravel()[at[out]] -= frame.image[y[out], x[out]]
    binned, most_of_it = _columns(total, binning), len(rows) * binning
    y, x = np.divmod(at, nx)
    place = y * binned.shape[1] + x // binning
    bad = np.bincount(place, wrong.reshape(-1)[at], binned.size).reshape(binned.shape)
    count = (most_of_it - bad).astype(np.float32)
    empty = (2 * count < most_of_it) | ~np.isfinite(binned)
    binned /= np.maximum(count, 1)
    binned[empty] = 0
    sky = sep.Background(binned, mask=empty, bw=_MESH, bh=_MESH, fw=3, fh=3)
    binned -= sky.back(dtype=np.float32)
    binned /= float(sky.globalrms) or 1e-6 * float(np.abs(binned).max(initial=0.0)) or 1.0
    binned[empty] = 0
    return np.clip(binned, -most, most, out=binned)


def _columns(image: Image, binning: int) -> Image:
    """Sums of so many neighbouring columns."""
    blocks = image[:, ::binning].copy()
    for column in range(1, binning):
        blocks += image[:, column::binning]
    return blocks
