"""A mosaic camera with distortion, and what its exposures of a field detect: arrays alone."""

from __future__ import annotations

__all__ = ["Camera", "Sky", "true_wcs"]

from dataclasses import dataclass, field

import numpy as np

from reduction.steps.mosaic import FrameSources
from reduction.steps.polynomial import PixelPlane, polynomial_wcs
from reduction.steps.wcs import TanWcs, deproject, project

SCALE = 0.2


@dataclass
class Camera:
    """Chips in rows, each a little turned, behind optics with a cubic distortion."""

    chips: int = 4
    columns: int = 2
    shape: tuple[int, int] = (1024, 1024)
    bend: float = 3e-4
    seed: int = 1
    polynomials: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        ny, nx = self.shape
        rows = -(-self.chips // self.columns)
        half = max(self.shape) / 2.0
        step = SCALE / 3600.0
        reach = step * np.hypot(self.columns * nx, rows * ny) / 2.0
        for chip in range(self.chips):
            column, row = chip % self.columns, chip // self.columns
            middle = np.array(
                [(column - (self.columns - 1) / 2) * 1.03 * nx, (row - (rows - 1) / 2) * 1.03 * ny]
            )
            angle = np.radians(rng.normal(0.0, 0.05))
            x, y = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9))
            pixels = np.stack((x.ravel(), y.ravel()), axis=-1) * half
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            focal = step * (pixels @ turn.T + middle) * (-1.0, 1.0)
            radius2 = np.sum(focal**2, axis=1, keepdims=True) / reach**2
            plane = focal * (1.0 + self.bend * radius2)
            terms = PixelPlane(0.0, 0.0, half).terms(pixels, 3)
            self.polynomials.append(np.linalg.lstsq(terms, plane, rcond=None)[0])


def true_wcs(camera: Camera, chip: int, ra: float, dec: float, map_: np.ndarray) -> TanWcs:
    """Of a chip when the optical axis points somewhere, under a small linear map."""
    plane = PixelPlane.of(camera.shape)
    return polynomial_wcs(plane, camera.polynomials[chip] @ map_.T, ra, dec)


@dataclass
class Sky:
    """Stars around a place, a part of them in a catalogue."""

    ra0: float = 150.0
    dec0: float = 2.0
    half: float = 0.12
    stars: int = 1500
    known: float = 0.3
    reference_error: float = 0.03
    seed: int = 2

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        xi, eta = rng.uniform(-self.half, self.half, (2, self.stars))
        self.ra, self.dec = deproject(xi, eta, self.ra0, self.dec0)
        self.mag = 16.0 + 6.0 * rng.random(self.stars) ** 0.6
        known = np.flatnonzero(rng.random(self.stars) < self.known)
        self.catalogue = known
        error = rng.normal(0.0, self.reference_error / 3600.0, (2, len(known)))
        self.cat_ra = self.ra[known] + error[0] / np.cos(np.radians(self.dec0))
        self.cat_dec = self.dec[known] + error[1]

    def observe(
        self,
        camera: Camera,
        exposures: int,
        *,
        dither: float = 30.0,
        noise: float = 0.1,
        found: float = 0.95,
        wild: float = 0.0,
        guess: float = 0.3,
        seed: int = 3,
        label: str = "",
    ) -> tuple[list[FrameSources], list[TanWcs], list[np.ndarray]]:
        """Frames with first guesses, the truth, and each source's star.

        ``dither`` and ``guess`` (error of the guesses' shift) in arcsec, ``noise`` in pixels,
        ``wild`` the fraction of sources that are displaced by some pixels.
        """
        rng = np.random.default_rng(seed)
        frames, truth, stars = [], [], []
        ny, nx = camera.shape
        for number in range(exposures):
            ra = self.ra0 + rng.uniform(-dither, dither) / 3600.0
            dec = self.dec0 + rng.uniform(-dither, dither) / 3600.0
            map_ = np.eye(2) + rng.normal(0.0, 5e-5, (2, 2))
            for chip in range(camera.chips):
                wcs = true_wcs(camera, chip, ra, dec, map_)
                x, y = wcs.to_pixel(self.ra, self.dec)
                seen = (x > 0) & (x < nx - 1) & (y > 0) & (y < ny - 1)
                seen = np.flatnonzero(seen & (rng.random(self.stars) < found))
                error = np.full(len(seen), noise)
                x, y = (v[seen] + rng.normal(0.0, noise, len(seen)) for v in (x, y))
                lost = rng.random(len(seen)) < wild
                x += np.where(lost, rng.normal(0.0, 3.0, len(seen)), 0.0)
                off = rng.normal(0.0, guess / 3600.0, 2)
                first = polynomial_wcs(
                    PixelPlane.of(camera.shape), camera.polynomials[chip][:3], ra, dec
                )
                first = TanWcs(
                    first.ra0 + off[0], first.dec0 + off[1], first.x0, first.y0, first.cd
                )
                frames.append(
                    FrameSources(
                        *(x, y, error, camera.shape, first),
                        exposure=f"{label}{number}",
                        camera=f"camera{label}",
                        chip=str(chip),
                    )
                )
                truth.append(wcs)
                stars.append(seen)
        return frames, truth, stars


def separation(found: TanWcs, truth: TanWcs, shape: tuple[int, int]) -> np.ndarray:
    """East and north differences of two projections over a frame, arcsec, shape (81, 2)."""
    ny, nx = shape
    x, y = np.meshgrid(np.linspace(0, nx - 1, 9), np.linspace(0, ny - 1, 9))
    there = truth.to_sky(x.ravel(), y.ravel())
    here = found.to_sky(x.ravel(), y.ravel())
    mine, theirs = (project(*sky, truth.ra0, truth.dec0) for sky in (here, there))
    return 3600.0 * (np.stack(mine, axis=-1) - np.stack(theirs, axis=-1))
