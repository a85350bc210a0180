"""The photometric recipes, from made-up stars: what they find, refuse and flag."""

from __future__ import annotations

__all__: list[str] = []

import math
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from reduction.focal_plane import factor_image, factors_at, light_of, nodes_of
from reduction.instruments.base import Section
from reduction.instruments.simulated import INSTRUMENT
from reduction.make import flat_attributes
from reduction.progenitor import Progenitor, ReferenceStars
from reduction.steps.sources import SOURCE_DTYPE
from reduction.steps.wcs import TanWcs
from reduction.target import Inputs, Made
from reduction.targets.astrometric import wcs_attributes
from reduction.targets.extinction import (
    AtmosphericExtinctionCoefficient,
    AtmosphericExtinctionCurve,
    AtmosphericExtinctionFrames,
    AtmosphericExtinctionZeropoint,
)
from reduction.targets.gphotometric import GPhotometric
from reduction.targets.illumination import IlluminationCorrection, IlluminationCorrectionFrame
from reduction.targets.phot_ref_catalog import PhotRefCatalog
from reduction.targets.phot_src_catalog import PhotSrcCatalog
from reduction.targets.phot_transformation import PhotTransformation
from reduction.targets.photometric import PhotometricParameters
from reduction.targets.source_list import SourceList
from reduction.zero_points import zero_point_of
from schemas.errors import UnprocessableError

NUMBERS = count(1)
CHIPS = ("ccd50", "ccd51")
SHAPE = (256, 256)
CAMERA = replace(
    INSTRUMENT,
    chips={
        name: replace(chip, shape=SHAPE)
        for name, chip in INSTRUMENT.chips.items()
        if name in CHIPS
    },
)
K = 0.15
ZERO = 24.5
PIXEL = 0.214 / 3600.0


def run(
    cls: Any, chip: str = "", *, camera: Any = CAMERA, params: dict | None = None, **slots: Any
):
    """Product, what was made, flags."""
    parameters = cls.Parameters(**(params or {}))
    given = {name: slots.get(name) for name in cls.SLOTS}
    inputs = Inputs(cls.__name__, given, instrument=CAMERA, chip=chip, filter="V")
    made = cls().compute(inputs, parameters)
    flags = cls().verify(made, parameters)
    product = Progenitor(
        next(NUMBERS),
        cls.__name__,
        "V",
        flat_attributes(cls(), made),
        made.images,
        flags,
        tables=made.tables,
        chip=chip,
    )
    return product, made, flags


def wcs(chip: str, dither: float = 0.0) -> TanWcs:
    east = 270.0 if chip == "ccd51" else 0.0
    return TanWcs(150.0, 2.0, 128.0 - east + dither, 128.0, ((PIXEL, 0.0), (0.0, PIXEL)))


def illumination(chip: str, x: np.ndarray) -> np.ndarray:
    """A tilt along the mosaic, 0.1 mag a chip."""
    return 0.1 * (x + (270.0 if chip == "ccd51" else 0.0) - 262.5) / 256.0


def raw(name: str, airmass: float | None = 1.2, mjd: float = 60000.0) -> Progenitor:
    values = {"name": name, "exptime": 60.0, "airmass": airmass, "mjd_obs": mjd}
    return Progenitor(next(NUMBERS), "RawScienceFrame", "V", values, {})


def astrometry(
    chip: str, name: str = "a.fits", dither: float = 0.0, n_ref: int = 30
) -> Progenitor:
    values = {**wcs_attributes(wcs(chip, dither)), "n_ref": n_ref, "pos_err": 0.05}
    return Progenitor(
        next(NUMBERS), "AstrometricParameters", "V", values, {}, chip=chip, raw={"name": name}
    )


