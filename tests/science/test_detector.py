"""The detector's calibrations recover what is true of simulated frames, and fit real ones."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING, Any

import astroscrappy
import numpy as np
import pytest
from scipy import ndimage

from reduction.frames import read_headers
from reduction.instruments import cafos, nickel, simulated
from reduction.simulate import SimulationConfig, Truth, simulate
from reduction.simulation.geometry import chip_layout, project
from reduction.steps.weight import MaskBit
from reduction.targets.bias import BiasFrame
from reduction.targets.cold_pixels import ColdPixelMap
from reduction.targets.dome_flat import DomeFlatFrame
from reduction.targets.gain import GainLinearity
from reduction.targets.hot_pixels import HotPixelMap
from reduction.targets.master_flat import MasterFlatFrame
from reduction.targets.read_noise import ReadNoise
from reduction.targets.reduced import ReducedScienceFrame
from reduction.targets.twilight_flat import TwilightFlatFrame
from schemas.errors import ProgenitorMissingError
from tests.support.recipes import RawChip, compute, raw_chips

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reduction.instruments.base import Instrument
    from reduction.target import Progenitor

pytestmark = pytest.mark.science

CONFIG = SimulationConfig(nights=("2025-03-01",), shape=(384, 384), n_science=3)


def calibrate(
    instrument: Instrument, chip: str, frames: Sequence[RawChip], filter: str
) -> dict[str, Progenitor]:
    """All calibrations of one chip and filter, in the order of the chain."""

    def raw(kind: str) -> list[Progenitor]:
        return [
            frame.progenitor
            for frame in frames
            if frame.description.kind.name == kind
            and (kind == "BIAS" or frame.description.filter == filter)
        ]

    def make(cls: Any, **slots: Any) -> Progenitor:
        product, _, flags = compute(cls, instrument, chip, filter, **slots)
        assert flags == 0, f"{cls.__name__} is flagged {cls.Flags(flags)!r}"
        return product

    made: dict[str, Progenitor] = {}
    made["read_noise"] = make(ReadNoise, raw_bias_frames=raw("BIAS"))
    made["bias"] = make(BiasFrame, raw_bias_frames=raw("BIAS"), read_noise=made["read_noise"])
    made["hot"] = make(HotPixelMap, bias=made["bias"])
    flats = {"raw_dome_flats": raw("DOME_FLAT"), "raw_twilight_flats": raw("TWILIGHT_FLAT")}
    try:
        made["gain"] = make(GainLinearity, **flats, **made)
    except ProgenitorMissingError:
        assert max(len(frames) for frames in flats.values()) < 2
    if flats["raw_dome_flats"]:
        made["dome"] = make(DomeFlatFrame, **flats, **made)
    if flats["raw_twilight_flats"]:
        made["twilight"] = make(TwilightFlatFrame, **flats, **made)
    made["cold"] = make(ColdPixelMap, **made)
    made["flat"] = make(MasterFlatFrame, **made)
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """A simulated night."""
    folder = tmp_path_factory.mktemp("simulated")
    return folder, simulate(folder, config=CONFIG)


@pytest.fixture(scope="module", params=CONFIG.chip_names)
def chip(request: pytest.FixtureRequest, run: tuple[Path, Truth]) -> dict[str, Any]:
    """One chip: its truth, raw frames and calibrations."""
    folder, truth = run
    files = sorted((folder / "raw").iterdir())
    frames = raw_chips(simulated.INSTRUMENT, files, request.param)
    made = calibrate(simulated.INSTRUMENT, request.param, frames, "V")
    return {
        "name": request.param,
        "truth": truth,
        "chip": truth.chips[request.param],
        "frames": frames,
        **made,
    }


def test_read_noise_is_recovered(chip):
    # Rounding adds 1/12 adu2, and the mean of 32 overscan pixels of the row 1/32 of the variance.
    # Error: 4 pairs of 147456 pixels, 0.2 % each.
    expected = np.sqrt((chip["chip"].read_noise ** 2 + 1 / 12) * (1 + 1 / 32))
    assert chip["read_noise"]["rms"] == pytest.approx(expected, rel=0.005)
    # The central interval lies between the noise before and after rounding: 1.5 % for 1.8 adu.
    assert chip["read_noise"]["read_noise"] == pytest.approx(expected, rel=0.015)


def test_bias_level_is_recovered_within_three_standard_errors(chip):
    residual = chip["bias"].images["BIAS"] - chip["chip"].bias
    count = residual.size
    noise = chip["read_noise"]["rms"]
    # Overscan noise is common to a row: its mean has n / nx rows' worth of it.
    error = noise / np.sqrt(5) * np.sqrt(1 / count + 1 / 32 / residual.shape[0])
    assert abs(residual.mean()) < 3 * error
    # 5 frames; rejecting at 3 sigma of the median costs 3 to 4 % of efficiency.
    assert residual.std() == pytest.approx(noise / np.sqrt(5), rel=0.05)
    assert np.abs(residual).max() < 6 * noise / np.sqrt(5)


@pytest.mark.parametrize("kind", ["hot", "cold"])
def test_bad_pixels_are_complete_and_pure(chip, kind):
    found, true = chip[kind].images["MAP"] == 0, getattr(chip["chip"], kind)
    assert chip[kind]["count"] == found.sum()
    assert (found & true).sum() >= 0.95 * true.sum()
    assert (found & true).sum() >= 0.95 * found.sum()


def test_gain_is_recovered_within_its_error(chip):
    gain = chip["gain"]
    assert gain["pairs"] == 2
    # sqrt(2 / 147456) a pair
    assert gain["gain_error"] < 0.005 * gain["gain"]
    assert gain["gain"] == pytest.approx(chip["chip"].gain, rel=0.01)
    assert gain["nonlinearity"] < 0.002


def test_master_flat_is_the_true_response(chip):
    good = (chip["hot"].images["MAP"] == 1) & (chip["cold"].images["MAP"] == 1)
    ratio = chip["flat"].images["FLAT"] / chip["chip"].flat["V"] - 1
    electrons = 5 * chip["dome"]["level"] * chip["chip"].gain
    assert chip["flat"]["combine_type"] == 1
    # A pixel: the dome flats' photon noise (5 frames, about 0.18 %), and 10 % for vignetting,
    # the smoothed twilight and clipping.
    assert ratio[good].std() < 1.1 / np.sqrt(electrons)
    # Large scales: noise of 16 x 16 pixels 0.011 %, the low passes' 0.02 %; at the corners the
    # lamp's slope of 0.02 %/px, mirrored, gives up to 0.8 x 9 px of it = 0.15 %
    smooth = ndimage.uniform_filter(np.where(good, ratio, 0.0), 16)
    assert smooth.std() < 5e-4
    assert np.abs(smooth).max() < 2.5e-3
    # What the dome alone would have left: the lamp's slope.
    lamp = chip["dome"].images["FLAT"] / chip["chip"].flat["V"] - 1
    assert ndimage.uniform_filter(np.where(good, lamp, 0.0), 16).std() > 5e-3


def science(chip: dict[str, Any]) -> list[tuple[RawChip, Progenitor, np.ndarray]]:
    """Reduced exposures, each with the electrons that cosmic rays truly left."""
    made = []
    for frame in chip["frames"]:
        if frame.description.kind.name != "SCIENCE":
            continue
        slots = {key: chip[key] for key in ("bias", "flat", "hot", "cold", "read_noise", "gain")}
        reduced, _, flags = compute(
            ReducedScienceFrame,
            simulated.INSTRUMENT,
            chip["name"],
            "V",
            raw=frame.progenitor,
            **slots,
        )
        assert flags == 0
        hits = np.zeros(CONFIG.shape)
        rows = chip["truth"].exposures[frame.file].cosmics[chip["name"]]
        hits[rows[:, 0].astype(int), rows[:, 1].astype(int)] = rows[:, 2]
        made.append((frame, reduced, hits))
    return made


def test_sky_level_and_noise_of_reduced_frames_are_right(chip):
    truth = chip["chip"]
    for frame, reduced, _ in science(chip):
        exposure = chip["truth"].exposures[frame.file]
        image, good = reduced.images["IMAGE"], reduced.images["MASK"] == 0
        sky = image[good & (image < np.median(image[good]) + 30)]
        # Faint stars and galaxies lift the median by a few per cent of the sky's noise.
        assert np.median(sky) == pytest.approx(exposure.sky, abs=1.0)
        low = sky[sky < np.median(sky)] - np.median(sky)
        noise = np.sqrt(np.mean(low**2))
        expected = np.sqrt(exposure.sky / truth.gain + truth.read_noise**2 * (1 + 1 / 32 + 1 / 5))
        assert noise == pytest.approx(expected, rel=0.08)


def test_cosmic_rays_are_found_and_stars_are_kept(chip):
    hit = found_hits = pixels = false = found = 0
    for _, reduced, electrons in science(chip):
        mask = reduced.images["MASK"]
        pixels += mask.size
        cosmic = (mask & np.uint8(MaskBit.COSMIC)) > 0
        usable = (mask & ~np.uint8(MaskBit.COSMIC)) == 0
        true = (electrons > 0) & usable
        hit += int(true.sum())
        found_hits += int((true & cosmic).sum())
        near = ndimage.binary_dilation(electrons > 0, np.ones((3, 3), dtype=bool))
        false += int((cosmic & ~near).sum())
        found += int(cosmic.sum())
    assert hit > 100
    # Pure, too: a pixel beside a hit, which its tail may have reached, is not false.
    assert false <= 0.1 * found
    assert found_hits >= 0.9 * hit
    # 4.5 sigma of the Laplacian, whose noise is about 1.2 times a pixel's: 9e-5 of a normal
    # distribution
    assert false <= 1e-4 * pixels


def test_stars_centres_are_no_cosmic_rays(chip):
    truth = chip["truth"]
    index = CONFIG.chip_names.index(chip["name"])
    seen = lost = 0
    for frame, reduced, electrons in science(chip):
        exposure = truth.exposures[frame.file]
        bright = ~truth.sky.galaxy & (truth.sky.mags["V"] < 20)
        x, y = project(
            chip_layout(CONFIG, index),
            (exposure.ra, exposure.dec),
            truth.sky.ra[bright],
            truth.sky.dec[bright],
        )
        cosmic = (reduced.images["MASK"] & np.uint8(MaskBit.COSMIC)) > 0
        struck = ndimage.binary_dilation(electrons > 0, np.ones((5, 5), dtype=bool))
        for column, row in zip(np.rint(x).astype(int), np.rint(y).astype(int), strict=True):
            if not (2 <= column < CONFIG.shape[1] - 2 and 2 <= row < CONFIG.shape[0] - 2):
                continue
            core = np.s_[row - 1 : row + 2, column - 1 : column + 2]
            if struck[core].any():
                continue
            seen += 1
            lost += int(cosmic[core].any())
    assert seen > 50
    assert lost <= 0.01 * seen


def test_cosmic_rays_agree_with_astroscrappy(chip):
    _, reduced, electrons = science(chip)[0]
    mask, image = reduced.images["MASK"], reduced.images["IMAGE"]
    bad = (mask & ~np.uint8(MaskBit.COSMIC)) > 0
    theirs, _ = astroscrappy.detect_cosmics(
        image,
        inmask=bad,
        gain=reduced["effective_gain"],
        readnoise=reduced["noise"] * reduced["effective_gain"],
        sigclip=4.5,
        sigfrac=0.3,
        objlim=5.0,
        satlevel=1e9,
        cleantype="medmask",
        fsmode="median",
    )
    true = (electrons > 0) & ~bad
    ours = (mask & np.uint8(MaskBit.COSMIC)) > 0
    assert (ours & true).sum() >= 0.95 * (theirs & true).sum()


def test_making_again_gives_the_same_bits(chip):
    raws = [f.progenitor for f in chip["frames"] if f.description.kind.name == "BIAS"]
    again, _, _ = compute(
        BiasFrame,
        simulated.INSTRUMENT,
        chip["name"],
        raw_bias_frames=raws,
        read_noise=chip["read_noise"],
    )
    assert again.images["BIAS"].tobytes() == chip["bias"].images["BIAS"].tobytes()
    first, second = (science(chip)[0][1] for _ in range(2))
    for name, image in first.images.items():
        assert image.tobytes() == second.images[name].tobytes()


@pytest.fixture(scope="module")
def nickel_frames(shared: Path) -> list[RawChip]:
    """All frames of the Nickel night."""
    files = sorted((shared / "data" / "nickel_2024-05-13").rglob("*.fits.fz"))
    return raw_chips(nickel.INSTRUMENT, files, "1")


@pytest.fixture(scope="module")
def cafos_frames(shared: Path) -> list[RawChip]:
    """All frames of the CAFOS runs."""
    files = sorted((shared / "data" / "cafos_ngc2420_2021-03").rglob("*.fits.gz"))
    chip = cafos.INSTRUMENT.describe(read_headers(files[0]))[0].chip
    return raw_chips(cafos.INSTRUMENT, files, chip)


def test_nickel_is_calibrated_and_has_the_known_read_noise(nickel_frames):
    made = calibrate(nickel.INSTRUMENT, "1", nickel_frames, "V")
    assert made["read_noise"]["read_noise"] == pytest.approx(5.8, rel=0.05)
    assert made["flat"]["combine_type"] == 3
    assert made["gain"]["gain"] == pytest.approx(1.8, rel=0.1)  # nominal
    # The saturated column 256 of the camera is masked with what it spoils, and not much else.
    assert (made["hot"].images["MAP"][:, 256] == 0).all()
    assert (made["hot"].images["MAP"][:, 254:256] == 0).mean() > 0.8
    assert made["hot"]["count"] < 0.01 * 1024**2
    flat = made["flat"].images["FLAT"][100:900, 300:700]
    assert np.isfinite(flat).all()


def test_cafos_is_calibrated_and_has_the_known_read_noise(cafos_frames):
    chip = cafos_frames[0].description.chip
    made = calibrate(cafos.INSTRUMENT, chip, cafos_frames, "JohnsonV")
    assert made["read_noise"]["read_noise"] == pytest.approx(10.5, rel=0.05)
    assert made["bias"]["overscan_correction"] == 0
    assert made["flat"]["combine_type"] == 2
    assert "gain" not in made  # one flat a filter: no pair
    raw = next(
        f
        for f in cafos_frames
        if f.description.kind.name == "SCIENCE" and f.description.filter == "JohnsonV"
    )
    reduced, _, flags = compute(
        ReducedScienceFrame, cafos.INSTRUMENT, chip, "JohnsonV", raw=raw.progenitor, **made
    )
    assert flags == 0
    assert reduced["effective_gain"] == cafos.INSTRUMENT.chips[chip].gain
    assert reduced["good_fraction"] > 0.98
