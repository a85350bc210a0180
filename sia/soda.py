"""SODA-1.0: a dataset, or the part of it that a region of the sky touches, as FITS."""

from __future__ import annotations

__all__ = ["PARAMS", "PATH", "STANDARD_ID", "VERSION", "image_file", "run"]

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from astropy.wcs import WCS

from reduction.damage import Held, see_unaltered
from reduction.freshness import Fresh
from reduction.instruments.base import Section
from reduction.objects import brought_back
from schemas.dali import FileResult, Param
from schemas.errors import MultiValuedParameterError, NotFoundError, UnreadableError
from schemas.params import ASOF, FRESH, RUNID
from schemas.values import Circle
from sia.cutout import Stamp, cutout_header, open_image, pixel_box, to_fits
from sia.protocol import interval, parse_polarization, snapshot
from sia.regions import parse_polygon, parse_region
from sia.resolve import canonical, find, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from astropy.io.fits import Header

    from reduction.archive import Archive
    from reduction.datasets import Dataset
    from schemas.dali import Info, Params
    from schemas.values import Shape
    from sia.resolve import Coverage

STANDARD_ID: Final = "ivo://ivoa.net/std/SODA#sync-1.0"
VERSION: Final = "1.0"
PATH: Final = "/soda/sync"
MEDIA_TYPE: Final = "image/fits"

_STENCILS: Final = ("POS", "CIRCLE", "POLYGON")
_HDU: Final = 1
_OF_PIXELS: Final = ("AWCLASS", "RECIPE", "PRODKEY")
_BLOCK: Final = 1 << 18

PARAMS: Final = (
    Param(
        "ID",
        str.strip,
        ucd="meta.ref.url;meta.curation",
        description="Publisher's identifier of the dataset (obs_publisher_did)",
        required=True,
    ),
    Param(
        "POS",
        parse_region,
        ucd="pos.outline;obs",
        description="Region to cut out: CIRCLE, RANGE or POLYGON and numbers in degrees, ICRS",
    ),
    Param(
        "CIRCLE",
        Circle.parse,
        datatype="double",
        arraysize="3",
        xtype="circle",
        unit="deg",
        ucd="pos.outline;obs",
        description="Circle to cut out: longitude, latitude and radius, ICRS",
    ),
    Param(
        "POLYGON",
        parse_polygon,
        datatype="double",
        xtype="polygon",
        unit="deg",
        ucd="pos.outline;obs",
        description="Polygon to cut out: longitude and latitude of each vertex, ICRS",
    ),
    interval(
        "BAND",
        "m",
        "em.wl;stat.interval",
        "Wavelengths wanted; an image that has some of them is given as it is",
    ),
    interval(
        "TIME",
        "d",
        "time.interval;obs.exposure",
        "MJD (UTC) wanted; an image that was exposed then is given as it is",
    ),
    Param(
        "POL",
        parse_polarization,
        ucd="meta.code;phys.polarization",
        description="Polarization states wanted; images here have the intensity I alone",
        multiple=True,
    ),
    Param(
        "RESPONSEFORMAT",
        lambda text: text.strip().lower(),
        default=MEDIA_TYPE,
        values=(MEDIA_TYPE, "application/fits", "fits"),
        description="Form of the answer; FITS is all there is",
    ),
    RUNID,
    FRESH,
    ASOF,
)
"""Only POL may be repeated.

Notes
-----
Standard: SODA-1.0 3, Table 3 for UCDs and units; FRESH and ASOF are ours.
"""


def run(params: Params, archive: Archive) -> FileResult:
    """Cut a region out of a dataset; the dataset is made fresh before.

    Parameters
    ----------
    params
        Values of :data:`PARAMS`.
    archive
        Makes the dataset fresh, and opens the snapshot.

    Returns
    -------
    FileResult
        The smallest rectangle of pixels that the region touches; the whole image where no region
        is given; nothing (length 0) where the region, wavelengths, times or polarization states
        have no pixel in the dataset.

    Raises
    ------
    MultiValuedParameterError
        If there is more than one region.
    NotFoundError
        If no published dataset has that identifier.
    ReductionError
        If the dataset cannot be made; says why.
    UnreadableError
        If the file of its pixels is lost or damaged, and may not (FRESH) or cannot be made again.
    TransientError
        If the dataset cannot be made in time.

    Notes
    -----
    Standard: SODA-1.0 3.1, 5.1.
    """
    region = _region(params)
    dataset_id = canonical(params["ID"], archive.dataset_id(""))
    with snapshot(archive, scope_of(archive, [dataset_id]), params) as answering:
        dataset, covered = find(archive, answering, dataset_id)
        infos = answering.report.infos()
    if not _overlaps(params, covered):
        return _nothing()
    make = Fresh(params["FRESH"]) is Fresh.MAKE
    return image_file(archive, dataset, infos, region, make=make)


