"""The gain of MicroObservatory's camera, from frames alone: noise and level of the sky.

There are no flats, and stars scatter by more than their photons, for nothing is divided out. But
the sky fell by 20 adu towards midnight and rose again, and with it the noise of differences of
frames, in which what is fixed on the chip cancels. Its increase is photons: variance (adu2) over
level (adu) is one over the gain, whatever bias, dark and read noise add to both.

The electronics' pickup makes odd and even columns of a row differ, which is taken off, and narrow
lines in the power spectrum of the difference. The median power between them is that of white
noise. Stars are masked.
"""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits

from reduction.instruments.microobservatory import INSTRUMENT
from tests.support.starless import smooth, starless

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.science, pytest.mark.slow]

GAIN = INSTRUMENT.chips["Cecilia"].gain

#: Columns of the spectrum: above what is left of sky and stars, below the odd and even columns'.
COLUMNS = (70, 261)


def spectrum(one: np.ndarray, other: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Power of half the difference between frames, so that white noise has its variance."""
    rest = one - other
    rest -= smooth(rest, good, (31, 31))
    good = good & (np.abs(rest) < 8.0)  # five times the noise: cosmic rays
    alternating = 1.0 - 2.0 * (np.arange(rest.shape[1]) % 2)
    rest -= alternating * smooth(rest * alternating, good, (1, 131))
    return np.abs(np.fft.rfft2(np.where(good, rest, 0.0))) ** 2 / good.sum() / 2.0


@pytest.fixture(scope="module")
def pairs(shared: Path) -> dict[str, np.ndarray]:
    """Level, variance of white noise, and spectrum along rows of the frames two apart."""
    paths = sorted((shared / "data" / "microobservatory_hatp32_2017-12-20" / "science").glob("*"))
    frames = [fits.getdata(path, 1).astype(np.float32) for path in paths]
    masks = [starless(frame) for frame in frames]
    up = np.abs(np.fft.fftfreq(frames[0].shape[0]))
    levels, variances, rows = [], [], []
    for number in range(len(frames) - 2):
        one, other = frames[number], frames[number + 2]
        good = masks[number] & masks[number + 2]
        power = spectrum(one, other, good)
        white = power[(up > 0.1) & (up < 0.48), slice(*COLUMNS)]
        levels.append(float((0.5 * (one + other))[good].mean(dtype=np.float64)))
        variances.append(float(np.median(white)) / np.log(2.0))  # power is exponential
        rows.append([np.median(part) for part in np.array_split(power[:, 25:300], 11, axis=1)])
    return {"level": np.array(levels), "variance": np.array(variances), "rows": np.array(rows)}


def fitted(level: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """Gain and its error, from a straight line."""
    (slope, _), covariance = np.polyfit(level - level.mean(), variance, 1, cov=True)
    return 1.0 / slope, float(np.sqrt(covariance[0, 0])) / slope**2


def test_noise_of_the_sky_grows_with_its_level_as_photons_do_at_the_modules_gain(pairs) -> None:
    assert np.ptp(pairs["level"]) > 15.0
    gain, error = fitted(pairs["level"], pairs["variance"])
    print(f"gain {gain:.1f} +- {error:.1f} e-/adu")
    assert error < 1.5
    # the part of the spectrum that is taken moves it by 3: see below
    assert abs(gain - GAIN) < np.hypot(3.0, 3.0 * error)


def test_falling_and_rising_sky_tell_the_same_gain(pairs) -> None:
    # a bias that drifts would have its own way, and not come back with the sky
    lowest = int(np.argmin(pairs["level"]))
    for part in (slice(None, lowest + 1), slice(lowest, None)):
        gain, error = fitted(pairs["level"][part], pairs["variance"][part])
        assert error < 3.0
        assert abs(gain - GAIN) < np.hypot(3.0, 3.0 * error)


def test_what_the_noise_grows_by_is_white(pairs) -> None:
    low, high = pairs["level"] < 349.5, pairs["level"] > 360.0
    assert min(low.sum(), high.sum()) >= 5
    growth = (pairs["rows"][high].mean(axis=0) - pairs["rows"][low].mean(axis=0)) / np.log(2.0)
    # what stars and pickup leave differs by a half along the rows; what light adds hardly: by a
    # tenth to either side, which is what the gain is uncertain by beyond the scatter of the pairs
    assert np.abs(growth / growth.mean() - 1.0).max() < 0.13
    spectrum_itself = pairs["rows"].mean(axis=0)
    assert spectrum_itself[0] > 1.3 * spectrum_itself[-1]
