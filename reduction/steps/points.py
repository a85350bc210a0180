"""Points of a frame that stand out of the sky, and not with a compact source: to find lines in."""

from __future__ import annotations

__all__ = ["Frame", "standing_out"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    import sep
    from numpy.typing import NDArray
    from scipy import ndimage

    Image = NDArray[np.float32]
    Mask = NDArray[np.bool_]
else:
    sep = deferred("sep")
    ndimage = deferred("scipy.ndimage")

#: From more binning than this on two rows of those that make one will do.
_SMALL_BINNING: Final = 4

#: Points that touch make a compact source where they are so many, so little elongated, and fill
#: so much of the ellipse of their second moments.
_SOURCE_AREA: Final = 9
_ELONGATED: Final = 2.5
_FILLED: Final = 0.5

#: Points of a group from which on something thin may cross it.
_LARGE: Final = 150

#: Points that lines are looked for among, at most: the brightest.
_POINTS: Final = 4000


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


def standing_out(
    frame: Frame, binning: int, threshold: float
) -> tuple[Image, Image, tuple[int, int]]:
    """Pixels of the binned image that stand out and belong to no compact source: x, y, shape.

    Of frames that are binned much two rows in each are looked at.
    """
    ny, nx = (n // binning * binning for n in frame.image.shape)
    rows = range(0, binning, binning // 2 if binning > _SMALL_BINNING else 1)
    total = np.zeros((ny // binning, nx), dtype=np.float32)
    wrong = np.zeros((ny // binning, nx), dtype=np.uint8)
    for row in rows:
        part = np.s_[row:ny:binning, :nx]
        total += frame.image[part]
        wrong += frame.rejected(part)
    at = np.flatnonzero(wrong)
    for row in rows:
        y, x = np.divmod(at, nx)
        y = y * binning + row
        out = frame.rejected((y, x))
        total.ravel()[at[out]] -= frame.image[y[out], x[out]]
    binned, bad = (_columns(image, binning) for image in (total, wrong.astype(np.float32)))
    count = np.float32(len(rows) * binning) - bad
    empty = (2 * count < len(rows) * binning) | ~np.isfinite(binned)
    binned /= np.maximum(count, 1)
    binned[empty] = 0
    sky = sep.Background(binned, mask=empty, bw=32, bh=32, fw=3, fh=3)
    binned -= sky.back(dtype=np.float32)
    binned[empty] = 0
    noise = float(sky.globalrms) or 1e-6 * float(np.abs(binned).max(initial=0.0)) or 1.0
    height = binned / noise
    limit = threshold
    if np.count_nonzero(height > limit) > 4 * _POINTS:
        limit = float(np.partition(height, -4 * _POINTS, axis=None)[-4 * _POINTS])
    points = (height > limit) & ~_compact(height > limit)
    y, x = np.nonzero(points)
    if y.size > _POINTS:
        most = np.argpartition(height[y, x], -_POINTS)[-_POINTS:]
        y, x = y[most], x[most]
    shape = (ny // binning, nx // binning)
    return x.astype(np.float32), y.astype(np.float32), shape


def _columns(image: Image, binning: int) -> Image:
    """Sums of so many neighbouring columns."""
    blocks = image[:, ::binning].copy()
    for column in range(1, binning):
        blocks += image[:, column::binning]
    return blocks


def _compact(points: Mask) -> Mask:
    """Points of groups that are large and about as wide as long; a trail on a galaxy is none."""
    labels, number = ndimage.label(points, np.ones((3, 3)))
    y, x = np.nonzero(points)
    group = labels[y, x]
    area = np.maximum(np.bincount(group, minlength=number + 1), 1)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        """Of each group, by its number."""
        return np.asarray(np.bincount(group, values, number + 1) / area)

    mx, my = mean(x), mean(y)
    dx, dy = x - mx[group], y - my[group]
    xx, yy, xy = mean(dx * dx) + 1 / 12, mean(dy * dy) + 1 / 12, mean(dx * dy)
    root = np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    long, short = (xx + yy) / 2 + root, np.maximum((xx + yy) / 2 - root, 1 / 24)
    round_ = (area >= _SOURCE_AREA) & (long < _ELONGATED**2 * short)
    round_ &= area > _FILLED * 4.0 * math.pi * np.sqrt(long * short)  # trails that cross are not
    round_[0] = False
    compact = np.asarray(round_[labels])
    large = round_ & (area > _LARGE)
    if large.any():
        part = large[labels]
        thick = ndimage.binary_opening(part, np.ones((5, 5)))
        compact &= ~part | ndimage.binary_dilation(thick, np.ones((3, 3)), iterations=2)
    return compact
