"""Real light curves: the stars of MicroObservatory's field, through a night without calibrations.

There are no flats and no standards; the field drifts by 270 pixels of 5 arcsec. What all stars of
a frame share drops out. What is left is compared with the noise of photons, at the gain that the
noise of the sky tells (test_microobservatory_gain), and of the sky in apertures that are empty.
"""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits

from reduction.instruments.microobservatory import INSTRUMENT
from reduction.steps.associate import associate, mean_position
from reduction.steps.ensemble import relative_photometry
from reduction.steps.matching import match_nearest
from reduction.steps.sources import SourceFlag, extract
from reduction.steps.variability import light_curve_statistics
from tests.support.starless import empty_apertures

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.science, pytest.mark.slow]

GAIN = INSTRUMENT.chips["Cecilia"].gain
APERTURE = 2.5
SCALE = 5.164 / 3600.0
BLEMISHED = SourceFlag.SATURATED | SourceFlag.TRUNCATED | SourceFlag.MASKED | SourceFlag.NO_FLUX


def shifts(frames: np.ndarray) -> np.ndarray:
    """How far the stars of each frame are from those of the middle one, (x, y) pixels."""
    stars = np.clip(frames - np.median(frames, axis=0), 0, 300)
    spectra = np.fft.rfft2(stars)
    middle = np.conj(spectra[len(frames) // 2])
    found = []
    for spectrum in spectra:
        peak = np.fft.irfft2(spectrum * middle, s=frames.shape[1:])
        place = np.array(np.unravel_index(peak.argmax(), peak.shape))
        size = np.array(peak.shape)
        found.append(((place + size // 2) % size - size // 2)[::-1])
    return np.array(found)


def placed(sources: np.ndarray, reference: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Positions in the pixels of the reference's frame, by a linear fit to common stars."""
    here = np.column_stack((sources["x"], sources["y"], np.ones(len(sources))))
    there = np.column_stack((reference["x"], reference["y"]))
    matrix = np.vstack((np.eye(2), -shift))
    for tolerance in (3.0, 2.0, 1.0, 1.0, 0.7):
        one, other = match_nearest((here @ matrix)[:500], there[:500], tolerance)
        matrix = np.linalg.lstsq(here[one], there[other], rcond=None)[0]
    assert len(one) > 200
    return here @ matrix


@pytest.fixture(scope="module")
def night(shared: Path) -> tuple[np.ndarray, ...]:
    """Sources of the night: rows, degrees from a corner, the frame's number; noise of the sky."""
    paths = sorted((shared / "data" / "microobservatory_hatp32_2017-12-20" / "science").glob("*"))
    frames = np.array([fits.getdata(path, 1).astype(np.float32) for path in paths])
    assert len(frames) == 29
    lists = [
        extract(frame, gain=GAIN, saturated=frame >= 4000, aperture_radius=APERTURE, min_area=4)
        for frame in frames
    ]
    places = [
        placed(sources, lists[14], shift) * SCALE
        for sources, shift in zip(lists, shifts(frames), strict=True)
    ]
    number = np.repeat(np.arange(29), [len(sources) for sources in lists])
    noise = empty_apertures(frames, APERTURE)
    return np.concatenate(lists), np.concatenate(places), number, noise


def test_bright_stars_of_microobservatory_scatter_little_more_than_their_photons(night) -> None:
    sources, place, frame, sky = night
    rows = associate(place[:, 0] % 360.0, place[:, 1], frame, search_distance=5.0)
    star, seen, epoch = rows["association"], sources[rows["source"]], frame[rows["source"]]
    good = ((seen["flags"] & BLEMISHED) == 0) & (seen["flux_aper"] > 0)
    flux = np.where(good, seen["flux_aper"], np.nan)
    mag, err = -2.5 * np.log10(flux), 1.0857 * seen["flux_aper_err"] / flux
    ra, dec = mean_position(place[rows["source"], 0] % 360.0, place[rows["source"], 1], star)
    along = np.stack(((ra + 180.0) % 360.0, dec), axis=1)[star]
    along = (along - along.mean(axis=0)) / along.std(axis=0)
    found = relative_photometry(star, epoch, mag, err, along=along, min_epochs=10)
    assert found.constant.sum() > 300
    assert found.n_constant.min() > 100
    table = light_curve_statistics(
        star,
        epoch.astype(float),
        found.mag,
        np.where(np.isfinite(found.mag), err, np.nan),
        stars=int(star.max()) + 1,
    )
    often = np.flatnonzero(table["n_epochs"] >= 15)
    often = often[np.argsort(table["mag"][often])][:300]
    scatter, flux = table["mad"][often], 10 ** (-0.4 * table["mag"][often])
    noise = 1.0857 * np.sqrt(1.0 / (GAIN * flux) + (sky / flux) ** 2)
    # the figures that the documentation quotes
    print(f"floor {found.floor:.4f} mag, sky {sky:.1f} adu")
    bins = (slice(0, 20), slice(20, 50), slice(50, 100), slice(100, 200), slice(200, 300))
    for part in bins:
        print(
            f"stars {part.start}-{part.stop}: {np.median(flux[part]):.0f} adu, scatter "
            f"{np.median(scatter[part]):.4f}, photons and sky {np.median(noise[part]):.4f}"
        )
    # A night without flats ends below a percent: stars of one place on the chip are off alike, by
    # half a percent.
    assert found.floor < 0.008
    assert np.median(scatter[:50]) < 0.01
    # With that, the scatter is what photons and sky make, but for a fifth: light of neighbours,
    # of which the seeing lets more or less into the aperture, and places that are not exact. The
    # scatter of a star on 29 frames is known to a fifth, the median of 30 stars to 5 %.
    for part in bins[1:]:
        ratio = scatter[part] / np.hypot(noise[part], found.floor)
        assert 0.85 < np.median(ratio) < 1.35
    # And, whatever the gain is, it rises towards faint stars as photons (-0.5) and sky (-1) do,
    # where it is more than the floor.
    above = [np.sqrt(np.median(scatter[part]) ** 2 - found.floor**2) for part in bins[2:]]
    level = [np.median(flux[part]) for part in bins[2:]]
    slope = np.polyfit(np.log(level), np.log(above), 1)[0]
    assert -1.05 < slope < -0.5
