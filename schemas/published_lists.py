"""Published tables of associations, combined sources and light curves, column by column."""

from __future__ import annotations

__all__ = ["LIST_TABLES"]

from dataclasses import replace
from typing import Final

from schemas.columns import Column, ForeignKey, Table
from schemas.list_tables import BAND_COLUMNS

_TO_PRODUCT: Final = "archive.products"

_OBJECT: Final = Column(
    "object_id",
    "long",
    ucd="meta.id",
    description="number of the object in the archive",
    indexed=True,
)
_LIST: Final = Column(
    "associate_list_id",
    "long",
    ucd="meta.id.assoc",
    description="the association list (its object_id); with association it names a star",
    principal=True,
    indexed=True,
)
_ASSOCIATION: Final = Column(
    "association",
    "int",
    ucd="meta.id.assoc",
    description="number of the association in its list",
    principal=True,
)
_SOURCE_LIST: Final = Column(
    "source_list_id",
    "long",
    ucd="meta.id.parent",
    description="the source list (object_id in archive.sources)",
    indexed=True,
)
_SOURCE: Final = Column(
    "source_id",
    "long",
    ucd="meta.id",
    description="the source (source_id in archive.sources)",
    principal=True,
)
_FIELD: Final = Column(
    "field", "char", "*", ucd="meta.id;obs.field", description="field that it belongs to"
)
_FILTER: Final = Column(
    "filter", "char", "*", ucd="meta.id;instr.filter", description="standard band"
)
#: Words that UCDs have for bands which they do not name.
_UCD: Final = {"g": "B", "z": "I", "VT": "V"}
_FLAG: Final = Column(
    "flag", "int", ucd="meta.code.qual", description="what to mind about it; 0: nothing"
)
_RA: Final = Column(
    "ra",
    "double",
    unit="deg",
    ucd="pos.eq.ra;meta.main",
    description="right ascension (ICRS)",
    principal=True,
    indexed=True,
)
_DEC: Final = replace(
    _RA, name="dec", ucd="pos.eq.dec;meta.main", description="declination (ICRS)"
)


def _real(name: str, unit: str, ucd: str, description: str) -> Column:
    return Column(name, "float", unit=unit, ucd=ucd, description=description)


def _count(name: str, description: str) -> Column:
    return Column(name, "int", ucd="meta.number", description=description)


def _product_of(column: str) -> ForeignKey:
    return ForeignKey(_TO_PRODUCT, ((column, "object_id"),), "the product")


def _magnitude(band: str, name: str) -> Column:
    ucd = f"phot.mag;em.opt.{_UCD.get(band, band.upper())}"
    return replace(_real(name, "mag", ucd, f"{band} magnitude"), principal=band in ("B", "V"))


_MAG: Final = replace(_real("mag", "mag", "phot.mag", "magnitude"), principal=True)
_MAG_ERR: Final = _real("mag_err", "mag", "stat.error;phot.mag", "its error")

ASSOCIATES: Final = Table(
    "archive",
    "associates",
    (
        _LIST,
        _ASSOCIATION,
        _SOURCE_LIST,
        _SOURCE,
        _real("separation", "arcsec", "pos.angDistance", "from the association's mean position"),
        _FLAG,
        _FIELD,
    ),
    "Which sources of the lists of a field are the same star, one row for each source",
    kind="view",
    index=2,
    keys=(_product_of("associate_list_id"),),
    freshness=("AssociateList",),
)

COMBINED_SOURCES: Final = Table(
    "archive",
    "combined_sources",
    (
        _OBJECT,
        _LIST,
        _ASSOCIATION,
        _RA,
        _DEC,
        _real("pos_err", "deg", "stat.error;pos.eq", "position error, one axis"),
        _count("n_sources", "sources that were combined"),
        *(
            column
            for band, name in BAND_COLUMNS.items()
            for column in (
                replace(
                    _real(
                        name,
                        "mag",
                        f"phot.mag;em.opt.{_UCD.get(band, band.upper())}",
                        f"{band} magnitude",
                    ),
                    principal=name in ("mag_b", "mag_v"),
                ),
                _real(f"{name}_err", "mag", "stat.error;phot.mag", f"error of {name}"),
            )
        ),
        Column("flags", "int", ucd="meta.code.qual", description="flags of all its sources"),
        _FIELD,
    ),
    "Stars of a field, one row for all that was seen of each on any frame",
    kind="view",
    index=3,
    keys=(_product_of("object_id"),),
    freshness=("CombinedList",),
    position=("ra", "dec"),
)

LIGHT_CURVES: Final = Table(
    "archive",
    "light_curves",
    (
        _OBJECT,
        _LIST,
        replace(_ASSOCIATION, indexed=True),
        Column(
            "mjd",
            "double",
            unit="d",
            ucd="time.epoch",
            description="mid-exposure, MJD UTC",
            principal=True,
        ),
        replace(_MAG, description="magnitude, freed from what all stars of its frame share"),
        _MAG_ERR,
        _FLAG,
        _SOURCE_LIST,
        _SOURCE,
        _FILTER,
        _FIELD,
    ),
    "Light curves of the stars of a field, one row for each magnitude",
    kind="view",
    index=4,
    keys=(_product_of("object_id"),),
    freshness=("LightCurveList",),
)

VARIABLES: Final = Table(
    "archive",
    "variables",
    (
        _OBJECT,
        _LIST,
        _ASSOCIATION,
        _RA,
        _DEC,
        _count("n_epochs", "magnitudes of the light curve"),
        replace(_MAG, description="weighted mean magnitude"),
        _MAG_ERR,
        _real("mag_median", "mag", "phot.mag;stat.median", "median magnitude"),
        _real("rms", "mag", "stat.stdev;phot.mag", "standard deviation"),
        _real("mad", "mag", "stat.stdev;phot.mag", "median absolute deviation, times 1.4826"),
        _real("chi2", "", "stat.fit.chi2", "chi-square of a constant, over degrees of freedom"),
        _real("amplitude", "mag", "src.var.amplitude", "from the 5th to the 95th percentile"),
        _real("stetson", "", "src.var.index", "Stetson's J of consecutive magnitudes"),
        replace(_FLAG, description="1 varies, 2 from epoch to epoch alike, 4 served as constant"),
        _FILTER,
        _FIELD,
    ),
    "How much the stars of a field vary, one row for each light curve",
    kind="view",
    index=5,
    keys=(_product_of("object_id"),),
    freshness=("VariabilityFrame",),
    position=("ra", "dec"),
)

LIST_TABLES: Final = (ASSOCIATES, COMBINED_SOURCES, LIGHT_CURVES, VARIABLES)
