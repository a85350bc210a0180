"""All target classes: what each has to say of its products, and what their flags hold against."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from reduction.comparison import differs, differs_in_part, fell, lost
from reduction.instruments.simulated import INSTRUMENT
from reduction.quality import flags_of
from reduction.registry import Registry
from reduction.regridded_stars import STAR_DTYPE
from reduction.source_plots import plot_combined, plot_detection, show_directions
from reduction.steps.sources import SOURCE_DTYPE
from reduction.steps.statistics import image_statistics
from reduction.steps.wcs import TanWcs
from reduction.steps.weight import MaskBit
from reduction.target import DBObject, Inputs, Made, ProcessTarget
from reduction.targets.calibrated import CalibratedScienceFrame
from reduction.targets.catalog import Catalog
from reduction.targets.coadded_source_list import CoaddedSourceList
from reduction.targets.combined_list import CombinedList
from reduction.targets.detection_frame import DetectionFrame
from reduction.targets.illumination import IlluminationCorrectionFrame
from reduction.targets.light_curve_list import LightCurveList
from reduction.targets.master_flat import MasterFlatFrame
from reduction.targets.phot_ref_catalog import STANDARD_DTYPE, PhotRefCatalog
from reduction.targets.phot_src_catalog import PhotSrcCatalog
from reduction.targets.reduced import ReducedScienceFrame
from reduction.targets.regridded import RegriddedFrame
from reduction.targets.source_list import SourceList
from reduction.targets.variability_frame import VariabilityFrame
from schemas.errors import UnprocessableError
from schemas.list_tables import CombinedSource

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASSES = sorted(Registry.load().targets(), key=lambda cls: cls.__name__)
NAN = float("nan")
#: Parameters without a default of their own: the chip's and the filter's, which no limit needs.
NONE: dict[str, float] = dict.fromkeys(("GAIN", "READ_NOISE", "SATURATION", "COLOR_TERM"), 1.0)

CATALOG = {"n_sources": 300, "n_clean": 200, "fwhm": 4.0, "half_light_radius": 2.3}
CATALOG |= {"aperture_radius": 12.0, "naxis1": 1000, "naxis2": 1000}
LIST = {"n_sources": 300, "n_clean": 200, "limiting_mag": 22.0, "seeing": 1.0}
DEEP_LIST = LIST | {"half_light_radius": 0.6, "aperture": 4.0}
COMBINED = {"n_sources": 300, "bands": "B V", "faintest": 21.0}
DETECTION = {"n_sources": 100, "n_frames": 10, "seeing": 1.0, "bands": "B+V"}
REFERENCE = {"n_standards": 40, "n_color": 30}
STANDARDS = {"n_stars": 20, "n_used": 18, "raw_zero_point": 22.5}
PUBLISHED = {"n_ref": 40, "zero_point": 22.7, "seeing": 1.2}
REGRIDDED = {"astrometry": "GAstrometric", "psf_difference": 0.01, "good_fraction": 0.9}
REGRIDDED |= {"zero_point": 22.7, "seeing": 1.2}
CURVES = {"n_stars": 100, "n_epochs": 20, "n_constant": 40}
CURVES |= {"error_floor": 0.004, "zero_point": 22.7}
VARIABLE = {"n_stars": 100, "n_variables": 6, "median_chi2": 1.0}
REDUCED = {"good_fraction": 0.98, "noise": 3.0, "corrections": "overscan 6, bias, flat"}


def own(cls: type[ProcessTarget], name: str) -> bool:
    """Whether a method is a class's, or of what it shares with its like."""
    return any(name in vars(base) for base in cls.__mro__ if base not in (ProcessTarget, DBObject))


@pytest.mark.parametrize("name", ["compute", "verify", "compare", "plot"])
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_makes_verifies_compares_and_draws_its_products(
    cls: type[ProcessTarget], name: str
) -> None:
    assert own(cls, name)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_has_flags_of_single_bits_with_a_sentence_each(
    cls: type[ProcessTarget],
) -> None:
    flags = list(flags_of(cls.Flags))
    assert flags
    assert all(flag.bit.bit_count() == 1 and flag.sentence for flag in flags)
    assert len({flag.bit for flag in flags}) == len(flags)