def _region(params: Params) -> Shape | None:
    given = {name: params[name] for name in _STENCILS if params[name] is not None}
    if len(given) > 1:
        raise MultiValuedParameterError(", ".join(given), len(given))
    return next(iter(given.values()), None)


def _overlaps(params: Params, covered: Coverage) -> bool:
    """Whether the dataset has something of the wavelengths, times and states asked for."""
    bounds = {"BAND": (covered.em_min, covered.em_max), "TIME": (covered.t_min, covered.t_max)}
    for name, (low, high) in bounds.items():
        wanted = params[name]
        if wanted is None:
            continue
        if low is None or high is None or not wanted.overlaps(low, high):
            return False
    return not params["POL"] or "I" in params["POL"]


def _nothing() -> FileResult:
    return FileResult(MEDIA_TYPE, iter(()), length=0)


def image_file(
    archive: Archive,
    dataset: Dataset,
    infos: Iterable[Info] = (),
    region: Shape | None = None,
    *,
    make: bool = True,
) -> FileResult:
    """Give a dataset, or the part of it that a region touches, as a FITS file.

    Parameters
    ----------
    archive
        Makes the file of the pixels again where it is lost or damaged.
    dataset
        Which image.
    infos
        What was done for the answer; written as keywords.
    region
        What to cut out, None for the whole image.
    make
        Whether that may be done.

    Returns
    -------
    FileResult
        One image, float32, in the primary HDU; length 0 where the region touches no pixel. The
        same dataset, region and infos give the same bytes.

    Raises
    ------
    UnreadableError
        If the file of the pixels is lost or damaged, and may not or cannot be made again.
    NotMadeYetError
        If making it takes longer than a request may.
    """
    path, held = _sound(archive, dataset, make=make)
    with open_image(path, _HDU, held) as image:
        parent = _header(dataset, image.header())
        shape = (parent["NAXIS2"], parent["NAXIS1"])
        box: Section | None = Section.whole(shape)
        if region is not None:
            box = pixel_box(WCS(parent), shape, region)
        if box is None:
            return _nothing()
        pixels = image.pixels(box)
    see_unaltered(path, held)  # it was not written into meanwhile
    document = to_fits(pixels, cutout_header(parent, box, _stamps(dataset, infos)))
    blocks = (document[start : start + _BLOCK] for start in range(0, len(document), _BLOCK))
    kind = "image" if region is None else f"{box.x0 + 1}-{box.x1}-{box.y0 + 1}-{box.y1}"
    return FileResult(MEDIA_TYPE, blocks, f"{dataset.product_id}-{kind}.fits", len(document))


def _sound(archive: Archive, dataset: Dataset, *, make: bool) -> tuple[Path, Held]:
    """The file of an image's pixels as it was written, and what sentences call it.

    The database is asked for it where it is damaged only.
    """
    number = dataset.pixels_id
    held = Held(f"object {number}", brought_back(number, raw=False), number)
    with suppress(UnreadableError):
        see_unaltered(dataset.path, held)
        return dataset.path, held
    file = archive.mender.file(number, make=make)
    if file is None:
        message = f"the image {dataset.dataset_id} has no file"
        raise NotFoundError(message)
    return file.path, file.held


def _header(dataset: Dataset, header: Header) -> Header:
    """Header of the whole image: that of its pixels, and the dataset's own cards over it."""
    for keyword in _OF_PIXELS:
        header.remove(keyword, ignore_missing=True)
    for keyword, (value, comment) in dataset.cards.items():
        header[keyword] = (value, comment)
    return header


def _stamps(dataset: Dataset, infos: Iterable[Info]) -> list[Stamp]:
    stamps = [
        Stamp("PUBDID", dataset.dataset_id, "publisher's dataset identifier"),
        Stamp("OBJECTID", dataset.product_id, "archive.products: this image"),
        Stamp("PIXELSID", dataset.pixels_id, "archive.products: its pixels"),
    ]
    if dataset.raw_id is not None:
        stamps.append(Stamp("RAWID", dataset.raw_id, "archive.products: its raw frame"))
    return stamps + [Stamp(info.name, info.value, info.text) for info in infos]
