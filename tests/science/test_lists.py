"""Stars of a simulated field, associated, combined and followed through the whole chain."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.collection.source_collection import SourceCollection
from reduction.fields import FieldSpec, declare_field
from reduction.freshness import Fresh
from reduction.operate import edit
from reduction.scope import Scope
from reduction.simulation.config import SimulationConfig
from reduction.steps.sources import SourceFlag
from reduction.targets.associate_list import AssociateList
from reduction.targets.coadded_source_list import CoaddedSourceList
from reduction.targets.combined_list import CombinedList
from reduction.targets.detection_frame import DetectionFrame
from reduction.targets.gphotometric import GPhotometric
from reduction.targets.light_curve_list import LightCurveList
from reduction.targets.photometric import PhotometricParameters
from reduction.targets.source_list import SourceList
from reduction.targets.twilight_flat import TwilightFlatFrame
from reduction.targets.variability_frame import VariabilityFrame, VariableFlag
from tap.adql import Catalogue, check, parse, translate
from tap.scope import scope_of
from tests.support.archives import simulated_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.simulation.truth import Truth
    from schemas.settings import DatabaseSettings

pytestmark = [pytest.mark.science, pytest.mark.slow]

CONFIG = SimulationConfig(
    chips=1, shape=(512, 512), nights=("2025-03-01",), n_science=4, filters=("V", "B"), stars=60.0
)
FIELD = FieldSpec("field", CONFIG.ra, CONFIG.dec, 0.05)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, database: DatabaseSettings) -> Iterator[Truth]:
    """A simulated night in two bands with a field on it; nothing is made yet."""
    folder = tmp_path_factory.mktemp("mosaic")
    with simulated_archive(database, folder, CONFIG) as made:
        declare_field(Archive.current(), FIELD)
        yield made


def ask(query: str, fresh: Fresh = Fresh.MAKE) -> tuple[list[tuple], int]:
    """Rows of a query in ADQL, and how many targets were remade for it."""
    archive = Archive.current()
    catalogue = Catalogue([t for schema in archive.schemas for t in schema.tables])
    checked = check(parse(query), catalogue)
    with (
        archive.snapshot(scope_of(checked), fresh=fresh, timeout_s=60.0) as answering,
        answering.connection.cursor() as cursor,
    ):
        cursor.execute(translate(checked, limit=100_000).text)
        return cursor.fetchall(), answering.report.remade


def test_asking_for_associates_makes_them_and_their_lists(truth: Truth) -> None:
    rows, remade = ask("SELECT association, source_id, separation FROM archive.associates")
    assert remade >= 8  # eight source lists, all that they need, and the association
    made = AssociateList.get(field="field")
    assert made.n_lists == 8
    whole = [(one.rows["flags"] & SourceFlag.TRUNCATED == 0).sum() for one in made.source_lists]
    assert len(rows) == made.n_sources == sum(whole)
    # every clean star is on all eight frames but where it is near an edge
    sizes = np.bincount(np.bincount([row[0] for row in rows]))
    assert sizes[8] > 0.4 * made.n_repeated
    assert len(sizes) == 9  # at most one of each list
    assert made.rms_distance < 0.15
    assert ask("SELECT COUNT(*) AS n FROM archive.associates")[1] == 0


def test_combined_sources_are_the_stars_of_the_sky_in_both_bands(truth: Truth) -> None:
    rows, _ = ask(
        "SELECT ra, dec, pos_err, mag_v, mag_v_err, mag_b, mag_b_err FROM archive.combined_sources"
        " WHERE n_sources = 8 AND flags = 0"
    )
    table = np.array(rows, dtype=float)
    assert len(table) > 50
    sky = truth.sky
    apart = np.hypot(
        (table[:, :1] - sky.ra) * np.cos(np.radians(sky.dec)), table[:, 1:2] - sky.dec
    )
    nearest = apart.argmin(axis=1)
    distance = apart[np.arange(len(table)), nearest] * 3600.0
    assert np.median(distance) < 0.1
    flux = 10 ** (-0.4 * sky.mags["V"])
    alone = [
        flux[apart[n] < 3.5 / 3600.0].sum() < 1.02 * flux[nearest[n]] for n in range(len(table))
    ]
    pulls = []
    for column, band in ((3, "V"), (5, "B")):
        mag, err = table[alone, column], table[alone, column + 1]
        miss = mag - sky.mags[band][nearest[alone]]
        # the frames' zero points are of the same few stars of the catalogue: their errors are
        # common to all, and do not fall with the number of frames
        products = PhotometricParameters.filter.name == band
        zero_point_err = np.mean([product.zero_point_err for product in products])
        assert abs(np.median(miss)) < 3.0 * zero_point_err, band
        # the median takes out what all have in common: the least error of the solution's frames
        table_of_frames = GPhotometric.get(field="field", filter=band).tables["ZERO_POINTS"]
        common = np.nanmin(table_of_frames["zero_point_err"])
        assert err.min() >= 0.999 * common, band
        own = np.sqrt(np.maximum(err**2 - common**2, 0.0))
        # light of neighbours, and the flat, are known to a thousandth
        pulls.append((miss - np.median(miss)) / np.hypot(own, 0.001))
    pull = np.abs(np.concatenate(pulls))
    # 1 if errors are true, and of some 130 magnitudes known to 0.07: the interval is three times
    # that. Galaxies, which are near some, are no neighbours in the truth
    assert len(pull) >= 110
    assert 0.8 < 1.4826 * np.median(pull) < 1.2
    assert CombinedList.get(field="field").bands == "B V"


def test_constant_stars_are_constant_and_a_light_curve_is_one_query(truth: Truth) -> None:
    rows, _ = ask(
        "SELECT n_epochs, chi2, flag, associate_list_id, association, mag FROM archive.variables "
        "WHERE filter = 'V' ORDER BY mag"
    )
    table = np.array(rows, dtype=float)
    often = table[table[:, 0] == 4]
    assert len(often) > 60
    # the median of chi-square with 3 degrees of freedom is 2.37, over 3 it is 0.79
    assert 0.55 < np.median(often[:, 1]) < 1.05
    varies = (often[:, 2].astype(int) & VariableFlag.VARIABLE) != 0
    # three of 130 have a neighbour whose light comes and goes with the seeing
    assert varies.mean() <= 0.03
    star = often[0]
    points, _ = ask(
        "SELECT l.mjd, l.mag, l.mag_err, s.flux, s.filter FROM archive.light_curves AS l "
        "JOIN archive.sources AS s ON s.object_id = l.source_list_id AND s.source_id = l.source_id"
        f" WHERE l.associate_list_id = {star[3]:.0f} AND l.association = {star[4]:.0f}"
        " AND l.filter = 'V' ORDER BY l.mjd"
    )
    assert len(points) == 4
    assert {point[4] for point in points} == {"V"}
    assert np.mean([point[1] for point in points]) == pytest.approx(star[5], abs=0.01)
    assert VariabilityFrame.get(field="field", filter="V").median_chi2 < 2.0


def test_a_rejected_frame_leaves_the_light_curves_and_a_remade_list_keeps_its_place(
    truth: Truth,
) -> None:
    before = LightCurveList.get(field="field", filter="V")
    raw = SourceList.get(raw=before.source_lists[0].raw.name).raw
    edit(Archive.current(), raw.object_id, "is_valid", 0, why="clouds")
    _, remade = ask("SELECT mjd FROM archive.light_curves WHERE filter = 'V'")
    assert remade >= 2
    after = LightCurveList.get(field="field", filter="V")
    assert (len(before.source_lists), len(after.source_lists)) == (4, 3)
    edit(Archive.current(), raw.object_id, "is_valid", 1, why="no clouds")
    rows, _ = ask("SELECT association FROM archive.light_curves WHERE filter = 'V'")
    assert len(rows) == len(before.rows)
    with Archive.current().snapshot(Scope(classes=frozenset()), timeout_s=60.0) as answering:
        cursor = answering.connection.cursor()
        cursor.execute(
            "SELECT count(*) FROM archive.associates a JOIN archive.sources s "
            "ON s.object_id = a.source_list_id AND s.source_id = a.source_id"
        )
        assert cursor.fetchone()[0] == AssociateList.get(field="field").n_sources


def test_a_stored_collection_is_stale_when_its_lists_are_and_can_be_brought_up_to_date(
    truth: Truth,
) -> None:
    lists = [
        SourceList.get(raw=one.raw.name) for one in AssociateList.get(field="field").source_lists
    ]
    bright = SourceCollection.of(*lists).filter("mag < 17").calculate("snr", "flux / flux_err")
    assert bright.store("bright", "snr").is_current
    query = "SELECT is_current FROM archive.collections WHERE collection = 'bright'"
    assert ask(query)[0] == [(1,)]
    flat = TwilightFlatFrame.get(filter="V").raw_twilight_flats[0]
    edit(Archive.current(), flat.object_id, "is_valid", 0, why="clouds")
    ask("SELECT COUNT(*) AS n FROM archive.sources")
    assert not bright.is_current
    assert ask(query)[0] == [(0,)]
    new = SourceCollection.load("bright").refreshed()
    assert new.is_current
    assert new.key != bright.key
    assert not new.pulled("snr").reused
    assert len(bright.pulled("snr").reused) == 1
    edit(Archive.current(), flat.object_id, "is_valid", 1, why="no clouds")


def test_products_of_fields_can_be_looked_at(truth: Truth) -> None:
    for cls, words in (
        (AssociateList, {}),
        (CombinedList, {}),
        (DetectionFrame, {}),
        (CoaddedSourceList, {"filter": "V"}),
        (LightCurveList, {"filter": "V"}),
        (VariabilityFrame, {"filter": "V"}),
    ):
        assert cls.get(field="field", **words).inspect().get_axes()