def limits(cls: type[ProcessTarget]) -> Any:
    fields = cls.Parameters.__dataclass_fields__
    return cls.Parameters(**{name: value for name, value in NONE.items() if name in fields})


def verified(cls: type[ProcessTarget], attributes: Mapping[str, Any], **parts: Any) -> Any:
    return cls.Flags(cls().verify(Made(attributes=dict(attributes), **parts), limits(cls)))


def compared(
    cls: type[ProcessTarget], now: Mapping[str, Any], previous: Mapping[str, Any], **parts: Any
) -> Any:
    made = Made(attributes=dict(now), **parts)
    return cls.Flags(cls().compare(made, previous, limits(cls)))


@pytest.mark.parametrize(
    ("cls", "good", "changed", "flag"),
    [
        (Catalog, CATALOG, {"n_sources": 30_000}, "TOO_MANY"),
        (Catalog, CATALOG, {"half_light_radius": 12.5}, "STARS_TOO_WIDE"),
        (CoaddedSourceList, DEEP_LIST, {"half_light_radius": 4.5}, "STARS_TOO_WIDE"),
        (CoaddedSourceList, DEEP_LIST, {"limiting_mag": 47.0}, "DEPTH_IMPOSSIBLE"),
        (SourceList, LIST, {"limiting_mag": -2.5}, "DEPTH_IMPOSSIBLE"),
        (CombinedList, COMBINED, {"faintest": 31.0}, "DEPTH_IMPOSSIBLE"),
        (PhotSrcCatalog, STANDARDS, {"n_used": 9}, "DISAGREE"),
        (MasterFlatFrame, {"flatness": 0.3}, {"flatness": 1.1}, "NOT_FLAT"),
    ],
)
def test_a_product_that_is_not_fit_for_use_is_flagged_and_a_sound_one_is_not(
    cls: Any, good: dict[str, Any], changed: dict[str, Any], flag: str
) -> None:
    assert verified(cls, good) == 0
    assert verified(cls, good | changed) == cls.Flags[flag]


def test_a_blank_field_is_sound() -> None:
    blank = {"n_sources": 0, "n_clean": 0}
    blank |= dict.fromkeys(("fwhm", "half_light_radius", "limiting_mag", "seeing"), NAN)
    assert verified(Catalog, CATALOG | blank) == 0
    rows = np.zeros(0, [("ra", "f8"), ("dec", "f8")])
    assert verified(SourceList, blank, rows=rows) == 0
    assert verified(CoaddedSourceList, blank | {"aperture": 4.0}, rows=rows) == 0
    assert verified(CombinedList, {"n_sources": 0, "faintest": NAN}, rows=rows) == 0
    weight = np.ones((20, 20), np.float32)
    assert verified(DetectionFrame, DETECTION | blank, images={"WEIGHT": weight}) == 0


def test_one_wide_galaxy_does_not_say_how_wide_stars_are() -> None:
    alone = {"n_sources": 1, "n_clean": 1, "half_light_radius": 30.0}
    assert verified(Catalog, CATALOG | alone) == 0


def test_a_source_without_a_place_makes_its_list_unfit() -> None:
    rows = np.zeros(3, [("ra", "f8"), ("dec", "f8")])
    for cls, good in ((SourceList, LIST), (CombinedList, COMBINED)):
        assert verified(cls, good, rows=rows) == 0
    rows["dec"][1] = NAN
    for cls, good in ((SourceList, LIST), (CombinedList, COMBINED)):
        assert verified(cls, good, rows=rows) == cls.Flags.PLACES_UNKNOWN


def test_only_pixels_with_weight_count_for_how_dense_sources_are() -> None:
    weight = np.zeros((100, 100), np.float32)
    weight[:50] = 1.0
    assert verified(DetectionFrame, DETECTION, images={"WEIGHT": weight}) == 0
    weight[20:] = 0.0
    found = verified(DetectionFrame, DETECTION, images={"WEIGHT": weight})
    assert found == DetectionFrame.Flags.TOO_MANY


