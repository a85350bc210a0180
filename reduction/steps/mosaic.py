"""The cameras of many exposures: where the chips are in them, and how each exposure points."""

from __future__ import annotations

__all__ = ["Exposures", "FrameSources", "arrange"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.distortion import DEGREE
from reduction.steps.polynomial import PixelPlane, polynomial_wcs
from reduction.steps.wcs import TanWcs, deproject, project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_TURNED_DEG: Final = 3.0
_GRID: Final = 8
_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class FrameSources:
    """The sources of one frame (CCD) that take part in a global solution.

    Attributes
    ----------
    x, y
        0-based pixels, shape (n,).
    errors
        Of either coordinate, pixels, shape (n,).
    shape
        (ny, nx) of the frame.
    wcs
        Its own solution: good enough to find its stars on other exposures.
    exposure
        What tells the exposures apart: all CCDs that were read out together have the same.
    camera
        What tells the setups apart in which the same distortion holds: instrument, filter, run.
    chip
        The CCD.
    """

    x: Array
    y: Array
    errors: Array
    shape: tuple[int, int]
    wcs: TanWcs
    exposure: str
    camera: str
    chip: str


@dataclass(slots=True)
class Exposures:
    """State of a solution: frame f shows ``turn[e] @ (terms @ chips[c]) + shift[e]`` about
    ``tangent[e]``, with e and c the frame's exposure and chip.

    Attributes
    ----------
    exposure, chip, setup
        Of each frame, shape (n frames,): numbers of its exposure, of its chip in its setup, and of
        its setup.
    planes
        Where the chips' polynomials are written.
    chips
        Coefficients, shape (n chips, 10, 2), degrees.
    tangent
        Tangent point (ra, dec) of each exposure, degrees: always the same place of the camera.
    turn, shift
        Shapes (n exposures, 2, 2), (n exposures, 2), degrees.
    """  # noqa: D205  # one formula

    exposure: NDArray[np.intp]
    chip: NDArray[np.intp]
    setup: NDArray[np.intp]
    planes: list[PixelPlane]
    chips: Array
    tangent: Array
    turn: Array
    shift: Array

    def camera(self, frame: int, points: Array) -> Array:
        """Place of a frame's pixels (n, 2) in its camera, degrees."""
        chip = self.chip[frame]
        return np.asarray(self.planes[chip].terms(points, DEGREE) @ self.chips[chip])

    def to_sky(self, frame: int, camera: Array) -> Array:
        """Place on the sky, degrees ICRS, shape (n, 2)."""
        e = self.exposure[frame]
        plane = camera @ self.turn[e].T + self.shift[e]
        return np.stack(deproject(*plane.T, *self.tangent[e]), axis=-1)

    def wcs(self, frame: int) -> TanWcs:
        """The frame's WCS; exact."""
        e, chip = self.exposure[frame], self.chip[frame]
        coefficients = self.chips[chip] @ self.turn[e].T
        coefficients[0] += self.shift[e]
        return polynomial_wcs(self.planes[chip], coefficients, *self.tangent[e].tolist())


def arrange(frames: Sequence[FrameSources]) -> Exposures:
    """Put frames together to exposures and cameras, by their own solutions.

    The exposure with most frames says where the chips are in its camera; each other exposure is
    laid on it. An exposure that is turned by more than 3 degrees against it has another setup.
    """
    names = sorted({frame.exposure for frame in frames})
    exposure = np.array([names.index(frame.exposure) for frame in frames], np.intp)
    order = sorted(range(len(names)), key=lambda e: (-int((exposure == e).sum()), e))
    state = _Arrangement(frames, exposure, len(names))
    for e in order:
        state.add(e)
    return state.exposures()


class _Arrangement:
    def __init__(
        self, frames: Sequence[FrameSources], exposure: NDArray[np.intp], number: int
    ) -> None:
        self._frames, self._exposure = frames, exposure
        self._setups: list[tuple[str, dict[str, int]]] = []
        self._planes: list[PixelPlane] = []
        self._chips: list[Array] = []
        self._tangent, self._shift = np.zeros((number, 2)), np.zeros((number, 2))
        self._turn = np.repeat(np.eye(2)[np.newaxis], number, axis=0)
        self._chip = np.zeros(len(frames), np.intp)
        self._setup = np.zeros(len(frames), np.intp)

    def exposures(self) -> Exposures:
        """All exposures with their setups, as far as they were laid."""
        return Exposures(
            self._exposure,
            self._chip,
            self._setup,
            self._planes,
            np.array(self._chips).reshape(-1, 10, 2),
            self._tangent,
            self._turn,
            self._shift,
        )

    def add(self, e: int) -> None:
        """Lay an exposure on the setup that it fits, or begin a new one with it."""
        mine = [int(f) for f in np.flatnonzero(self._exposure == e)]
        for number, (camera, chips) in enumerate(self._setups):
            known = [f for f in mine if self._frames[f].chip in chips]
            if camera != self._frames[mine[0]].camera or not known:
                continue
            turn = self._turned(known, chips)
            if turn is not None:
                self._lay(e, known, chips, turn)
                self._place(e, mine, number)
                return
        centres = np.array([self._middle(f) for f in mine])
        self._tangent[e] = _mean_position(centres)
        self._setups.append((self._frames[mine[0]].camera, {}))
        self._place(e, mine, len(self._setups) - 1)

    def _middle(self, f: int) -> Array:
        ny, nx = self._frames[f].shape
        return np.array(self._frames[f].wcs.to_sky((nx - 1) / 2.0, (ny - 1) / 2.0))

    def _turned(self, known: list[int], chips: dict[str, int]) -> Array | None:
        """Rotation of an exposure against its camera; None where it is none or too large."""
        found = []
        for f in known:
            plane = self._planes[chips[self._frames[f].chip]]
            there = self._chips[chips[self._frames[f].chip]][1:3].T / plane.half
            found.append(np.array(self._frames[f].wcs.cd) @ np.linalg.inv(there))
        turn = np.median(found, axis=0)
        angle = np.degrees(np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1]))
        same = abs(float(np.linalg.det(turn)) - 1.0) < 0.05 and abs(angle) < _TURNED_DEG
        if not same:
            return None
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        return np.array([[c, -s], [s, c]])

    def _lay(self, e: int, known: list[int], chips: dict[str, int], turn: Array) -> None:
        """Tangent point at which the chips' middles are where the camera has them."""
        middles = np.array([self._middle(f) for f in known])
        wanted = np.array([self._chips[chips[self._frames[f].chip]][0] for f in known]) @ turn.T
        tangent = _mean_position(middles)
        for _ in range(_ROUNDS):
            there = np.stack(project(*middles.T, *tangent), axis=-1)
            step = np.median(there - wanted, axis=0)
            tangent = np.array([float(v) for v in deproject(step[0], step[1], *tangent)])
        self._tangent[e], self._turn[e] = tangent, turn

    def _place(self, e: int, mine: list[int], number: int) -> None:
        chips = self._setups[number][1]
        back = np.linalg.inv(self._turn[e])
        for f in mine:
            frame = self._frames[f]
            if frame.chip not in chips:
                chips[frame.chip] = len(self._chips)
                plane = PixelPlane.of(frame.shape)
                self._planes.append(plane)
                self._chips.append(_polynomial(frame, plane, self._tangent[e]) @ back.T)
            self._chip[f], self._setup[f] = chips[frame.chip], number


def _polynomial(frame: FrameSources, plane: PixelPlane, tangent: Array) -> Array:
    """A frame's own solution as a polynomial about a tangent point, shape (10, 2)."""
    ny, nx = frame.shape
    x, y = np.meshgrid(np.linspace(0, nx - 1, _GRID), np.linspace(0, ny - 1, _GRID))
    points = np.stack((x.ravel(), y.ravel()), axis=-1)
    sky = np.stack(project(*frame.wcs.to_sky(*points.T), *tangent), axis=-1)
    return plane.fit(points, sky, np.ones(len(points)), DEGREE)[0]


def _mean_position(positions: Array) -> Array:
    """Middle of positions (n, 2) near each other, degrees."""
    ra0 = positions[0, 0]
    offset = (positions[:, 0] - ra0 + 180.0) % 360.0 - 180.0
    return np.array([(ra0 + offset.mean()) % 360.0, positions[:, 1].mean()])
