"""The gain of MicroObservatory's camera, from frames alone: noise and level of the sky.

There are no flats, and stars scatter by more than their photons, for nothing is divided out. But
the sky fell by 20 adu towards midnight and rose again, and with it the noise of differences of
frames, in which what is fixed on the chip cancels. Its increase is photons: variance (adu2) over
level (adu) is one over the gain, whatever bias, dark and read noise add to both.

The electronics' pickup is in narrow lines of the difference's power spectrum. The median power
between them is that of white noise. Stars are masked.
"""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest
import sep
from astropy.io import fits
from scipy import ndimage

from reduction.instruments.microobservatory import INSTRUMENT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.science, pytest.mark.slow]

GAIN = INSTRUMENT.chips["Cecilia"].gain

#: Columns of the spectrum: above what is left of sky and stars, below the odd and even columns'.
COLUMNS = (70, 261)


def starless(frame: np.ndarray) -> np.ndarray:
    """Pixels far from any star."""
    sky = sep.Background(np.ascontiguousarray(frame), bw=32, bh=32)
    above = frame - sky.back()
    stars = (ndimage.uniform_filter(above, 3) > 1.2 * sky.globalrms) | (above > 3 * sky.globalrms)
    near = ndimage.binary_dilation(stars, iterations=2)
    near |= ndimage.binary_dilation(above > 30 * sky.globalrms, iterations=8)
    return ~near


def spectrum(one: np.ndarray, other: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Power of half the difference between frames, so that white noise has its variance."""
    share = good.astype(np.float32)
    rest = (one - other) * share
    rest -= ndimage.uniform_filter(rest, 31) / np.maximum(ndimage.uniform_filter(share, 31), 1e-3)
    good = good & (np.abs(rest) < 8.0)  # five times the noise: cosmic rays
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
    # pairs share frames, and masks leave stars of the noise's size: the error is not all there is
    assert abs(gain - GAIN) < 4.0 * error


def test_falling_and_rising_sky_tell_the_same_gain(pairs) -> None:
    # a bias that drifts would have its own way, and not come back with the sky
    lowest = int(np.argmin(pairs["level"]))
    for part in (slice(None, lowest + 1), slice(lowest, None)):
        gain, error = fitted(pairs["level"][part], pairs["variance"][part])
        assert abs(gain - GAIN) < 4.0 * error
        assert error < 4.0


def test_what_the_noise_grows_by_is_white(pairs) -> None:
    low, high = pairs["level"] < 349.5, pairs["level"] > 360.0
    assert min(low.sum(), high.sum()) >= 5
    growth = (pairs["rows"][high].mean(axis=0) - pairs["rows"][low].mean(axis=0)) / np.log(2.0)
    # pickup, stars and sky differ by a factor of two along the rows; photons do not, and each of
    # the parts has 12 000 values of 12 pairs
    assert growth.std() < 0.05 * growth.mean()