def test_an_illumination_that_runs_away_in_one_corner_is_flagged() -> None:
    image = np.ones((50, 60), np.float32)
    values = {"mean_correction": 0.0}
    assert verified(IlluminationCorrectionFrame, values, images={"IMAGE": image}) == 0
    large = IlluminationCorrectionFrame.Flags.CORRECTION_TOO_LARGE
    for corner in (10.0**0.21, 10.0**-0.21, np.nan):
        image[0, 0] = corner
        assert verified(IlluminationCorrectionFrame, values, images={"IMAGE": image}) == large


def test_standards_whose_magnitudes_are_none_are_flagged_and_one_such_is_not() -> None:
    table = np.zeros(5, STANDARD_DTYPE)
    table["mag"] = (14.0, 15.0, 16.0, 17.0, -9999.0)
    assert verified(PhotRefCatalog, REFERENCE, tables={"STANDARDS": table}) == 0
    table["mag"] = 3.2e4
    found = verified(PhotRefCatalog, REFERENCE, tables={"STANDARDS": table})
    assert found == PhotRefCatalog.Flags.NO_MAGNITUDES


@pytest.mark.parametrize(
    ("cls", "before", "now", "flag"),
    [
        (Catalog, CATALOG, {"n_sources": 149}, "FEWER_SOURCES"),
        (Catalog, CATALOG, {"fwhm": 4.9}, "WIDTH_CHANGED"),
        (SourceList, LIST, {"n_sources": 149}, "FEWER_SOURCES"),
        (SourceList, LIST, {"seeing": 1.4}, "SEEING_CHANGED"),
        (SourceList, LIST, {"limiting_mag": 21.6}, "DEPTH_CHANGED"),
        (SourceList, LIST, {"limiting_mag": NAN}, "DEPTH_CHANGED"),
        (CoaddedSourceList, LIST, {"n_sources": 149}, "FEWER_SOURCES"),
        (CoaddedSourceList, LIST, {"seeing": 0.7}, "SEEING_CHANGED"),
        (CoaddedSourceList, LIST, {"limiting_mag": 21.6}, "DEPTH_CHANGED"),
        (CombinedList, COMBINED, {"n_sources": 149}, "FEWER_SOURCES"),
        (CombinedList, COMBINED, {"bands": "V"}, "BAND_LOST"),
        (CombinedList, COMBINED, {"faintest": 20.0}, "DEPTH_CHANGED"),
        (DetectionFrame, DETECTION, {"n_sources": 49}, "FEWER_SOURCES"),
        (DetectionFrame, DETECTION, {"n_frames": 4}, "FEWER_FRAMES"),
        (DetectionFrame, DETECTION, {"seeing": 1.4}, "SEEING_CHANGED"),
        (DetectionFrame, DETECTION, {"bands": "V"}, "BANDS_CHANGED"),
        (PhotRefCatalog, REFERENCE, {"n_standards": 19}, "FEWER_STANDARDS"),
        (PhotRefCatalog, REFERENCE, {"n_color": 0}, "FEWER_COLORS"),
        (PhotSrcCatalog, STANDARDS, {"n_used": 8}, "FEWER_STARS"),
        (PhotSrcCatalog, STANDARDS, {"raw_zero_point": 22.6}, "ZERO_POINT_CHANGED"),
        (CalibratedScienceFrame, PUBLISHED, {"n_ref": 19}, "FEWER_STARS"),
        (CalibratedScienceFrame, PUBLISHED, {"zero_point": 22.6}, "ZERO_POINT_CHANGED"),
        (CalibratedScienceFrame, PUBLISHED, {"zero_point": None}, "ZERO_POINT_CHANGED"),
        (CalibratedScienceFrame, PUBLISHED, {"seeing": 1.6}, "SEEING_CHANGED"),
        (RegriddedFrame, REGRIDDED, {"good_fraction": 0.7}, "FRACTION_DIFFERS_FROM_PREVIOUS"),
        (RegriddedFrame, REGRIDDED, {"zero_point": None}, "ZERO_POINT_CHANGED"),
        (RegriddedFrame, REGRIDDED, {"seeing": 0.8}, "SEEING_CHANGED"),
        (LightCurveList, CURVES, {"n_stars": 49}, "FEWER_STARS"),
        (LightCurveList, CURVES, {"n_epochs": 9}, "FEWER_EPOCHS"),
        (LightCurveList, CURVES, {"error_floor": 0.02}, "FLOOR_CHANGED"),
        (LightCurveList, CURVES, {"zero_point": NAN}, "ZERO_POINT_CHANGED"),
        (VariabilityFrame, VARIABLE, {"n_stars": 49}, "FEWER_STARS"),
        (VariabilityFrame, VARIABLE, {"n_variables": 2}, "FEWER_VARIABLES"),
        (VariabilityFrame, VARIABLE, {"n_variables": 13}, "MORE_VARIABLES"),
        (VariabilityFrame, VARIABLE, {"median_chi2": 1.6}, "CHI2_CHANGED"),
        (
            IlluminationCorrectionFrame,
            {"mean_correction": 0.0},
            {"mean_correction": 0.02},
            "CORRECTION_DIFFERS_FROM_PREVIOUS",
        ),
    ],
)
def test_what_changed_since_the_version_before_is_for_people_to_look_at(
    cls: Any, before: dict[str, Any], now: dict[str, Any], flag: str
) -> None:
    assert compared(cls, before, before) == 0
    assert compared(cls, before | now, before) == cls.Flags[flag]
    assert compared(cls, before, {}) == 0


