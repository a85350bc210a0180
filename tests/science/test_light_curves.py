"""Real light curves: the stars of MicroObservatory's field, through a night without calibrations.

There are no flats and no standards; the field drifts by 270 pixels of 5 arcsec. What all stars of
a frame share drops out, and what all stars share that pass the same part of the chip. What is left
is compared with what is measured by itself: photons, at the gain that the noise of the sky tells
(test_microobservatory_gain); the sky in apertures that are empty, with what is fixed on the chip
beneath; scintillation; and the response of pixels, from different stars that pass the same ones.
"""

from __future__ import annotations

__all__: list[str] = []

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits
from scipy.spatial import cKDTree

from reduction.instruments.microobservatory import INSTRUMENT
from reduction.light_curves import SEEN_DTYPE, Curves, FluxKind, levelled
from reduction.steps.associate import associate
from reduction.steps.ensemble_terms import Orders
from reduction.steps.groups import group_quantile
from reduction.steps.matching import match_nearest
from reduction.steps.sources import SourceFlag, extract
from tests.support.starless import empty_apertures, empty_apertures_of_one

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.science, pytest.mark.slow]

GAIN = INSTRUMENT.chips["Cecilia"].gain
MEASURED = INSTRUMENT.parameters["Catalog"]
APERTURE, RING = MEASURED["APERTURE_RADIUS"], MEASURED["SKY_RING"]
SCALE = 5.164 / 3600.0
BLEMISHED = SourceFlag.SATURATED | SourceFlag.TRUNCATED | SourceFlag.MASKED | SourceFlag.NO_FLUX
MAG = 1.0857

#: Standard deviation of the stars' images, pixels: half of the light is within 1.0 to 1.5.
IMAGE = 1.0

#: Stars by brightness.
BINS = (slice(0, 20), slice(20, 50), slice(50, 100), slice(100, 200), slice(200, 300))


def scintillation(airmass: np.ndarray) -> np.ndarray:
    """Standard deviation, mag, of 60 s with 15.2 cm at 2606 m (Osborn et al. 2015, equation 7).

    MNRAS 452, 1707: Young's formula with the coefficient that was measured at observatories,
    1.5, which says half as much again as Young's own.
    """
    variance = 10e-6 * 1.5**2 * 0.152 ** (-4 / 3) / 60.0 * airmass**3 * np.exp(-2 * 2606 / 8000)
    return MAG * np.sqrt(variance)


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
def night(shared: Path) -> SimpleNamespace:
    """Light curves of the night, and the noise of stars that is known beforehand."""
    paths = sorted((shared / "data" / "microobservatory_hatp32_2017-12-20" / "science").glob("*"))
    frames = np.array([fits.getdata(path, 1).astype(np.float32) for path in paths])
    altitude = np.array([float(fits.getheader(path, 1)["TELALT"]) for path in paths])
    assert len(frames) == 29
    lists = [
        extract(
            *(frame,),
            gain=GAIN,
            saturated=frame >= 4000,
            aperture_radius=APERTURE,
            min_area=4,
            sky_ring=RING,
        )
        for frame in frames
    ]
    places = [
        placed(sources, lists[14], shift) * SCALE
        for sources, shift in zip(lists, shifts(frames), strict=True)
    ]
    seen = observations(np.concatenate(lists), np.concatenate(places), [len(one) for one in lists])
    twinkle = scintillation(1.0 / np.sin(np.radians(altitude)))
    return measured(seen, light_curves(seen), frames, twinkle)


def light_curves(seen: np.ndarray) -> Curves:
    """As a LightCurveList makes them."""
    curves = levelled(
        seen,
        FluxKind.BEST,
        highest=Orders(1, 5),
        floor=None,
        sigma_clip=4.0,
        min_epochs=10,
    )
    assert curves is not None
    return curves


