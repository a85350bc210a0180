"""Lists of a field's stars, from made-up source lists: levels, and lists that know no place."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reduction.fields import FieldSpec
from reduction.frame_keys import frame_key
from reduction.instruments.simulated import INSTRUMENT
from reduction.progenitor import Progenitor
from reduction.registry import Registry
from reduction.solutions import SOLUTION_DTYPE, solution_row
from reduction.steps.wcs import TanWcs
from reduction.target import Inputs, Made
from reduction.targets.associate_list import AssociateList
from reduction.targets.combined_list import CombinedList
from reduction.targets.light_curve_list import LightCurveList
from reduction.zero_points import ZERO_POINT_DTYPE, ZERO_POINT_TABLE
from schemas.errors import UnprocessableError
from schemas.list_tables import BAND_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBERS = count(1)
NAMES = (
    *("ra", "dec", "pos_err", "x", "y", "mag", "mag_err", "flux", "flux_err"),
    *("flux_psf", "flux_psf_err"),
)
STARS = 40


def source_list(
    chip: str,
    night: int,
    *,
    zero: float = 24.0,
    calibrated: bool = True,
    n_ref: int = 30,
    pos_err: float = 0.05,
    zero_err: float = 0.0,
    own_zero: bool = True,
) -> Progenitor:
    """The stars of a chip, 36 arcsec apart in a row, chips 0.1 degrees from each other."""
    rng = np.random.default_rng(100 * night + int(chip))
    mag = np.random.default_rng(int(chip)).uniform(15.0, 17.0, STARS)
    places = [(name, "f8") for name in NAMES]
    rows = np.zeros(STARS, [*places, ("flags", "i4"), ("source_number", "i8")])
    rows["x"], rows["y"] = 36.0 * np.arange(STARS), 5.0
    rows["ra"], rows["dec"] = 10.0 + 0.01 * np.arange(STARS), 0.1 * int(chip)
    rows["pos_err"], rows["mag_err"] = pos_err / 3600.0, 0.005
    seen = mag + 0.01 * night + rng.normal(0.0, 0.005, STARS)
    rows["flux"] = 10.0 ** (-0.4 * (seen - zero))
    rows["flux_err"] = 0.005 * rows["flux"]
    rows["flux_psf"], rows["flux_psf_err"] = rows["flux"], rows["flux_err"]
    rows["mag"] = seen - 0.01 * night if calibrated else np.nan
    rows["source_number"] = np.arange(STARS)
    facts = {"seeing": 1.0, "n_ref": n_ref, "zero_point": zero + 0.1, "zero_point_err": zero_err}
    facts["zero_point_frame"] = f"a{night}.fits" if own_zero else "a0.fits"
    return Progenitor(
        *(next(NUMBERS), "SourceList", "V", facts, {}),
        raw={"name": f"a{night}.fits", "mjd_obs": 60000.0 + night},
        instrument="simulated",
        chip=chip,
        moment=60000.0 + night,
        read_rows=lambda: rows,
        band="V",
    )


def run(
    cls: Any,
    lists: list[Progenitor],
    associations: Progenitor | None = None,
    scale: Progenitor | None = None,
    *,
    places: Sequence[Progenitor] = (),
    together: Progenitor | None = None,
) -> Made:
    slots = {"source_lists": lists, "associations": associations, "gphotometric": scale}
    if cls is CombinedList:
        slots["gphotometric"] = [] if scale is None else [scale]
        slots |= {"astrometric": list(places), "gastrometric": together}
    inputs = Inputs(
        cls.__name__,
        {name: slots[name] for name in cls.SLOTS},
        instrument=INSTRUMENT,
        chip="",
        filter="V",
        field=FieldSpec("deep", 10.2, 0.05, 1.0),
    )
    made: Made = cls().compute(inputs, cls.Parameters())
    return made


def associated(lists: list[Progenitor]) -> Progenitor:
    made = run(AssociateList, lists)
    return Progenitor(
        *(next(NUMBERS), "AssociateList", "", made.attributes, {}),
        tables=made.tables,
        read_rows=lambda: made.rows,
    )


def global_solution(lists: list[Progenitor], zero_points: list[float]) -> Progenitor:
    """A GPhotometric with these zero points at the ground; NaN is "not tied"."""
    table = np.zeros(len(lists), ZERO_POINT_DTYPE)
    for row, one, zero in zip(table, lists, zero_points, strict=True):
        row["instrument"], row["chip"], row["name"], row["mjd_obs"] = frame_key(one)
        row["zero_point"], row["zero_point_err"] = zero, 0.003
    return Progenitor(
        *(next(NUMBERS), "GPhotometric", "V", {}, {}), tables={ZERO_POINT_TABLE: table}
    )


def off(made: Made, lists: list[Progenitor]) -> dict[str, float]:
    """Median of the light curves' magnitudes less the true ones, by chip."""
    rows = made.rows
    assert rows is not None
    found = {}
    for chip in ("0", "1"):
        mag = np.random.default_rng(int(chip)).uniform(15.0, 17.0, STARS)
        mine = np.isin(rows["list"], [n for n, one in enumerate(lists) if one.chip == chip])
        found[chip] = float(np.median(rows["mag"][mine] - mag[rows["source_number"][mine]]))
    return found


