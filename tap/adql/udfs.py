"""Functions beyond the standard, one line each, as the capabilities say them.

Those called ``ivo_`` are of the Catalogue of ADQL User Defined Functions 1.2, in its order and
with its meaning; ``ivo_simbadpoint``, which asks a server elsewhere, and ``ivo_geom_transform``
are left out.
"""

from __future__ import annotations

__all__ = ["USER_DEFINED"]

from typing import Final

from tap.adql.declaring import declare

_SIX: Final = (
    "(ra REAL, dec REAL, parallax REAL, pmra REAL, pmdec REAL, radial_velocity REAL,"
    " ref_epoch REAL, out_epoch REAL)"
)
_EIGHT: Final = ", ".join(f"{{{n}}}::float8" for n in range(8))
_MJD: Final = "(extract(epoch FROM {0})::float8 / 86400.0::float8 + 40587.0::float8)"
_JD: Final = "(extract(epoch FROM {0})::float8 / 86400.0::float8 + 2440587.5::float8)"
_SAYS_MJD: Final = "The timestamp (UTC) as modified Julian date."
_SAYS_JD: Final = "The timestamp (UTC) as Julian date."

#: In the order of the capabilities.
USER_DEFINED: Final = (
    declare(
        "ivo_healpix_index(hpxOrder INTEGER, long REAL, lat REAL) -> BIGINT",
        "vo.healpix_index({0}::int4, {1}::float8, {2}::float8)",
        "Index of the HEALPix cell (nested, ICRS) of that order with the position, in degrees.",
    ),
    declare(
        "ivo_healpix_index(hpxOrder INTEGER, p POINT) -> BIGINT",
        "vo.healpix_index({0}::int4, ({1})[1], ({1})[2])",
        "Index of the HEALPix cell (nested, ICRS) of that order with the point.",
    ),
    declare(
        "ivo_healpix_center(hpxOrder INTEGER, hpxIndex BIGINT) -> POINT",
        "vo.healpix_center({0}::int4, {1}::int8)",
        "Centre of a HEALPix cell (nested, ICRS).",
        unit="deg",
        ucd="pos.eq",
    ),
    declare(
        f"ivo_epoch_prop_pos{_SIX} -> POINT",
        f"(vo.epoch_prop({_EIGHT}, false))[1:2]",
        "Position at out_epoch of a star that moves through space in a straight line; degrees,"
        " mas, mas/yr (pmra with the cosine of dec applied), km/s, Julian years. A parallax, a"
        " proper motion or a radial velocity that is NULL counts as 0.",
        unit="deg",
        ucd="pos.eq",
    ),
    declare(
        f"ivo_epoch_prop{_SIX} -> DOUBLE[6]",
        f"vo.epoch_prop({_EIGHT}, true)",
        "All six parameters at out_epoch of a star that moves through space in a straight line:"
        " as ivo_epoch_prop_pos, in the order and units of the arguments. What is NULL on input is"
        " NaN in the result, and so are both proper motions where one is NULL.",
    ),
    declare("ivo_to_jd(d TIMESTAMP) -> DOUBLE", _JD, _SAYS_JD, unit="d", ucd="time.epoch"),
    declare("ivo_to_mjd(d TIMESTAMP) -> DOUBLE", _MJD, _SAYS_MJD, unit="d", ucd="time.epoch"),
    declare(
        "ivo_string_agg(expression VARCHAR, delimiter VARCHAR) -> VARCHAR",
        "string_agg({0}, {1})",
        "All values of the expression in the group that are not NULL, the delimiter between them.",
        aggregate=True,
    ),
    declare(
        "ivo_nocasematch(value VARCHAR, pattern VARCHAR) -> INTEGER",
        "({0} ILIKE {1} ESCAPE '')::int4",
        "1 if the value matches the LIKE pattern, case ignored; else 0.",
    ),
    declare(
        "ivo_hasword(haystack VARCHAR, needle VARCHAR) -> INTEGER",
        "vo.hasword({0}, {1})",
        "1 if all words of the needle occur as whole words in the haystack, case ignored; else 0.",
    ),
    declare(
        "ivo_hashlist_has(hashlist VARCHAR, item VARCHAR) -> INTEGER",
        "(lower({1}) = ANY (string_to_array(lower({0}), '#')))::int4",
        "1 if the item is one of the hash-separated words, case ignored; else 0.",
    ),
    declare(
        "ivo_histogram(val REAL, lower REAL, upper REAL, nbins INTEGER) -> INTEGER[]",
        "vo.histogram({0}::float8, {1}::float8, {2}::float8, {3}::int4)",
        "Counts of val in nbins bins from lower to upper; before them the underflows, with the"
        " NULLs, after them the overflows.",
        ucd="meta.number",
        aggregate=True,
    ),
    declare(
        "ivo_normal_random(mu REAL, sigma REAL) -> DOUBLE",
        "({0} + {1} * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))::float8",
        "A random number of the normal distribution with mean mu and standard deviation sigma.",
        unit="=",
    ),
    declare(
        "ivo_interval_overlaps(a1 NUMERIC, b1 NUMERIC, a2 NUMERIC, b2 NUMERIC) -> INTEGER",
        "({0} <= {3} AND {2} <= {1} AND {0} <= {1} AND {2} <= {3})::int4",
        "1 if the intervals [a1, b1] and [a2, b2] have a point in common; else 0.",
    ),
    declare(
        "ivo_hms_to_degrees(hms VARCHAR) -> DOUBLE",
        "vo.sexagesimal({0}, 'h') * 15",
        "Degrees of a right ascension h:m:s, hhmmss or hHmMsS; NULL if it cannot be read.",
        unit="deg",
        ucd="pos.eq.ra",
    ),
    declare(
        "ivo_dms_to_degrees(dms VARCHAR) -> DOUBLE",
        "vo.sexagesimal({0}, 'd')",
        "Degrees of a declination d:m:s, ddmmss or dDmMsS; NULL if it cannot be read.",
        unit="deg",
        ucd="pos.eq.dec",
    ),
    declare("gavo_to_mjd(d TIMESTAMP) -> DOUBLE", _MJD, _SAYS_MJD, unit="d", ucd="time.epoch"),
    declare("gavo_to_jd(d TIMESTAMP) -> DOUBLE", _JD, _SAYS_JD, unit="d", ucd="time.epoch"),
)
