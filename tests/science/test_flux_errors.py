"""Errors of fluxes on real frames: against repeats of the same stars, and against a catalogue."""

from __future__ import annotations

__all__: list[str] = []

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial import cKDTree

from reduction.rows import read_rows
from reduction.steps.photometry import expected_errors, isolated
from reduction.steps.sources import SourceFlag
from schemas.tables import Source

if TYPE_CHECKING:
    from reduction.archive import Archive

pytestmark = [pytest.mark.science, pytest.mark.slow]

DEC = 21.5725
KINDS = ("flux", "flux_psf")
BANDS = ("B", "V")
#: Scatter of stars about the transformation from SDSS's bands, and what flat fields leave, mag.
OF_COLOURS = 0.018


@pytest.fixture
def frames(archive: Archive) -> dict[str, list[dict[str, np.ndarray]]]:
    """Stars of CAFOS's frames by band: alone, clean, and with a star's light.

    Whose light is a star's the frames of 60 s say where they show it. On those of 3 s noise is as
    large as the limit at a signal-to-noise ratio of 10, and would choose a third.
    """
    rows: dict[str, list[tuple[float, np.ndarray]]] = {band: [] for band in BANDS}
    for product in archive.registry.classes["SourceList"].instrument.name == "cafos":
        table = read_rows(archive, Source, product.object_id)
        rows[product.filter.name[-1]].append((product.raw.exptime, table))
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    for band, tables in rows.items():
        deep = [table for exptime, table in tables if exptime == 60.0]
        assert len(deep) == 3
        found[band] = [stars_of(table, deep) for _, table in tables]
    return found


