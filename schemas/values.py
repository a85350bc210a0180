"""Values as DALI writes them: intervals, points, circles, ranges, polygons, timestamps.

Every class reads with ``parse`` and writes with ``str``, and what was written reads back equal.
``parse`` raises ValueError with what would be right, as the end of "expected ...".
"""

from __future__ import annotations

__all__ = [
    "MAX_VERTICES",
    "Circle",
    "Interval",
    "Point",
    "Polygon",
    "Range",
    "Shape",
    "parse_count",
    "parse_shape",
    "parse_timestamp",
    "print_number",
    "print_timestamp",
]

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MAX_VERTICES: Final = 1000
"""Vertices a polygon of a request has at most: its edges are compared pair by pair."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITY = re.compile(r"([+-]?)inf(?:inity)?", re.IGNORECASE)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,6})\d*)?(?:Z|\+00:00)?)?", re.ASCII
)
_INTERVAL_FORM = "two numbers, lower and upper bound, where -Inf and +Inf leave a side open"
_POINT_FORM = "two numbers, longitude in [0, 360] and latitude in [-90, 90] degrees"
_CIRCLE_FORM = "three numbers, longitude, latitude and radius in degrees"
_RANGE_FORM = "four numbers, longitudes and latitudes from and to, in degrees"
_POLYGON_FORM = "longitude and latitude in degrees of at least three vertices"


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval; an infinite bound leaves its side open.

    Notes
    -----
    Standard: DALI-1.1 3.3.4; a single number is an interval of length 0 (SIA-2.0 2.1.2).
    """

    lower: float
    upper: float

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read ``lower upper``, or one number.

        Raises
        ------
        ValueError
            If there are other than one or two numbers, or the bounds are in the wrong order.
        """
        numbers = _numbers(text, _INTERVAL_FORM, infinite=True)
        if len(numbers) == 1 and math.isfinite(numbers[0]):
            return cls(numbers[0], numbers[0])
        if len(numbers) != 2:
            raise ValueError(_INTERVAL_FORM)
        lower, upper = numbers
        if lower > upper or lower == math.inf or upper == -math.inf:
            raise ValueError("a lower bound that is not above the upper bound")
        return cls(lower, upper)

    def overlaps(self, lower: float, upper: float) -> bool:
        """Whether this interval and ``[lower, upper]`` share a value."""
        return self.lower <= upper and lower <= self.upper

    def __str__(self) -> str:
        """As DALI writes it."""
        return f"{print_number(self.lower)} {print_number(self.upper)}"


@dataclass(frozen=True, slots=True)
class Point:
    """A position, ICRS degrees (DALI-1.1 3.3.5)."""

    ra: float
    dec: float

    @classmethod
    def parse(cls, text: str) -> Point:
        """Read ``longitude latitude``.

        Raises
        ------
        ValueError
            If that is not what it is, or a coordinate is outside its limits.
        """
        numbers = _numbers(text, _POINT_FORM)
        if len(numbers) != 2:
            raise ValueError(_POINT_FORM)
        return cls(_longitude(numbers[0]), _latitude(numbers[1]))

    def __str__(self) -> str:
        """As DALI writes it."""
        return f"{print_number(self.ra)} {print_number(self.dec)}"


@dataclass(frozen=True, slots=True)
class Circle:
    """Positions within ``radius`` of (``ra``, ``dec``), ICRS degrees (DALI-1.1 3.3.6)."""

    ra: float
    dec: float
    radius: float

    @classmethod
    def parse(cls, text: str) -> Circle:
        """Read ``longitude latitude radius``.

        Raises
        ------
        ValueError
            If that is not what it is, or a number is outside its limits.
        """
        numbers = _numbers(text, _CIRCLE_FORM)
        if len(numbers) != 3:
            raise ValueError(_CIRCLE_FORM)
        ra, dec, radius = numbers
        if not 0 < radius <= 180:
            raise ValueError(f"a radius in (0, 180] degrees (it is {radius:g})")
        return cls(_longitude(ra), _latitude(dec), radius)

    def __str__(self) -> str:
        """As DALI writes it."""
        return " ".join(map(print_number, (self.ra, self.dec, self.radius)))


@dataclass(frozen=True, slots=True)
class Range:
    """Positions between two meridians and two parallels, ICRS degrees.

    ``ra1 > ra2`` is a range across longitude 0.

    Notes
    -----
    Standard: SIA-2.0 2.1.1, SODA-1.0 3.3.1; DALI-1.2 3.8 for ranges across longitude 0. Infinite
    bounds stand for the end of the coordinate.
    """

    ra1: float
    ra2: float
    dec1: float
    dec2: float

    @classmethod
    def parse(cls, text: str) -> Range:
        """Read ``longitude1 longitude2 latitude1 latitude2``.

        Raises
        ------
        ValueError
            If that is not what it is, a number is outside its limits, or latitudes fall.
        """
        numbers = _numbers(text, _RANGE_FORM, infinite=True)
        if len(numbers) != 4:
            raise ValueError(_RANGE_FORM)
        lower = (0.0, None, -90.0, None)
        upper = (None, 360.0, None, 90.0)
        ends = [
            (low if number < 0 else high) if math.isinf(number) else number
            for number, low, high in zip(numbers, lower, upper, strict=True)
        ]
        if None in ends:
            raise ValueError("-Inf as a lower and +Inf as an upper bound only")
        ra1, ra2, dec1, dec2 = (end for end in ends if end is not None)
        if dec1 > dec2:
            raise ValueError("a first latitude that is not above the second")
        return cls(_longitude(ra1), _longitude(ra2), _latitude(dec1), _latitude(dec2))

    def __str__(self) -> str:
        """As DALI writes it."""
        return " ".join(map(print_number, (self.ra1, self.ra2, self.dec1, self.dec2)))


@dataclass(frozen=True, slots=True)
class Polygon:
    """Positions inside a closed line of great-circle arcs, ICRS degrees.

    Of the two sides of the line the smaller one is inside, whichever way it winds (SIA-2.0 2.1.1;
    DALI-1.1 3.3.7 asks for one direction, which requests often get wrong).

    Attributes
    ----------
    vertices
        (longitude, latitude) of each, the first not repeated at the end.
    """

    vertices: tuple[tuple[float, float], ...]

    @classmethod
    def parse(cls, text: str) -> Polygon:
        """Read ``longitude1 latitude1 longitude2 latitude2 ...``.

        Vertices that repeat the one before (or, at the end, the first) are dropped.

        Raises
        ------
        ValueError
            If that is not what it is, a number is outside its limits, or there are too few or too
            many different vertices.
        """
        numbers = _numbers(text, _POLYGON_FORM)
        if len(numbers) % 2:
            raise ValueError(f"{_POLYGON_FORM}: an even number of numbers")
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        points = [(_longitude(ra), _latitude(dec)) for ra, dec in pairs]
        kept = [
            point for point, last in zip(points, [None, *points], strict=False) if point != last
        ]
        if len(kept) > 1 and kept[0] == kept[-1]:
            del kept[-1]
        if len(kept) < 3:
            raise ValueError(_POLYGON_FORM)
        if len(kept) > MAX_VERTICES:
            raise ValueError(f"at most {MAX_VERTICES} vertices")
        return cls(tuple(kept))

    @property
    def flat(self) -> list[float]:
        """Longitudes and latitudes in turn, as DALI's array."""
        return [number for vertex in self.vertices for number in vertex]

    def __str__(self) -> str:
        """As DALI writes it."""
        return " ".join(map(print_number, self.flat))


