"""What AstrometricParameters and GAstrometric make of good frames, and of those that are not."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from reduction.fields import FieldSpec
from reduction.instruments.base import Section
from reduction.instruments.simulated import INSTRUMENT
from reduction.steps.proper_motion import julian_year, moved
from reduction.steps.sources import SOURCE_DTYPE
from reduction.steps.wcs import TanWcs
from reduction.target import Inputs, Made, Progenitor, ReferenceStars
from reduction.targets.astrometric import AstrometricParameters, wcs_from_attributes
from reduction.targets.calibrated import CalibratedScienceFrame
from reduction.targets.global_astrometric import GAstrometric
from schemas.errors import UnprocessableError
from tests.support.mosaic import SCALE, Camera, Sky

CAMERA = Camera(chips=1, columns=1, shape=(700, 700), bend=5e-3)
SKY = Sky(half=0.035, stars=500, known=0.6, reference_error=0.02)
FLAGS = AstrometricParameters.Flags


def frames(number: int = 1) -> list[tuple[Progenitor, Progenitor, TanWcs]]:
    """Raw frames and their catalogs, and where they truly look."""
    seen, truth, _ = SKY.observe(CAMERA, number, guess=1.0)
    found = []
    for index, (frame, wcs) in enumerate(zip(seen, truth, strict=True)):
        sources = np.zeros(len(frame.x), SOURCE_DTYPE)
        sources["x"], sources["y"], sources["pos_err"] = frame.x, frame.y, frame.errors
        sources["flux"] = sources["flux_aper"] = np.geomspace(1e5, 1e3, len(frame.x))
        sources["flux_err"] = sources["flux_aper_err"] = sources["flux"] / 50.0
        sources["half_light_radius"], sources["elongation"] = 2.0, 1.0
        raw = {
            "name": f"e{index}.fits",
            "object": "field",
            "ra": SKY.ra0,
            "dec": SKY.dec0,
            "wcs": frame.wcs.to_cards(),
            "mjd_obs": 60000.0 + index,
            "exptime": 60.0,
        }
        shape = {"naxis1": 700, "naxis2": 700}
        common = {"raw": raw, "instrument": "simulated", "chip": "ccd50"}
        catalog = Progenitor(
            index, "Catalog", "V", shape, {}, tables={"SOURCES": sources}, **common
        )
        found.append((Progenitor(index, "RawScienceFrame", "V", raw, {}), catalog, wcs))
    return found


def stars(ra: np.ndarray, dec: np.ndarray) -> ReferenceStars:
    mag = {"V": SKY.mag[SKY.catalogue][: len(ra)]}
    return ReferenceStars(1, "cat", [str(n) for n in range(len(ra))], ra, dec, mag, mag)


KNOWN = stars(SKY.cat_ra, SKY.cat_dec)


def make(raw: Progenitor, catalog: Progenitor, *known: ReferenceStars) -> Made:
    slots: dict[str, Any] = {"raw": raw, "catalog": catalog, "reference_catalogues": list(known)}
    inputs = Inputs(
        "AstrometricParameters", slots, instrument=INSTRUMENT, chip="ccd50", filter="V"
    )
    return AstrometricParameters().compute(inputs, AstrometricParameters.Parameters())


def flags(made: Made, **limits: float) -> AstrometricParameters.Flags:
    return FLAGS(AstrometricParameters().verify(made, AstrometricParameters.Parameters(**limits)))


def test_a_distorted_frame_is_placed_and_its_attributes_give_the_wcs_back() -> None:
    raw, catalog, truth = frames()[0]
    made = make(raw, catalog, KNOWN)
    assert made.attributes["model"] == "cubic"
    assert flags(made) == FLAGS(0)
    wcs = wcs_from_attributes(made.attributes)
    assert wcs == TanWcs.from_cards({name: value for name, (value, _) in made.cards.items()})
    x, y = truth.to_pixel(*wcs.to_sky(350.0, 350.0))
    assert np.hypot(x - 350.0, y - 350.0) * SCALE < 0.02
    table = made.tables["RESIDUALS"]
    assert len(table) == made.attributes["n_ref"]
    assert (table["dra"].mean(), table["dra"].std()) == pytest.approx(
        (made.attributes["mean_dra"], made.attributes["sigma_dra"])
    )
    assert set(catalog.tables["SOURCES"]["x"]) >= set(table["x"])


def fast() -> ReferenceStars:
    """The catalogue as of 2000: each star moves by an arcsec a year, whither it will."""
    way = np.random.default_rng(4).uniform(0.0, 2.0 * np.pi, len(SKY.cat_ra))
    east, north = 1000.0 * np.cos(way), 1000.0 * np.sin(way)
    years = np.full(len(way), 2000.0 - julian_year(60000.0))
    places = moved(SKY.cat_ra, SKY.cat_dec, east, north, years)
    return replace(stars(*places), pm_ra=east, pm_dec=north, epoch=np.full(len(way), 2000.0))


def test_stars_of_a_catalogue_are_where_their_motion_has_brought_them() -> None:
    raw, catalog, truth = frames()[0]
    still, moving = make(raw, catalog, KNOWN), make(raw, catalog, fast())
    assert moving.attributes["n_ref"] == still.attributes["n_ref"]
    assert moving.attributes["rms"] == pytest.approx(still.attributes["rms"], rel=0.01)
    x, y = truth.to_pixel(*wcs_from_attributes(moving.attributes).to_sky(350.0, 350.0))
    assert np.hypot(x - 350.0, y - 350.0) * SCALE < 0.02
    # 23 years of an arcsec in all directions: nothing is left of the pattern
    lost = make(raw, catalog, replace(fast(), epoch=None))
    assert lost.attributes["n_ref"] < 0.2 * still.attributes["n_ref"]


def test_frames_of_a_field_meet_moving_stars_at_their_middle_moment() -> None:
    seen = frames(3)
    catalogs = [catalog for _, catalog, _ in seen]
    own = [own_of(raw, catalog, fast()) for raw, catalog, _ in seen]
    found = solve_field(catalogs, own, [fast()])
    assert found.attributes["n_ref"] > 100
    # the catalogue's own errors are 0.02 arcsec; a day is 3 mas
    assert found.attributes["rms"] < 0.03
    assert abs(found.attributes["mean_dra"]) < 0.003
    assert abs(found.attributes["mean_ddec"]) < 0.003


def test_limits_become_flags() -> None:
    raw, catalog, _ = frames()[0]
    made = make(raw, catalog, KNOWN)
    assert flags(made, MAX_RMS=0.001) == FLAGS.RMS_TOO_LARGE
    assert flags(made, MAX_SIGMA=0.001) == FLAGS.SIGMA_TOO_LARGE
    assert flags(made, MIN_NREF=1000) == FLAGS.TOO_FEW_STARS
    compare = AstrometricParameters().compare
    before = {"rms": made.attributes["rms"] / 2, "n_ref": 3 * made.attributes["n_ref"]}
    found = compare(made, before, AstrometricParameters.Parameters())
    assert found == FLAGS.RMS_WORSE | FLAGS.FEWER_STARS
    assert compare(made, made.attributes, AstrometricParameters.Parameters()) == 0


def test_a_frame_that_looks_elsewhere_than_it_says_is_flagged() -> None:
    raw, catalog, _ = frames()[0]
    rng = np.random.default_rng(8)
    other = stars(
        SKY.ra0 + rng.uniform(-0.04, 0.04, 250), SKY.dec0 + rng.uniform(-0.04, 0.04, 250)
    )
    made = make(raw, catalog, other)
    assert made.attributes["model"] == "nominal"
    assert made.attributes["n_expected"] >= 20
    assert flags(made) == FLAGS.NOT_RECOGNISED


def test_a_frame_without_stars_to_expect_keeps_its_pointing_and_says_so() -> None:
    raw, catalog, _ = frames()[0]
    made = make(raw, catalog)
    assert (made.attributes["model"], made.attributes["n_expected"]) == ("nominal", 0)
    assert flags(made) == FLAGS(0)
    assert made.attributes["pos_err"] == pytest.approx(
        3600.0 * INSTRUMENT.pointing_error / np.sqrt(2.0)
    )
    image = Made(cards={"ASTMODEL": ("nominal", "")})
    verify = CalibratedScienceFrame().verify
    nothing = CalibratedScienceFrame.Parameters()
    assert verify(image, nothing) == CalibratedScienceFrame.Flags.PLACE_UNCERTAIN
    assert verify(Made(cards={"ASTMODEL": ("affine", "")}), nothing) == 0


def calibrated_header(*, lit: bool, airmass: float | None = 1.2) -> dict[str, Any]:
    """Cards of a calibrated frame, with an illumination correction or without."""
    ((raw, catalog, _),) = frames()
    whole = Section(0, 700, 0, 700)
    raw = Progenitor(
        1, "RawScienceFrame", "V", raw.attributes | {"airmass": airmass, "science": whole}, {}
    )
    zero = {"zero_point": 24.0, "zero_point_err": 0.01, "extinction": 0.1, "band": "V"}
    zero |= {"aperture_radius": 12.0, "airmass": 1.0 if airmass is None else airmass}
    slots = {
        "raw": raw,
        "astrometric": own_of(raw, catalog, KNOWN),
        "photometric": Progenitor(2, "PhotometricParameters", "V", zero, {}),
        "illumination": Progenitor(3, "IlluminationCorrectionFrame", "V", {}, {}) if lit else None,
    }
    name = next(iter(INSTRUMENT.bands))
    given = Inputs(
        "CalibratedScienceFrame", slots, instrument=INSTRUMENT, chip="ccd50", filter=name
    )
    made = CalibratedScienceFrame().compute(given, CalibratedScienceFrame.Parameters())
    return dict(made.cards)


@pytest.mark.parametrize("lit", [False, True])
def test_a_header_says_that_magnitudes_have_an_illumination_correction(lit: bool) -> None:  # noqa: FBT001  # a parameter
    cards = calibrated_header(lit=lit)
    assert ("PHOTILL" in cards) == lit
    header = fits.Header([(keyword, *card) for keyword, card in cards.items()])
    for keyword in header["PHOT*"]:
        # the whole comment has room
        assert header.cards[keyword].image.rstrip().endswith(cards[keyword][1])


def test_a_header_with_an_extinction_has_the_airmass_that_it_was_taken_off_with() -> None:
    assert calibrated_header(lit=False)["AIRMASS"] == (1.2, "airmass")
    value, comment = calibrated_header(lit=False, airmass=None)["AIRMASS"]
    assert value == 1.0
    assert comment.startswith("not known")


def solve_field(
    catalogs: list[Progenitor], own: list[Progenitor], known: list[ReferenceStars], **limits: Any
) -> Made:
    slots = {"catalogs": catalogs, "astrometric": own, "reference_catalogues": known}
    inputs = Inputs(
        "GAstrometric",
        slots,
        instrument=INSTRUMENT,
        chip="",
        filter="",
        field=FieldSpec("deep", SKY.ra0, SKY.dec0, 0.03),
    )
    return GAstrometric().compute(inputs, GAstrometric.Parameters(**limits))


def own_of(raw: Progenitor, catalog: Progenitor, *known: ReferenceStars) -> Progenitor:
    return Progenitor(
        catalog.object_id,
        "AstrometricParameters",
        "V",
        make(raw, catalog, *known).attributes,
        {},
        raw=raw.attributes,
        instrument=catalog.instrument,
        chip=catalog.chip,
    )


def test_a_field_without_a_source_that_is_good_enough_is_refused() -> None:
    made = frames(2)
    catalogs = [catalog for _, catalog, _ in made]
    own = [own_of(raw, catalog, KNOWN) for raw, catalog, _ in made]
    with pytest.raises(UnprocessableError, match=r"field deep has 2 frames.*which is 1e\+09"):
        solve_field(catalogs, own, [KNOWN], MIN_SIGNAL_TO_NOISE=1e9)


def test_a_field_is_of_its_recognised_frames_and_runs_are_setups() -> None:
    made = frames(4)
    moments = (60000.0, 60001.0, 60040.0, 60041.0)
    for (raw, _, _), moment in zip(made, moments, strict=True):
        raw.attributes["mjd_obs"] = moment  # type: ignore[index]  # the test's own dictionary
    catalogs = [catalog for _, catalog, _ in made]
    own = [own_of(raw, catalog, KNOWN) for raw, catalog, _ in made[:3]]
    own.append(own_of(made[3][0], made[3][1]))
    found = solve_field(catalogs, own, [KNOWN])
    assert found.attributes["n_frames"] == 3
    assert found.attributes["n_setups"] == 2
    assert found.attributes["rms"] < 0.05
    names = found.tables["SOLUTIONS"]["name"].tolist()
    assert names == ["e0.fits", "e1.fits", "e2.fits"]
    limits = GAstrometric.Flags
    assert GAstrometric().verify(found, GAstrometric.Parameters()) == 0
    strict = GAstrometric.Parameters(
        MAX_RMS=1e-4, MAX_RMS_OVERLAP=1e-4, MAX_SIGMA_OVERLAP=1e-4, MIN_NOVERLAP=100000
    )
    assert GAstrometric().verify(found, strict) == 15
    before = {"rms_overlap": found.attributes["rms_overlap"] / 2, "n_frames": 4}
    compared = GAstrometric().compare(found, before, GAstrometric.Parameters())
    assert compared == limits.RMS_WORSE | limits.FEWER_FRAMES


def test_a_field_without_recognised_frames_is_refused_by_name() -> None:
    raw, catalog, _ = frames()[0]
    with pytest.raises(UnprocessableError, match="field deep has no frame"):
        solve_field([catalog], [own_of(raw, catalog)], [])