def stars_of(rows: np.ndarray, deep: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Of a frame's sources those that are alone, clean, and as wide as stars on the deep ones."""
    good = (rows["flags"] & ~int(SourceFlag.MERGED)) == 0
    good &= isolated(rows["x"], rows["y"], rows["flux"], radius=16.0, fraction=0.05)
    seen = np.full((len(deep), len(rows)), np.nan)
    for spread, table in zip(seen, deep, strict=True):
        distance, other = cKDTree(places(table)).query(places(rows))
        spread[distance < 1.0] = table["spread"][other[distance < 1.0]]
    known = np.isfinite(seen)
    mean = np.where(known, seen, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    # twice the spread's error of a star of 20 sigma
    good &= np.abs(np.where(known.any(axis=0), mean, rows["spread"])) < 0.02
    return {name: rows[name][good] for name in rows.dtype.names}


def places(stars: dict[str, np.ndarray] | np.ndarray) -> np.ndarray:
    """Arcsec on the sky."""
    ra = stars["ra"] * np.cos(np.radians(DEC))
    return 3600.0 * np.column_stack((ra, stars["dec"]))


def without_clouds(
    x: np.ndarray, y: np.ndarray, difference: np.ndarray, error: np.ndarray, *, degree: int
) -> np.ndarray:
    """Magnitudes less a surface through those of 15 sigma: clouds are not the photometry's fault.

    They took a third of a magnitude while V was observed, and 0.05 mag more from one half of the
    last frame than from the other.
    """
    u, v = (x - 512.0) / 512.0, (y - 512.0) / 512.0
    terms = [np.ones(len(u)), u, v, u * u, u * v, v * v]
    design = np.stack(terms[: (degree + 1) * (degree + 2) // 2], axis=1)
    weight = 1.0 / np.hypot(error, 0.01)
    bright = error < 0.1
    used = bright & (np.abs(difference - np.median(difference[bright])) < 0.3)
    for _ in range(6):
        best = np.linalg.lstsq(
            design[used] * weight[used, None], difference[used] * weight[used], rcond=None
        )[0]
        rest = np.asarray(difference - design @ best)
        used = bright & (np.abs(rest) < 3.5 * np.hypot(error, 0.01))
    return rest


def width(pulls: np.ndarray) -> float:
    """Standard deviation without what is three of them off: variables and blends are a per cent.

    The median deviation begins it. By itself it is known half as well: of 80 stars to a tenth.
    """
    rest = np.abs(pulls - np.median(pulls))
    near = rest < 3.0 * 1.4826 * np.median(rest)
    return float(np.std(pulls[near]) / np.sqrt(0.9733))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("band", BANDS)
def test_errors_are_those_of_repeats_of_the_same_stars(
    frames: dict[str, list[dict[str, np.ndarray]]], band: str, kind: str
) -> None:
    pulls, errors = [], []
    for one, two in combinations(frames[band], 2):
        distance, other = cKDTree(places(two)).query(places(one))
        same = (distance < 1.0) & (one[kind] > 0) & (two[kind][other] > 0)
        first, second = one[kind][same], two[kind][other[same]]
        error = 1.0857 * np.hypot(
            one[kind + "_err"][same] / first, two[kind + "_err"][other[same]] / second
        )
        miss = -2.5 * np.log10(first / second)
        rest = without_clouds(one["x"][same], one["y"][same], miss, error, degree=2)
        pulls.append(rest / error)
        errors.append(error)
    pull = np.concatenate(pulls)
    snr = 1.0857 * np.sqrt(2.0) / np.concatenate(errors)
    for low, high in ((10.0, 20.0), (20.0, 40.0), (40.0, 80.0), (80.0, 500.0)):
        some = (snr > low) & (snr < high)
        assert some.sum() > 80
        # never too small. Somewhat too large for repeats they have to be: the telescope hardly
        # moved, so that what the flat field, the bias of two frames and the structure of a
        # moonlit sky leave under a star, a third to a half of the variance, is the same in all;
        # of bright stars also what the function misses of them, which is the most of their error
        # of five frames each star is in four pairs, whose noise is that of the shallow one: some
        # 80 deviations in all, and a width known to 0.06. Stars put into these frames tell it
        # better, in tests/science/test_known_stars.py
        assert 0.65 < width(pull[some]) < 1.15, (low, high)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("band", BANDS)
def test_errors_are_those_of_fluxes_against_a_catalogue(
    archive: Archive, frames: dict[str, list[dict[str, np.ndarray]]], band: str, kind: str
) -> None:
    catalogues = archive.registry.classes["PhotRefCatalog"].instrument.name == "cafos"
    stars = next(iter(c for c in catalogues if c.band == band)).tables["STANDARDS"]
    stars = stars[np.isfinite(stars["color"]) & (stars["mag_err"] < 0.03)]
    tree = cKDTree(places(stars))
    light = 10.0 ** (-0.4 * stars["mag"])
    near = tree.query_ball_point(tree.data, 5.0)
    alone = np.array([light[index].sum() for index in near]) < 1.02 * light
    term = {"B": 0.18, "V": 0.10}[band]
    pulls, snr = [], []
    for frame in frames[band]:
        distance, star = tree.query(places(frame))
        same = (distance < 0.7) & alone[star] & (frame[kind] > 5.0 * frame[kind + "_err"])
        flux, known = frame[kind][same], stars[star[same]]
        error = 1.0857 * frame[kind + "_err"][same] / flux
        miss = known["mag"] - term * (known["color"] - 0.5) + 2.5 * np.log10(flux)
        rest = without_clouds(frame["x"][same], frame["y"][same], miss, error, degree=1)
        # as of the brightness expected: what noise makes brighter has a smaller relative error
        error = expected_errors(error, np.clip(rest, -0.5, 0.5))
        pulls.append(rest / np.sqrt(error**2 + known["mag_err"] ** 2 + OF_COLOURS**2))
        snr.append(1.0857 / error)
    pull, ratio = np.concatenate(pulls), np.concatenate(snr)
    for low, high in ((10.0, 20.0), (20.0, 40.0), (40.0, 80.0)):
        some = (ratio > low) & (ratio < high)
        assert some.sum() > 60
        # sixty stars and more, seen on up to six frames: a width is known to a tenth, and what
        # colours and flat field leave of S/N 50 no better
        assert 0.65 < width(pull[some]) < 1.45, (low, high)
    # what all frames have in common is seen here
    assert width(pull[(ratio > 10.0) & (ratio < 80.0)]) == pytest.approx(1.0, abs=0.25)
