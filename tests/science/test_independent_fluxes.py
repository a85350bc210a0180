"""Fluxes of the same frame by source-extractor and photutils, and why they differ."""

from __future__ import annotations

__all__: list[str] = []

import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from photutils.psf import MoffatPSF, PSFPhotometry
from scipy.spatial import cKDTree

from reduction.steps.background import background_behind, estimate_background
from reduction.steps.psf import fit_psf
from reduction.steps.psf_flux import psf_fluxes
from reduction.steps.sources import extract

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.science

GAIN, READ_NOISE, SKY, FWHM, BETA = 2.0, 4.0, 300.0, 3.6, 3.5
RADIUS = 8.0
COLUMNS = ("X_IMAGE", "Y_IMAGE", "FLUX_APER", "FLUXERR_APER", "FLUX_AUTO", "BACKGROUND", "FLAGS")


@pytest.fixture(scope="module")
def frame() -> tuple[np.ndarray, np.ndarray]:
    """Stars 40 pixels apart, and their places and fluxes, shape (n, 3)."""
    rng = np.random.default_rng(2)
    gx, gy = np.meshgrid(*[np.arange(30, 770, 40)] * 2)
    x, y = (grid.ravel() + rng.uniform(-5, 5, grid.size) for grid in (gx, gy))
    flux = 10 ** rng.uniform(3.0, 5.0, len(x))
    alpha = FWHM / 2 / np.sqrt(2 ** (1 / BETA) - 1)
    image, offset = np.zeros((800, 800)), np.arange(-18, 19)
    for x0, y0, f0 in zip(x, y, flux, strict=True):
        rows, columns = round(y0) + offset, round(x0) + offset
        sub = (np.arange(4) + 0.5) / 4 - 0.5
        dy = ((rows[:, None] + sub).ravel() - y0)[:, None]
        dx = (columns[:, None] + sub).ravel() - x0
        light = (1 + (dx**2 + dy**2) / alpha**2) ** -BETA * (BETA - 1) / np.pi / alpha**2
        light = light.reshape(37, 4, 37, 4).mean(axis=(1, 3))
        image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += f0 * light
    electrons = rng.poisson((image + SKY) * GAIN) / GAIN
    noisy = (electrons + rng.normal(0.0, READ_NOISE, image.shape)).astype(np.float32)
    return noisy, np.stack((x, y, flux), axis=1)


def source_extractor(folder: Path, image: np.ndarray, *, background: str) -> np.ndarray:
    """Run it with the same aperture, threshold and mesh; brightest first."""
    if shutil.which("source-extractor") is None:
        pytest.skip("needs source-extractor")
    fits.writeto(folder / "frame.fits", image, overwrite=True)
    (folder / "out.param").write_text(
        "\n".join((*COLUMNS[:2], "FLUX_APER(1)", "FLUXERR_APER(1)", *COLUMNS[4:]))
    )
    (folder / "kernel.conv").write_text("CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")
    options = {
        "PARAMETERS_NAME": "out.param", "FILTER_NAME": "kernel.conv", "CATALOG_NAME": "out.fits",
        "CATALOG_TYPE": "FITS_1.0", "DETECT_THRESH": "3", "DETECT_MINAREA": "5",
        "PHOT_APERTURES": f"{2 * RADIUS}", "GAIN": f"{GAIN}", "BACK_SIZE": "64",
        "BACK_TYPE": background, "BACK_VALUE": "0", "VERBOSE_TYPE": "QUIET",
    }  # fmt: skip
    words = [word for key, value in options.items() for word in (f"-{key}", value)]
    subprocess.run(
        ["source-extractor", "frame.fits", "-c", "/dev/null", *words], cwd=folder, check=True
    )
    return np.asarray(fits.getdata(folder / "out.fits", 1))