def observations(sources: np.ndarray, place: np.ndarray, counts: list[int]) -> np.ndarray:
    """What light curves are made of: sources of all frames, and degrees from a corner."""
    frame = np.repeat(np.arange(len(counts)), counts)
    rows = associate(place[:, 0] % 360.0, place[:, 1], frame, search_distance=5.0)
    taken, where = sources[rows["source"]], place[rows["source"]]
    seen = np.zeros(len(rows), SEEN_DTYPE)
    seen["ra"], seen["dec"] = where[:, 0] % 360.0, where[:, 1]
    for name in ("x", "y", "flags"):
        seen[name] = taken[name]
    seen["association"], seen["list"] = rows["association"], frame[rows["source"]]
    seen["mjd"], seen["mag"] = seen["list"], np.nan
    for kind, name in (("aperture", "flux_aper"), ("psf", "flux_psf")):
        flux = np.where(taken[name] > 0, taken[name], np.nan)
        seen[kind], seen[kind + "_err"] = -2.5 * np.log10(flux), MAG * taken[name + "_err"] / flux
    return seen[(seen["flags"] & int(BLEMISHED)) == 0]


def measured(
    seen: np.ndarray, curves: Curves, frames: np.ndarray, twinkle: np.ndarray
) -> SimpleNamespace:
    """Deviations, scatter and noise of the 300 brightest stars that are on half of the frames."""
    count = len(curves.stars)
    number = np.bincount(curves.star, minlength=count)
    mag = group_quantile(curves.found.mag, curves.star, count, 0.5)
    rest = curves.found.mag - mag[curves.star]
    # the median deviation from a median of n values is too small by half a degree of freedom
    scatter = 1.4826 * group_quantile(np.abs(rest), curves.star, count, 0.5)
    scatter *= np.sqrt(number / np.maximum(number - 1, 1))
    often = np.flatnonzero(number >= 15)
    often = often[np.argsort(mag[often])][:300]
    flux = 10 ** (-0.4 * mag)
    sky = empty_apertures(frames, APERTURE)
    still = empty_apertures_of_one(frames, APERTURE, RING)
    photons = MAG * np.sqrt(1.0 / (GAIN * flux) + (sky / flux) ** 2)
    beneath = MAG * np.sqrt(max(still**2 - sky**2, 0.0)) / flux
    variance = (photons**2 + beneath**2)[curves.star] + (twinkle**2)[curves.seen["list"]]
    noise = np.sqrt(group_quantile(variance, curves.star, count, 0.5))
    place = np.stack((curves.seen["x"], curves.seen["y"]), axis=1)
    return SimpleNamespace(
        seen=seen,
        curves=curves,
        order=curves.stars[often],
        found=curves.found,
        psf=curves.by_psf[often],
        sky=(sky, still),
        flux=flux[often],
        scatter=scatter[often],
        photons=photons[often],
        noise=noise[often],
        twinkle=twinkle,
        same=same_place(place, curves, rest, variance, flux),
    )


def same_place(place, curves, rest, variance, flux) -> tuple[float, float, float]:
    """Variance that the response of pixels makes, its error; and what stars share far apart.

    By different stars on different frames. Two means over independent pixels, weighted by images
    of a Gaussian's shape a distance d apart, have ``exp(-d^2 / 4 sigma^2)`` of their variance in
    common: 0.1 at 3 pixels. So much of the products of what is left of two stars is fitted; the
    rest is seen from 12 to 16 pixels.
    """
    good = np.flatnonzero(
        (flux[curves.star] > 900) & (np.abs(rest) < 5 * np.sqrt(variance + 2e-5))
    )
    star, frame = curves.star[good], curves.seen["list"][good]
    pairs = cKDTree(place[good]).query_pairs(16.0, output_type="ndarray")
    one, other = pairs[(star[pairs[:, 0]] != star[pairs[:, 1]])].T
    one, other = (end[frame[one] != frame[other]] for end in (one, other))
    apart = np.hypot(*(place[good][one] - place[good][other]).T)
    total = variance[good] + 2e-5
    weight = 1.0 / (total[one] * total[other])
    product = rest[good][one] * rest[good][other]
    shared, far = np.exp(-((apart / IMAGE) ** 2) / 4.0), apart > 12.0
    information = float((weight * shared**2).sum())
    return (
        float((weight * shared * product).sum()) / information,
        information**-0.5,
        float(np.average(product[far], weights=weight[far])),
    )


