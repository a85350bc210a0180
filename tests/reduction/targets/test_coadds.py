"""Coadds of a simulated field through the archive: pixels, sources, and what VO clients see."""

from __future__ import annotations

__all__: list[str] = []

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from matplotlib.axes import Axes

from reduction.archive import Archive
from reduction.fields import FieldSpec, declare_field
from reduction.operate import edit, find_target, targets_matching
from reduction.scope import Scope
from reduction.simulate import SimulationConfig, Truth, simulate
from reduction.targets.calibrated import CalibratedScienceFrame
from reduction.targets.coadded import CoaddedRegriddedFrame
from reduction.targets.coadded_source_list import CoaddedSourceList
from reduction.targets.detection_frame import DetectionFrame
from reduction.targets.regridded import RegriddedFrame
from reduction.targets.source_list import SourceList
from schemas.dali import parse_params
from schemas.settings import LimitSettings
from sia import datalink, protocol, query, soda
from tap.adql import Catalogue
from tap.protocol import PARAMS as TAP_PARAMS
from tap.service import Context
from tap.service import run as run_tap
from tests.support.archives import opened_archive
from tests.support.asking import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.clusters import Databases

pytestmark = [pytest.mark.slow, pytest.mark.science]

SKY = SimulationConfig(
    chips=2, shape=(320, 320), nights=("2026-01-10",), filters=("V", "B"), n_science=4, dither=12.0
)
FIELD = FieldSpec("simulated", SKY.ra, SKY.dec, 0.025, pixel_scale=0.25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything is kept."""
    return tmp_path_factory.mktemp("coadds")


@pytest.fixture(scope="module")
def truth(folder: Path) -> Truth:
    """A simulated night of two chips in two bands."""
    return simulate(folder, config=SKY)


@pytest.fixture(scope="module")
def archive(databases: Databases, truth: Truth, folder: Path) -> Iterator[Archive]:
    """An archive with the night in it, and a declared field."""
    files, limits = folder / "files", LimitSettings(make_budget_s=900.0)
    with databases.fresh() as database, opened_archive(database, files, limits=limits) as made:
        assert made.ingest([folder / "raw"]).refused == []
        made.load_references(folder / truth.reference, "simulated")
        declare_field(made, FIELD)
        yield made


@pytest.fixture
def field(archive: Archive) -> Archive:
    """The archive, as the one that classes speak of."""
    Archive.use(archive)
    return archive


def adql(archive: Archive, text: str) -> tuple[list[tuple], dict[str, str]]:
    """Rows, as texts, and INFO of an answer."""
    tables = [table for schema in archive.schemas for table in schema.tables]
    context = Context(archive, Catalogue(tables), archive.settings.limits)
    pairs = [("QUERY", text), ("LANG", "ADQL")]
    result = run_tap(parse_params(TAP_PARAMS, pairs), context)
    try:
        return texts_of(result), {info.name: str(info.value) for info in result.infos}
    finally:
        result.close()


def rows_of(archive: Archive, text: str) -> list[tuple]:
    """Rows as they are, nothing made."""
    with (
        archive.snapshot(Scope(classes=frozenset()), timeout_s=60.0) as answering,
        answering.connection.cursor() as cursor,
    ):
        cursor.execute(text)
        return cursor.fetchall()


def sources(archive: Archive, made: CoaddedSourceList, truth: Truth) -> dict[str, np.ndarray]:
    """Published rows of a list beside the nearest star or galaxy of the sky."""
    names = ("ra", "dec", "mag", "mag_err", "flux", "flux_err", "flags", "pos_err", "source_id")
    found = rows_of(
        archive,
        f"SELECT {', '.join(names)} FROM archive.sources "
        f"WHERE object_id = {made.object_id} ORDER BY source_id",
    )
    table = {n: np.array([row[i] for row in found], float) for i, n in enumerate(names)}
    sky = truth.sky
    across = (table["ra"][:, None] - sky.ra) * np.cos(np.radians(SKY.dec)) * 3600.0
    along = (table["dec"][:, None] - sky.dec) * 3600.0
    distance = np.hypot(across, along)
    table["star"] = nearest = distance.argmin(axis=1)
    each = np.arange(len(nearest))
    table["dx"], table["dy"] = across[each, nearest], along[each, nearest]
    apart = np.sort(
        np.hypot(
            *(
                np.subtract.outer(v, v)
                for v in (sky.ra * 3600 * np.cos(np.radians(SKY.dec)), sky.dec * 3600)
            )
        ),
        axis=1,
    )[:, 1]
    table["good"] = (
        (distance[each, nearest] < 0.5)
        & (table["flags"] == 0)
        & ~sky.galaxy[nearest]
        & (apart[nearest] > 4.0)
    )
    return table


def test_a_coadd_has_all_frames_of_its_band_and_says_what_it_is(field: Archive) -> None:
    made = CoaddedRegriddedFrame.get(field="simulated", filter="V")
    assert (made.n_frames, made.n_exposures, made.n_detectors) == (8, 4, 2)
    assert made.exptime_total == 4 * 60.0
    assert 60.0 <= made.exptime <= 240.0
    assert made.zero_point == 25.0
    assert made.quality_flags == 0
    assert abs(made.psf_difference) < 0.05
    # each frame's seeing is the sky's 3.8 pixels within a twentieth; the function is fitted as
    # integrated over pixels, which the sky's stars are not: 2 % less
    drawn = 3.8 * 0.214
    assert made.seeing_predicted == pytest.approx(0.98 * drawn, rel=0.05)
    assert 0.91 * drawn < made.seeing_best <= made.seeing_predicted <= made.seeing_worst
    assert made.seeing_worst < 1.07 * drawn
    assert made.seeing == pytest.approx(0.98 * drawn, rel=0.05)
    sources = CoaddedSourceList.get(field="simulated", filter="V")
    assert sources.seeing == pytest.approx(made.seeing, rel=0.05)
    assert sources.half_light_radius == pytest.approx(0.5 * made.seeing, rel=0.1)
    image, weight = made.images["IMAGE"], made.images["WEIGHT"]
    assert (made.images["MASK"][weight > 0] == 0).all()
    assert np.isfinite(image[weight > 0]).all()
    pulls = (image * np.sqrt(weight))[weight > 0]
    # sources widen the distribution on the other side, and unseen ones a little on this
    scatter = np.median(pulls) - np.percentile(pulls, 15.87)
    assert scatter == pytest.approx(made.noise_factor, rel=0.15)


def test_single_frames_are_on_the_grid_as_they_were(field: Archive) -> None:
    found = RegriddedFrame.get(
        field="simulated", raw="VOSIM.2026-01-11T02_00_00.000", chip="ccd50"
    )
    assert found.quality_flags == 0
    assert abs(found.psf_difference) < 0.02
    assert found.sky == pytest.approx(np.median(found.reduced.images["IMAGE"]), rel=0.05)
    assert found.photometry in ("PhotometricParameters", "GPhotometric")
    assert found.astrometry in ("AstrometricParameters", "GAstrometric")
    header = WCS(fits.Header(cards_of(field, found.object_id)))
    assert header.wcs.crval == pytest.approx([SKY.ra, SKY.dec])
    assert header.wcs.crpix[0] + found.grid_x == pytest.approx((0.05 * 3600 / 0.25 + 1) / 2)


def cards_of(archive: Archive, object_id: int) -> dict[str, object]:
    """Header cards of a product, without comments."""
    cards = archive.object(object_id)._record.cards
    return {keyword: value for keyword, (value, _) in cards.items()}


def test_positions_and_magnitudes_of_the_coadd_are_the_truth(field: Archive, truth: Truth) -> None:
    for band in ("V", "B"):
        made = CoaddedSourceList.get(field="simulated", filter=band)
        table = sources(field, made, truth)
        good = table["good"] & (table["mag_err"] < 0.02)
        assert good.sum() > 20
        # reference positions scatter by 30 mas, and about 15 of them hold all frames alike: 8 mas
        assert abs(np.median(table["dx"][good])) < 0.024
        assert abs(np.median(table["dy"][good])) < 0.024
        assert np.median(np.hypot(table["dx"], table["dy"])[good]) < 0.03
        offset = (table["mag"] - truth.sky.mags[band][table["star"]])[good]
        assert abs(np.median(offset)) < 0.01


def test_magnitude_errors_of_the_coadds_are_as_wide_as_they_say(
    field: Archive, truth: Truth
) -> None:
    pulls = []
    for band in ("V", "B"):
        made = CoaddedSourceList.get(field="simulated", filter=band)
        table = sources(field, made, truth)
        faint = table["good"] & (table["mag_err"] > 0.02) & (table["mag_err"] < 0.25)
        miss = table["mag"] - truth.sky.mags[band][table["star"]]
        pulls.append((miss / table["mag_err"])[faint])
    pull = np.concatenate(pulls)
    # the mean of 46 is known to 0.15, and 0.01 mag of the zero points is 0.2 of an error of 0.05
    assert len(pull) >= 40
    assert abs(pull.mean()) < 3 / np.sqrt(len(pull)) + 0.2
    pull = np.concatenate([found - np.median(found) for found in pulls])
    # one in twenty may be spoilt by a neighbour that the truth has within its circle
    inside = np.abs(pull) < 4.0
    assert inside.mean() > 0.95
    # the deviation of n is known to 1 / sqrt(2 n), a tenth here: errors wrong by a third show
    n = int(inside.sum())
    assert pull[inside].std(ddof=2) == pytest.approx(1.0, abs=3 / np.sqrt(2 * n))


def test_lists_of_a_coadd_are_as_much_deeper_than_its_frames_as_weights_add_up(
    field: Archive,
) -> None:
    off = {}
    for band in ("V", "B"):
        made = CoaddedSourceList.get(field="simulated", filter=band)
        depth = [
            SourceList.get(raw=frame.raw.name, chip=frame.chip.name).limiting_mag
            for frame in made.frame.regridded
        ]
        assert len(depth) == 8
        weight = made.frame.images["WEIGHT"]
        deeper = 1.25 * np.log10(np.median(weight[weight > 0]))
        deeper -= 1.25 * np.log10(made.frame.tables["FRAMES"]["weight"]).mean()
        assert deeper > 0.4
        off[band] = made.limiting_mag - np.mean(depth) - deeper
        # weights know photons and read noise, and not what is too faint to be found
        assert -0.05 < made.frame.limiting_mag - made.limiting_mag < 0.3
    # Noise of sums over the sky, on both sides: 5 %. At some 300 places, that of a coadd is known
    # to 4 % and the mean of eight frames' to 2: 3 % for two bands.
    assert abs(np.mean(list(off.values()))) < 0.053, off


def test_headers_say_where_their_zero_point_is(field: Archive) -> None:
    coadd = CoaddedRegriddedFrame.get(field="simulated", filter="V")
    frame = CalibratedScienceFrame.get(raw="VOSIM.2026-01-11T02_00_00.000", chip="ccd50")
    for made, place in ((coadd, "AT THE GROUND"), (frame, "ABOVE THE ATMOSPHERE")):
        cards = fits.Header([(k, *card) for k, card in made._record.cards.items()])
        assert place in cards.comments["PHOTZP"]
        assert ("PHOTEXT" in cards) == (made is frame)
        assert "PHOTILL" not in cards


def test_bands_share_their_source_numbers_so_that_colours_are_a_join(
    field: Archive, truth: Truth
) -> None:
    lists = {b: CoaddedSourceList.get(field="simulated", filter=b) for b in ("V", "B")}
    assert lists["V"].n_sources == lists["B"].n_sources
    assert lists["V"].detection == "B+V"
    rows, _ = adql(
        field,
        "SELECT v.ra, v.dec, v.mag, b.mag FROM archive.sources AS v JOIN archive.sources AS b "
        "ON b.source_number = v.source_number AND b.field = v.field "
        "WHERE v.field = 'simulated' AND v.filter = 'V' AND b.filter = 'B' AND v.flags = 0 "
        "AND b.flags = 0 AND v.mag_err < 0.02 AND b.mag_err < 0.02",
    )
    table = np.array(rows, float)
    assert len(table) > 15
    sky = truth.sky
    distance = np.hypot(
        (table[:, :1] - sky.ra) * np.cos(np.radians(SKY.dec)), table[:, 1:2] - sky.dec
    )
    star = distance.argmin(axis=1)
    colour = (sky.mags["B"] - sky.mags["V"])[star]
    assert np.median(np.abs(table[:, 3] - table[:, 2] - colour)) < 0.02


def test_from_a_pixel_one_gets_to_its_frames(field: Archive) -> None:
    made = CoaddedRegriddedFrame.get(field="simulated", filter="V")
    frames, members = made.tables["FRAMES"], made.tables["MEMBERS"]
    sets, origin = made.tables["SETS"], made.images["ORIGIN"]
    assert int((origin > 0).sum()) == sets["pixels"].sum()
    lineage = dict(
        rows_of(
            field,
            "SELECT position, progenitor_id FROM archive.lineage "
            f"WHERE object_id = {made.object_id} AND role = 'regridded'",
        )
    )
    y, x = np.argwhere(made.images["NUMBER"] == made.images["NUMBER"].max())[0]
    there = members["frame"][members["origin"] == origin[y, x]]
    assert len(there) == made.images["NUMBER"][y, x]
    for position in there:
        regridded = field.object(lineage[int(position)])
        assert regridded.chip.name == frames["chip"][position].strip()
        row, column = y + made.grid_y - regridded.grid_y, x + made.grid_x - regridded.grid_x
        assert regridded.images["WEIGHT"][row, column] > 0


def test_coadd_and_frame_can_be_looked_at(field: Archive) -> None:
    made = CoaddedRegriddedFrame.get(field="simulated", filter="V")
    for shown in (made, made.regridded[0]):
        assert len(shown.inspect().findobj(Axes)) >= 3


def test_obscore_lists_the_coadd_as_an_enhanced_image(field: Archive) -> None:
    CoaddedRegriddedFrame.get(field="simulated", filter="V")
    rows, _ = adql(
        field,
        "SELECT calib_level, dataproduct_subtype, instrument_name, t_exptime, t_max - t_min, "
        "s_pixel_scale, source_table, em_min FROM ivoa.obscore WHERE target_name = 'simulated' "
        "AND obs_id = 'simulated-V'",
    )
    ((level, subtype, instrument, exptime, span, scale, table, em_min),) = rows
    assert (level, subtype) == ("3", "CoaddedRegriddedFrame")
    assert (instrument, table) == ("simulated", "archive.coadded_regridded_frame")
    assert 60 <= float(exptime) <= 240
    assert float(span) > 3 * 2 / 1440
    assert float(scale) == pytest.approx(0.25)
    assert 4e-7 < float(em_min) < 6e-7
    others, _ = adql(field, "SELECT DISTINCT source_table FROM ivoa.obscore WHERE calib_level = 2")
    assert others == [("archive.calibrated_science_frame",)]


def test_a_cutout_of_a_coadd_has_its_sky_and_a_link_to_every_raw_frame(field: Archive) -> None:
    made = CoaddedRegriddedFrame.get(field="simulated", filter="V")
    did = find_target(field, "CoaddedRegriddedFrame", filter="V").dataset_id
    circle = f"{SKY.ra} {SKY.dec} 0.003"
    asked = parse_params(soda.PARAMS, [("ID", did), ("CIRCLE", circle)])
    result = soda.run(asked, field)
    document = b"".join(result.blocks)
    result.close()
    with fits.open(io.BytesIO(document)) as hdus:
        header, pixels = hdus[0].header, hdus[0].data
        assert "RAWID" not in header
        assert (header["OBJECTID"], header["PIXELSID"]) == (made.object_id, made.object_id)
        assert (header["NCOMBINE"], header["PHOTZP"]) == (8, 25.0)
        x, y = WCS(header).world_to_pixel_values(SKY.ra, SKY.dec)
    assert (x, y) == (
        pytest.approx(pixels.shape[1] / 2, abs=1.5),
        pytest.approx(pixels.shape[0] / 2, abs=1.5),
    )
    wx, wy = WCS(fits.Header(cards_of(field, made.object_id))).world_to_pixel_values(
        SKY.ra, SKY.dec
    )
    corner = round(float(wy - y)), round(float(wx - x))
    same = made.images["IMAGE"][
        corner[0] : corner[0] + pixels.shape[0], corner[1] : corner[1] + pixels.shape[1]
    ]
    assert np.array_equal(pixels, same, equal_nan=True)
    links = datalink.run(parse_params(datalink.PARAMS, [("ID", did)]), field)
    semantics = [row[5] for block in links.rows for row in block]
    links.close()
    assert semantics == ["#this", "#cutout", *["#progenitor"] * 8]


def test_whatever_touches_a_stale_coadd_remakes_it(field: Archive) -> None:
    did = find_target(field, "CoaddedRegriddedFrame", filter="V").dataset_id
    CoaddedSourceList.get(field="simulated", filter="V")
    raw = RegriddedFrame.get(
        field="simulated", raw="VOSIM.2026-01-11T02_02_00.000", chip="ccd51"
    ).raw
    circle = f"CIRCLE {SKY.ra} {SKY.dec} 0.001"

    def by_soda() -> int:
        pairs = [("ID", did), ("POS", circle)]
        result = soda.run(parse_params(soda.PARAMS, pairs), field)
        with fits.open(io.BytesIO(b"".join(result.blocks))) as hdus:
            result.close()
            return int(hdus[0].header["NCOMBINE"])

    def by_search() -> int:
        params = [("POS", circle), ("CALIB", "3"), ("BAND", "5.5e-7")]
        result = query.run(parse_params(protocol.PARAMS, params), field)
        names = [column.name for column in result.columns]
        rows = [dict(zip(names, row, strict=True)) for block in result.rows for row in block]
        result.close()
        assert len(rows) == 1
        return int(rows[0]["obs_title"].split(": ")[1].split()[0])

    def by_query() -> int:
        rows, infos = adql(
            field, f"SELECT COUNT(*) FROM archive.sources WHERE obs_publisher_did = '{did}'"
        )
        assert int(rows[0][0]) > 50
        assert int(infos["TARGETS_REMADE"]) >= 2
        return CoaddedSourceList.get(field="simulated", filter="V").frame.n_frames

    for number, asked in enumerate((by_soda, by_search, by_query)):
        valid = number % 2
        edit(field, raw.object_id, "is_valid", valid, why="tried out")
        assert find_target(field, "CoaddedRegriddedFrame", filter="V").state == "suspect"
        assert asked() == 7 + valid
        assert find_target(field, "CoaddedRegriddedFrame", filter="V").state == "fresh"
    edit(field, raw.object_id, "is_valid", 1, why="as it was")


def test_detection_on_one_band_alone_is_a_parameter_of_the_field(
    field: Archive, truth: Truth
) -> None:
    own = FieldSpec(
        "own",
        SKY.ra,
        SKY.dec,
        0.02,
        pixel_scale=0.25,
        parameters={
            "CoaddedSourceList": {"DETECTION": "OWN"},
            "DetectionFrame": {"BAND": "V"},
        },
    )
    declare_field(field, own)
    found = CoaddedSourceList.get(field="own", filter="B")
    assert found.detection == "B"
    assert found.n_sources > 30
    assert DetectionFrame.get(field="own").bands == "V"


def test_a_cutout_of_one_band_makes_no_other(field: Archive) -> None:
    declare_field(field, FieldSpec("bands", SKY.ra, SKY.dec, 0.01, pixel_scale=0.4))
    targets = {
        t.filter: t for t in targets_matching(field, "CoaddedRegriddedFrame", field="bands")
    }
    pairs = [("ID", targets["B"].dataset_id), ("CIRCLE", f"{SKY.ra} {SKY.dec} 0.001")]
    soda.run(parse_params(soda.PARAMS, pairs), field).close()
    after = {t.filter: t for t in targets_matching(field, "CoaddedRegriddedFrame", field="bands")}
    assert (after["B"].state, after["V"].state) == ("fresh", "missing")