def pairs(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clean sources that both have; theirs count pixels from 1."""
    there = np.column_stack((theirs["X_IMAGE"] - 1, theirs["Y_IMAGE"] - 1))
    distance, which = cKDTree(there).query(np.column_stack((ours["x"], ours["y"])))
    good = (distance < 1.0) & (ours["flags"] == 0) & (theirs["FLAGS"][which] == 0)
    assert good.sum() > 250
    return ours[good], theirs[which[good]]


def test_source_extractor_sums_the_same_pixels(frame: tuple, tmp_path: Path) -> None:
    image, _ = frame
    sky = estimate_background(image)
    theirs = source_extractor(tmp_path, image - sky.level, background="MANUAL")
    ours = extract(image, gain=GAIN, aperture_radius=RADIUS, background=sky)
    ours, theirs = pairs(ours, theirs)
    difference = ours["flux_aper"] - theirs["FLUX_APER"].ravel()
    # same sky, same circle: centres differ by some hundredths of a pixel, edges by subpixels
    assert np.abs(difference / ours["flux_aper_err"]).max() < 0.3
    assert np.median(ours["flux_aper_err"] / theirs["FLUXERR_APER"].ravel()) == pytest.approx(
        1.0, abs=0.05
    )
    assert np.median(ours["flux"] / theirs["FLUX_AUTO"]) == pytest.approx(1.0, abs=0.01)


def test_source_extractor_differs_by_the_sky_and_we_are_nearer_the_truth(
    frame: tuple, tmp_path: Path
) -> None:
    image, stars = frame
    theirs = source_extractor(tmp_path, image, background="AUTO")
    ours, theirs = pairs(extract(image, gain=GAIN, aperture_radius=RADIUS), theirs)
    difference = np.median(ours["flux_aper"] - theirs["FLUX_APER"].ravel())
    area = np.pi * RADIUS**2
    sky = background_of(image)
    by_sky = area * (np.median(theirs["BACKGROUND"]) - sky)
    assert difference == pytest.approx(by_sky, abs=10.0)
    _, which = cKDTree(stars[:, :2]).query(np.column_stack((ours["x"], ours["y"])))
    # of the light of a Moffat function of 3.6 pixels 1.0 % lies outside of 8 pixels
    truth = stars[which, 2] * 0.99
    faint = truth < 4000
    assert abs(np.median((ours["flux_aper"] - truth)[faint])) < 40.0


def background_of(image: np.ndarray) -> float:
    import sep  # noqa: PLC0415  # the detection alone

    first = estimate_background(image)
    found = sep.extract(image - first.level, 3.0, err=first.rms, minarea=5)
    nothing = np.zeros(image.shape, bool)
    return float(np.median(background_behind(image, found, first, mask=nothing).level))


def test_photutils_fits_the_same_fluxes(frame: tuple) -> None:
    image, stars = frame
    x, y, flux = stars.T
    light = image - np.float32(SKY)
    noise = np.full(image.shape, np.sqrt(SKY / GAIN + READ_NOISE**2), np.float32)
    nothing = np.zeros(image.shape, bool)
    psf = fit_psf(light, nothing, x[flux > 2e4], y[flux > 2e4], fwhm=3.6)
    ours = psf_fluxes(light, nothing, noise, x, y, psf=psf, gain=GAIN)
    alpha = FWHM / 2 / np.sqrt(2 ** (1 / BETA) - 1)
    model = MoffatPSF(alpha=alpha, beta=BETA)
    model.x_0.fixed = model.y_0.fixed = True
    start = Table({"x": x, "y": y, "flux": flux})
    theirs = PSFPhotometry(model, (17, 17))(light, error=noise, init_params=start)
    ratio = ours.flux / np.asarray(theirs["flux_fit"])
    # photutils does not integrate over pixels: 1 % at this width; both scatter alike
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)
    own = ours.flux_err / ours.flux
    assert np.median(np.abs(ratio / np.median(ratio) - 1.0) / own) < 0.3