def sky(number: int = 400, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    ra = 150.0 + rng.uniform(-130, 400, number) * PIXEL
    dec = 2.0 + rng.uniform(-128, 128, number) * PIXEL
    return {
        "ra": ra,
        "dec": dec,
        "V": rng.uniform(14.0, 18.0, number),
        "B-V": rng.uniform(0.2, 1.4, number),
    }


def references(stars: dict[str, np.ndarray], *, system: str = "johnson") -> ReferenceStars:
    number = len(stars["ra"])
    mags = {"V": stars["V"], "B": stars["V"] + stars["B-V"]}
    if system == "sdss":  # Lupton's V and B, solved for g and r
        color = (stars["B-V"] - 0.2309) / 0.8914
        g = stars["V"] + 0.5784 * color + 0.0038
        mags = {"g": g, "r": g - color}
    errors = {band: np.full(number, 0.005) for band in mags}
    names = [f"S{index}" for index in range(number)]
    return ReferenceStars(next(NUMBERS), system, names, stars["ra"], stars["dec"], mags, errors)


def catalog(
    chip: str,
    stars: dict[str, np.ndarray],
    *,
    zero: float = ZERO,
    term: float = 0.0,
    bowl: bool = False,
    seed: int = 5,
    dither: float = 0.0,
) -> Progenitor:
    """The stars on a chip, measured to a per cent."""
    rng = np.random.default_rng(seed)
    x, y = wcs(chip, dither).to_pixel(stars["ra"], stars["dec"])
    on = (x > 5) & (x < 250) & (y > 5) & (y < 250)
    x, y = x[on], y[on]
    mag = stars["V"][on] - term * (stars["B-V"][on] - 0.5)
    z = zero + (illumination(chip, x) if bowl else 0.0)
    flux = 60.0 * 10 ** (0.4 * (z - mag)) * (1 + 0.01 * rng.standard_normal(len(x)))
    table = np.zeros(len(x), SOURCE_DTYPE)
    table["x"], table["y"] = x, y
    for name in ("flux", "flux_aper", "flux_psf"):
        table[name], table[name + "_err"] = flux, 0.01 * flux
    table["spread_err"], table["half_light_radius"] = 0.01, 1.5
    return Progenitor(
        next(NUMBERS),
        "Catalog",
        "V",
        {"aperture_radius": 4.0, "aperture_noise": 5.0},
        {},
        tables={"SOURCES": table},
        chip=chip,
    )


def measured(chip: str, name: str = "a.fits", *, airmass: float = 1.2, **how: Any) -> Progenitor:
    """A PhotSrcCatalog of a frame."""
    stars = how.pop("stars", None) or sky()
    params = how.pop("params", {"COLOR_TERM": 0.0})
    frame = raw(name, airmass)
    standards, _, _ = run(
        PhotRefCatalog, chip, raw=frame, reference_catalogues=[references(stars)]
    )
    found, _, _ = run(
        PhotSrcCatalog,
        chip,
        params=params,
        raw=frame,
        catalog=catalog(
            chip,
            stars,
            dither=how.get("dither", 0.0),
            **{key: value for key, value in how.items() if key != "dither"},
        ),
        astrometric=astrometry(chip, name, how.get("dither", 0.0)),
        standards=standards,
    )
    return replace(found, raw=frame.attributes)


def test_standards_of_two_systems_are_one_list_and_the_newest_counts() -> None:
    stars = sky(50)
    half = {name: values[:30] for name, values in stars.items()}
    moved = {**half, "V": half["V"] + 0.5}
    product, made, _ = run(
        PhotRefCatalog,
        raw=raw("a.fits"),
        reference_catalogues=[references(stars, system="sdss"), references(moved)],
    )
    table = product.tables["STANDARDS"]
    assert len(table) == 50
    assert table["mag"] == pytest.approx(stars["V"], abs=1e-3)
    assert table["color"] == pytest.approx(stars["B-V"], abs=2e-3)
    assert made.attributes["color"] == "B-V"
    assert made.attributes["catalogues"] == "sdss"


def test_field_without_standards_is_refused_by_name() -> None:
    stars = references(sky(5))
    with pytest.raises(UnprocessableError, match=r"a\.fits: no star in its field has a magnitude"):
        run(
            PhotRefCatalog,
            raw=raw("a.fits"),
            reference_catalogues=[replace(stars, mags={"VT": stars.mags["V"]}, mag_errs={})],
        )


def test_each_star_has_its_zero_point_and_far_ones_are_marked() -> None:
    stars = sky()
    stars["V"][:5] -= 2.0
    found = measured("ccd50", stars=stars)
    truth = sky()
    truth_catalog = catalog("ccd50", truth)
    product, _, _ = run(
        PhotSrcCatalog,
        "ccd50",
        params={"COLOR_TERM": 0.0},
        raw=raw("a.fits"),
        catalog=truth_catalog,
        astrometric=astrometry("ccd50"),
        standards=run(PhotRefCatalog, raw=raw("a.fits"), reference_catalogues=[references(stars)])[
            0
        ],
    )
    table = product.tables["STANDARDS"]
    wrong = np.isin(table["name"], [f"S{n}" for n in range(5)])
    assert not table["used"][wrong].any()
    assert table["used"][~wrong].all()
    assert product["raw_zero_point"] == pytest.approx(ZERO, abs=0.005)
    assert found["n_used"] > 50


@pytest.mark.parametrize(("n_ref", "words"), [(0, "recognised"), (30, "found 0 usable standard")])
def test_frame_without_standards_is_refused_by_name(n_ref: int, words: str) -> None:
    away = {**sky(), "ra": sky()["ra"] + 1.0}
    with pytest.raises(UnprocessableError, match=rf"a\.fits: .*{words}"):
        run(
            PhotSrcCatalog,
            "ccd50",
            params={"COLOR_TERM": 0.0},
            raw=raw("a.fits"),
            catalog=catalog("ccd50", sky()),
            astrometric=astrometry("ccd50", n_ref=n_ref),
            standards=run(
                PhotRefCatalog, raw=raw("a.fits"), reference_catalogues=[references(away)]
            )[0],
        )


def night_of_frames(**how: Any) -> list[Progenitor]:
    """Both chips, of different gain, at six airmasses."""
    return [
        measured(
            chip,
            f"f{index}.fits",
            airmass=airmass,
            zero=ZERO + gain - K * airmass - how.get("clouds", {}).get(index, 0.0),
            seed=10 * index + len(chip),
        )
        for index, airmass in enumerate(how.get("airmass", (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)))
        for chip, gain in zip(CHIPS, (0.0, 0.3), strict=True)
    ]


def test_extinction_of_a_night_is_the_slope_of_its_zero_points() -> None:
    product, made, flags = run(
        AtmosphericExtinctionFrames, source_catalogues=night_of_frames(clouds={3: 0.4})
    )
    assert flags == 0
    assert product["extinction"] == pytest.approx(K, abs=4 * product["extinction_err"])
    assert product["extinction_err"] < 0.01
    assert product["n_frames"] == 5  # exposures, of both chips each
    assert made.attributes["zero_point"] == pytest.approx(ZERO + 0.15, abs=0.02)


def test_extinction_needs_a_range_of_airmass() -> None:
    with pytest.raises(UnprocessableError, match=r"span 0\.10 in airmass"):
        run(AtmosphericExtinctionFrames, source_catalogues=night_of_frames(airmass=(1.0, 1.1)))


def test_extinction_from_a_zero_point_known_otherwise() -> None:
    frames = [frame for frame in night_of_frames() if frame.chip == "ccd50"]
    product, _, flags = run(
        AtmosphericExtinctionZeropoint, source_catalogues=frames, params={"ZERO_POINT": ZERO}
    )
    assert flags == 0
    assert product["extinction"] == pytest.approx(K, abs=0.01)
    _, _, flags = run(AtmosphericExtinctionZeropoint, source_catalogues=frames)
    assert flags == AtmosphericExtinctionZeropoint.Flags.UNKNOWN


def test_a_zero_point_known_otherwise_is_that_of_the_chips_mean() -> None:
    product, _, flags = run(
        AtmosphericExtinctionZeropoint,
        source_catalogues=night_of_frames(),
        params={"ZERO_POINT": ZERO + 0.15},
    )
    assert flags == 0
    assert product["extinction"] == pytest.approx(K, abs=0.005)
    assert product["n_frames"] == 6


def test_extinction_that_nobody_knows_is_flagged_and_a_known_one_handed_on() -> None:
    for cls, params in (
        (AtmosphericExtinctionCoefficient, {"EXTINCTION": None}),
        (AtmosphericExtinctionCurve, {}),
    ):
        assert run(cls, params=params)[2] == cls.Flags.UNKNOWN
    product, made, flags = run(AtmosphericExtinctionCoefficient, params={"EXTINCTION": 0.17})
    assert (product["extinction"], flags) == (0.17, 0)
    curve, _, flags = run(AtmosphericExtinctionCurve, params={"ALTITUDE": 1283.0})
    assert flags == 0
    assert curve["extinction"] == pytest.approx(0.17, abs=0.01)
    # The air of a simulation: no part of nothing is a limit, but there is none here.
    product, _, flags = run(AtmosphericExtinctionCoefficient, params={"EXTINCTION": 0.0})
    assert (product["extinction"], flags) == (0.0, 0)
    compare = AtmosphericExtinctionCoefficient().compare
    assert compare(made, {"extinction": 0.17, "extinction_err": 0.03}, None) == 0
    assert compare(made, {"extinction": 0.9, "extinction_err": 0.03}, None) != 0


def test_color_term_of_a_night_is_recovered() -> None:
    frames = [
        measured("ccd50", f"f{n}.fits", zero=ZERO - 0.3 * n, term=-0.12, seed=n) for n in range(3)
    ]
    product, _, flags = run(PhotTransformation, source_catalogues=frames)
    assert flags == 0
    assert product["color_term"] == pytest.approx(-0.12, abs=4 * product["color_term_err"])
    # 300 stars of 0.015 mag over 1.2 mag of colour
    assert product["color_term_err"] < 0.005


def photometric(found: Progenitor, **slots: Any) -> tuple[Progenitor, Made, int]:
    return run(
        PhotometricParameters,
        found.chip,
        raw=raw(found.raw["name"], found.raw["airmass"]),
        source_catalog=found,
        **slots,
    )


def test_zero_point_is_above_the_atmosphere_and_at_the_pivot_colour() -> None:
    found = measured("ccd50", zero=ZERO - K * 1.2, term=0.2, params={"COLOR_TERM": 0.2})
    air, _, _ = run(AtmosphericExtinctionCoefficient, params={"EXTINCTION": K})
    product, _, flags = photometric(found, site_extinction=air)
    assert flags == 0
    assert product["zero_point"] == pytest.approx(ZERO, abs=4 * product["zero_point_err"])
    assert product["scatter"] == pytest.approx(0.011, rel=0.2)
    assert product["extinction_kind"] == "AtmosphericExtinctionCoefficient"
    plain, _, _ = photometric(measured("ccd50", term=0.2))
    assert plain["scatter"] > 3 * product["scatter"]
    fitted, _, _ = run(PhotTransformation, source_catalogues=[measured("ccd50", term=0.2)])
    again, _, _ = photometric(measured("ccd50", term=0.2), transformation=fitted)
    assert again["scatter"] == pytest.approx(product["scatter"], rel=0.1)


def test_a_borrowed_zero_point_has_the_error_of_the_extinction_between_the_frames() -> None:
    frame = catalog("ccd50", sky(), zero=ZERO)
    air, _, _ = run(AtmosphericExtinctionCoefficient, params={"EXTINCTION": K})
    own, _, _ = photometric(measured("ccd50"), site_extinction=air)
    own = replace(
        own, attributes={**own.attributes, "extinction_err": 0.03}, raw=raw("a").attributes
    )
    given = {"catalog": frame, "astrometric": astrometry("ccd50")}
    far, _, flags = run(
        *(SourceList, "ccd50"), raw=raw("b", airmass=1.7), photometric=own, **given
    )
    assert flags == 0
    error = math.hypot(own["zero_point_err"], 0.03 * 0.5)
    assert far["zero_point_err"] == pytest.approx(error, rel=1e-6)
    assert (far["zero_point"], far["zero_point_frame"]) == (own["zero_point"], "a")
    near, _, _ = run(*(SourceList, "ccd50"), raw=raw("a"), photometric=own, **given)
    assert near["zero_point_err"] == pytest.approx(own["zero_point_err"])
    none, _, flags = run(*(SourceList, "ccd50"), raw=raw("a"), **given)
    assert (none["zero_point"], none["zero_point_frame"], flags) == (None, "", 0)


def test_a_zero_point_for_another_aperture_is_told_to_people() -> None:
    frame = catalog("ccd50", sky(), zero=ZERO)
    own, _, _ = photometric(measured("ccd50"))
    own = replace(
        own, attributes={**own.attributes, "aperture_radius": 9.0}, raw=raw("a").attributes
    )
    given = {"catalog": frame, "astrometric": astrometry("ccd50"), "photometric": own}
    _, _, flags = run(SourceList, "ccd50", raw=raw("a"), **given)
    assert flags == SourceList.Flags.APERTURE_DIFFERS


def only(found: Progenitor, number: int, off: float) -> Progenitor:
    """A frame of so many standards, the first of which is wrong in the catalogue."""
    table = found.tables["STANDARDS"][:number].copy()
    table["zero_point"][0] += off
    return replace(found, tables={**found.tables, "STANDARDS": table})


@pytest.mark.parametrize("number", [3, 4, 5])
def test_one_of_few_standards_that_is_half_a_magnitude_off_is_left_out(number: int) -> None:
    product, _, flags = photometric(only(measured("ccd50"), number, 0.5))
    assert flags == 0
    assert product["n_stars"] == number - 1
    assert product["zero_point"] == pytest.approx(ZERO, abs=3.0 * product["zero_point_err"])
    assert product["zero_point_err"] < 0.03
    assert product["doubt"] < 0.1


def test_three_standards_that_contradict_each_other_are_told_to_people() -> None:
    found = only(measured("ccd50"), 3, 0.25)
    found.tables["STANDARDS"]["zero_point"][1] -= 0.2
    product, _, flags = photometric(found)
    assert flags & PhotometricParameters.Flags.STANDARDS_DISAGREE
    assert product["n_stars"] == 3
    assert product["doubt"] > 0.5
    # a camera whose standards usually scatter so is another matter
    _, _, flags = photometric(found, params={"USUAL_SCATTER": 0.3, "MAX_ERROR": 0.5})
    assert not flags & PhotometricParameters.Flags.STANDARDS_DISAGREE


def test_of_more_standards_than_are_asked_for_as_many_have_to_agree() -> None:
    found = only(measured("ccd50"), 4, 0.5)
    found.tables["STANDARDS"]["zero_point"][1] -= 0.4
    with pytest.raises(UnprocessableError, match="found 2 usable standard stars in V"):
        photometric(found)


def test_too_few_stars_give_no_zero_point() -> None:
    few = {name: values[:8] for name, values in sky().items()}
    found = measured("ccd50", stars=few)
    table = found.tables["STANDARDS"]
    table["used"][2:] = 0
    with pytest.raises(UnprocessableError, match="found 2 usable standard stars in V"):
        photometric(found)


def test_zero_point_that_jumps_is_told_to_people() -> None:
    _, made, _ = photometric(measured("ccd50"))
    flags = PhotometricParameters.Flags
    before = dict(made.attributes)
    assert PhotometricParameters().compare(made, before, None) == 0
    before["zero_point"] += 0.2
    assert PhotometricParameters().compare(made, before, None) == flags.CHANGED


def illuminated(names: tuple[str, ...] = ("a.fits", "b.fits")) -> dict[str, Any]:
    dithers = {name: 12.0 * index for index, name in enumerate(names)}
    return {
        "source_catalogues": [
            measured(
                chip, name, bowl=True, dither=dithers[name], seed=31 * index, zero=ZERO + gain
            )
            for index, name in enumerate(names)
            for chip, gain in zip(CHIPS, (0.0, 0.2), strict=True)
        ],
        "astrometric": [astrometry(chip, name, dithers[name]) for name in names for chip in CHIPS],
    }


def test_illumination_of_both_chips_is_recovered_and_taken_off() -> None:
    product, made, flags = run(IlluminationCorrection, params={"DEGREE": 1}, **illuminated())
    assert flags == 0
    assert made.attributes["scatter"] < 0.6 * made.attributes["scatter_before"]
    assert made.attributes["degree"] == 1
    # each star twice to 0.0109 mag, with the catalogue's 0.005 in common, on 245 of a chip's 256
    # pixels: a slope in x and one in y. That the sides' spread is a sample's makes 5 %
    number = made.attributes["n_stars"]
    assert 190 < number < 210
    one = math.hypot(0.0109 / math.sqrt(2.0), 0.005)
    expected = one * math.sqrt(2.0 / number) * 256.0 / 245.0
    assert made.attributes["surface_err"] == pytest.approx(expected, rel=0.1)
    assert made.attributes["surface_err"] < 0.001
    unknown = replace(made, attributes={**made.attributes, "surface_err": 0.1})
    found = IlluminationCorrection().verify(unknown, IlluminationCorrection.Parameters())
    assert found == IlluminationCorrection.Flags.SURFACE_TOO_UNCERTAIN
    for chip in CHIPS:
        frame, result, _ = run(IlluminationCorrectionFrame, chip, correction=product)
        factor = frame.images["IMAGE"]
        assert factor.shape == SHAPE
        x = np.arange(SHAPE[1])
        dm = -2.5 * np.log10(factor.mean(axis=0))
        expected = illumination(chip, x)
        # 400 stars of 0.011 mag: slope over a chip known to 0.002 mag
        miss = (dm - dm.mean()) - (expected - expected.mean())
        assert np.abs(miss).max() < 0.005
        found = measured(chip, bowl=True)
        corrected, _, _ = photometric(found, illumination=frame)
        plain, _, _ = photometric(found)
        assert corrected["scatter"] < 0.6 * plain["scatter"]
        assert factors_at(frame, np.array([0.0, 300.0]), np.array([5.0, 5.0])).shape == (2,)
    assert result.attributes["mean_correction"] == pytest.approx(0.0, abs=0.1)


def test_no_illumination_is_told_from_one() -> None:
    slots = illuminated()
    slots["source_catalogues"] = [
        measured(frame.chip, frame.raw["name"], seed=31 * index)
        for index, frame in enumerate(slots["source_catalogues"])
    ]
    _, made, flags = run(IlluminationCorrection, **slots)
    assert flags == IlluminationCorrection.Flags.NO_IMPROVEMENT
    assert made.attributes["degree"] == 0
    assert made.attributes["amplitude"] == 0.0


def test_exposures_of_one_name_are_kept_apart_by_their_moment() -> None:
    # A camera that begins to number anew: the second "a.fits" points 24 pixels beside the first,
    # and its second chip has no solution, so that the chips' distance is the first's alone.
    first = [astrometry(chip) for chip in CHIPS]
    second = replace(astrometry("ccd50", dither=24.0), raw={"name": "a.fits", "mjd_obs": 60000.5})
    slots = illuminated(("a.fits",))
    alone, _, _ = run(IlluminationCorrection, params={"DEGREE": 1}, **slots)
    slots["astrometric"] = [*first, second]
    together, _, _ = run(IlluminationCorrection, params={"DEGREE": 1}, **slots)
    places, mixed = (one.tables["CHIPS"] for one in (alone, together))
    for name in ("u0", "v0"):
        apart = np.diff(places[name]), np.diff(mixed[name])
        assert apart[1] == pytest.approx(apart[0], abs=1e-6)


def test_illumination_of_a_chip_is_not_that_of_a_window() -> None:
    product, _, _ = run(IlluminationCorrection, params={"DEGREE": 1}, **illuminated())
    frame, _, _ = run(IlluminationCorrectionFrame, "ccd50", correction=product)
    assert factor_image(frame, SHAPE, "a.fits").shape == SHAPE
    with pytest.raises(UnprocessableError, match=r"a\.fits has 50 x 40 pixels.*whole chip"):
        factor_image(frame, (40, 50), "a.fits")


def test_what_an_illumination_made_of_a_regridded_frame_is_known_in_its_pixels() -> None:
    product, _, _ = run(IlluminationCorrection, params={"DEGREE": 2}, **illuminated())
    frame, _, _ = run(IlluminationCorrectionFrame, "ccd50", correction=product)
    factor = frame.images["IMAGE"]
    scale, (ny, nx) = 0.3 / 3600.0, factor.shape
    own = TanWcs(150.0, 20.0, nx / 2, ny / 2, ((-scale, 0.0), (0.0, scale)))
    # a grid that is turned by 30 degrees, its pixels half as large
    sine, cosine = np.sin(0.5236) * scale / 2, np.cos(0.5236) * scale / 2
    grid = TanWcs(150.0, 20.0, 100.0, 150.0, ((-cosine, sine), (sine, cosine)))
    nodes = nodes_of(light_of(frame, own, grid, (300, 200)))
    assert nodes is not None
    y, x = np.indices((300, 200))
    columns, rows = own.to_pixel(*grid.to_sky(x.astype(float), y.astype(float)))
    inside = (columns >= 0) & (columns <= nx - 1) & (rows >= 0) & (rows <= ny - 1)
    assert inside.sum() > 1000
    rows, columns = np.rint(rows[inside]).astype(int), np.rint(columns[inside]).astype(int)
    expected = factor[rows, columns]
    assert np.ptp(expected) > 0.02
    found = nodes.piece(Section(0, 300, 0, 200))[inside]
    assert found == pytest.approx(expected, abs=0.002)
    assert nodes_of(light_of(None, own, grid, (300, 200))) is None


def test_illumination_of_a_chip_without_stars_is_refused_by_name() -> None:
    slots = illuminated()
    slots["source_catalogues"] = [f for f in slots["source_catalogues"] if f.chip == "ccd50"]
    product, _, _ = run(IlluminationCorrection, params={"DEGREE": 1}, **slots)
    with pytest.raises(UnprocessableError, match="chip ccd51 had no standard stars"):
        run(IlluminationCorrectionFrame, "ccd51", correction=product)


def test_illumination_needs_more_stars_than_unknowns() -> None:
    slots = illuminated(("a.fits",))
    for frame in slots["source_catalogues"]:
        frame.tables["STANDARDS"]["used"][3:] = 0
    with pytest.raises(UnprocessableError, match="found 6 stars, expected more than"):
        run(IlluminationCorrection, params={"DEGREE": 3}, **slots)


def source_list(
    found: Progenitor,
    chip: str,
    name: str,
    dither: float,
    *,
    n_ref: int = 30,
    seeing: float = 0.9,
) -> Progenitor:
    """A SourceList as a global solution sees it, from the frame's catalogue."""
    sources = found.tables["SOURCES"]
    ra, dec = wcs(chip, dither).to_sky(sources["x"], sources["y"])
    kinds = [(n, "f8") for n in ("ra", "dec", "flux_psf", "flux_psf_err")]
    rows = np.zeros(len(sources), [*kinds, ("flags", "i8")])
    rows["ra"], rows["dec"] = ra, dec
    rows["flux_psf"] = sources["flux_psf"] / 60.0
    rows["flux_psf_err"] = sources["flux_psf_err"] / 60.0
    return Progenitor(
        next(NUMBERS),
        "SourceList",
        "V",
        {"aperture_radius": 4.0, "n_ref": n_ref, "color_term": 0.0, "seeing": seeing},
        {},
        chip=chip,
        raw=raw(name).attributes,
        read_rows=lambda: rows,
    )


def test_frames_under_clouds_and_without_standards_are_tied_by_their_overlaps() -> None:
    stars, truth, lists = sky(600), {}, []
    for index in range(5):
        for chip in CHIPS:
            name, dither = f"f{index}.fits", 60.0 * index
            truth[name, chip] = ZERO - (0.7 if index % 2 else 0.0)
            frame = catalog(
                chip, stars, zero=truth[name, chip], dither=dither, seed=7 * index + int(chip[-1])
            )
            lists.append(source_list(frame, chip, name, dither))
    standards = replace(
        measured("ccd50", "f0.fits", stars=stars, seed=0),
        raw=raw("f0.fits").attributes,
    )
    product, made, flags = run(GPhotometric, source_lists=lists, source_catalogues=[standards])
    assert flags == 0
    assert made.attributes["n_tied"] == made.attributes["n_frames"] == 10
    table = product.tables["ZERO_POINTS"]
    for row in table:
        expected = truth[row["name"], row["chip"]]
        # some 20 common stars of 0.015 mag, five frames away from the standards: 0.005 mag
        assert row["zero_point"] == pytest.approx(expected, abs=0.015)
        assert row["zero_point"] == pytest.approx(expected, abs=5 * row["zero_point_err"])
    assert made.attributes["chi2"] < 1.5
    own = Progenitor(
        next(NUMBERS),
        "PhotometricParameters",
        "V",
        {"zero_point": 25.0, "zero_point_err": 0.02, "extinction": 0.1, "aperture_radius": 4.0}
        | {"extinction_err": 0.05, "airmass": 1.1},
        {},
    )

    def frame(name: str, mjd: float = 60000.0) -> Progenitor:
        return replace(raw(name, mjd=mjd), chip="ccd51")

    best = zero_point_of(product, own, frame("f1.fits"), airmass=1.5)
    assert best is not None
    assert best.origin == "GPhotometric"
    assert best.value == pytest.approx(ZERO - 0.7, abs=0.015)
    assert best.flux_scale(ZERO, 60.0) == pytest.approx(10 ** (0.4 * (ZERO - best.value)) / 60.0)
    other = zero_point_of(product, own, frame("g.fits"), airmass=1.5)
    assert other is not None
    assert (other.origin, other.value) == ("PhotometricParameters", pytest.approx(24.85))
    # 0.4 airmasses from its standards, by an extinction good to 0.05
    assert other.error == pytest.approx(math.hypot(0.02, 0.4 * 0.05))
    later = zero_point_of(product, own, frame("f1.fits", 60001.0), airmass=1.5)
    assert later is not None
    assert later.origin == "PhotometricParameters"
    assert zero_point_of(None, None, frame("g.fits"), airmass=None) is None


@pytest.mark.parametrize(("seeing", "tied"), [(0.9, 1), (6.0, 2)])
def test_stars_of_wide_images_are_looked_for_further_off(seeing: float, tied: int) -> None:
    # the second frame's places are 2 arcsec off, a third of the seeing, or twice it
    stars, name = sky(60), ("f0.fits", "f1.fits")
    frames = [catalog("ccd50", stars, seed=seed) for seed in (0, 1)]
    lists = [
        source_list(frames[n], "ccd50", name[n], n * 2.0 / 0.214, seeing=seeing) for n in (0, 1)
    ]
    standards = replace(
        measured("ccd50", name[0], stars=stars, seed=0), raw=raw(name[0]).attributes
    )
    _, made, _ = run(GPhotometric, source_lists=lists, source_catalogues=[standards])
    assert made.attributes["n_tied"] == tied


def test_cameras_of_different_colour_terms_are_tied_by_stars_of_known_colour() -> None:
    """The field's stars are redder than the standard system's zero, as most are."""
    stars = sky(800)
    stars["B-V"] = stars["B-V"] + 0.3
    few = {name: values[:300] for name, values in stars.items()}
    truth = {"red": (ZERO - 2.0, 0.18), "white": (ZERO, 0.0)}
    lists, known = [], []
    for index, (camera, (zero, term)) in enumerate(truth.items()):
        for number in range(2):
            name, how = f"{camera}{number}.fits", {"zero": zero, "term": term, "seed": 2 * index}
            how["seed"] = 7 * index + number
            frame = catalog("ccd50", stars, **how)  # type: ignore[arg-type]  # numbers
            one = source_list(frame, "ccd50", name, 0.0)
            facts = dict(one.attributes) | {"color_term": term}
            lists.append(replace(one, attributes=facts, instrument=camera))
            if number == 0:
                params = {"COLOR_TERM": term}
                found = measured("ccd50", name, stars=few, params=params, **how)
                known.append(replace(found, instrument=camera))
    # standards are recognised on a frame by the number of their source: few come first
    product, made, flags = run(GPhotometric, source_lists=lists, source_catalogues=known)
    assert flags == 0
    for row in product.tables["ZERO_POINTS"]:
        zero = truth[str(row["instrument"])][0]
        # some 60 standards with 0.015 mag each, on two frames
        assert row["zero_point"] == pytest.approx(zero, abs=0.008)
        assert abs(row["zero_point"] - zero) < 4 * row["zero_point_err"]
    assert made.attributes["max_offset"] < 0.01
    assert GPhotometric().verify(
        Made(attributes={**made.attributes, "max_offset": 0.08}), GPhotometric.Parameters()
    ) == int(GPhotometric.Flags.OFFSET_TOO_LARGE)


def test_a_measured_colour_term_counts_for_a_field_as_it_does_for_a_frame() -> None:
    stars, term = sky(600), 0.15
    stars["B-V"] = stars["B-V"] + 0.4  # a mean of 1.2: the constant of 0 is off by 0.1 mag
    names = ("f0.fits", "f1.fits")
    frames = [catalog("ccd50", stars, term=term, seed=n) for n in range(2)]
    lists = [source_list(f, "ccd50", name, 0.0) for f, name in zip(frames, names, strict=True)]
    known = [measured("ccd50", names[0], stars=stars, term=term, seed=0)]
    own = replace(known[0], class_name="PhotometricParameters", attributes={"color_term": term})
    product, _, _ = run(
        GPhotometric, source_lists=lists, source_catalogues=known, photometric=[own]
    )
    for row in product.tables["ZERO_POINTS"]:
        # some 90 standards of 0.015 mag
        assert row["zero_point"] == pytest.approx(ZERO, abs=0.008)


def test_a_measured_colour_term_counts_for_a_nights_extinction() -> None:
    term = 0.15
    frames = [
        measured("ccd50", f"f{n}.fits", airmass=air, term=term, zero=ZERO - K * air, seed=n)
        for n, air in enumerate((1.0, 1.3, 1.6, 2.0))
    ]
    transformation = replace(
        frames[0], class_name="PhotTransformation", attributes={"color_term": term}
    )
    _, made, _ = run(
        AtmosphericExtinctionFrames, source_catalogues=frames, transformation=transformation
    )
    # stars of 0.2 to 1.4 mag: by the constant of 0 the zero point is 0.045 mag off
    assert made.attributes["zero_point"] == pytest.approx(ZERO, abs=0.02)
    assert made.attributes["extinction"] == pytest.approx(K, abs=0.015)


def test_a_frame_whose_place_is_the_pointings_alone_gets_no_zero_point_by_chance() -> None:
    stars = sky(600)
    lists = [
        source_list(
            catalog("ccd50", stars, zero=zero, seed=index), "ccd50", name, 0.0, n_ref=n_ref
        )
        for index, (name, zero, n_ref) in enumerate(
            (("f0.fits", ZERO, 30), ("f1.fits", ZERO - 0.3, 30), ("f2.fits", ZERO - 3.0, 0))
        )
    ]
    known = [measured("ccd50", "f0.fits", stars=stars, seed=0)]
    product, made, _ = run(GPhotometric, source_lists=lists, source_catalogues=known)
    assert made.attributes["n_tied"] == 2
    assert np.isfinite(product.tables["ZERO_POINTS"]["zero_point"]).tolist() == [True, True, False]


def test_field_whose_standards_are_all_faint_is_refused() -> None:
    found = catalog("ccd50", sky())
    frame = source_list(found, "ccd50", "f0.fits", 0.0)
    standards = replace(measured("ccd50", "f9.fits"), raw={"name": "f9.fits"})
    with pytest.raises(UnprocessableError, match="none of the field's 1 frames in V"):
        run(GPhotometric, source_lists=[frame], source_catalogues=[standards])


def test_worse_global_solution_is_told_to_people() -> None:
    values = {"n_tied": 8, "zero_point_err": 0.02, "scatter": 0.03}
    before = {"n_tied": 10, "zero_point_err": 0.005, "scatter": 0.03}
    flags = GPhotometric.Flags
    found = GPhotometric().compare(Made(attributes=values), before, None)
    assert found == flags.FRAMES_NOT_TIED | flags.CHANGED
    bad = {"zero_point_err": math.nan, "scatter": 0.5, "n_standards": 1, "max_offset": 0.9}
    # with the offset, which is beyond what the scatter explains: 32
    assert GPhotometric().verify(Made(attributes=bad), GPhotometric.Parameters()) == 7 + 32


@pytest.mark.parametrize(
    "cls",
    [
        PhotRefCatalog, PhotSrcCatalog, PhotTransformation, PhotometricParameters, GPhotometric,
        AtmosphericExtinctionCoefficient, AtmosphericExtinctionCurve, AtmosphericExtinctionFrames,
        AtmosphericExtinctionZeropoint, IlluminationCorrection, IlluminationCorrectionFrame,
    ],
)  # fmt: skip
def test_every_flag_has_its_sentence(cls: Any) -> None:
    assert all(flag.sentence for flag in cls.Flags)
