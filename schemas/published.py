"""The tables that every installation publishes, column by column."""

from __future__ import annotations

__all__ = ["COMMON_COLUMNS", "FIELD_COLUMN", "FIXED_SCHEMAS"]

from dataclasses import replace
from typing import Final

from schemas.columns import Column, ForeignKey, Schema, Table
from schemas.obscore import OBSCORE
from schemas.published_collections import COLLECTION_TABLES
from schemas.published_lists import LIST_TABLES
from schemas.tap_schema import TAP_SCHEMA


def _text(name: str, ucd: str, description: str, **flags: bool) -> Column:
    return Column(name, "char", "*", ucd=ucd, description=description, **flags)  # type: ignore[arg-type]  # only the flags


def _words(name: str, ucd: str, description: str, **flags: bool) -> Column:
    """A text that people or files write, in any letters: readers take ``char`` for ASCII."""
    return Column(name, "unicodeChar", "*", ucd=ucd, description=description, **flags)  # type: ignore[arg-type]  # only the flags


def _number(
    name: str, datatype: str, unit: str, ucd: str, description: str, **flags: bool
) -> Column:
    return Column(name, datatype, unit=unit, ucd=ucd, description=description, **flags)  # type: ignore[arg-type]  # only the flags


_OBJECT = _number(
    "object_id",
    "long",
    "",
    "meta.id",
    "number of the object in the archive",
    principal=True,
    indexed=True,
)
_INSTRUMENT = _text("instrument", "meta.id;instr", "camera", principal=True)
_CHIP = _text("chip", "meta.id;instr.det", "CCD")
_FILTER = _text("filter", "meta.id;instr.filter", "filter, empty where none applies")
_NIGHT = _text("night", "time.epoch", "date on which the night began, local noon to noon")
_VALID = _number(
    "is_valid", "short", "", "meta.code.qual", "0 rejected by a person, 1 valid, 2 proposed"
)
_FLAGS = _number("quality_flags", "int", "", "meta.code.qual", "bits set by verify; 0: no problem")
_START = _number("timestamp_start", "double", "d", "time.start", "begin of validity, MJD UTC")
_END = _number("timestamp_end", "double", "d", "time.end", "end of validity, MJD UTC")
_RECIPE = _text("recipe_version", "meta.version", "version of the recipe")


def _time(name: str, ucd: str, description: str) -> Column:
    return Column(name, "char", "*", "timestamp", ucd=ucd, description=description)


COMMON_COLUMNS: Final = (
    _OBJECT,
    replace(_INSTRUMENT, indexed=True),
    _CHIP,
    _FILTER,
    _NIGHT,
    _number("moment", "double", "d", "time.epoch", "moment of observation, MJD UTC"),
    _time("creation_date", "time.creation", "when it was made, UTC"),
    _VALID,
    _FLAGS,
    _START,
    _END,
    _RECIPE,
)

FIELD_COLUMN: Final = _text("field", "meta.id;obs.field", "field that it belongs to")

_TO_PRODUCT = ForeignKey("archive.products", (("object_id", "object_id"),), "the product")

PRODUCTS: Final = Table(
    "archive",
    "products",
    (
        _OBJECT,
        _text(
            "class_name", "meta.code.class", "class of the object", principal=True, indexed=True
        ),
        _INSTRUMENT,
        _CHIP,
        _FILTER,
        _NIGHT,
        _time("creation_date", "time.creation", "when it was ingested or made, UTC"),
        _words("creator", "meta.id.PI", "who made it"),
        _VALID,
        _FLAGS,
        _number(
            "compare_flags",
            "int",
            "",
            "meta.code.qual",
            "bits that only the comparison with before sets",
        ),
        _START,
        _END,
        _RECIPE,
        _words("process_params", "meta.code", "process parameters, JSON"),
        _text(
            "key", "meta.id", "SHA-256 of class, recipe, parameters and progenitors", indexed=True
        ),
        _text("content_hash", "meta.checksum", "SHA-256 of what it contains"),
        _text("file_sha256", "meta.checksum;meta.file", "SHA-256 of its file", indexed=True),
        _number("file_size", "long", "byte", "phys.size;meta.file", "size of its file"),
        _number("is_current", "int", "", "meta.code", "1 if the archive answers with it, else 0"),
    ),
    "Every raw frame and every product ever made, the superseded ones included",
    kind="view",
    index=20,
)

