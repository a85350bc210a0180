"""Regridding and combining against truth, and against SWarp, on arrays of simulated skies."""

from __future__ import annotations

__all__: list[str] = []

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sep
from astropy.io import fits
from scipy.ndimage import maximum_filter

from reduction.instruments.base import Section
from reduction.steps.coadd import Coadd, CombineType, Contribution, coadd
from reduction.steps.grid import covered, field_grid
from reduction.steps.kernels import Kernel
from reduction.steps.resample import resample
from tests.support.sky_frames import Frame, Stars, frame_of, scatter_stars, turned

if TYPE_CHECKING:
    from dataclasses import replace
from pathlib import Path

pytestmark = pytest.mark.science

CENTRE = (150.0, 20.0)
GRID, SHAPE = field_grid(*CENTRE, radius=110.0 / 3600.0, pixel_scale=0.4)
WHOLE = Section(0, SHAPE[0], 0, SHAPE[1])
SWARP = shutil.which("SWarp") or shutil.which("swarp")

#: Two cameras: pixels (arcsec), turn (degrees), seeing (pixels), pixels on a side.
CAMERAS = {"nickel": (0.3708, 2.3, 4.2, 620), "cafos": (0.526, 89.0, 3.1, 440)}


def combined(frames: list[Frame], kernel: Kernel = Kernel.SPLINE3, **options) -> Coadd:
    """Regrid and combine."""
    parts = []
    for frame in frames:
        box = covered(frame.wcs, frame.image.shape, GRID, SHAPE)
        assert box is not None
        made = resample(
            *(frame.image, frame.weight, frame.mask),
            frame=frame.wcs,
            grid=GRID,
            box=box,
            kernel=kernel,
        )
        planes = (made.image, made.weight, made.mask)
        parts.append(
            Contribution(box, lambda s, p=planes: tuple(a[s.slices] for a in p), frame.scale)  # type: ignore[misc]
        )
    return coadd(parts, WHOLE, **options)


def dithered(camera: str, n: int, seed: int, stars: Stars, **options) -> list[Frame]:
    """Exposures of one camera around the field's centre."""
    scale, angle, fwhm, side = CAMERAS[camera]
    frames = []
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        ra, dec = np.array(CENTRE) + rng.uniform(-6, 6, 2) / 3600
        turn = angle + rng.normal(0, 0.2)
        wcs = turned(ra, dec, (side, side), scale=scale, angle=turn)
        frames.append(frame_of(stars, wcs, (side, side), rng, fwhm=fwhm, **options))
    return frames


def fluxes(made: Coadd, stars: Stars, radius: float) -> tuple[np.ndarray, ...]:
    """Flux, its error and offset (mas) of the stars well inside the grid."""
    x, y = GRID.to_pixel(stars.ra, stars.dec)
    inside = np.hypot(x - SHAPE[1] / 2, y - SHAPE[0] / 2) < 0.36 * SHAPE[0]
    x, y = x[inside], y[inside]
    image = np.nan_to_num(made.image).astype(np.float64)
    variance = np.where(made.weight > 0, 1 / np.where(made.weight > 0, made.weight, 1), 0)
    flux, _, _ = sep.sum_circle(image, x, y, radius, subpix=0)
    square, _, _ = sep.sum_circle(variance.astype(np.float64), x, y, radius, subpix=0)
    wx, wy, _ = sep.winpos(image, x, y, 1.7)
    return flux, np.sqrt(square), 400.0 * (wx - x), 400.0 * (wy - y)


@pytest.fixture(scope="module")
def stars() -> Stars:
    return scatter_stars(np.random.default_rng(1), CENTRE, 105.0, 18.0, 1e5)


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_stars_flux_is_kept_to_a_thousandth_and_its_place_to_ten_mas(
    camera: str, stars: Stars
) -> None:
    # noise-free: what is left is the kernel's. Gaussians of 3.1 and 4.2 pixels have 6e-4 of
    # their amplitude and less at the sampling frequency, where images begin
    for frame in dithered(camera, 2, 1, stars, noise=0.0):
        flux, _, dx, dy = fluxes(combined([frame]), stars, 12.0)
        assert np.abs(flux / 1e5 - 1).max() < 1e-3
        assert abs(flux.mean() / 1e5 - 1) < 1e-4
        assert np.hypot(dx, dy).max() < 10.0


def test_splines_keep_fluxes_better_than_the_usual_kernels(stars: Stars) -> None:
    # Lanczos-3 does not vanish at the sampling frequency: fluxes beat with the pixels' phases
    frames = dithered("nickel", 1, 1, stars, noise=0.0)
    worst = {
        kernel: np.abs(fluxes(combined(frames, kernel), stars, 12.0)[0] / 1e5 - 1).max()
        for kernel in Kernel
    }
    assert worst[Kernel.SPLINE3] < 0.3 * worst[Kernel.LANCZOS3]
    assert worst[Kernel.SPLINE3] < 0.3 * worst[Kernel.BILINEAR]


