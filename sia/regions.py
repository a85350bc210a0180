"""Shapes on the sphere: which positions are inside, where their outline runs, how far they reach.

Positions are unit vectors, shape (n, 3), of ICRS longitude and latitude.
"""

from __future__ import annotations

__all__ = [
    "Cap",
    "bounding_cap",
    "check_polygon",
    "contains",
    "outline",
    "parse_polygon",
    "parse_region",
    "to_positions",
    "to_vectors",
]

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.values import Circle, Polygon, Range, Shape, parse_shape

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_TINY: Final = 1e-13
_CHUNK: Final = 1_000_000
_SPLIT: Final = 8
_FIRST_STEP: Final = math.radians(1.0)


def to_vectors(ra: ArrayLike, dec: ArrayLike) -> Floats:
    """Unit vectors of positions.

    Parameters
    ----------
    ra, dec
        Degrees, shape (n,).

    Returns
    -------
    ndarray
        Shape (n, 3). NaN where a coordinate is NaN.
    """
    lon, lat = np.radians(np.asarray(ra, float)), np.radians(np.asarray(dec, float))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def to_positions(vectors: Floats) -> tuple[Floats, Floats]:
    """Longitude in [0, 360) and latitude in degrees, each shape (n,), of vectors, shape (n, 3)."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


@dataclass(frozen=True, slots=True)
class Cap:
    """Positions within ``radius`` (radians) of ``axis`` (unit vector, shape (3,))."""

    axis: Floats
    radius: float

    @property
    def circle(self) -> Circle:
        """The same in degrees."""
        ra, dec = to_positions(self.axis[None])
        return Circle(float(ra[0]), float(dec[0]), math.degrees(self.radius))

    @classmethod
    def around(cls, vectors: Floats) -> Cap:
        """A cap that holds vectors, shape (n, 3); not the smallest, but never twice as wide."""
        axis = vectors.mean(axis=0)
        length = float(np.linalg.norm(axis))
        axis = vectors[0] if length < 1e-9 else axis / length
        return cls(axis, float(_distance(vectors, axis).max()))


def _distance(vectors: Floats, axis: Floats) -> Floats:
    """Angles in radians, exact for small and large ones alike, shape (n,)."""
    chord = np.linalg.norm(vectors - axis, axis=-1)
    result: Floats = 2 * np.arcsin(np.clip(chord / 2, 0, 1))
    return result


def parse_region(text: str) -> Shape:
    """Read a value of POS; as :func:`schemas.values.parse_shape`, polygons checked.

    Raises
    ------
    ValueError
        If it is no shape, or a polygon that has no inside.
    """
    shape = parse_shape(text)
    if isinstance(shape, Polygon):
        check_polygon(shape)
    return shape


def parse_polygon(text: str) -> Polygon:
    """Read a polygon and check that it has an inside.

    Raises
    ------
    ValueError
        If it is no polygon, or one that has no inside.
    """
    polygon = Polygon.parse(text)
    check_polygon(polygon)
    return polygon


def check_polygon(polygon: Polygon) -> None:
    """Refuse polygons that have no inside.

    Raises
    ------
    ValueError
        If two edges cross, an edge has 180 degrees, or all vertices are on one great circle.
    """
    a = _vertices(polygon)
    b = np.roll(a, -1, axis=0)
    if (np.linalg.norm(a + b, axis=1) < 1e-9).any():
        raise ValueError("edges shorter than 180 degrees")
    if _crossing(a, b):
        raise ValueError("a polygon whose edges do not cross")
    if abs(_signed_area(a, b)) < 1e-20:
        raise ValueError("a polygon with an area")


def _vertices(polygon: Polygon) -> Floats:
    lon, lat = zip(*polygon.vertices, strict=True)
    return to_vectors(lon, lat)


def _crossing(a: Floats, b: Floats) -> bool:
    """Whether any two of the arcs a[i]-b[i], shape (n, 3), cross away from their ends."""
    normals = np.cross(a, b)
    of_a, of_b = normals @ a.T, normals @ b.T  # [i, j]: side of arc i on which a[j], b[j] lie
    acb, bda = -of_a, of_b
    cbd, dac = -of_b.T, of_a.T
    crossed = (acb * bda > 0) & (acb * cbd > 0) & (acb * dac > 0)
    n = len(a)
    apart = (np.arange(n)[:, None] - np.arange(n)) % n
    neighbours = (apart == 0) | (apart == 1) | (apart == n - 1)
    return bool((crossed & ~neighbours).any())


def _signed_area(a: Floats, b: Floats) -> float:
    """Solid angle to the left of the closed line of arcs a[i]-b[i], in (-2 pi, 2 pi].

    Notes
    -----
    Van Oosterom & Strackee 1983, IEEE Trans. Biomed. Eng. 30, 125, for each triangle with a
    common third corner.
    """
    c = Cap.around(a).axis
    triple = np.cross(a, b) @ c
    below = 1 + (a * b).sum(axis=1) + a @ c + b @ c
    area = float((2 * np.arctan2(triple, below)).sum())
    return math.remainder(area, 4 * math.pi)


@singledispatch
def contains(shape: Shape, vectors: Floats) -> Flags:
    """Whether positions are inside a shape or on its outline.

    Parameters
    ----------
    shape
        What to look in.
    vectors
        Unit vectors, shape (n, 3).

    Returns
    -------
    ndarray
        Booleans, shape (n,); False where a vector is NaN.
    """
    raise TypeError(f"no such shape: {shape!r} for {len(vectors)} positions")


@contains.register
def _(shape: Circle, vectors: Floats) -> Flags:
    axis = to_vectors(shape.ra, shape.dec)
    result: Flags = _distance(vectors, axis) <= math.radians(shape.radius) + _TINY
    return result


@contains.register
def _(shape: Range, vectors: Floats) -> Flags:
    ra, dec = to_positions(vectors)
    slack = math.degrees(_TINY)
    between = (dec >= shape.dec1 - slack) & (dec <= shape.dec2 + slack)
    at_pole = np.abs(dec) > 90 - 1e-12
    ahead = (ra - shape.ra1 + slack) % 360
    result: Flags = between & (at_pole | (ahead <= _width(shape) + 2 * slack))
    return result


@contains.register
def _(shape: Polygon, vectors: Floats) -> Flags:
    """By the number of times that the outline runs around each position.

    The outline runs around a position and, the other way, around its antipode; the orientation
    tells which of the two is inside the smaller side.
    """
    a = _vertices(shape)
    b = np.roll(a, -1, axis=0)
    turns = 1 if _signed_area(a, b) > 0 else -1
    normals, cosines = np.cross(a, b), (a * b).sum(axis=1)
    inside = np.zeros(len(vectors), bool)
    size = max(1, _CHUNK // len(a))
    for start in range(0, len(vectors), size):
        p = vectors[start : start + size]
        angles = np.arctan2(p @ normals.T, cosines - (p @ a.T) * (p @ b.T))
        inside[start : start + size] = np.round(angles.sum(axis=1) / (2 * math.pi)) == turns
    return inside


def _width(shape: Range) -> float:
    """Degrees of longitude that a range spans, in [0, 360]."""
    width = shape.ra2 - shape.ra1
    return width if width >= 0 else width + 360


@dataclass(frozen=True, slots=True)
class _Arc:
    """``cosine * axis + sine * (cos t * start + sin t * side)`` for t from 0 to ``angle``."""

    axis: Floats
    start: Floats
    side: Floats
    cosine: float
    sine: float
    angle: float

    def at(self, t: Floats) -> Floats:
        """Unit vectors, shape (n, 3), at the angles ``t``, shape (n,), radians from the start."""
        turned = np.cos(t)[:, None] * self.start + np.sin(t)[:, None] * self.side
        result: Floats = self.cosine * self.axis + self.sine * turned
        return result


def _great_arc(a: Floats, b: Floats) -> _Arc:
    normal = np.cross(a, b)
    sine = float(np.linalg.norm(normal))
    normal = normal / sine if sine else np.array([0.0, 0.0, 1.0])
    return _Arc(normal, a, np.cross(normal, a), 0.0, 1.0, math.atan2(sine, float(a @ b)))


def _small_arc(axis: Floats, start: Floats, radius: float, angle: float) -> _Arc:
    """Arc at ``radius`` from ``axis``, from the direction ``start`` counter-clockwise."""
    return _Arc(axis, start, np.cross(axis, start), math.cos(radius), math.sin(radius), angle)


@singledispatch
def _arcs(shape: Shape) -> Iterator[_Arc]:
    raise TypeError(f"no such shape: {shape!r}")


@_arcs.register
def _(shape: Circle) -> Iterator[_Arc]:
    axis = to_vectors(shape.ra, shape.dec)
    least = np.eye(3)[int(np.argmin(np.abs(axis)))]
    start = np.cross(axis, least)
    start /= np.linalg.norm(start)
    yield _small_arc(axis, start, math.radians(shape.radius), 2 * math.pi)


@_arcs.register
def _(shape: Range) -> Iterator[_Arc]:
    north = np.array([0.0, 0.0, 1.0])
    width = _width(shape)
    west, east = to_vectors([shape.ra1, shape.ra1 + width], [0, 0])
    for dec in (shape.dec1, shape.dec2):
        yield _small_arc(north, west, math.radians(90 - dec), math.radians(width))
    if width < 360:
        height = math.radians(shape.dec2 - shape.dec1)
        first = math.radians(shape.dec1)
        for side in (west, east):
            low = math.cos(first) * side + math.sin(first) * north
            up = math.cos(first) * north - math.sin(first) * side
            yield _Arc(np.cross(side, north), low, up, 0.0, 1.0, height)


@_arcs.register
def _(shape: Polygon) -> Iterator[_Arc]:
    corners = _vertices(shape)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        yield _great_arc(a, b)


def outline(shape: Shape, near: Cap, step: float) -> list[Floats]:
    """Points along the outline of a shape, as far as it runs inside a cap.

    Parameters
    ----------
    shape
        Whose outline.
    near
        Where it is wanted; of what is further away some may be missing.
    step
        Distance of neighbouring points at most, radians.

    Returns
    -------
    list of ndarray
        Pieces of the outline, each two neighbouring points: shape (n, 2, 3), one array for each
        side of the shape that comes near.
    """
    found = []
    for arc in _arcs(shape):
        pieces = max(_SPLIT, math.ceil(arc.angle * arc.sine / _FIRST_STEP))
        width = arc.angle / pieces
        starts: Floats = np.arange(pieces, dtype=float) * width
        while True:
            reach = near.radius + width * arc.sine
            starts = starts[_distance(arc.at(starts + width / 2), near.axis) <= reach]
            if not len(starts) or width * arc.sine <= step:
                break
            width /= _SPLIT
            starts = (starts[:, None] + np.arange(_SPLIT) * width).ravel()
        if len(starts):
            found.append(np.stack([arc.at(starts), arc.at(starts + width)], axis=1))
    return found


@singledispatch
def bounding_cap(shape: Shape) -> Cap | None:
    """A cap smaller than half the sphere that holds the shape, or None where there is none."""
    raise TypeError(f"no such shape: {shape!r}")


@bounding_cap.register
def _(shape: Circle) -> Cap | None:
    return _if_small(Cap(to_vectors(shape.ra, shape.dec), math.radians(shape.radius)))


@bounding_cap.register
def _(shape: Range) -> Cap | None:
    caps = [
        Cap(np.array([0.0, 0.0, 1.0]), math.radians(90 - shape.dec1)),
        Cap(np.array([0.0, 0.0, -1.0]), math.radians(90 + shape.dec2)),
    ]
    width = _width(shape)
    if width <= 180:
        axis = to_vectors(shape.ra1 + width / 2, (shape.dec1 + shape.dec2) / 2)
        corners = to_vectors([shape.ra1, shape.ra1], [shape.dec1, shape.dec2])
        caps.append(Cap(axis, float(_distance(corners, axis).max()) + 1e-12))
    return _if_small(min(caps, key=lambda cap: cap.radius))


@bounding_cap.register
def _(shape: Polygon) -> Cap | None:
    return _if_small(Cap.around(_vertices(shape)))


def _if_small(cap: Cap) -> Cap | None:
    return cap if cap.radius < math.pi / 2 else None