def test_chips_without_common_stars_have_the_level_of_their_own_zero_points() -> None:
    lists = [
        source_list(chip, night, zero=24.0 + 0.5 * int(chip))
        for night in range(6)
        for chip in ("0", "1")
    ]
    made = run(LightCurveList, lists, associated(lists))
    assert made.attributes["n_parts"] == 2
    # six magnitudes of 0.005 of each of 40 stars
    assert off(made, lists) == pytest.approx({"0": 0.0, "1": 0.0}, abs=0.003)


def test_a_chip_without_a_zero_point_does_not_get_the_others_level() -> None:
    lists = [
        source_list(chip, night, calibrated=chip == "0")
        for night in range(6)
        for chip in ("0", "1")
    ]
    made = run(LightCurveList, lists, associated(lists))
    found = off(made, lists)
    assert found["0"] == pytest.approx(0.0, abs=0.003)
    assert np.isnan(found["1"])
    relative = [source_list("0", night, calibrated=False) for night in range(6)]
    made = run(LightCurveList, relative, associated(relative))
    assert made.rows is not None
    assert np.isfinite(made.rows["mag"]).all()
    assert np.isnan(made.attributes["zero_point"])


def test_lists_whose_places_are_the_pointings_have_no_part_and_do_not_widen_the_search() -> None:
    lists = [source_list("0", 0), source_list("0", 1)]
    wild = [source_list("0", night, n_ref=0, pos_err=400.0) for night in (2, 3, 4)]
    lists = [lists[0], *wild, lists[1]]
    made = run(AssociateList, lists)
    assert made.rows is not None
    assert made.attributes["n_lists"] == 2
    assert made.attributes["n_repeated"] == STARS
    # half of the seeing of 1 arcsec
    assert made.attributes["search_distance"] == 0.5
    assert set(made.rows["list"]) == {0, 4}
    light = run(LightCurveList, lists, associated(lists))
    assert light.rows is not None
    assert set(light.rows["list"]) == {0, 4}
    with pytest.raises(UnprocessableError, match="recognised stars"):
        run(AssociateList, wild)


def test_the_search_distance_is_no_more_than_neighbours_allow() -> None:
    lists = [source_list("0", night, pos_err=2.0) for night in range(2)]
    assert run(AssociateList, lists).attributes["search_distance"] == 3.0
    lists = [source_list("0", night, pos_err=0.3) for night in range(2)]
    assert run(AssociateList, lists).attributes["search_distance"] == pytest.approx(1.5)