def test_the_light_of_a_smooth_source_is_kept_to_a_millionth() -> None:
    # a blob of 20 pixels (fwhm): nothing of it is near the sampling frequency, whose difference
    # from the grid's is what a sum over the grid can beat with
    blob = Stars(np.array([CENTRE[0]]), np.array([CENTRE[1]]), np.array([1e6]))
    for scale, angle in ((0.3708, 2.3), (0.526, 89.0), (0.45, 41.0)):
        wcs = turned(*CENTRE, (400, 400), scale=scale, angle=angle)
        frame = frame_of(blob, wcs, (400, 400), np.random.default_rng(1), fwhm=20.0, noise=0.0)
        total = np.nansum(combined([frame]).image.astype(np.float64))
        # a tangent plane's area differs from the grid's by the square of the angle: 1e-7
        assert total / frame.image.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-6)


def test_two_cameras_on_one_grid_agree_with_the_truth(stars: Stars) -> None:
    one = dithered("nickel", 3, 2, stars, noise=20.0, scale=0.5)
    two = dithered("cafos", 3, 3, stars, noise=20.0, scale=2.0)
    both = combined(one + two)
    for made in (combined(one), combined(two), both):
        flux, error, dx, dy = fluxes(made, stars, 10.0)
        pull = (flux - 1e5) / error
        # 80 stars: the mean is known to 0.11 sigma, the deviation to 8 %; aperture of 10 pixels
        # loses less than 1e-4 of the light
        assert abs(pull.mean()) < 0.4
        assert 0.8 < pull.std() < 1.2
        assert abs(flux.mean() / 1e5 - 1) < 1e-3
        # S/N 100 to 500 and 1.6 arcsec of seeing: 10 mas and less for a star, a tenth for all
        assert abs(dx.mean()) < 3.0
        assert abs(dy.mean()) < 3.0


@pytest.mark.slow
def test_errors_of_fluxes_are_right_once_neighbours_share_noise() -> None:
    # 6 skies of 100 places: the deviation of 600 pulls is known to 3 %
    pulls = []
    faint = scatter_stars(np.random.default_rng(5), CENTRE, 105.0, 18.0, 300.0)
    for seed in range(6):
        frames = dithered("nickel", 2, 20 + seed, faint, noise=10.0, bad=0.01)
        frames += dithered("cafos", 2, 40 + seed, faint, noise=12.0, bad=0.01)
        made = combined(frames)
        flux, error, _, _ = fluxes(made, faint, 6.0)
        # a circle of 6 pixels (2.4 arcsec) has 0.997 and 0.9985 of a star's light
        pulls.append((flux - 300.0) / error)
    pull = np.concatenate(pulls)
    assert abs(pull.mean()) < 0.15
    assert 0.9 <= pull.std() <= 1.1


def test_depth_grows_with_the_square_root_of_the_number_of_frames() -> None:
    nothing = Stars(np.zeros(0), np.zeros(0), np.zeros(0))
    places = scatter_stars(np.random.default_rng(6), CENTRE, 70.0, 6.0, 1.0)
    noise, made = {}, {}
    frames = dithered("cafos", 16, 7, nothing, noise=10.0)
    for n in (1, 4, 16):
        made[n] = combined(frames[:n])
        flux, error, _, _ = fluxes(made[n], places, 5.0)
        noise[n] = flux.std()
        # 400 places: 3.5 %
        assert flux.std() / error.mean() == pytest.approx(1.0, abs=0.1)
        # pixels share noise: by their scatter alone errors would be two thirds of what they are
        pulls = (made[n].image * np.sqrt(made[n].weight))[80:-80, 80:-80]
        assert pulls.std() == pytest.approx(0.665, abs=0.02)
    assert noise[1] / noise[4] == pytest.approx(2.0, rel=0.05)
    assert noise[1] / noise[16] == pytest.approx(4.0, rel=0.05)


def test_bad_pixels_leave_no_trace(stars: Stars) -> None:
    # one percent of all pixels are junk of up to 6e4 adu; the same skies without
    pairs = [(dithered("nickel", 5, 8, stars, noise=15.0, bad=bad)) for bad in (0.01, 0.0)]
    spoilt, clean = (combined(frames, combine=CombineType.WEIGHTED) for frames in pairs)
    inner = (slice(80, -80), slice(80, -80))
    assert (spoilt.weight[inner] > 0).mean() > 0.9999
    # on the sky: no pixel stands out beyond what other noise can do
    sky = np.hypot(*np.gradient(np.nan_to_num(clean.image)))[inner] < 30.0
    difference = (spoilt.image - clean.image)[inner][sky]
    sigma = 1 / np.sqrt(clean.weight[inner][sky])
    assert np.abs(difference / sigma).max() < 6.0
    # on the stars: less than the noise of their light
    flux, error, dx, dy = fluxes(spoilt, stars, 10.0)
    before, _, dx0, dy0 = fluxes(clean, stars, 10.0)
    assert np.abs(flux - before).max() < 3.0 * error.max()
    assert np.abs(flux / before - 1).mean() < 1.5e-3
    assert np.hypot(dx - dx0, dy - dy0).max() < 10.0


