"""DataLink-1.1: what belongs to a dataset, and how to call the services that work on it."""

from __future__ import annotations

__all__ = [
    "COLUMNS",
    "PARAMS",
    "PATH",
    "STANDARD_ID",
    "VERSION",
    "links_descriptor",
    "run",
    "soda_descriptor",
]

from typing import TYPE_CHECKING, Any, Final

from reduction.datasets import raw_frames_behind
from schemas.columns import Column
from schemas.dali import Info, InputParam, Param, ServiceDescriptor, TableResult
from schemas.errors import NotFoundError, ReductionError, VOError
from schemas.params import ASOF, FRESH, RESPONSEFORMAT, RUNID
from schemas.values import print_number
from sia import soda
from sia.protocol import snapshot
from sia.regions import Cap, to_vectors
from sia.resolve import canonical, find, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reduction.archive import Archive
    from schemas.dali import Params
    from sia.resolve import Coverage

STANDARD_ID: Final = "ivo://ivoa.net/std/DataLink#links-1.1"
VERSION: Final = "1.1"
PATH: Final = "/datalink/links"
MEDIA_TYPE: Final = "application/x-votable+xml;content=datalink"
MOST_IDS: Final = 1000
"""Identifiers that one request answers; the rest is said to have overflowed."""
MOST_PROGENITORS: Final = 200
"""Raw frames that are linked for one image; ``archive.lineage`` has all of a larger coadd."""

_FITS: Final = soda.MEDIA_TYPE


def _text(name: str, ucd: str, description: str) -> Column:
    return Column(name, "char", "*", ucd=ucd, description=description)


COLUMNS: Final = (
    _text("ID", "meta.id;meta.main", "Identifier as the request has it"),
    _text("access_url", "meta.ref.url", "Address of a file or service"),
    _text("service_def", "meta.ref", "XML ID of the service descriptor to call"),
    _text("error_message", "meta.code.error", "Why there is no link"),
    _text("description", "meta.note", "What the link gives"),
    _text("semantics", "meta.code", "What the link is to the dataset"),
    _text("content_type", "meta.code.mime", "MIME type of what the link gives"),
    Column(
        "content_length",
        "long",
        unit="byte",
        ucd="phys.size;meta.file",
        description="Bytes that the link gives",
    ),
    _text("content_qualifier", "", "Kind of dataset that the link gives"),
    _text("local_semantics", "meta.id.assoc", "Same word for the same link of every dataset"),
)
"""Columns of an answer.

Notes
-----
Standard: DataLink-1.1 3.2.
"""

PARAMS: Final = (
    Param(
        "ID",
        str.strip,
        ucd="meta.id;meta.main",
        description="Publisher's identifier of a dataset (obs_publisher_did)",
        multiple=True,
    ),
    RESPONSEFORMAT,
    RUNID,
    FRESH,
    ASOF,
)
"""Parameters (DataLink-1.1 2.1); FRESH and ASOF are ours."""


def run(params: Params, archive: Archive) -> TableResult:
    """List the links of datasets; they are made fresh before, each failing for itself.

    Parameters
    ----------
    params
        Values of :data:`PARAMS`.
    archive
        Makes the datasets fresh, and opens the snapshot.

    Returns
    -------
    TableResult
        The rows of one identifier follow each other; an identifier that cannot be resolved has
        one row that says why.

    Raises
    ------
    TransientError
        If the database is too busy to answer at all.

    Notes
    -----
    Standard: DataLink-1.1 3; without ID an empty table with the descriptors.
    """
    asked = list(dict.fromkeys(params["ID"]))
    known = {text: canonical(text, archive.dataset_id("")) for text in asked[:MOST_IDS]}
    files = f"{archive.settings.web.url}/files/"
    rows: list[tuple[Any, ...]] = []
    infos: tuple[Info, ...] = (Info("standardID", STANDARD_ID),)
    descriptors = []
    with snapshot(archive, scope_of(archive, known.values()), params) as answering:
        infos += answering.report.infos()
        for number, (text, dataset_id) in enumerate(known.items(), start=1):
            try:
                dataset, covered = find(archive, answering, dataset_id)
            except (NotFoundError, ReductionError) as error:
                rows.append(_fault(text, error))
                continue
            descriptor = soda_descriptor(covered, name=f"soda{number}")
            descriptors.append(descriptor)
            raw = raw_frames_behind(answering.connection, dataset, most=MOST_PROGENITORS)
            urls = [f"{files}{number}" for number in (dataset.product_id, *raw)]
            rows += _links(text, covered, descriptor, urls)
    if not descriptors:
        descriptors.append(soda_descriptor())
    return TableResult(
        COLUMNS,
        iter([rows] if rows else []),
        infos,
        tuple(descriptors),
        overflowed=lambda: len(asked) > MOST_IDS,
        overflow=f"links of the first {MOST_IDS} identifiers, the most of one request: ask for "
        "the others in another one",
    )