Shape = Circle | Range | Polygon
_SHAPES: Final[dict[str, type[Circle | Range | Polygon]]] = {
    "CIRCLE": Circle,
    "RANGE": Range,
    "POLYGON": Polygon,
}


def parse_shape(text: str) -> Shape:
    """Read a value of POS: the word CIRCLE, RANGE or POLYGON and its numbers.

    Raises
    ------
    ValueError
        If the word is another one, or its numbers are not right.

    Notes
    -----
    Standard: SIA-2.0 2.1.1, SODA-1.0 3.3.1. Words in any case, as DALI-1.2 3.11 writes them small.
    """
    word, rest = [*text.split(maxsplit=1), "", ""][:2]
    try:
        shape = _SHAPES[word.upper()]
    except KeyError:
        raise ValueError("CIRCLE, RANGE or POLYGON followed by numbers in degrees") from None
    try:
        return shape.parse(rest)
    except ValueError as error:
        raise ValueError(f"after {word.upper()} {error}") from None


def parse_timestamp(text: str) -> datetime:
    """Read ``YYYY-MM-DD[Thh:mm:ss[.s...][Z]]``, UTC; a date alone is its midnight.

    Raises
    ------
    ValueError
        If that is not what it is, or there is no such day or time.

    Notes
    -----
    Standard: DALI-1.1 3.3.3. Digits past the microsecond are dropped.
    """
    form = "a UTC timestamp YYYY-MM-DDThh:mm:ss"
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise ValueError(form)
    date, time, fraction = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time or '00:00:00'}").replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{form} ({error})") from None
    return moment.replace(microsecond=int((fraction or "0").ljust(6, "0")))


def print_timestamp(moment: datetime) -> str:
    """Write a moment as DALI does: UTC, no zone, a fraction only where there is one.

    Raises
    ------
    ValueError
        If the moment has no time zone: which one is meant would be a guess.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment with a time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()


def parse_count(text: str) -> int:
    """Read a whole number that is not negative (MAXREC, DALI-1.1 3.4.4).

    Raises
    ------
    ValueError
        If it is something else.
    """
    if not re.fullmatch(r"\+?[0-9]{1,18}", text.strip()):
        raise ValueError("a whole number >= 0")
    return int(text)


def print_number(number: float) -> str:
    """Write a number so that it reads back equal, without digits that say nothing."""
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = repr(float(number))
    return text.removesuffix(".0")


def _numbers(text: str, form: str, *, infinite: bool = False) -> list[float]:
    return [_number(word, form, infinite=infinite) for word in text.split()]


def _number(word: str, form: str, *, infinite: bool) -> float:
    if _NUMBER.fullmatch(word):
        number = float(word)
        if math.isfinite(number):
            return number
    match = _INFINITY.fullmatch(word) if infinite else None
    if match is None:
        raise ValueError(f"{form} ({word[:40]!r} is none)")
    return -math.inf if match[1] == "-" else math.inf


def _longitude(number: float) -> float:
    if not 0 <= number <= 360:
        raise ValueError(f"longitudes in [0, 360] degrees ({number:g} is not)")
    return number


def _latitude(number: float) -> float:
    if not -90 <= number <= 90:
        raise ValueError(f"latitudes in [-90, 90] degrees ({number:g} is not)")
    return number
