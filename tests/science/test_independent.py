"""The detector's steps and detection agree with the packages that astronomers use."""

from __future__ import annotations

__all__: list[str] = []

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import astroscrappy
import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from photutils.aperture import CircularAperture, aperture_photometry
from scipy.spatial import cKDTree

from reduction.frames import read_headers, read_raw
from reduction.instruments import nickel, simulated
from reduction.instruments.base import Section
from reduction.simulate import SimulationConfig, simulate
from reduction.steps.background import estimate_background
from reduction.steps.combine import combine_biases
from reduction.steps.cosmic import find_cosmics
from reduction.steps.flat import combine_flats
from reduction.steps.isr import correct_frame
from reduction.steps.overscan import correct_overscan
from reduction.steps.sources import SourceFlag, extract
from tests.support.recipes import raw_chips

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.science

#: One exposure of a field that is not crowded, on a chip without bad pixels.
SKY = SimulationConfig(
    chips=1,
    shape=(640, 640),
    nights=("2025-03-01",),
    n_bias=0,
    n_dome=0,
    n_twilight=0,
    n_science=1,
    stars=10.0,
    galaxies=2.0,
    cosmics=6.0,
    hot_fraction=0.0,
    cold_fraction=0.0,
)
APERTURE = 12.0

PARAMETERS = (
    "XWIN_IMAGE YWIN_IMAGE FLUX_AUTO FLUXERR_AUTO FLUX_APER(1) FLUXERR_APER(1) "
    "A_IMAGE B_IMAGE FLAGS"
)
KERNEL = "CONV NORM\n1 2 1\n2 4 2\n1 2 1\n"


@dataclass(frozen=True)
class Frame:
    """A corrected frame and what is known of it; ``hits`` are the electrons of cosmic rays."""

    image: np.ndarray
    gain: float
    noise: float
    hits: np.ndarray


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    """The simulated exposure, corrected with the chip's true bias and flat."""
    folder = tmp_path_factory.mktemp("sky")
    truth = simulate(folder, config=SKY)
    name = SKY.chip_names[0]
    (raw,) = raw_chips(simulated.INSTRUMENT, sorted((folder / "raw").iterdir()), name)
    chip = truth.chips[name]
    image = correct_frame(
        raw.pixels,
        raw.description.science,
        bias=chip.bias,
        flat=chip.flat["V"],
        overscan=raw.description.overscan,
    )
    rows = truth.exposures[raw.file].cosmics[name]
    hits = np.zeros(SKY.shape)
    hits[rows[:, 0].astype(int), rows[:, 1].astype(int)] = rows[:, 2]
    return Frame(image, chip.gain, chip.read_noise, hits)


@pytest.fixture(scope="module")
def cosmics(frame: Frame) -> np.ndarray:
    """Pixels that we take for hit."""
    return find_cosmics(frame.image, gain=frame.gain, read_noise=frame.noise)


@pytest.fixture(scope="module")
def clean(frame: Frame, cosmics: np.ndarray) -> np.ndarray:
    """The exposure with the pixels around hits put at the sky, for tools that know no masks."""
    sky = estimate_background(frame.image, mask=cosmics).level
    return np.where(cosmics | (frame.hits > 0), sky, frame.image).astype(np.float32)


def test_a_frame_is_corrected_as_ccdproc_corrects_it():
    rng = np.random.default_rng(4)
    raw = rng.normal(900.0, 4.0, (260, 330)).clip(884, 916).round().astype(np.uint16)
    science, overscan = Section(2, 250, 20, 300), Section(2, 250, 300, 330)
    bias = rng.normal(5.0, 1.0, science.shape).astype(np.float32)
    flat = rng.normal(1.0, 0.05, science.shape).astype(np.float32)
    ours = correct_frame(raw, science, bias=bias, flat=flat, overscan=overscan)
    # The overscan has no outlier that we would leave out, so that both take each row's mean.
    theirs = CCDData(raw.astype(np.float64), unit="adu")
    theirs = ccdproc.subtract_overscan(theirs, overscan=theirs[:, 300:330], overscan_axis=1)
    theirs = ccdproc.trim_image(theirs[science.slices])
    theirs = ccdproc.subtract_bias(theirs, CCDData(bias, unit="adu"))
    theirs = ccdproc.flat_correct(theirs, CCDData(flat, unit=""), norm_value=1.0)
    # Single precision of numbers of up to a thousand.
    assert np.abs(ours - theirs.data).max() < 2e-4


