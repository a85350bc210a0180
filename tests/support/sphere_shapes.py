"""Positions and polygons drawn over the sphere, poles and right ascension 0 among them."""

from __future__ import annotations

__all__ = ["near", "positions", "star"]

import math

import numpy as np


def positions(random, count):
    """Anywhere, and often near a pole or near right ascension 0."""
    ra = random.uniform(0, 360, count)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, count)))
    special = random.integers(0, 4, count)
    ra = np.where(special == 1, random.uniform(-2, 2, count) % 360, ra)
    dec = np.where(special == 2, 90 - random.exponential(2, count), dec)
    dec = np.where(special == 3, -90 + random.exponential(2, count), dec)
    return ra, np.clip(dec, -90, 90)


def star(random, ra, dec, size):
    """A simple polygon around a position: corners at growing angles, any distance."""
    count = random.integers(3, 9)
    angles = np.sort(random.uniform(0, 2 * math.pi, count))
    while np.diff(np.append(angles, angles[0] + 2 * math.pi)).max() > 0.95 * math.pi:
        angles = np.sort(random.uniform(0, 2 * math.pi, count))
    if random.random() < 0.5:
        angles = angles[::-1]
    reach = np.radians(size * random.uniform(0.2, 1, count))
    lon, lat = np.radians(ra), np.radians(dec)
    centre = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0])
    north = np.cross(centre, east)
    side = np.cos(angles)[:, None] * east + np.sin(angles)[:, None] * north
    corners = np.cos(reach)[:, None] * centre + np.sin(reach)[:, None] * side
    ras = np.degrees(np.arctan2(corners[:, 1], corners[:, 0])) % 360
    decs = np.degrees(np.arcsin(np.clip(corners[:, 2], -1, 1)))
    return [float(x) for x in np.column_stack([ras, decs]).ravel()]


def near(random, ra, dec, reach):
    """A position not far from another."""
    angle, distance = random.uniform(0, 2 * math.pi), math.radians(reach * random.uniform(0, 1.5))
    lat = math.radians(dec)
    z = math.sin(lat) * math.cos(distance) + math.cos(lat) * math.sin(distance) * math.cos(angle)
    y = math.sin(angle) * math.sin(distance) * math.cos(lat)
    x = math.cos(distance) - math.sin(lat) * z
    other = math.degrees(math.asin(max(-1.0, min(1.0, z))))
    return float((ra + math.degrees(math.atan2(y, x))) % 360), float(other)