def test_lists_in_a_field_are_on_its_global_solution_whatever_the_nights_say() -> None:
    # the nights' zero points are wrong by clouds: 0 to 0.05 mag, 0.3 mag for all frames
    lists = [source_list("0", night, zero=24.0) for night in range(6)]
    true = np.random.default_rng(0).uniform(15.0, 17.0, STARS)
    associations = associated(lists)
    scale = global_solution(lists, [23.7 - 0.01 * night for night in range(6)])
    light = run(LightCurveList, lists, associations, scale)
    combined = run(CombinedList, lists, associations, scale)
    assert light.attributes["n_tied"] == combined.attributes["n_tied"] == 6
    assert light.rows is not None
    assert combined.rows is not None
    curves = np.array(
        [np.mean(light.rows["mag"][light.rows["association"] == n]) for n in range(STARS)]
    )
    both = combined.rows["mag_v"]
    # six magnitudes of 0.005: 0.002 a star, 0.0003 for all
    assert np.median(both - true) == pytest.approx(-0.3, abs=0.002)
    assert np.median(both - curves) == pytest.approx(0.0, abs=0.001)
    # and the 0.003 mag of the solution, which all six have in common
    own = 0.005 * 1.0857 / np.sqrt(6)
    assert combined.rows["mag_v_err"] == pytest.approx(np.hypot(own, 0.003), rel=1e-3)


def test_a_frame_that_the_global_solution_does_not_tie_is_on_its_nights_scale() -> None:
    lists = [source_list("0", night, calibrated=night == 5) for night in range(6)]
    true = np.random.default_rng(0).uniform(15.0, 17.0, STARS)
    scale = global_solution(lists, [24.0 - 0.01 * n for n in range(5)] + [np.nan])
    made = run(CombinedList, lists, associated(lists), scale)
    assert made.attributes["n_tied"] == 5
    assert made.rows is not None
    assert np.median(made.rows["mag_v"] - true) == pytest.approx(0.0, abs=0.003)
    # five of them share the solution's 0.003; the night's zero point is told to have no error
    five = 0.0054**2 / 5 + 0.003**2
    expected = np.sqrt(1.0 / (1.0 / five + 1.0 / 0.005**2))
    assert made.rows["mag_v_err"] == pytest.approx(expected, rel=0.01)


def test_unfiltered_cameras_have_magnitudes_and_bands_without_a_column_are_told() -> None:
    lists = [replace(source_list("0", night), band="VT") for night in range(2)]
    made = run(CombinedList, lists, associated(lists))
    assert made.rows is not None
    assert np.isfinite(made.rows["mag_vt"]).all()
    assert (made.attributes["bands"], made.attributes["left_out"]) == ("VT", "")
    lists = [replace(one, band="Halpha") for one in lists]
    made = run(CombinedList, lists, associated(lists))
    assert (made.attributes["bands"], made.attributes["left_out"]) == ("", "Halpha")
    flags = CombinedList().verify(made, CombinedList.Parameters())
    assert flags == CombinedList.Flags.BAND_LEFT_OUT


def test_every_band_of_every_camera_has_its_columns() -> None:
    cameras = Registry.load().instruments
    bands = {band.standard for camera in cameras.values() for band in camera.bands.values()}
    assert bands <= {*BAND_COLUMNS, ""}


def test_a_zero_point_that_frames_share_is_not_lessened_by_their_number() -> None:
    expected = {True: np.sqrt((0.005**2 + 0.02**2) / 6), False: np.hypot(0.005 / np.sqrt(6), 0.02)}
    for own_zero, error in expected.items():
        lists = [source_list("0", night, zero_err=0.02, own_zero=own_zero) for night in range(6)]
        made = run(CombinedList, lists, associated(lists))
        assert made.rows is not None
        assert made.rows["mag_v_err"] == pytest.approx(error, rel=1e-3)