def test_a_stack_is_combined_as_ccdproc_combines_it():
    rng = np.random.default_rng(5)
    noise = 4.0
    frames = [rng.normal(0.0, noise, (120, 150)).astype(np.float32) for _ in range(9)]
    for frame in frames:
        frame[rng.random(frame.shape) < 0.01] += 300.0
    ours = combine_biases(frames, read_noise=noise, sigma_clip=3.0)
    combiner = ccdproc.Combiner([CCDData(frame, unit="adu") for frame in frames])
    combiner.sigma_clipping(
        low_thresh=3.0,
        high_thresh=3.0,
        func=np.ma.median,
        dev_func=lambda stack, axis=0: np.full(stack.shape[1:], noise),
    )
    assert np.abs(ours - combiner.average_combine().data).max() < 1e-5


def test_aperture_fluxes_agree_with_photutils(frame, clean):
    sky = estimate_background(clean)
    sources = extract(clean, gain=frame.gain, background=sky, aperture_radius=APERTURE)
    good = sources["flags"] == 0
    good &= sources["flux_aper"] > 20 * sources["flux_aper_err"]
    assert good.sum() > 20
    circles = CircularAperture(np.stack((sources["x"], sources["y"]), axis=-1)[good], APERTURE)
    table = aperture_photometry(clean - sky.level, circles, method="exact")
    ratio = sources["flux_aper"][good] / np.asarray(table["aperture_sum"])
    # 5 x 5 sub-pixels on the circle's edge, where a star has little light, and so have neighbours
    # with which it is not flagged: some 1e-4.
    assert np.abs(ratio - 1.0).max() < 2e-3


def source_extractor(image: np.ndarray, gain: float, folder: Path) -> np.ndarray:
    """Catalogue of the external program with the settings that ours are equivalent to."""
    program = shutil.which("source-extractor") or shutil.which("sex")
    if program is None:
        pytest.skip("needs source-extractor")
    fits.writeto(folder / "image.fits", image)
    (folder / "kernel.conv").write_text(KERNEL)
    (folder / "columns.param").write_text("\n".join(PARAMETERS.split()) + "\n")
    (folder / "empty.sex").write_text("")
    settings = {
        "PARAMETERS_NAME": "columns.param",
        "FILTER_NAME": "kernel.conv",
        "CATALOG_NAME": "found.fits",
        "CATALOG_TYPE": "FITS_1.0",
        "DETECT_THRESH": 3,
        "ANALYSIS_THRESH": 3,
        "DETECT_MINAREA": 5,
        "PHOT_APERTURES": 2 * APERTURE,
        "PHOT_AUTOPARAMS": "2.5,3.5",
        "GAIN": gain,
        "SATUR_LEVEL": 1e9,
        "MASK_TYPE": "NONE",  # else it takes neighbours out of apertures, which we leave in
        "VERBOSE_TYPE": "QUIET",
    }
    words = [word for key, value in settings.items() for word in (f"-{key}", str(value))]
    subprocess.run(
        [program, "image.fits", "-c", "empty.sex", *words],
        cwd=folder,
        check=True,
        timeout=120,
        capture_output=True,
    )
    return np.asarray(fits.getdata(folder / "found.fits", 1))