def test_a_reduced_frame_is_compared_with_what_it_was() -> None:
    pixels = np.full((20, 20), 1000.0, np.float32)
    now = REDUCED | {"imstat": image_statistics(pixels)}
    before = REDUCED | {"imstat.median": 1000.0}
    flags = ReducedScienceFrame.Flags
    assert compared(ReducedScienceFrame, now, before) == 0
    # 5 % of the level and a read noise
    assert compared(ReducedScienceFrame, now, before | {"imstat.median": 1050.0}) == 0
    level = compared(ReducedScienceFrame, now, before | {"imstat.median": 1060.0})
    assert level == flags.LEVEL_DIFFERS_FROM_PREVIOUS
    bad = compared(ReducedScienceFrame, now, before | {"good_fraction": 0.8})
    assert bad == flags.FRACTION_DIFFERS_FROM_PREVIOUS
    other = compared(ReducedScienceFrame, now, before | {"corrections": "bias, flat"})
    assert other == flags.OTHER_CORRECTIONS


def test_a_value_that_is_not_known_is_no_change_but_can_be_lost() -> None:
    for value in (None, NAN):
        assert not fell({"n": 4}, "n", value, 0.5)
        assert not differs({"n": 4}, "n", value, 0.5)
        assert not differs_in_part({"n": 4}, "n", value, 0.5)
        assert lost({"n": 4}, "n", value)
        assert not lost({"n": None}, "n", value)
    assert not fell({}, "n", 1, 0.5)
    assert not differs_in_part({"n": None}, "n", 1, 0.5)
    assert not lost({"n": 4}, "n", 0)


def test_what_sources_are_detected_on_is_drawn_with_them_and_without() -> None:
    images = {name: np.ones((40, 50), np.float32) for name in ("IMAGE", "WEIGHT")}
    images["MASK"] = np.zeros((40, 50), np.uint8)
    images["MASK"][3, 4] = MaskBit.HOT
    for count in (0, 5):
        sources = np.zeros(count, SOURCE_DTYPE)
        sources["flux_aper"], sources["half_light_radius"] = 100.0, 1.5
        figure = Figure()
        plot_detection(figure, images, sources)
        assert figure.axes[0].get_title() == f"{count} sources, {count} clean (circles)"


def test_stars_of_a_field_are_drawn_with_a_colour_where_two_bands_are_known() -> None:
    names = [column.name for column in list(CombinedSource.__table__.columns)[2:]]
    whole = ("n_sources", "association", "flags")
    rows = np.zeros(4, [(name, "i8" if name in whole else "f8") for name in names])
    rows["n_sources"] = 2
    rows["mag_b_err"] = rows["mag_v_err"] = 0.1
    rows["mag_b"], rows["mag_v"] = (15.0, 16.0, 17.0, NAN), 15.0
    figure = Figure()
    plot_combined(figure, rows, ["V", "B"])
    assert figure.axes[3].get_xlabel() == "B-V [mag]"
    assert [t.get_text() for t in figure.axes[2].get_legend().get_texts()] == ["B", "V"]
    for some, bands in ((rows, ["V"]), (rows, []), (rows[:0], ["B", "V"])):
        figure = Figure()
        plot_combined(figure, some, bands)
        assert figure.axes[0].get_title() == f"{len(some)} stars"