LINEAGE: Final = Table(
    "archive",
    "lineage",
    (
        _OBJECT,
        _text("role", "meta.code", "input that the progenitor filled"),
        _number("position", "int", "", "meta.number", "number in an input of many, from 0"),
        _number(
            "progenitor_id", "long", "", "meta.id.parent", "object it was made from", indexed=True
        ),
        _text(
            "progenitor_class",
            "meta.code.class",
            "class of the progenitor",
            indexed=True,
        ),
    ),
    "What each product was made from, one step back",
    kind="view",
    index=21,
    keys=(_TO_PRODUCT,),
)

ANCESTORS: Final = Table(
    "archive",
    "ancestors",
    (
        _OBJECT,
        _text("role", "meta.code", "input through which the ancestor came in"),
        _number("ancestor_id", "long", "", "meta.id.parent", "object somewhere behind it"),
        _text("ancestor_class", "meta.code.class", "class of the ancestor"),
        _number("depth", "int", "", "meta.number", "steps back, the shortest way"),
    ),
    "Everything behind an object down to the raw frames; ask with object_id = ...",
    kind="view",
    index=22,
    keys=(_TO_PRODUCT,),
)

DESCENDANTS: Final = Table(
    "archive",
    "descendants",
    (
        _OBJECT,
        _number("descendant_id", "long", "", "meta.id", "object derived from it"),
        _text("descendant_class", "meta.code.class", "class of the descendant"),
        _number("depth", "int", "", "meta.number", "steps forward, the shortest way"),
    ),
    "Everything derived from an object; ask with object_id = ...",
    kind="view",
    index=23,
    keys=(_TO_PRODUCT,),
)

FIELDS: Final = Table(
    "archive",
    "fields",
    (
        _text(
            "field",
            "meta.id;obs.field;meta.main",
            "name of the field",
            principal=True,
            indexed=True,
        ),
        _number("ra", "double", "deg", "pos.eq.ra;meta.main", "centre (ICRS)", principal=True),
        _number("dec", "double", "deg", "pos.eq.dec;meta.main", "centre (ICRS)", principal=True),
        _number("radius", "double", "deg", "phys.angSize;obs.field", "of its circle"),
        _number("pixel_scale", "double", "arcsec", "pos.wcs.scale", "of its grid"),
        _INSTRUMENT,
        _words("process_params", "meta.code", "its own process parameters by class, JSON"),
        _number("is_valid", "short", "", "meta.code.qual", "0 closed, 1 open"),
        _time("created", "time.creation", "when it was declared, UTC"),
    ),
    "Parts of the sky whose frames, of all nights and cameras, are reduced together",
    kind="view",
    index=23,
    position=("ra", "dec"),
)

TARGETS: Final = Table(
    "archive",
    "targets",
    (
        _number(
            "target_id",
            "long",
            "",
            "meta.id",
            "number of the target",
            principal=True,
            indexed=True,
        ),
        _text(
            "class_name", "meta.code.class", "class of the target", principal=True, indexed=True
        ),
        _INSTRUMENT,
        _CHIP,
        _FILTER,
        _NIGHT,
        _number(
            "raw_object_id", "long", "", "meta.id.parent", "raw frame it belongs to", indexed=True
        ),
        _text(
            "state",
            "meta.code.status",
            "missing, suspect, fresh, or failed (cannot be made)",
            principal=True,
        ),
        _words("reasons", "meta.note", "why it cannot be made, JSON"),
        _number(
            "object_id", "long", "", "meta.id", "product the archive answers with", indexed=True
        ),
        _text(
            "obs_publisher_did",
            "meta.ref.ivoid",
            "dataset identifier, published images only",
            indexed=True,
        ),
        _number("validity_start", "double", "d", "time.start", "begin of validity, MJD UTC"),
        _number("validity_end", "double", "d", "time.end", "end of validity, MJD UTC"),
        replace(FIELD_COLUMN, indexed=True),
    ),
    "What the archive can make, and whether what it has is still right",
    kind="view",
    index=24,
    keys=(_TO_PRODUCT,),
)