def test_bright_stars_of_microobservatory_scatter_as_what_is_measured_says(night) -> None:
    found = night.found
    assert found.constant.sum() > 300
    assert found.n_constant.min() > 100
    near, error, far = night.same
    # the figures that the documentation quotes
    print(f"floor {found.floor:.4f} mag, surfaces {tuple(found.orders)}, psf {night.psf.sum()}")
    print(f"sky {night.sky[0]:.1f} adu, with what is fixed {night.sky[1]:.1f}")
    print(f"same place: {near:.2e} +- {error:.1e} mag2, far {far:.1e}")
    told = np.sqrt(night.noise**2 + near)
    for part in BINS:
        print(
            f"stars {part.start}-{part.stop}: {np.median(night.flux[part]):.0f} adu, scatter "
            f"{np.median(night.scatter[part]):.4f}, photons and sky "
            f"{np.median(night.photons[part]):.4f}, and air and chip "
            f"{np.median(night.noise[part]):.4f}, and pixels {np.median(told[part]):.4f}; ratio "
            f"{np.median(night.scatter[part] / night.noise[part]):.2f} "
            f"{np.median(night.scatter[part] / told[part]):.2f}"
        )
    # Different stars that pass the same pixels on different frames are off alike, by 5.5 mmag: the
    # flat that is not there. From 12 pixels on they are not.
    assert near > 4.0 * error
    assert abs(far) < 0.3 * near
    # The floor is that, and scintillation, 5.9 mmag together: no light curve without a flat has a
    # lower one, and none of ours a higher one by more than what pixels do is known to. Which order
    # of a surface over the chip is taken moves it from 5.3 to 5.7 mmag.
    air = np.median(night.twinkle) ** 2
    assert found.floor < np.sqrt(near + error + air)
    assert found.floor == pytest.approx(np.sqrt(near + air), rel=0.2)
    assert np.median(night.scatter[:50]) < 0.007
    # All that is expected is measured by itself, and nothing is fitted to the scatter. That of a
    # star on 29 frames is known to a fifth, the median of 20 stars to 6 %, of 100 to 3 %; what
    # pixels do to a tenth, which is most of what bright stars have: three errors are a quarter of
    # the brightest stars' scatter, and 15 % of the faint ones'.
    for part, limit in zip(BINS, (0.25, 0.2, 0.2, 0.15, 0.15), strict=True):
        assert np.median(night.scatter[part] / told[part]) == pytest.approx(1.0, abs=limit)
    # From 2000 adu on, pixels count little beside photons, sky and scintillation.
    assert np.median(night.scatter[BINS[2]] / night.noise[BINS[2]]) < 1.4
    for part in BINS[3:]:
        assert np.median(night.scatter[part] / night.noise[part]) < 1.2


def test_a_transit_put_into_a_real_light_curve_is_found_as_deep_as_it_was(night) -> None:
    # the night again, with a transit of 0.02 mag in forty bright stars one after the other
    curves, random = night.curves, np.random.default_rng(7)
    seen = night.seen.copy()
    stars = night.order[5:200:5]
    shapes = {}
    for one in stars:
        first = int(random.integers(4, 18))
        mine = (seen["association"] == one) & (seen["list"] >= first) & (seen["list"] < first + 7)
        for kind in ("aperture", "psf"):
            seen[kind][mine] += 0.02
        shapes[one] = first
    again = light_curves(seen)
    depth, weight = [], []
    for one, first in shapes.items():
        off = []
        for found in (curves, again):
            mine = found.star == np.searchsorted(found.stars, one)
            frame, mag = found.seen["list"][mine], found.found.mag[mine]
            inside = (frame >= first) & (frame < first + 7)
            if inside.sum() < 3 or (~inside).sum() < 3:
                break
            off.append(mag[inside].mean() - mag[~inside].mean())
            error = found.found.mag_err[mine][0] * np.sqrt(1 / inside.sum() + 1 / (~inside).sum())
        else:
            depth.append(off[1] - off[0])
            weight.append(error**-2)
    assert len(depth) > 30
    # against the same star without it: noise cancels, and what the others took away is left
    assert np.average(depth, weights=weight) == pytest.approx(0.02, rel=0.03)
    assert np.std(depth) < 0.002
