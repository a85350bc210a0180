"""What a simulation is asked for."""

from __future__ import annotations

__all__ = ["SimulationConfig", "cameras", "stream"]

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from reduction.simulation import cameras as cameras_package
from reduction.simulation.cameras.base import Camera
from schemas.discover import modules_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def cameras() -> Mapping[str, Camera]:
    """Cameras that can be simulated, by name."""
    found = [getattr(module, "CAMERA", None) for module in modules_of(cameras_package)]
    return {camera.name: camera for camera in found if isinstance(camera, Camera)}


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
        Number of chips, from 1 to the camera's own.
    shape
        Pixels (ny, nx) of a chip that see light; (0, 0) for the camera's own.
    nights
        Dates ``YYYY-MM-DD`` on which the nights begin.
    filters
        Bands, "V", "B" or "I", which headers call by the camera's names: flats and science frames
        are made in each. The sky of "I" has fringes.
    n_bias, n_dome, n_twilight, n_science
        Frames a night (and filter).
    science_exptime
        s.
    ra, dec
        Centre of the field, ICRS degrees.
    dither
        Largest offset of an exposure from the centre in each coordinate, arcsec.
    clouds
        Magnitudes that clouds take from the science exposures of a band, in the order in which
        they are taken over all nights, again from the start when used up; empty for clear nights.
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
    instrument
        Name of the camera: a key of :func:`cameras`.
    """

    seed: int = 20260101
    chips: int = 2
    shape: tuple[int, int] = (0, 0)
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
    clouds: tuple[float, ...] = ()
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
    instrument: str = "simulated"

    def __post_init__(self) -> None:
        """Refuse what no camera can be."""
        if self.instrument not in cameras():
            known = ", ".join(cameras())
            message = f"instrument: found {self.instrument!r}, expected one of {known}"
            raise ValueError(message)
        if self.shape == (0, 0):
            object.__setattr__(self, "shape", self.camera.shape)
        most = len(self.camera.chip_names)
        if not 1 <= self.chips <= most:
            message = f"chips: found {self.chips}, expected 1 to {most}"
            raise ValueError(message)
        if self.shape != self.camera.shape and not self.camera.any_shape:
            message = (
                f"shape: found {self.shape}, expected {self.camera.shape} of {self.instrument}"
            )
            raise ValueError(message)
        if min(self.shape) < 64:
            message = f"shape: found {self.shape}, expected at least 64 pixels a side"
            raise ValueError(message)
        unknown = set(self.filters) - set(self.camera.filters)
        if unknown:
            known = " or ".join(self.camera.filters)
            message = f"filters: found {sorted(unknown)}, expected {known} of {self.instrument}"
            raise ValueError(message)

    @property
    def camera(self) -> Camera:
        """The camera."""
        return cameras()[self.instrument]

    @property
    def chip_names(self) -> tuple[str, ...]:
        """In the order of the extensions: ccd50, ccd51, ..."""
        return tuple(self.camera.chip_names[: self.chips])


def stream(config: SimulationConfig, *words: str | int) -> np.random.Generator:
    """Random numbers that depend on the seed and some words, and on nothing else."""
    key = [config.seed]
    for word in words:
        key += [word] if isinstance(word, int) else [len(word), *word.encode()]
    return np.random.default_rng(np.random.SeedSequence(key))