PUBLICATIONS: Final = Table(
    "archive",
    "publications",
    (
        _number(
            "publication_id", "long", "", "meta.id", "number of the publication", indexed=True
        ),
        _OBJECT,
        _text("class_name", "meta.code.class", "class of the object", indexed=True),
        _number(
            "target_id", "long", "", "meta.id", "target that it is a version of", indexed=True
        ),
        _time("published_from", "time.start", "since when the archive answered with it, UTC"),
        _time("published_to", "time.end", "until when, UTC; no value: it still does"),
        _words("reasons", "meta.note", "why it was made, JSON"),
    ),
    "Which product the archive answered with at which time, and why it was made",
    kind="view",
    index=26,
    keys=(_TO_PRODUCT,),
)

EDITS: Final = Table(
    "archive",
    "edits",
    (
        _number("edit_id", "long", "", "meta.id", "number of the edit", indexed=True),
        _OBJECT,
        _text("subject", "meta.code.class", "class of what was edited"),
        _text("field", "meta.code", "what was changed"),
        _words("value_before", "meta.note", "value before"),
        _words("value_after", "meta.note", "value after"),
        _words("who", "meta.id", "person"),
        _words("why", "meta.note", "reason given"),
        _time("edit_time", "time.epoch", "when, UTC"),
    ),
    "Every change that a person made to what may be changed",
    kind="view",
    index=25,
    keys=(_TO_PRODUCT,),
)

FLAGS: Final = Table(
    "archive",
    "flags",
    (
        _text("class_name", "meta.code.class", "class of the products", principal=True),
        _number("flag", "int", "", "meta.code.qual", "power of 2", principal=True),
        _text("name", "meta.id", "name of the flag", principal=True),
        _text("description", "meta.note", "what was found, and what it was compared with"),
    ),
    "What each bit of quality_flags and compare_flags means; set where 1 = MOD(flags / flag, 2)",
    kind="view",
    index=27,
)

SCRIPTS: Final = Table(
    "archive",
    "scripts",
    (
        _text(
            "sha256",
            "meta.checksum",
            "SHA-256 of its text, in recipe_version of its products",
            principal=True,
            indexed=True,
        ),
        _words("name", "meta.id;meta.file", "name of its file", principal=True),
        _words("declares", "meta.code.class", "classes and steps that it declares, JSON"),
        _number("allowed", "int", "", "meta.code", "1 if an operator lets it run, else 0"),
        _words("who", "meta.id", "person who added it"),
        _words("why", "meta.note", "reason given"),
        _time("added", "time.creation", "when it was added, UTC"),
    ),
    "Users' own code that products were made by",
    kind="view",
    index=28,
)

RAW_FRAMES: Final = Table(
    "archive",
    "raw_frames",
    (
        _OBJECT,
        _text("class_name", "meta.code.class", "class of the frame", principal=True, indexed=True),
        _INSTRUMENT,
        _CHIP,
        _FILTER,
        _NIGHT,
        _words("file_name", "meta.id;meta.file", "name of the raw file", principal=True),
        _text("object", "meta.id;src", "target as the observer named it"),
        _number("exptime", "double", "s", "time.duration;obs.exposure", "exposure time"),
        _number("mjd_obs", "double", "d", "time.start;obs.exposure", "start of exposure, UTC"),
        _number("ra", "double", "deg", "pos.eq.ra", "pointing (ICRS)"),
        _number("dec", "double", "deg", "pos.eq.dec", "pointing (ICRS)"),
        _number("airmass", "double", "", "obs.airMass", "airmass at mid-exposure"),
        _VALID,
        _text("file_sha256", "meta.checksum;meta.file", "SHA-256 of the file", indexed=True),
        _FLAGS,
        _number("level", "double", "adu", "phot.count;stat.median", "median of the pixels"),
        _number("scatter", "double", "adu", "stat.stdev", "their scatter without outliers"),
        _number(
            "flatness", "double", "adu", "phot.count;arith.diff", "spread of 32 parts' medians"
        ),
        _number(
            "saturated",
            "double",
            "",
            "meta.number;arith.ratio;instr.saturation",
            "part of the pixels that is saturated",
        ),
    ),
    "Raw CCD frames as the telescopes wrote them",
    kind="view",
    index=10,
    keys=(_TO_PRODUCT,),
)