def test_the_reference_stars_errors_are_in_the_positions_however_many_frames_there_are() -> None:
    # centroids of 0.03 arcsec, frames of 0.04 and one of 0.05 by the same reference stars
    errors = [0.04] * 8 + [0.05]
    lists = [source_list("0", n, pos_err=np.hypot(0.03, e)) for n, e in enumerate(errors)]
    places = [
        replace(
            one, class_name="AstrometricParameters", attributes={"pos_err": e, "catalogue": "c"}
        )
        for one, e in zip(lists, errors, strict=True)
    ]
    made = run(CombinedList, lists, associated(lists), places=places)
    assert made.rows is not None
    alone = 1.0 / (8 / 0.03**2 + 1 / (0.03**2 + 0.05**2 - 0.04**2))
    assert made.rows["pos_err"] * 3600.0 == pytest.approx(np.hypot(np.sqrt(alone), 0.04))
    independent = run(CombinedList, lists, associated(lists)).rows
    assert independent is not None
    assert (independent["pos_err"] * 3600.0 < 0.02).all()


def test_places_are_those_of_the_fields_solution_where_a_frame_has_part_in_it() -> None:
    lists = [source_list("0", night, pos_err=0.05) for night in range(3)]
    places = [
        replace(
            one, class_name="AstrometricParameters", attributes={"pos_err": 0.04, "catalogue": "c"}
        )
        for one in lists
    ]
    table = np.zeros(2, SOLUTION_DTYPE)
    moved = TanWcs(10.0, 0.0001, 0.0, 5.0, ((1.0 / 3600.0, 0.0), (0.0, 1.0 / 3600.0)))
    for row, one in zip(table, lists, strict=False):
        row["instrument"], row["chip"], row["name"], row["mjd_obs"] = frame_key(one)
        for name, value in solution_row(moved).items():
            row[name] = value
        row["pos_err"] = 0.01
    together = Progenitor(
        *(next(NUMBERS), "GAstrometric", "", {}, {}), tables={"SOLUTIONS": table}
    )
    made = run(CombinedList, lists, associated(lists), places=places, together=together)
    assert made.rows is not None
    assert made.attributes["n_placed"] == 2
    # two of centroids of 0.03 and a common 0.01 at 0.36 arcsec, one of 0.05 at 0
    by_field, by_frame = 0.03**2 / 2 + 0.01**2, 0.05**2
    share = by_frame / (by_field + by_frame)
    assert made.rows["dec"] * 3600.0 == pytest.approx(0.36 * share, abs=1e-3)
    expected = np.sqrt(by_field * by_frame / (by_field + by_frame))
    assert made.rows["pos_err"] * 3600.0 == pytest.approx(expected)


def test_a_frame_whose_error_the_fields_solution_does_not_know_keeps_its_own_place() -> None:
    lists = [source_list("0", night, pos_err=0.05) for night in range(2)]
    own = {"pos_err": 0.04, "catalogue": "c"}
    places = [replace(one, class_name="AstrometricParameters", attributes=own) for one in lists]
    table = np.zeros(2, SOLUTION_DTYPE)
    moved = TanWcs(10.0, 0.0001, 0.0, 5.0, ((1.0 / 3600.0, 0.0), (0.0, 1.0 / 3600.0)))
    for row, one, error in zip(table, lists, (0.01, np.nan), strict=True):
        row["instrument"], row["chip"], row["name"], row["mjd_obs"] = frame_key(one)
        for name, value in solution_row(moved).items():
            row[name] = value
        row["pos_err"] = error
    together = Progenitor(
        *(next(NUMBERS), "GAstrometric", "", {}, {}), tables={"SOLUTIONS": table}
    )
    made = run(CombinedList, lists, associated(lists), places=places, together=together)
    assert made.attributes["n_placed"] == 1
    assert made.rows is not None
    assert np.isfinite(made.rows["pos_err"]).all()
    assert (made.rows["pos_err"] * 3600.0 < 0.04).all()


def test_two_lists_of_one_frame_are_refused_not_read_by_the_others_numbers() -> None:
    lists = [source_list("0", night) for night in (0, 1, 1)]
    with pytest.raises(UnprocessableError, match="which came in two files"):
        run(AssociateList, lists)
