"""Two nights of a warm camera without flats: each has its own bias, darks and flat of the sky."""

from __future__ import annotations

__all__: list[str] = []

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from reduction.archive import Archive
from reduction.targets.cosmic_rays import CosmicMap
from reduction.targets.reduced import ReducedScienceFrame
from reduction.targets.weight import WeightFrame

pytestmark = [pytest.mark.science, pytest.mark.slow]

NIGHTS = {
    "20181012p3": "lux-180.000secs.Light.Open.00000016.fit.fz",
    "20181017p3": "a-240.000secs.Light.Open.00000016.fit.fz",
}


@pytest.fixture(scope="module")
def archive(small_telescopes: Archive) -> Archive:
    """An archive with both nights."""
    Archive.use(small_telescopes)
    return small_telescopes


@pytest.fixture(scope="module", params=sorted(NIGHTS))
def frame(request: pytest.FixtureRequest, archive: Archive) -> Any:
    """A reduced science frame of each night."""
    Archive.use(archive)
    return ReducedScienceFrame.get(raw=NIGHTS[request.param])


def test_frames_of_a_camera_without_calibrations_are_taken_as_they_come(archive, shared):
    folder = shared / "data" / "microobservatory_hatp32_2017-12-20" / "science"
    path = min(folder.iterdir())
    assert archive.ingest([path]).refused == []
    Archive.use(archive)
    reduced = ReducedScienceFrame.get(raw=path.name)
    assert reduced.corrections == "none"
    assert (reduced.bias, reduced.flat, reduced.hot, reduced.read_noise) == (None,) * 4
    (raw,) = reduced.raw.images.values()
    good = reduced.images["MASK"] == 0
    difference = reduced.images["IMAGE"][good] - raw[good]
    assert np.abs(difference).max() < 1.0  # stored to a sixteenth of the noise
    assert reduced.good_fraction > 0.95


def pixels_of(raw: Any) -> np.ndarray:
    """The one image of a raw frame, adu."""
    (pixels,) = raw.images.values()
    return np.asarray(pixels, dtype=np.float32)


def noise(frame: Any, signal: np.ndarray) -> np.ndarray:
    """Expected noise of debiased pixels, adu."""
    photons = np.maximum(signal, 0.0) / frame.effective_gain
    return np.asarray(np.sqrt(photons + frame.noise**2))


def lone(image: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels 5 sigma off the sky whose neighbours are not, and those whose neighbours are not."""
    sky = ndimage.median_filter(image[::2, ::2], 15).repeat(2, axis=0).repeat(2, axis=1)
    ring = np.ones((3, 3)) / 8.0
    ring[1, 1] = 0.0
    calm = np.abs(ndimage.convolve(image - sky, ring)) < 1.5 * sigma
    return (np.abs(image - sky) > 5.0 * sigma) & calm, calm


def test_a_frame_is_made_of_its_own_nights_calibrations(frame):
    assert frame.corrections == "overscan 0, bias, dark, flat"
    assert frame.flat.combine_type == 5
    night = frame._record.night  # what the archive says of it
    for product in (frame.bias, frame.dark, frame.flat, frame.flat.night_sky, frame.hot):
        assert product._record.night == night
    assert frame.flat.night_sky.frames_used == 7
    assert frame.noise == pytest.approx(6.3, rel=0.05)  # as measured independently


def test_the_dark_current_takes_out_the_hot_pixels(frame):
    raw = pixels_of(frame.raw)
    exptime = frame.raw.exptime
    debiased = raw - frame.bias.images["BIAS"]
    dark = frame.dark.images["DARK"] * exptime
    hot = dark > 200.0
    assert 700 < hot.sum() < 2500  # 900 to 2100 by other people's count
    sigma = noise(frame, debiased)
    before, calm = lone(debiased, sigma)
    after, _ = lone(debiased - dark, sigma)
    assert before[hot].sum() > 0.7 * calm[hot].sum()
    # The goal; what is left is unstable.
    assert after[hot].sum() <= 0.05 * calm[hot].sum()


def test_with_the_map_of_hot_pixels_only_cosmic_rays_are_left(frame):
    image, mask = frame.images["IMAGE"], frame.images["MASK"]
    good = mask == 0
    left, _ = lone(np.where(np.isfinite(image), image, np.nanmedian(image)), noise(frame, image))
    # Of a million; before, 1500 to 2200. Among them are faint stars of hardly a pixel.
    assert (left & good).sum() < 150
    assert frame.good_fraction > 0.98


def test_the_flat_of_the_night_sky_flattens_the_sky(frame):
    image, good = frame.images["IMAGE"], frame.images["MASK"] == 0
    raw = pixels_of(frame.raw) - frame.bias.images["BIAS"]

    def unevenness(pixels: np.ndarray) -> float:
        blocks = np.where(good, pixels, np.nan).reshape(8, 128, 8, 128)
        medians = np.nanmedian(blocks, axis=(1, 3))
        return float(np.ptp(medians) / np.median(medians))

    # The moon gives each frame a slope of its own.
    assert unevenness(raw) > 0.12
    assert unevenness(image) < 0.06


def test_maps_and_weights_are_planes_of_the_frame(archive, frame):
    Archive.use(archive)
    raw = frame.raw.name
    cosmic, weight = CosmicMap.get(raw=raw), WeightFrame.get(raw=raw)
    assert np.array_equal(cosmic.images["MAP"] == 0, (frame.images["MASK"] & 32) > 0)
    assert cosmic.events == frame.cosmic_events > 0
    assert np.array_equal(weight.images["WEIGHT"] > 0, frame.images["WEIGHT"] > 0)
