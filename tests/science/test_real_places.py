"""Where real frames look: CAFOS against SDSS, two small telescopes against Tycho-2."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from reduction.reference import load_reference
from reduction.steps.astrometry import Solution, SolutionModel, solve
from reduction.steps.sources import extract

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header

    from reduction.steps.reference import ReferenceTable

pytestmark = [pytest.mark.science, pytest.mark.slow]


def read(path: Path) -> tuple[np.ndarray, Header]:
    """Pixels and header of the first image of a file."""
    with fits.open(path) as hdus:
        found = next(hdu for hdu in hdus if hdu.data is not None)
        return found.data.astype(np.float32), found.header


def place(  # what differs between telescopes
    image: np.ndarray,
    stars: ReferenceTable,
    pointing: tuple[float, float],
    *,
    scale: float,
    error: float,
    threshold: float,
    tolerance: float = 2.0,
) -> Solution:
    """Solve from a pointing alone: rotation, parity and a tenth of the scale are unknown."""
    found = extract(image, gain=2.0, threshold=threshold, aperture_radius=5.0)
    near = np.hypot((stars.ra - pointing[0]) * 0.7, stars.dec - pointing[1]) < 2.0
    return solve(
        *(found["x"], found["y"], found["flux"], image.shape),
        ra=stars.ra[near],
        dec=stars.dec[near],
        mag=stars.brightness()[near],
        pointing=pointing,
        pixel_scale=scale,
        pointing_error=error,
        rotation_known=False,
        errors=found["pos_err"],
        tolerance=tolerance,
    )


@pytest.fixture(scope="module")
def tycho(shared: Path) -> ReferenceTable:
    """Tycho-2 in the fields of the shared frames."""
    return load_reference(shared / "data" / "reference_catalogues" / "tycho2_fields.csv")


@pytest.mark.parametrize("number", [0, 9, 19, 28])
def test_microobservatory_is_placed_within_0_6_arcsec(
    shared: Path, tycho: ReferenceTable, number: int
) -> None:
    # others find 44 stars and 0.5 arcsec, a tenth of a pixel; the header is up to 27 arcmin off
    folder = shared / "data" / "microobservatory_hatp32_2017-12-20" / "science"
    image, header = read(sorted(folder.iterdir())[number])
    pointing = (float(header["RA"]), float(header["DEC"]))
    found = place(image, tycho, pointing, scale=5.21, error=0.6, threshold=4.0, tolerance=4.0)
    assert found.n_ref >= 30
    assert found.rms <= 0.6
    assert found.wcs.pixel_scale == pytest.approx(5.164, rel=2e-3)
    corner = found.wcs.to_sky(324.5, 249.5)
    assert 1.0 < 60.0 * np.hypot(corner[0] - pointing[0], corner[1] - pointing[1]) < 45.0


def mit(shared: Path, night: str, tycho: ReferenceTable, number: int) -> Solution:
    folder = shared / "data" / "mit_wallace_2713_2018-10" / night
    dark = np.median([read(path)[0] for path in sorted((folder / "dark").iterdir())[:5]], axis=0)
    image, header = read(sorted((folder / "science").iterdir())[number])
    where = SkyCoord(header["OBJCTRA"], header["OBJCTDEC"], unit=("hourangle", "deg"))
    pointing = (float(where.ra.deg), float(where.dec.deg))
    return place(image - dark, tycho, pointing, scale=1.266, error=0.15, threshold=5.0)


@pytest.mark.parametrize("number", [0, 6])
def test_mit_is_placed_although_its_nominal_scale_is_wrong_by_seven_percent(
    shared: Path, tycho: ReferenceTable, number: int
) -> None:
    # the focal length in the header gives 1.266 arcsec a pixel, with which nothing matches; seven
    # of the eight brightest sources are Tycho-2 stars at 1.176, to a seventh of a pixel
    found = mit(shared, "20181017p3", tycho, number)
    assert found.n_ref == 7
    assert found.rms < 0.2
    assert found.wcs.pixel_scale == pytest.approx(1.176, rel=1e-3)
    assert np.linalg.det(found.wcs.cd) > 0  # its rows run from the top: mirrored
    assert np.degrees(np.arctan2(found.wcs.cd[1][0], found.wcs.cd[0][0])) == pytest.approx(
        -0.46, abs=0.1
    )


def test_mit_with_two_known_stars_is_not_placed_wrongly(
    shared: Path, tycho: ReferenceTable
) -> None:
    # of the other night's field Tycho-2 has two stars: no place is believed, none is made up
    assert mit(shared, "20181012p3", tycho, 0).model is SolutionModel.NOMINAL
