"""Regridded frames of several bands as one image to detect sources on."""

from __future__ import annotations

__all__ = ["CoaddedBands", "combine_bands"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reduction.coadding import combine_frames, frame_box, rectangle_around
from reduction.steps.blocks import copied
from reduction.steps.coadd import CombineType, Contribution, coadd
from reduction.steps.grid import part_of
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reduction.instruments.base import Section
    from reduction.steps.coadd import Planes
    from reduction.steps.wcs import TanWcs
    from reduction.target import Inputs, Progenitor


@dataclass(frozen=True, slots=True)
class CoaddedBands:
    """Bands combined on a part of a field's grid; planes as :class:`reduction.steps.coadd.Coadd`.

    Attributes
    ----------
    box, wcs
        The part and its projection.
    gain
        Electrons per unit, sum of the bands': of their mean, as of that of like frames.
    bands, n_frames
        What has a part: bands with weight, and their frames.
    """

    box: Section
    wcs: TanWcs
    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]
    gain: float
    bands: tuple[str, ...]
    n_frames: int


def combine_bands(
    inputs: Inputs,
    frames: Sequence[Progenitor],
    *,
    combine: CombineType,
    clip: tuple[float, float],
    zero_point: float,
) -> CoaddedBands:
    """Combine regridded frames band by band, and the bands with each other.

    A source's colour would look like an outlier among frames of several bands: only within each
    band values are clipped.

    Parameters
    ----------
    frames, combine, clip, zero_point
        As :func:`combine_frames`.

    Raises
    ------
    UnprocessableError
        If no band has a frame with a pixel with weight; one that has none has no part.
    """
    calibrated = any(frame["flux_scale"] is not None for frame in frames)
    usable = [f for f in frames if f["zero_point"] is not None or not calibrated]
    box = rectangle_around([frame_box(frame) for frame in usable])
    contributions, gains, bands, n_frames, wcs = [], [], [], 0, None
    nothing = UnprocessableError("no band has frames")
    for band in sorted({str(frame["band"]) for frame in usable}):
        mine = [frame for frame in usable if frame["band"] == band]
        try:
            made = combine_frames(inputs, mine, combine=combine, clip=clip, zero_point=zero_point)
        except UnprocessableError as error:  # the other bands are no worse for it
            nothing = error
            continue
        bands.append(band)
        n_frames += len(mine)
        planes = (made.images["IMAGE"], made.images["WEIGHT"], made.images["MASK"])
        contributions.append(Contribution(made.box, _cut(planes)))
        gains.append(made.median_of_sets("gain"))
        wcs = part_of(made.wcs, x0=box.x0 - made.box.x0, y0=box.y0 - made.box.y0)
    if wcs is None:
        raise nothing
    total = coadd(contributions, box, combine=CombineType.WEIGHTED, scratch=inputs.scratch)
    return CoaddedBands(
        box, wcs, total.image, total.weight, total.mask, sum(gains), tuple(bands), n_frames
    )


def _cut(planes: Planes) -> Callable[[Section], Planes]:
    """How pieces of planes are read."""

    def read(part: Section) -> Planes:
        """A part of the planes, in memory of its own."""
        image, weight, mask = (copied(plane, *part.slices) for plane in planes)
        return image, weight, mask

    return read
