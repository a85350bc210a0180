"""What a simulation is asked for."""

from __future__ import annotations

__all__ = ["SimulationConfig", "stream"]

from dataclasses import dataclass
from typing import Final

import numpy as np

#: Largest number of chips, as in OmegaCAM.
_MAX_CHIPS: Final = 32

#: First chip's number: the chips are ccd50, ccd51, ...
FIRST_CHIP: Final = 50


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """A camera, a sky and an observing run.

    The camera depends on ``seed`` and the chip alone, the sky on ``seed``, ``ra``, ``dec`` and the
    mosaic's size, the noise of an exposure on ``seed``, its night, kind and number. So a second
    simulation with other ``nights`` and counts adds frames of the same camera and sky.

    Attributes
    ----------
    seed
        Of everything.
    chips
        Number of chips, 1 to 32.
    shape
        Pixels (ny, nx) of a chip that see light.
    nights
        Dates ``YYYY-MM-DD`` on which the nights begin.
    filters
        Names of filters, "V" or "B": flats and science frames are made in each.
    n_bias, n_dome, n_twilight, n_science
        Frames a night (and filter).
    science_exptime
        s.
    ra, dec
        Centre of the field, ICRS degrees.
    dither
        Largest offset of an exposure from the centre in each coordinate, arcsec.
    seeing
        Full width at half maximum of stars, pixels.
    stars, galaxies, cosmics
        Mean numbers per 256 x 256 pixels (cosmics: per science exposure).
    hot_fraction, cold_fraction
        Of the pixels.
    bright, faint
        Range of the stars' V magnitudes.
    pointing_error
        Error of the WCS in the headers in each coordinate, arcsec, one standard deviation.
    reference_error
        Of the positions in the reference catalogue, arcsec, one standard deviation.
    """

    seed: int = 20260101
    chips: int = 2
    shape: tuple[int, int] = (256, 256)
    nights: tuple[str, ...] = ("2025-03-01", "2025-03-02")
    filters: tuple[str, ...] = ("V",)
    n_bias: int = 5
    n_dome: int = 5
    n_twilight: int = 3
    n_science: int = 3
    science_exptime: float = 60.0
    ra: float = 150.1
    dec: float = 2.2
    dither: float = 6.0
    seeing: float = 3.8
    stars: float = 30.0
    galaxies: float = 5.0
    cosmics: float = 12.0
    hot_fraction: float = 0.003
    cold_fraction: float = 0.003
    bright: float = 14.0
    faint: float = 20.5
    pointing_error: float = 2.0
    reference_error: float = 0.03

    def __post_init__(self) -> None:
        """Refuse what no camera can be."""
        if not 1 <= self.chips <= _MAX_CHIPS:
            message = f"chips: found {self.chips}, expected 1 to {_MAX_CHIPS}"
            raise ValueError(message)
        if min(self.shape) < 64:
            message = f"shape: found {self.shape}, expected at least 64 pixels a side"
            raise ValueError(message)
        unknown = set(self.filters) - {"V", "B"}
        if unknown:
            message = f"filters: found {sorted(unknown)}, expected V or B"
            raise ValueError(message)

    @property
    def chip_names(self) -> tuple[str, ...]:
        """ccd50, ccd51, ..."""
        return tuple(f"ccd{FIRST_CHIP + index}" for index in range(self.chips))


def stream(config: SimulationConfig, *words: str | int) -> np.random.Generator:
    """Random numbers that depend on the seed and some words, and on nothing else."""
    key = [config.seed]
    for word in words:
        key += [word] if isinstance(word, int) else [len(word), *word.encode()]
    return np.random.default_rng(np.random.SeedSequence(key))