SOURCES: Final = Table(
    "archive",
    "sources",
    (
        _number("source_id", "long", "", "meta.id;meta.main", "number of the row", principal=True),
        _OBJECT,
        _text(
            "obs_publisher_did", "meta.ref.ivoid", "image the source was found on", indexed=True
        ),
        _number(
            "ra",
            "double",
            "deg",
            "pos.eq.ra;meta.main",
            "right ascension (ICRS)",
            principal=True,
            indexed=True,
        ),
        _number(
            "dec",
            "double",
            "deg",
            "pos.eq.dec;meta.main",
            "declination (ICRS)",
            principal=True,
            indexed=True,
        ),
        _number("pos_err", "float", "deg", "stat.error;pos.eq", "position error, one axis"),
        _number("mag", "float", "mag", "phot.mag", "magnitude", principal=True),
        _number(
            "mag_err", "float", "mag", "stat.error;phot.mag", "error of mag, without zero point's"
        ),
        _number(
            "flux", "float", "adu/s", "phot.count", "flux; on coadds scaled to its zero point"
        ),
        _number("flux_err", "float", "adu/s", "stat.error;phot.count", "error of flux"),
        _number("x", "float", "pixel", "pos.cartesian.x;instr.det", "pixel, 0-based"),
        _number("y", "float", "pixel", "pos.cartesian.y;instr.det", "pixel, 0-based"),
        _number("fwhm", "float", "pixel", "instr.obsty.seeing", "full width at half maximum"),
        _number("elongation", "float", "", "src.morph.param", "major to minor axis"),
        _number(
            "flags",
            "int",
            "",
            "meta.code.qual",
            "bits: 1 neighbours' light in the aperture, 2 at the edge, 4 saturated, 8 bad pixels "
            "in the aperture, 16 place is the barycentre, 32 a flux is missing; 0: no problem",
        ),
        _FILTER,
        _text("instrument_name", "meta.id;instr", "camera"),
        _CHIP,
        _number("t_mid", "double", "d", "time.epoch", "mid-exposure, MJD UTC"),
        _number("flux_psf", "float", "adu/s", "phot.count", "flux by the point spread function"),
        _number("flux_psf_err", "float", "adu/s", "stat.error;phot.count", "error of flux_psf"),
        _number("mag_psf", "float", "mag", "phot.mag", "magnitude of flux_psf: best for stars"),
        _number(
            "mag_psf_err", "float", "mag", "stat.error;phot.mag", "its error, without zero point's"
        ),
        _number(
            "spread", "float", "", "src.morph.param", "0 for stars, positive for extended sources"
        ),
        _number(
            "source_number",
            "int",
            "",
            "meta.number",
            "number on its image; on the coadds of a field the same in all bands",
        ),
        _text(
            "field",
            "meta.id;obs.field",
            "field of its coadd, no value for single frames",
            indexed=True,
        ),
    ),
    "Sources on all published images, one row for each detection",
    kind="view",
    index=1,
    keys=(_TO_PRODUCT,),
    freshness=("SourceList", "CoaddedSourceList"),
    position=("ra", "dec"),
)

REFERENCE_STARS: Final = Table(
    "archive",
    "reference_stars",
    (
        _OBJECT,
        _words("catalogue", "meta.id;meta.dataset", "reference catalogue"),
        _words("name", "meta.id;meta.main", "name of the star"),
        _number(
            "ra", "double", "deg", "pos.eq.ra;meta.main", "right ascension (ICRS)", indexed=True
        ),
        _number(
            "dec", "double", "deg", "pos.eq.dec;meta.main", "declination (ICRS)", indexed=True
        ),
        *(
            _number(f"mag_{b.lower()}", "float", "mag", f"phot.mag;em.opt.{b}", f"{b} magnitude")
            for b in ("B", "V", "R", "I")
        ),
    ),
    "Stars that positions and zero points are tied to",
    kind="view",
    index=11,
    keys=(_TO_PRODUCT,),
    position=("ra", "dec"),
)

FIXED_SCHEMAS: Final = (
    Schema(
        "archive",
        (
            SOURCES,
            *LIST_TABLES,
            RAW_FRAMES,
            REFERENCE_STARS,
            PRODUCTS,
            LINEAGE,
            ANCESTORS,
            DESCENDANTS,
            FIELDS,
            TARGETS,
            PUBLICATIONS,
            EDITS,
            FLAGS,
            SCRIPTS,
            *COLLECTION_TABLES,
        ),
        "Sources, products, their lineage and their freshness",
        index=2,
    ),
    Schema("ivoa", (OBSCORE,), "Published images (ObsCore-1.1)", index=1),
    TAP_SCHEMA,
)