def matched(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the same sources within 2 pixels, and for each of theirs whether we have it."""
    places = np.stack((theirs["XWIN_IMAGE"] - 1.0, theirs["YWIN_IMAGE"] - 1.0), axis=-1)
    tree = cKDTree(np.stack((ours["x"], ours["y"]), axis=-1))
    distance, nearest = tree.query(places, distance_upper_bound=2.0)
    found = np.isfinite(distance)
    return nearest[found], np.flatnonzero(found), found


def compare(
    image: np.ndarray, gain: float, folder: Path, *, flux_auto: float, position: float
) -> None:
    """Hold our sources of a frame beside the external program's."""
    ours = extract(image, gain=gain, aperture_radius=APERTURE)
    theirs = source_extractor(image, gain, folder)
    here, there, found = matched(ours, theirs)
    # Ours are above 3 times the noise of the smoothed frame, theirs above 3 times that of the
    # frame: we go deeper, and what they have we have, but for hot pixels and blends.
    strong = theirs["FLUX_AUTO"] > 10 * theirs["FLUXERR_AUTO"]
    assert strong.sum() > 20
    assert found[strong].mean() >= 0.95
    assert len(ours) >= 0.9 * len(theirs)
    bright = (ours["flux_aper"] > 50 * ours["flux_aper_err"]) & (
        (ours["flags"] & ~int(SourceFlag.MERGED)) == 0
    )
    missed = np.setdiff1d(np.flatnonzero(bright), here)
    assert len(missed) <= 0.03 * bright.sum()
    same = bright[here] & (theirs["FLAGS"][there] & ~3 == 0)
    a, b = ours[here[same]], theirs[there[same]]
    assert same.sum() > 10
    # Both are centroids under a Gaussian window: ours of twice the half-light radius as the
    # frame has it, theirs of the light above the threshold. A lopsided star's depends on that.
    dx, dy = a["x"] - (b["XWIN_IMAGE"] - 1.0), a["y"] - (b["YWIN_IMAGE"] - 1.0)
    assert abs(np.median(dx)) < position
    assert abs(np.median(dy)) < position
    assert np.percentile(np.hypot(dx, dy), 90) < 0.1
    # The sky's level is estimated in two ways that differ by some hundredths of its noise; in a
    # circle of 452 pixels that is a thousandth of these fluxes.
    aperture = a["flux_aper"] / np.ravel(b["FLUX_APER"])
    assert np.median(aperture) == pytest.approx(1.0, abs=0.005)
    assert np.percentile(np.abs(aperture / np.median(aperture) - 1.0), 90) < 0.02
    # Kron's radius rests on the light far out, and on what neighbours leave of it.
    auto = a["flux"] / b["FLUX_AUTO"]
    assert np.median(auto) == pytest.approx(1.0, abs=flux_auto)


def test_detection_agrees_with_source_extractor_on_a_simulated_frame(frame, clean, tmp_path):
    compare(clean, frame.gain, tmp_path, flux_auto=0.01, position=0.01)


def nickel_frame(folder: Path) -> np.ndarray:
    """A standard field of the Nickel telescope, corrected; without the camera's bad columns."""

    def corrected(path: Path) -> np.ndarray:
        (description,) = nickel.INSTRUMENT.describe(read_headers(path))
        raw = read_raw(path, description.hdu)
        return correct_overscan(raw, description.science, overscan=description.overscan)

    biases = [corrected(path) for path in sorted((folder / "bias").glob("*.fits.fz"))]
    bias = combine_biases(biases, read_noise=5.8)
    flats = [corrected(path) for path in sorted((folder / "flat").glob("*.fits.fz"))]
    flat = combine_flats(flats, bias=bias, gain=1.8, read_noise=5.8)
    image = (corrected(folder / "standard" / "d1083.fits.fz") - bias) / flat.image
    image = image[20:1000, 270:1000]
    return np.where(np.isfinite(image), image, np.nanmedian(image)).astype(np.float32)


def test_detection_agrees_with_source_extractor_on_a_real_frame(shared, tmp_path):
    image = nickel_frame(shared / "data" / "nickel_2024-05-13")
    compare(image, 1.8, tmp_path, flux_auto=0.02, position=0.02)


def test_cosmic_rays_are_found_as_well_as_astroscrappy_finds_them(frame, cosmics):
    theirs, _ = astroscrappy.detect_cosmics(
        frame.image,
        gain=frame.gain,
        readnoise=frame.noise * frame.gain,
        sigclip=4.5,
        sigfrac=0.3,
        objlim=5.0,
        satlevel=1e9,
        cleantype="medmask",
        fsmode="median",
    )
    true = frame.hits > 0
    near = frame.hits > 0
    for axis in (0, 1):
        near = near | np.roll(near, 1, axis) | np.roll(near, -1, axis)
    assert true.sum() > 100
    completeness = {name: (found & true).sum() for name, found in (("o", cosmics), ("t", theirs))}
    spurious = {name: (found & ~near).sum() for name, found in (("o", cosmics), ("t", theirs))}
    # The same method at the same limits; ours asks for contrast in the neighbours of a hit, too.
    assert completeness["o"] >= 0.98 * completeness["t"]
    assert spurious["o"] <= spurious["t"] + 5
