"""Positions and fluxes of the simulated mosaic's sources, recovered through the whole chain."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.scope import Scope
from reduction.simulation.config import SimulationConfig
from reduction.steps.wcs import TanWcs
from reduction.targets.astrometric import wcs_from_attributes
from tests.support.archives import simulated_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.simulation.truth import Truth
    from schemas.settings import DatabaseSettings

pytestmark = [pytest.mark.science, pytest.mark.slow]

CONFIG = SimulationConfig(chips=2, nights=("2025-03-01",), n_science=2)
ERROR_FLOOR_MAG = 0.01


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, database: DatabaseSettings) -> Iterator[Truth]:
    """A simulated night, ingested and made."""
    folder = tmp_path_factory.mktemp("mosaic")
    scope = Scope(classes=frozenset({"SourceList"}))
    with simulated_archive(database, folder, CONFIG) as made:
        with Archive.current().snapshot(scope, timeout_s=60.0) as answering:
            assert answering.report.failed == 0
        yield made


def made(class_name: str) -> list:
    archive = Archive.current()
    cls = archive.registry.classes[class_name]
    return list(cls.instrument.name == "simulated")


def found_sources(product: object, truth: Truth) -> dict[str, np.ndarray]:
    """Clean sources of a list, beside the stars and galaxies that they are."""
    with (
        Archive.current().snapshot(Scope(classes=frozenset()), timeout_s=60.0) as answering,
        answering.connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT ra, dec, pos_err, mag, mag_err, x, y FROM archive.sources "
            "WHERE object_id = %s AND flags = 0",
            (product.object_id,),
        )
        table = np.array(cursor.fetchall(), dtype=float)
    exposure = truth.exposures[product.raw.name]
    wcs = TanWcs.from_cards(exposure.wcs[product.chip.name])
    there = np.column_stack(wcs.to_pixel(truth.sky.ra, truth.sky.dec))
    distance = np.hypot(*(table[:, None, 5:7] - there).transpose(2, 0, 1))
    nearest = distance.argmin(axis=1)
    near = distance[np.arange(len(table)), nearest]
    flux = 10 ** (-0.4 * truth.sky.mags["V"])
    spill = np.array(
        [flux[(np.hypot(*(there - there[n]).T) < 24.0)].sum() / flux[n] - 1.0 for n in nearest]
    )
    return {
        "ra": table[:, 0],
        "dec": table[:, 1],
        "pos_err": table[:, 2],
        "mag": table[:, 3],
        "mag_err": table[:, 4],
        "true": nearest,
        "star": (near < 1.5) & ~truth.sky.galaxy[nearest],
        "spill": spill,
    }


def test_every_chip_is_solved_to_a_tenth_of_a_pixel(truth: Truth) -> None:
    solved = made("AstrometricParameters")
    assert len(solved) == CONFIG.chips * 2
    for product in solved:
        cards = truth.exposures[product.raw.name].wcs[product.chip.name]
        wcs = wcs_from_attributes(product._record.attributes)
        x, y = np.meshgrid([0.0, 127.5, 255.0], [0.0, 127.5, 255.0])
        back = TanWcs.from_cards(cards).to_pixel(*wcs.to_sky(x, y))
        # some 30 stars of 0.03 arcsec (0.14 pixel): 0.03 pixel in the middle, thrice in a corner
        assert np.hypot(back[0] - x, back[1] - y).max() < 0.25, product
        assert product.n_ref >= 10


def test_zero_point_is_recovered_within_its_error(truth: Truth) -> None:
    misses = []
    for product in made("PhotometricParameters"):
        expected = truth.chips[product.chip.name].zero_point["V"]
        error = np.hypot(product.zero_point_err, ERROR_FLOOR_MAG)
        misses.append(product.zero_point - expected)
        assert abs(misses[-1]) < 4.0 * error, product
    # some 20 stars of 0.02 mag on each frame: 0.005 mag
    assert np.sqrt(np.mean(np.square(misses))) < 0.01


def test_psf_magnitudes_are_better_than_those_of_the_aperture(truth: Truth) -> None:
    errors = {"mag": [], "mag_psf": []}
    for product in made("SourceList"):
        with (
            Archive.current().snapshot(Scope(classes=frozenset()), timeout_s=60.0) as answering,
            answering.connection.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT x, y, mag, mag_psf FROM archive.sources "
                "WHERE object_id = %s AND flags = 0 AND mag_psf_err < 0.1",
                (product.object_id,),
            )
            x, y, mag, mag_psf = np.array(cursor.fetchall(), dtype=float).T
        wcs = TanWcs.from_cards(truth.exposures[product.raw.name].wcs[product.chip.name])
        there = np.column_stack(wcs.to_pixel(truth.sky.ra, truth.sky.dec))
        distance = np.hypot(x[:, None] - there[:, 0], y[:, None] - there[:, 1])
        nearest = distance.argmin(axis=1)
        star = (distance.min(axis=1) < 1.5) & ~truth.sky.galaxy[nearest]
        expected = truth.sky.mags["V"][nearest[star]]
        errors["mag"].append(mag[star] - expected)
        errors["mag_psf"].append(mag_psf[star] - expected)
    spread = {kind: np.nanmedian(np.abs(np.concatenate(parts))) for kind, parts in errors.items()}
    assert spread["mag_psf"] < 0.7 * spread["mag"]


def test_positions_and_magnitudes_agree_within_the_stated_errors(truth: Truth) -> None:
    # the fit's error is common to a frame's sources, so that pulls are taken about zero
    pulls: dict[str, list[np.ndarray]] = {"ra": [], "dec": [], "mag": []}
    for product in made("SourceList"):
        found = found_sources(product, truth)
        alone = found["star"] & (found["spill"] < 0.01) & (found["mag_err"] < 0.1)
        assert alone.sum() >= 5
        true = found["true"][alone]
        dra = (found["ra"][alone] - truth.sky.ra[true]) * np.cos(np.radians(found["dec"][alone]))
        ddec = found["dec"][alone] - truth.sky.dec[true]
        dmag = found["mag"][alone] - truth.sky.mags["V"][true]
        pulls["ra"].append(dra / found["pos_err"][alone])
        pulls["dec"].append(ddec / found["pos_err"][alone])
        pulls["mag"].append(dmag / np.hypot(found["mag_err"][alone], ERROR_FLOOR_MAG))
    for name, parts in pulls.items():
        pull = np.abs(np.concatenate(parts))
        # 1 if errors are true. If half of the variance is common to each of the four frames, the
        # width is known to 0.2, of which the interval is two and a half: errors that are 1.8
        # times too small or too large are beyond it
        assert len(pull) > 30
        assert 0.55 < 1.4826 * np.median(pull) < 1.5, name
        assert np.percentile(pull, 90) < 1.5 * 1.645, name