def old_names(dtype: np.dtype[Any], names: Mapping[str, str]) -> list[tuple[str, Any]]:
    assert dtype.names is not None
    return [(names.get(name, name), dtype[name]) for name in dtype.names]


class Stored:
    """Stands for the file of a product."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self._tables = tables

    def images(self, object_id: int) -> dict[str, Any]:
        mask = np.zeros((40, 50), np.uint8)
        return {"IMAGE": np.ones((40, 50), np.float32), "WEIGHT": mask + 1.0, "MASK": mask}

    def tables(self, object_id: int) -> dict[str, Any]:
        return self._tables


@pytest.mark.parametrize("names", ["old", "new"])
@pytest.mark.parametrize("cls", [RegriddedFrame, Catalog, DetectionFrame])
def test_products_of_versions_before_are_drawn_as_those_of_today(
    cls: type[ProcessTarget], names: str
) -> None:
    stars, sources = np.zeros(3, STAR_DTYPE), np.zeros(3, SOURCE_DTYPE)
    stars["width"], stars["width_before"] = 3.0, 2.0
    sources["flux_aper"], sources["half_light_radius"] = 100.0, 1.0
    if names == "old":
        widths = {"width": "fwhm", "width_before": "fwhm_before"}
        stars = stars.astype(old_names(STAR_DTYPE, widths))
        sources["half_light_radius"] *= 2.0
        sources = sources.astype(old_names(SOURCE_DTYPE, {"half_light_radius": "fwhm"}))
    made, figure = cls(), Figure()
    made._archive = Stored({"STARS": stars, "SOURCES": sources})
    made._record = SimpleNamespace(product_id=1, attributes={})
    made.plot(figure)
    panel = next(axes for axes in figure.axes if axes.get_title().startswith("widths of"))
    (points,) = panel.collections
    assert np.asarray(points.get_offsets())[:, 1] == pytest.approx([1.0, 1.0, 1.0])


def test_north_is_drawn_where_it_is() -> None:
    scale = 0.5 / 3600.0
    # north to the left and east down, as a camera that is turned by 90 degrees sees it
    wcs = TanWcs(150.0, 60.0, 49.5, 49.5, ((0.0, -scale), (-scale, 0.0)))
    axes = Figure().subplots()
    show_directions(axes, wcs, (100, 100))
    north, east = axes.texts
    assert (north.get_text(), east.get_text()) == ("N", "E")
    assert north.get_position() == pytest.approx((34.5, 49.5), abs=0.01)
    assert east.get_position() == pytest.approx((49.5, 34.5), abs=0.01)
    assert axes.get_title() == "150.00000 +60.00000, 0.5 arcsec/pixel"


def test_a_ring_of_sky_that_begins_in_the_aperture_is_refused() -> None:
    given = Inputs("Catalog", {}, instrument=INSTRUMENT, chip="", filter="V")
    for ring in (0.5, 11.9):
        with pytest.raises(UnprocessableError, match=r"SKY_RING is .* inside the aperture"):
            Catalog().compute(given, Catalog.Parameters(SKY_RING=ring, APERTURE_RADIUS=12.0))


def test_catalogs_of_before_there_were_half_light_radii_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("x", "y", "flux_aper", "fwhm")
    old = np.ones(5, [*((name, "f8") for name in names), ("flags", "i4")])
    old["fwhm"] = 4.0
    monkeypatch.setattr(Catalog, "tables", {"SOURCES": old})
    monkeypatch.setattr(Catalog, "half_light_radius", None)
    figure = Figure()
    Catalog().plot(figure)
    assert figure.axes[1].get_ylabel().startswith("half-light radius")