def _fault(text: str, error: VOError) -> tuple[Any, ...]:
    message = f"{error.fault}: {error}"
    return (text, None, None, message, None, "#this", None, None, None, None)


def _links(
    text: str, covered: Coverage, descriptor: ServiceDescriptor, urls: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    what = covered.obs_title or "the image"
    yield (
        *(text, urls[0], None, None, f"{what}: the image"),
        *("#this", _FITS, None, "#image", "image"),
    )
    yield (
        *(text, None, descriptor.name, None, f"{what}: part of the image around a region"),
        *("#cutout", _FITS, None, "#image", "cutout"),
    )
    for url in urls[1:]:
        yield (
            *(text, url, None, None, f"{what}: raw frame as the telescope wrote it"),
            *("#progenitor", _FITS, None, "#image", "raw"),
        )


def links_descriptor() -> ServiceDescriptor:
    """Describe the links service for answers with a column ``obs_publisher_did``."""
    return ServiceDescriptor(
        "links",
        PATH,
        STANDARD_ID,
        (InputParam(PARAMS[0], column="obs_publisher_did"),),
        description="What belongs to the dataset of a row: files and services",
        content_type=MEDIA_TYPE,
    )


def soda_descriptor(covered: Coverage | None = None, *, name: str = "soda") -> ServiceDescriptor:
    """Describe the cutout service.

    Parameters
    ----------
    covered
        The one dataset to describe it for, with the limits of what can be cut out (SODA-1.0 4.2);
        None for answers with a column ``obs_publisher_did``.
    name
        XML ID of the descriptor.
    """
    params = [param for param in soda.PARAMS if param.name not in {"RUNID", "ASOF"}]
    return ServiceDescriptor(
        name,
        soda.PATH,
        soda.STANDARD_ID,
        tuple(_input(param, covered) for param in params),
        description="Cuts a region of the sky out of the image",
        content_type=_FITS,
    )


def _input(param: Param, covered: Coverage | None) -> InputParam:
    if covered is None:
        return InputParam(param, column="obs_publisher_did" if param.name == "ID" else "")
    if param.name == "ID":
        return InputParam(param, value=covered.obs_publisher_did)
    low, high = {
        "BAND": (covered.em_min, covered.em_max),
        "TIME": (covered.t_min, covered.t_max),
    }.get(param.name, (None, None))
    if low is not None and high is not None:
        return InputParam(param, minimum=print_number(low), maximum=print_number(high))
    if param.name == "POL":
        return InputParam(param, options=("I",))
    return InputParam(param, maximum=_largest(param.name, covered.s_region))


def _largest(name: str, region: tuple[float, ...] | None) -> str:
    """``MAX`` of a shape: the circle around, or the polygon of, the dataset."""
    if region is None:
        return ""
    if name == "POLYGON":
        return " ".join(map(print_number, region))
    if name == "CIRCLE":
        return str(Cap.around(to_vectors(region[::2], region[1::2])).circle)
    return ""