def test_a_satellite_that_no_mask_knows_is_clipped_and_stars_are_not(stars: Stars) -> None:
    frames = dithered("nickel", 5, 9, stars, noise=15.0)
    clean = combined(frames)
    frames[2].image[200:203, :] += 400.0
    made = combined(frames)
    flux, error, _, _ = fluxes(made, stars, 10.0)
    before, _, _, _ = fluxes(clean, stars, 10.0)
    assert made.clipped[2] > 3 * 500
    # where the trail crosses a star that is brighter, the allowance for seeing hides it: one star
    # in twenty has a fifth of the trail's light, up to 5 % of its own
    hidden = np.abs(flux - before) > 3.0 * error
    assert hidden.mean() < 0.08
    assert np.abs(flux / before - 1)[hidden].max(initial=0.0) < 0.05
    bias = combined(frames, combine=CombineType.WEIGHTED)
    assert np.nanmax(np.abs(bias.image - clean.image)) > 60.0
    sky = maximum_filter(np.abs(np.nan_to_num(clean.image)), 7) < 50.0
    sky &= clean.number >= 4
    assert np.abs(made.image - clean.image)[sky].max() < 45.0  # 5 sigma of one of the five


@pytest.mark.skipif(SWARP is None, reason="needs SWarp")
@pytest.mark.slow
def test_coadds_agree_with_those_of_swarp(stars: Stars, tmp_path: Path) -> None:
    frames = dithered("nickel", 3, 10, stars, noise=20.0, bad=0.003)
    frames += dithered("cafos", 2, 11, stars, noise=20.0, bad=0.003, scale=2.0)
    theirs, weight = by_swarp(tmp_path, frames)
    ours = combined(frames, combine=CombineType.WEIGHTED)
    flux, _, dx, dy = fluxes(ours, stars, 10.0)
    swarped = replace(ours, image=theirs, weight=weight)
    other, _, dx2, dy2 = fluxes(swarped, stars, 10.0)
    # they use Lanczos-3, fill bad pixels and spread what is left of them: 0.2 % of the flux; and
    # have the same stars at the same places
    assert abs(other.mean() / flux.mean() - 1) < 1e-3
    assert np.std(other / flux - 1) < 5e-3
    assert np.abs(dx - dx2).mean() < 4.0
    assert np.abs(dy - dy2).mean() < 4.0
    inner = (slice(80, -80), slice(80, -80))
    good = (ours.weight[inner] > 0) & (weight[inner] > 0)
    # their weights are inverse variances of interpolated pixels' inputs, not of areas: the same
    # up to the size of pixels, which differs between cameras
    ratio = (weight[inner] / ours.weight[inner])[good]
    assert np.std(ratio) / np.mean(ratio) < 0.25
    pixels = (theirs - ours.image)[inner][good] * np.sqrt(ours.weight[inner][good])
    assert np.median(np.abs(pixels)) < 0.4


def by_swarp(folder: Path, frames: list[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """What SWarp makes of the same frames on the same grid."""
    names = []
    for number, frame in enumerate(frames):
        header = fits.Header(frame.wcs.to_cards())
        header["FLXSCALE"] = frame.scale
        name = folder / f"frame{number}.fits"
        fits.writeto(name, frame.image, header)
        fits.writeto(
            folder / f"frame{number}.weight.fits", frame.weight, fits.Header(frame.wcs.to_cards())
        )
        names.append(str(name))
    cards = fits.Header(GRID.to_cards())
    cards["NAXIS1"], cards["NAXIS2"] = SHAPE[1], SHAPE[0]
    (folder / "coadd.head").write_text(cards.tostring("\n") + "\nEND     \n")
    options = {
        "IMAGEOUT_NAME": "coadd.fits",
        "WEIGHTOUT_NAME": "coadd.weight.fits",
        "WEIGHT_TYPE": "MAP_WEIGHT",
        "COMBINE_TYPE": "WEIGHTED",
        "RESAMPLING_TYPE": "LANCZOS3",
        "SUBTRACT_BACK": "N",
        "FSCALASTRO_TYPE": "FIXED",
        "RESCALE_WEIGHTS": "N",
        "WRITE_XML": "N",
        "VERBOSE_TYPE": "QUIET",
        "NTHREADS": "1",
    }
    flags = [word for key, value in options.items() for word in (f"-{key}", value)]
    subprocess.run([str(SWARP), *names, *flags], cwd=folder, check=True, capture_output=True)
    image = fits.getdata(folder / "coadd.fits").astype(np.float32)
    weight = fits.getdata(folder / "coadd.weight.fits").astype(np.float32)
    assert image.shape == SHAPE
    return image, weight
