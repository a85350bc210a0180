"""An archive with published images all over the sky, in a real database and real files."""

from __future__ import annotations

import io
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from reduction.archive import Archive
from reduction.frame_writing import write_images
from reduction.operate import initialise
from schemas.dali import parse_params
from schemas.settings import Settings, StorageSettings, WebSettings
from schemas.tables import (
    File,
    Lineage,
    ObsCore,
    Product,
    Publication,
    Target,
    TargetState,
)
from tests.support.serving import served
from vo_service.supervise import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from schemas.dali import Param, Params
    from schemas.settings import DatabaseSettings

SHAPE = (300, 400)
SCALE = 1.0 / 3600


@dataclass(frozen=True)
class Image:
    """What the tests know of a published image."""

    name: str
    ra: float
    dec: float
    did: str = ""
    product_id: int = 0
    raw_id: int = 0


PLACES = (
    Image("plain", 10.0, 20.0),
    Image("beside", 10.2, 20.0),
    Image("wrap", 0.01, -5.0),
    Image("north", 77.0, 89.98),
    Image("pole", 123.0, -90.0),
    Image("far", 200.0, 45.0),
)


def wcs_of(ra: float, dec: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(SHAPE[1] + 1) / 2, (SHAPE[0] + 1) / 2]
    turn = math.radians(12)
    wcs.wcs.cd = SCALE * np.array(
        [[-math.cos(turn), math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def pixels_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(100, 5, SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def settings(database: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a service on the module's database, at a port of its own."""
    return Settings(
        database=database,
        storage=StorageSettings(root=tmp_path_factory.mktemp("files")),
        web=WebSettings(port=free_port("127.0.0.1"), workers=1),
    )


@pytest.fixture(scope="module")
def service(
    settings: Settings, images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Base URL of a server in front of the archive."""
    with served(settings, tmp_path_factory.mktemp("log") / "server.log") as url:
        yield url


@pytest.fixture(scope="module")
def archive(settings: Settings) -> Iterator[Archive]:
    """An archive of these tests' own database, empty."""
    started = Archive(settings)
    initialise(settings, started.registry)
    yield started
    started.close()


@pytest.fixture(scope="module")
def images(archive: Archive) -> dict[str, Image]:
    """The published images by name; all are fresh."""
    found = {}
    with archive.transaction() as session:
        for number, place in enumerate(PLACES, start=1):
            found[place.name] = _publish(archive, session, place, number)
    return found


def _publish(archive: Archive, session: Session, place: Image, number: int) -> Image:
    identity = f"CalibratedScienceFrame/nickel/1/{place.name}"
    did = archive.dataset_id(identity)
    moment = 60000.0 + number
    raw = _product(session, "RawScienceFrame", f"raw-{number}", moment=moment)
    target = Target(
        identity=identity,
        dataset_id=did,
        class_name="CalibratedScienceFrame",
        instrument="nickel",
        chip="1",
        filter="V",
        raw_id=raw.product_id,
        moment=moment,
        ra=place.ra,
        dec=place.dec,
        radius=0.08,
        state=TargetState.FRESH,
    )
    session.add(target)
    session.flush()
    with archive.storage.scratch(".fits") as path:
        header = {"OBJECT": (place.name, "object"), "PRODKEY": ("abc", "of the pixels")}
        images = {"IMAGE": pixels_of(number), "WEIGHT": np.ones(SHAPE, np.float32)}
        write_images(path, images, header)
        kept = archive.storage.keep(path, "product", ".fits")
    file = File(
        sha256=kept.sha256,
        size=kept.size,
        location=kept.location,
        name=f"{place.name}.fits",
        media_type="image/fits",
    )
    session.add(file)
    session.flush()
    pixels = _product(session, "ReducedScienceFrame", f"red-{number}", file_id=file.file_id)
    wcs = wcs_of(place.ra, place.dec)
    cards = {card.keyword: [card.value, card.comment] for card in wcs.to_header().cards}
    cards["MAGZERO"] = [22.7, "zero point"]
    product = _product(
        session,
        "CalibratedScienceFrame",
        f"cal-{number}",
        target_id=target.target_id,
        cards=cards,
        moment=moment,
    )
    session.add(
        Lineage(
            product_id=product.product_id,
            role="reduced",
            position=0,
            progenitor_id=pixels.product_id,
        )
    )
    session.add(Publication(target_id=target.target_id, product_id=product.product_id))
    target.product_id = product.product_id
    corners = wcs.calc_footprint(axes=(SHAPE[1], SHAPE[0]), center=False)
    session.add(
        ObsCore(
            product_id=product.product_id,
            obs_id=f"obs-{number}",
            obs_title=f"Nickel V {place.name}",
            calib_level=2,
            dataproduct_subtype="CalibratedScienceFrame",
            access_estsize=480,
            target_name=place.name,
            s_ra=place.ra,
            s_dec=place.dec,
            s_fov=SCALE * math.hypot(*SHAPE),
            s_region=[
                float(value % 360 if n % 2 == 0 else value)
                for n, value in enumerate(corners.ravel())
            ],
            s_resolution=None if place.name == "far" else 1.0 + number / 10,
            s_pixel_scale=1.0,
            s_xel1=SHAPE[1],
            s_xel2=SHAPE[0],
            t_min=moment,
            t_max=moment + 60 / 86400,
            t_exptime=60.0 * number,
            em_min=None if place.name == "far" else 5.07e-7,
            em_max=None if place.name == "far" else 5.95e-7,
            facility_name="Lick 1-m",
            instrument_name="nickel",
        )
    )
    session.flush()
    return Image(place.name, place.ra, place.dec, did, product.product_id, raw.product_id)


def _product(session: Session, class_name: str, key: str, **more) -> Product:
    product = Product(
        class_name=class_name,
        key=key,
        content_hash=key,
        recipe_version="1",
        process_params={},
        attributes={},
        instrument="nickel",
        chip="1",
        filter="V",
        **more,
    )
    session.add(product)
    session.flush()
    return product


def ask(declared: Sequence[Param], **values: str | Sequence[str]) -> Params:
    """Parameters of a request as they come over the wire."""
    pairs = [
        (name, text)
        for name, given in values.items()
        for text in ([given] if isinstance(given, str) else given)
    ]
    return parse_params(declared, pairs)


def table(result) -> list[dict]:
    """Rows of a result by column name; closes it."""
    names = [column.name for column in result.columns]
    with suppress(StopIteration):
        rows = [dict(zip(names, row, strict=True)) for block in result.rows for row in block]
    result.close()
    return rows


def fits_of(result) -> fits.HDUList:
    """The FITS file of a result; closes it."""

    document = b"".join(result.blocks)
    result.close()
    assert len(document) == result.length
    return fits.open(io.BytesIO(document), checksum=True)
