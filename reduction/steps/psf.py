"""The light distribution of stars over one frame: a Moffat function that varies with place."""

from __future__ import annotations

__all__ = ["HALF_LIGHT", "PsfModel", "fit_psf", "stamps", "usable_pixels"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.surface import Surface, fit_surface, needed_degree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Stamps = NDArray[np.float32]

#: Half-size of a stamp in full widths at half maximum, for fluxes and for the fit of the function,
#: and its limits in pixels.
_REACH: Final = 2.2
_REACH_OF_FIT: Final = 2.6
_SMALLEST: Final = 5
_LARGEST: Final = 24

#: Nodes of the two-point Gauss-Legendre rule in a pixel: exact for cubics in both coordinates.
_NODES: Final = (-0.28867513459481287, 0.28867513459481287)

#: Range of 1 / beta: a Gaussian, and wings that hardly end.
_WINGS: Final = (0.02, 0.7)

_ITERATIONS: Final = 8
_CLIP: Final = 3.5

#: Relative error of a star's width beyond its noise, and stars that a quadratic function needs.
_WIDTH_FLOOR: Final = 0.01
_MANY: Final = 60

HALF_LIGHT: Final = math.sqrt((2.0 ** (1.0 / 3.0) - 1.0) / (2.0**0.25 - 1.0))
"""Twice the half-light radius of a Moffat function of beta 4 over its full width at half maximum:
what is assumed of stars where none could be fitted."""


@dataclass(frozen=True, slots=True)
class PsfModel:
    """Point spread function of a frame, normalised to unit flux over the plane.

    ``P = (beta - 1) / (pi sqrt(det A)) (1 + d' A^-1 d)^-beta``, integrated over the pixel. A is
    the matrix of squared widths at half maximum over ``4 (2^(1/beta) - 1)``.

    Attributes
    ----------
    wings
        1 / beta; towards 0 a Gaussian.
    xx, xy, yy
        Squared full width at half maximum as a symmetric matrix, pixel2, over the frame.
    n_stars
        Stars it was fitted to; 0 for a guess from the sources' own widths.
    """

    wings: float
    xx: Surface
    xy: Surface
    yy: Surface
    n_stars: int

    @property
    def half(self) -> int:
        """Half side of the stamps that hold what matters of a star, pixels."""
        middle = math.sqrt(max(self.xx.middle + self.yy.middle, 0.0) / 2.0)
        return int(np.clip(math.ceil(_REACH * middle), _SMALLEST, _LARGEST))

    def fwhm(self, x: Array, y: Array) -> Array:
        """Full width at half maximum, pixels: the geometric mean of the axes."""
        xx, xy, yy = self._matrix(x, y)
        return np.asarray((xx * yy - xy * xy) ** 0.25, dtype=np.float64)

    def at(self, x: Array, y: Array, dx: Stamps, dy: Stamps, *, wider: float = 1.0) -> Stamps:
        """Fraction of a star's flux in pixels.

        Parameters
        ----------
        x, y
            Places of the stars on the frame, 0-based pixels, shape (n,).
        dx, dy
            Distances of pixel centres from them, pixels, that broadcast to (n, ny, nx).
        wider
            Factor on the width.
        """
        xx, xy, yy = (part * wider**2 for part in self._matrix(x, y))
        total = None
        for ox in _NODES:
            for oy in _NODES:
                part = _moffat(dx + np.float32(ox), dy + np.float32(oy), xx, xy, yy, self.wings)
                total = part if total is None else total + part
        return np.asarray(total, dtype=np.float32) * np.float32(0.25)

    def _matrix(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Squared widths at places; the middle's where the surfaces leave what is possible."""
        xx, xy, yy = self.xx.at(x, y), self.xy.at(x, y), self.yy.at(x, y)
        possible = (xx > 0) & (yy > 0) & (xx * yy - xy * xy > 0.1 * xx * yy)
        middle = (self.xx.middle, self.xy.middle, self.yy.middle)
        xx, xy, yy = (
            np.where(possible, part, mean) for part, mean in zip((xx, xy, yy), middle, strict=True)
        )
        return xx, xy, yy


def usable_pixels(
    bad: NDArray[np.bool_], x: Array, y: Array, half: int
) -> tuple[NDArray[np.bool_], NDArray[np.intp], Stamps, Stamps]:
    """Squares around places: what of them is usable, where they lie, and how far from the place.

    Parameters
    ----------
    bad
        Where the frame must not be used, shape (ny, nx).
    x, y
        0-based pixels, shape (n,).
    half
        The squares have m = 2 half + 1 pixels a side.

    Returns
    -------
    tuple of ndarray
        Whether a pixel is on the frame and not bad, and its index in the flat frame (clipped to
        it), shape (n, m, m); distances of the pixels from the places, (n, 1, m) and (n, m, 1).
    """
    ny, nx = bad.shape
    offsets = np.arange(-half, half + 1)
    columns = np.rint(x).astype(np.intp)[:, None] + offsets
    rows = np.rint(y).astype(np.intp)[:, None] + offsets
    on_rows, on_columns = (rows >= 0) & (rows < ny), (columns >= 0) & (columns < nx)
    index = np.clip(rows, 0, ny - 1)[:, :, None] * nx + np.clip(columns, 0, nx - 1)[:, None, :]
    good = on_rows[:, :, None] & on_columns[:, None, :] & ~bad.reshape(-1)[index]
    dx = (columns - x[:, None]).astype(np.float32)[:, None, :]
    dy = (rows - y[:, None]).astype(np.float32)[:, :, None]
    return good, index, dx, dy


def stamps(
    pixels: NDArray[np.float32], bad: NDArray[np.bool_], x: Array, y: Array, half: int
) -> tuple[Stamps, NDArray[np.bool_], Stamps, Stamps]:
    """Cut squares around places out of a frame.

    Parameters
    ----------
    pixels
        Frame, contiguous, shape (ny, nx).
    bad, x, y, half
        As :func:`usable_pixels`.

    Returns
    -------
    tuple of ndarray
        Values, shape (n, m, m), 0 where not usable; and what :func:`usable_pixels` gives, but for
        the index.
    """
    good, index, dx, dy = usable_pixels(bad, x, y, half)
    return np.where(good, pixels.reshape(-1)[index], np.float32(0)), good, dx, dy


def fit_psf(
    pixels: NDArray[np.float32],
    bad: NDArray[np.bool_],
    x: Array,
    y: Array,
    *,
    fwhm: float,
) -> PsfModel:
    """Fit the point spread function of a frame to its stars.

    Parameters
    ----------
    pixels, bad
        Frame without sky, adu, and where it must not be used, shape (ny, nx).
    x, y
        Of bright, isolated, unsaturated sources that are mostly stars, 0-based pixels, shape (n,).
    fwhm
        First guess of the full width at half maximum, pixels; the model's where no star can be
        fitted.

    Notes
    -----
    Each star is fitted by Gauss-Newton with equal weights of pixels, all stars at once; the wings
    are the median of the stars', the shapes a polynomial over the frame, weighted with the stars'
    errors and clipped: of the degree that they demand (:func:`needed_degree`), quadratic at most
    from 60 stars on, linear below. Moffat 1969, A&A 3, 455.
    """
    shape = pixels.shape
    half = int(np.clip(math.ceil(_REACH_OF_FIT * fwhm), _SMALLEST, _LARGEST))
    values, good, dx, dy = stamps(pixels, bad, x, y, half)
    whole = good.mean(axis=(1, 2)) > 0.9 if len(x) else np.zeros(0, np.bool_)
    values, good, dx, dy = values[whole], good[whole], dx[whole], dy[whole]
    stars = _Stars(values, good, dx, dy)
    state = stars.start(fwhm)
    state, fitted = stars.solve(state, free_wings=True)
    if not fitted.any():
        return _round(fwhm, shape)
    state[:, _WING] = np.median(state[fitted, _WING])
    state, fitted = stars.solve(state, free_wings=False)
    if not fitted.any():
        return _round(fwhm, shape)
    keep = _stellar(state, fitted)
    place = x[whole][keep], y[whole][keep]
    columns = [_XX, _XY, _YY]
    shapes, variances = state[keep][:, columns].T, stars.variances(state)[keep][:, columns].T
    weights = 1.0 / (variances + (2.0 * _WIDTH_FLOOR * shapes[[0, 0, 2]]) ** 2)
    xx, xy, yy = _varying(place, shapes, weights, shape)
    return PsfModel(float(state[keep, _WING][0]), xx, xy, yy, int(keep.sum()))


def _varying(
    place: tuple[Array, Array], shapes: Array, weights: Array, shape: tuple[int, int]
) -> list[Surface]:
    """Squared widths over the frame: of the degree that the stars demand.

    Stars in one corner say nothing of the frame's middle, where a slope would lead to widths that
    cannot be: they are then the same all over.
    """
    most = 2 if len(place[0]) >= _MANY else 1
    degree = needed_degree(*place, shapes, shape=shape, most=most, weights=weights)
    for allowed in (degree, 0):
        found = [
            fit_surface(*place, part, shape=shape, degree=allowed, clip=_CLIP, weights=weight)[0]
            for part, weight in zip(shapes, weights, strict=True)
        ]
        xx, xy, yy = (part.middle for part in found)
        if xx > 0 and yy > 0 and xx * yy - xy * xy > 0.1 * xx * yy:
            break
    return found


def _round(fwhm: float, shape: tuple[int, int]) -> PsfModel:
    """What is assumed where no star can be fitted: a Moffat function of beta 4."""
    square = Surface.constant(fwhm**2, shape)
    return PsfModel(0.25, square, Surface.constant(0.0, shape), square, 0)


_FLUX, _X, _Y, _XX, _XY, _YY, _WING = range(7)


def _stellar(state: Array, fitted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fitted sources whose size is the common one: galaxies are wider, cosmic rays narrower."""
    size = np.where(fitted, (state[:, _XX] * state[:, _YY] - state[:, _XY] ** 2), np.nan)
    size = np.log(np.where(size > 0, size, np.nan))
    keep = np.isfinite(size)
    for _ in range(5):
        middle = np.median(size[keep])
        spread = max(1.4826 * float(np.median(np.abs(size[keep] - middle))), 0.04)
        again = np.isfinite(size) & (np.abs(size - middle) < _CLIP * spread)
        if (again == keep).all() or not again.any():
            break
        keep = again
    return keep


def _moffat(  # a formula
    dx: Stamps, dy: Stamps, xx: Array, xy: Array, yy: Array, wings: float | Array
) -> Stamps:
    """The function at pixels' centres, unit flux; parameters of shape (n,) or numbers."""
    width = 4.0 * (2.0 ** np.asarray(wings) - 1.0)
    determinant = xx * yy - xy * xy
    scale = width / determinant
    norm = (1.0 / np.asarray(wings) - 1.0) / np.pi * width / np.sqrt(determinant)

    def wide(values: Array) -> Stamps:
        """Values of stars as they broadcast over stamps."""
        return np.asarray(values, np.float32).reshape(-1, 1, 1)

    u = wide(yy * scale) * (dx * dx) + wide(xx * scale) * (dy * dy)
    u -= wide(2.0 * xy * scale) * (dx * dy)
    np.log1p(u, out=u)
    u *= wide(-1.0 / np.asarray(wings))
    np.exp(u, out=u)
    u *= wide(norm)
    return u


class _Stars:
    """Stamps of stars and the fit of a Moffat function to each."""

    def __init__(self, values: Stamps, good: NDArray[np.bool_], dx: Stamps, dy: Stamps) -> None:
        self.values, self.weight = values, good.astype(np.float32)
        self.dx, self.dy = dx, dy

    def start(self, fwhm: float) -> Array:
        """Flux, place, squared widths, wings of each; shape (n, 7)."""
        state = np.zeros((len(self.values), 7))
        state[:, _FLUX] = self.values.sum(axis=(1, 2))
        state[:, _XX] = state[:, _YY] = fwhm * fwhm
        state[:, _WING] = 0.25
        return state

    def solve(self, state: Array, *, free_wings: bool) -> tuple[Array, NDArray[np.bool_]]:
        """Gauss-Newton with damped steps; gives the state and which stars converged."""
        if len(state) == 0:
            return state, np.zeros(0, np.bool_)
        free = 7 if free_wings else 6
        step = np.full((len(state), free), np.inf)
        for _ in range(_ITERATIONS):
            step = self._step(state, free)
            state = state.copy()
            state[:, :free] += step
            state[:, _WING] = np.clip(state[:, _WING], *_WINGS)
            floor = 0.25 * np.median(state[:, _XX])
            for column in (_XX, _YY):
                state[:, column] = np.maximum(state[:, column], max(floor, 0.5))
            limit = 0.7 * np.sqrt(state[:, _XX] * state[:, _YY])
            state[:, _XY] = np.clip(state[:, _XY], -limit, limit)
        size = np.sqrt(state[:, _XX])
        still = np.abs(step[:, _X]) + np.abs(step[:, _Y]) < 0.02 * size
        still &= np.abs(step[:, _XX]) < 0.05 * state[:, _XX]
        still &= (state[:, _FLUX] > 0) & (np.hypot(state[:, _X], state[:, _Y]) < size)
        return state, still & np.isfinite(state).all(axis=1)

    def variances(self, state: Array) -> Array:
        """Variances of flux, place and squared widths at given wings, shape (n, 6).

        From the scatter of the pixels about the fit, whatever its cause.
        """
        residual, flat = self._linear(state, _WING)
        free = np.maximum(self.weight.sum(axis=(1, 2), dtype=np.float64) - _WING, 1.0)
        scatter = np.einsum("nij,nij->n", residual, residual) / free
        normal, size = _normal(flat)
        inverse = np.linalg.inv(normal + 1e-9 * np.eye(_WING))
        return np.asarray(np.einsum("nii->ni", inverse) / size**2 * scatter[:, None])

    def _step(self, state: Array, free: int) -> Array:
        residual, flat = self._linear(state, free)
        right = np.matmul(flat.transpose(0, 2, 1), residual.reshape(len(state), -1, 1))
        normal, size = _normal(flat)
        normal = normal + 1e-3 * np.eye(free)
        step = np.linalg.solve(normal, right.astype(np.float64) / size[:, :, None])[..., 0] / size
        limit = np.full((len(state), free), np.inf)
        limit[:, _X] = limit[:, _Y] = 0.5
        limit[:, _XX : _YY + 1] = 0.3 * state[:, _XX, None]
        if free > _WING:
            limit[:, _WING] = 0.1
        return np.asarray(np.clip(np.nan_to_num(step), -limit, limit), np.float64)

    def _linear(self, state: Array, free: int) -> tuple[Stamps, Stamps]:
        """What is left of the stamps, and how the first parameters change them, (n, pixels, k)."""
        model = self._model(state)
        flux = state[:, _FLUX, None, None]
        residual = (self.values - flux * model) * self.weight
        slopes = np.empty((*model.shape, free), np.float32)
        slopes[..., _FLUX] = model
        for column, move in (
            *((_X, 0.02), (_Y, 0.02), (_XX, 0.02), (_XY, 0.02), (_YY, 0.02), (_WING, 0.01)),
        )[: free - 1]:
            scale = state[:, _XX] if column in {_XX, _XY, _YY} else np.ones(len(state))
            shifted = state.copy()
            shifted[:, column] += move * scale
            change = self._model(shifted) - model
            slopes[..., column] = change * (flux / (move * scale)[:, None, None])
        slopes *= self.weight[..., None]
        return np.asarray(residual, np.float32), slopes.reshape(len(state), -1, free)

    def _model(self, state: Array) -> Stamps:
        """Each star's function in its stamp: at pixels' centres, since the width is free."""
        total = None
        dx = self.dx - state[:, _X, None, None].astype(np.float32)
        dy = self.dy - state[:, _Y, None, None].astype(np.float32)
        matrix = state[:, _XX], state[:, _XY], state[:, _YY], state[:, _WING]
        for ox in _NODES:
            for oy in _NODES:
                part = _moffat(dx + np.float32(ox), dy + np.float32(oy), *matrix)
                total = part if total is None else total + part
        return np.asarray(total) * np.float32(0.25)


def _normal(slopes: Stamps) -> tuple[Array, Array]:
    """Matrix of the normal equations with a unit diagonal, and the roots of its own diagonal."""
    normal = np.matmul(slopes.transpose(0, 2, 1), slopes).astype(np.float64)
    size = np.sqrt(np.maximum(np.einsum("nii->ni", normal), 1e-30))
    return normal / (size[:, :, None] * size[:, None, :]), size
