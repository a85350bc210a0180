"""Raw frames, sources and reference stars, as users query them."""

from __future__ import annotations

__all__ = ["RAW_FRAMES", "REFERENCE_STARS", "SOURCES"]

from typing import Final

from schemas.columns import Table
from schemas.published_columns import (
    CHIP,
    FILTER,
    INSTRUMENT,
    NIGHT,
    OBJECT,
    QUALITY,
    TO_PRODUCT,
    VALID,
    number,
    text,
    words,
)

RAW_FRAMES: Final = Table(
    "archive",
    "raw_frames",
    (
        OBJECT,
        text("class_name", "meta.code.class", "class of the frame", principal=True, indexed=True),
        INSTRUMENT,
        CHIP,
        FILTER,
        NIGHT,
        words("file_name", "meta.id;meta.file", "name of the raw file", principal=True),
        text("object", "meta.id;src", "target as the observer named it"),
        number("exptime", "double", "s", "time.duration;obs.exposure", "exposure time"),
        number("mjd_obs", "double", "d", "time.start;obs.exposure", "start of exposure, UTC"),
        number("ra", "double", "deg", "pos.eq.ra", "pointing (ICRS)"),
        number("dec", "double", "deg", "pos.eq.dec", "pointing (ICRS)"),
        number("airmass", "double", "", "obs.airMass", "airmass at mid-exposure"),
        VALID,
        text("file_sha256", "meta.checksum;meta.file", "SHA-256 of the file", indexed=True),
        QUALITY,
        number("level", "double", "adu", "phot.count;stat.median", "median of the pixels"),
        number("scatter", "double", "adu", "stat.stdev", "their scatter without outliers"),
        number(
            "flatness", "double", "adu", "phot.count;arith.diff", "spread of 32 parts' medians"
        ),
        number(
            "saturated",
            "double",
            "",
            "meta.number;arith.ratio;instr.saturation",
            "part of the pixels that is saturated",
        ),
        number("duplicate_of", "long", "", "meta.id", "object_id of the exposure's first frame"),
    ),
    "Raw CCD frames as the telescopes wrote them",
    kind="view",
    index=10,
    keys=(TO_PRODUCT,),
)

SOURCES: Final = Table(
    "archive",
    "sources",
    (
        number("source_id", "long", "", "meta.id;meta.main", "number of the row", principal=True),
        OBJECT,
        text("obs_publisher_did", "meta.ref.ivoid", "image the source was found on", indexed=True),
        number(
            "ra",
            "double",
            "deg",
            "pos.eq.ra;meta.main",
            "right ascension (ICRS)",
            principal=True,
            indexed=True,
        ),
        number(
            "dec",
            "double",
            "deg",
            "pos.eq.dec;meta.main",
            "declination (ICRS)",
            principal=True,
            indexed=True,
        ),
        number("pos_err", "float", "deg", "stat.error;pos.eq", "position error, one axis"),
        number(
            "mag",
            "float",
            "mag",
            "phot.mag",
            "magnitude, on a frame by its night's zero point, on a coadd by its field's solution",
            principal=True,
        ),
        number(
            "mag_err", "float", "mag", "stat.error;phot.mag", "error of mag, without zero point's"
        ),
        number("flux", "float", "adu/s", "phot.count", "flux; on coadds scaled to its zero point"),
        number("flux_err", "float", "adu/s", "stat.error;phot.count", "error of flux"),
        number("x", "float", "pixel", "pos.cartesian.x;instr.det", "pixel, 0-based"),
        number("y", "float", "pixel", "pos.cartesian.y;instr.det", "pixel, 0-based"),
        number(
            "half_light_radius",
            "float",
            "pixel",
            "phys.angSize;src",
            "radius of the circle that holds half of its light",
        ),
        number("elongation", "float", "", "src.morph.param", "major to minor axis"),
        number(
            "flags",
            "int",
            "",
            "meta.code.qual",
            "bits: 1 neighbours' light in the aperture, 2 at the edge, 4 saturated, 8 bad pixels "
            "in the aperture, 16 place is the barycentre, 32 a flux is missing; 0: no problem",
        ),
        FILTER,
        text("instrument_name", "meta.id;instr", "camera"),
        CHIP,
        number("t_mid", "double", "d", "time.epoch", "mid-exposure, MJD UTC"),
        number("flux_psf", "float", "adu/s", "phot.count", "flux by the point spread function"),
        number("flux_psf_err", "float", "adu/s", "stat.error;phot.count", "error of flux_psf"),
        number("mag_psf", "float", "mag", "phot.mag", "magnitude of flux_psf: best for stars"),
        number(
            "mag_psf_err", "float", "mag", "stat.error;phot.mag", "its error, without zero point's"
        ),
        number(
            "spread", "float", "", "src.morph.param", "0 for stars, positive for extended sources"
        ),
        number(
            "source_number",
            "int",
            "",
            "meta.number",
            "number on its image; on the coadds of a field the same in all bands",
        ),
        text(
            "field",
            "meta.id;obs.field",
            "field of its coadd, no value for single frames",
            indexed=True,
        ),
    ),
    "Sources on all published images, one row for each detection",
    kind="view",
    index=1,
    keys=(TO_PRODUCT,),
    freshness=("SourceList", "CoaddedSourceList"),
    position=("ra", "dec"),
)

REFERENCE_STARS: Final = Table(
    "archive",
    "reference_stars",
    (
        OBJECT,
        words("catalogue", "meta.id;meta.dataset", "reference catalogue"),
        words("name", "meta.id;meta.main", "name of the star"),
        number(
            "ra", "double", "deg", "pos.eq.ra;meta.main", "right ascension (ICRS)", indexed=True
        ),
        number("dec", "double", "deg", "pos.eq.dec;meta.main", "declination (ICRS)", indexed=True),
        *(
            number(f"mag_{b.lower()}", "float", "mag", f"phot.mag;em.opt.{b}", f"{b} magnitude")
            for b in ("B", "V", "R", "I")
        ),
    ),
    "Stars that positions and zero points are tied to",
    kind="view",
    index=11,
    keys=(TO_PRODUCT,),
    position=("ra", "dec"),
)
