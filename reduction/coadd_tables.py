"""Tables of a coadd: its frames, which of them a pixel is of, and the chips."""

from __future__ import annotations

__all__ = [
    "DETECTOR_DTYPE",
    "FRAME_DTYPE",
    "SET_DTYPE",
    "detectors_of",
    "sets_of",
]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.frame_keys import FRAME_KEY_FIELDS
from reduction.steps.blocks import row_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: One row a regridded frame; ``frame`` is its position in the lineage. ``flux_scale`` is 0 for
#: frames that were left out. On the coadd's scale: ``weight`` is the median inverse variance,
#: ``unit_weight`` that where the flat is 1, ``gain`` electrons per unit there, and
#: ``photon_fraction`` the part of the sky's variance there that photons make.
FRAME_DTYPE: Final = np.dtype(
    [
        *(("frame", "i4"), *FRAME_KEY_FIELDS),
        *(("filter", "U64"), ("night", "U10"), ("exptime", "f8")),
        *(("seeing", "f8"), ("pos_err", "f8"), ("zero_point", "f8"), ("zero_point_err", "f8")),
        *(("flux_scale", "f8"), ("weight", "f8"), ("unit_weight", "f8"), ("gain", "f8")),
        *(("photon_fraction", "f8"), ("noise_factor", "f8")),
        *(("pixels", "i8"), ("clipped", "i8")),
    ]
)

#: One row an origin: how many frames and pixels it has, their exposure time (s), and electrons
#: per unit and weight where the flats are 1. GAIN and WEIGHT have what they are elsewhere.
SET_DTYPE: Final = np.dtype(
    [
        *(("origin", "i4"), ("frames", "i4"), ("pixels", "i8"), ("exptime", "f8")),
        *(("gain", "f8"), ("weight", "f8")),
    ]
)

#: One row a detector: its frames, and their seeing (arcsec).
DETECTOR_DTYPE: Final = np.dtype(
    [
        *(*FRAME_KEY_FIELDS[:2], ("frames", "i4")),
        *(("seeing", "f8"), ("seeing_best", "f8"), ("seeing_worst", "f8")),
    ]
)


def sets_of(
    origin: NDArray[np.int32], members: NDArray[np.void], table: NDArray[np.void]
) -> NDArray[np.void]:
    """What each set of frames amounts to."""
    pixels = np.zeros(int(members["origin"].max()) + 1, np.int64)
    for rows in row_blocks(origin):
        pixels += np.bincount(origin[rows].ravel(), minlength=len(pixels))
    n, which, frame = len(pixels), members["origin"], members["frame"]
    weight, gain = table["unit_weight"][frame], table["gain"][frame]
    total = np.bincount(which, weight, n)
    photons = np.bincount(which, weight**2 / gain, n)
    sets = np.zeros(n - 1, SET_DTYPE)
    sets["origin"] = np.arange(1, n)
    sets["frames"] = np.bincount(which, minlength=n)[1:]
    sets["pixels"] = pixels[1:]
    sets["exptime"] = np.bincount(which, table["exptime"][frame], n)[1:]
    sets["gain"] = total[1:] ** 2 / photons[1:]
    sets["weight"] = total[1:]
    return sets


def detectors_of(used: NDArray[np.void]) -> NDArray[np.void]:
    """Seeing by detector, in the order of their names."""
    names = sorted({(str(row["instrument"]), str(row["chip"])) for row in used})
    detectors = np.zeros(len(names), DETECTOR_DTYPE)
    for row, (instrument, chip) in zip(detectors, names, strict=True):
        own = used["seeing"][(used["instrument"] == instrument) & (used["chip"] == chip)]
        known = own[np.isfinite(own)] if np.isfinite(own).any() else np.array([math.nan])
        row["instrument"], row["chip"], row["frames"] = instrument, chip, len(own)
        row["seeing"] = np.median(known)
        row["seeing_best"], row["seeing_worst"] = known.min(), known.max()
    return detectors
