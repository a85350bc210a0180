"""Every function and operator of the service: one line each, for checker, translator and VOSI.

A line says the signature as TAPRegExt-1.0 2.3 writes it, the SQL with ``{0}``, ``{1}`` for the
arguments, and, of a user defined function, the description for the capabilities. A result that is
called like a parameter has that parameter's type.
"""

from __future__ import annotations

__all__ = ["OPERATORS", "STANDARD", "USER_DEFINED", "Function", "Library", "arguments_fit"]

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from schemas.errors import QueryError, UnknownNameError
from tap.adql.kinds import GEOMETRIC, INTEGRAL, NUMERIC, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap.adql.nodes import Call

_REGIONS: Final = frozenset({Kind.CIRCLE, Kind.POLYGON, Kind.REGION})
_ACCEPTED: Final = {
    "BOOLEAN": frozenset({Kind.BOOLEAN}),
    "INTEGER": frozenset(INTEGRAL),
    "BIGINT": frozenset(INTEGRAL),
    "NUMERIC": frozenset(NUMERIC),
    "REAL": frozenset(NUMERIC),
    "DOUBLE": frozenset(NUMERIC),
    "VARCHAR": frozenset({Kind.TEXT}),
    "TIMESTAMP": frozenset({Kind.TIME, Kind.TEXT}),
    "POINT": frozenset({Kind.POINT}),
    "REGION": _REGIONS,
    "GEOMETRY": frozenset(GEOMETRIC),
    "INTERVAL": frozenset({Kind.ARRAY}),
    "ORDERED": frozenset({*NUMERIC, Kind.TEXT, Kind.TIME}),
    "ANY": frozenset(Kind),
}
_RESULTS: Final = {
    "BOOLEAN": Kind.BOOLEAN,
    "INTEGER": Kind.INT,
    "BIGINT": Kind.LONG,
    "REAL": Kind.FLOAT,
    "DOUBLE": Kind.DOUBLE,
    "VARCHAR": Kind.TEXT,
    "TIMESTAMP": Kind.TIME,
    "POINT": Kind.POINT,
    "CIRCLE": Kind.CIRCLE,
    "POLYGON": Kind.POLYGON,
    "REGION": Kind.REGION,
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function, operator or aggregate.

    Attributes
    ----------
    name
        In capitals.
    signature
        As TAPRegExt says it.
    accepts
        For each parameter the kinds that it takes.
    words
        For each parameter its type as the signature says it.
    variadic
        Whether the last parameter may be repeated.
    result
        Kind of the value, or the number of the parameter whose kind it has.
    sql
        Text with ``{0}`` ... for the arguments, all of them comma separated for ``{*}``.
    unit, ucd
        Of the value; ``=`` stands for the first argument's.
    aggregate
        Whether it is a set function.
    description
        For the capabilities.
    """

    name: str
    signature: str
    accepts: tuple[frozenset[Kind], ...]
    words: tuple[str, ...]
    variadic: bool
    result: Kind | int
    sql: str
    unit: str = ""
    ucd: str = ""
    aggregate: bool = False
    description: str = ""


_SIGNATURE: Final = re.compile(r"(\S+?)\s*\((.*)\)\s*->\s*(\S+)")


def _declare(
    signature: str,
    sql: str = "",
    description: str = "",
    *,
    unit: str = "",
    ucd: str = "",
    aggregate: bool = False,
) -> Function:
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        message = f"a function is declared as {signature!r}, expected NAME(arg TYPE, ...) -> TYPE"
        raise ValueError(message)
    name, inside, result = match.groups()
    parameters = [part.split() for part in inside.split(",") if part.strip()]
    variadic = bool(parameters) and parameters[-1] == ["..."]
    parameters = parameters[:-1] if variadic else parameters
    names = [parameter[0] for parameter in parameters]
    words = tuple(parameter[1] for parameter in parameters)
    return Function(
        name.upper(),
        signature,
        tuple(_ACCEPTED[word] for word in words),
        words,
        variadic,
        names.index(result) if result in names else _RESULTS[result],
        sql,
        unit,
        ucd,
        aggregate,
        description,
    )


#: ADQL-2.1 4.1 to 4.6; those of geometry (4.2) are written by tap/adql/regions.py.
STANDARD: Final = (
    _declare("ABS(x NUMERIC) -> x", "abs({0})", unit="=", ucd="="),
    _declare("CEILING(x DOUBLE) -> DOUBLE", "ceil({0})", unit="=", ucd="="),
    _declare("DEGREES(x DOUBLE) -> DOUBLE", "degrees({0})", unit="deg", ucd="="),
    _declare("EXP(x DOUBLE) -> DOUBLE", "exp({0})"),
    _declare("FLOOR(x DOUBLE) -> DOUBLE", "floor({0})", unit="=", ucd="="),
    _declare("LOG(x DOUBLE) -> DOUBLE", "ln({0})"),
    _declare("LOG10(x DOUBLE) -> DOUBLE", "log({0})"),
    _declare("MOD(x INTEGER, y INTEGER) -> x", "mod({0}, {1})", unit="="),
    _declare("MOD(x DOUBLE, y DOUBLE) -> DOUBLE", "vo.modulo({0}, {1})", unit="="),
    _declare("PI() -> DOUBLE", "pi()"),
    _declare("POWER(x DOUBLE, y DOUBLE) -> DOUBLE", "power({0}, {1})"),
    _declare("RADIANS(x DOUBLE) -> DOUBLE", "radians({0})", unit="rad", ucd="="),
    _declare("RAND() -> DOUBLE", "random()"),
    _declare("RAND(seed INTEGER) -> DOUBLE", "vo.random({0}::int8)"),
    _declare("ROUND(x DOUBLE) -> DOUBLE", "round({0}::text::numeric)::float8", unit="=", ucd="="),
    _declare(
        "ROUND(x DOUBLE, n INTEGER) -> DOUBLE",
        "round({0}::text::numeric, {1}::int4)::float8",
        unit="=",
        ucd="=",
    ),
    _declare("SQRT(x DOUBLE) -> DOUBLE", "sqrt({0})"),
    _declare("TRUNCATE(x DOUBLE) -> DOUBLE", "trunc({0})", unit="=", ucd="="),
    _declare(
        "TRUNCATE(x DOUBLE, n INTEGER) -> DOUBLE",
        "trunc({0}::text::numeric, {1}::int4)::float8",
        unit="=",
        ucd="=",
    ),
    _declare("ACOS(x DOUBLE) -> DOUBLE", "acos({0})", unit="rad"),
    _declare("ASIN(x DOUBLE) -> DOUBLE", "asin({0})", unit="rad"),
    _declare("ATAN(x DOUBLE) -> DOUBLE", "atan({0})", unit="rad"),
    _declare("ATAN2(y DOUBLE, x DOUBLE) -> DOUBLE", "atan2({0}, {1})", unit="rad"),
    _declare("COS(x DOUBLE) -> DOUBLE", "cos({0})"),
    _declare("COT(x DOUBLE) -> DOUBLE", "cot({0})"),
    _declare("SIN(x DOUBLE) -> DOUBLE", "sin({0})"),
    _declare("TAN(x DOUBLE) -> DOUBLE", "tan({0})"),
    _declare("LOWER(x VARCHAR) -> VARCHAR", "lower({0})", ucd="="),
    _declare("UPPER(x VARCHAR) -> VARCHAR", "upper({0})", ucd="="),
    _declare("COALESCE(x ANY, ...) -> x", "COALESCE({*})", unit="=", ucd="="),
    _declare("IN_UNIT(x DOUBLE, unit VARCHAR) -> DOUBLE", "", ucd="="),
    _declare("AREA(r GEOMETRY) -> DOUBLE", unit="deg2"),
    _declare("BOX(lon DOUBLE, lat DOUBLE, width DOUBLE, height DOUBLE) -> POLYGON", unit="deg"),
    _declare("BOX(centre POINT, width DOUBLE, height DOUBLE) -> POLYGON", unit="deg"),
    _declare("CENTROID(r GEOMETRY) -> POINT", unit="deg", ucd="pos.eq"),
    _declare("CIRCLE(lon DOUBLE, lat DOUBLE, radius DOUBLE) -> CIRCLE", unit="deg"),
    _declare("CIRCLE(centre POINT, radius DOUBLE) -> CIRCLE", unit="deg"),
    _declare("CONTAINS(inner GEOMETRY, outer GEOMETRY) -> INTEGER"),
    _declare("COORD1(p POINT) -> DOUBLE", unit="deg", ucd="pos.eq.ra"),
    _declare("COORD2(p POINT) -> DOUBLE", unit="deg", ucd="pos.eq.dec"),
    _declare("COORDSYS(p GEOMETRY) -> VARCHAR"),
    _declare("DISTANCE(a POINT, b POINT) -> DOUBLE", unit="deg", ucd="pos.angDistance"),
    _declare(
        "DISTANCE(lon1 DOUBLE, lat1 DOUBLE, lon2 DOUBLE, lat2 DOUBLE) -> DOUBLE",
        unit="deg",
        ucd="pos.angDistance",
    ),
    _declare("INTERSECTS(a GEOMETRY, b GEOMETRY) -> INTEGER"),
    _declare("POINT(lon DOUBLE, lat DOUBLE) -> POINT", unit="deg", ucd="pos.eq"),
    _declare(
        "POLYGON(lon1 DOUBLE, lat1 DOUBLE, lon2 DOUBLE, lat2 DOUBLE, lon3 DOUBLE, lat3 DOUBLE,"
        " ...) -> POLYGON",
        unit="deg",
    ),
    _declare("POLYGON(a POINT, b POINT, c POINT, ...) -> POLYGON", unit="deg"),
    _declare("REGION(text VARCHAR) -> REGION", unit="deg"),
    _declare("COUNT(x ANY) -> BIGINT", "count({0})", ucd="meta.number", aggregate=True),
    _declare("COUNT() -> BIGINT", "count(*)", ucd="meta.number", aggregate=True),
    _declare("MIN(x ORDERED) -> x", "min({0})", unit="=", ucd="stat.min", aggregate=True),
    _declare("MAX(x ORDERED) -> x", "max({0})", unit="=", ucd="stat.max", aggregate=True),
    _declare("AVG(x DOUBLE) -> DOUBLE", "avg({0})", unit="=", ucd="stat.mean", aggregate=True),
    _declare("SUM(x BIGINT) -> BIGINT", "sum({0})::int8", unit="=", aggregate=True),
    _declare("SUM(x DOUBLE) -> DOUBLE", "sum({0})", unit="=", aggregate=True),
)

#: Functions beyond the standard, said in the capabilities.
USER_DEFINED: Final = (
    _declare(
        "ivo_hasword(haystack VARCHAR, needle VARCHAR) -> INTEGER",
        "vo.hasword({0}, {1})",
        "1 if the needle occurs in the haystack as whole words, case ignored; else 0.",
    ),
    _declare(
        "ivo_hashlist_has(hashlist VARCHAR, item VARCHAR) -> INTEGER",
        "(lower({1}) = ANY (string_to_array(lower({0}), '#')))::int4",
        "1 if the item is one of the hash-separated words, case ignored; else 0.",
    ),
    _declare(
        "ivo_nocasematch(value VARCHAR, pattern VARCHAR) -> INTEGER",
        "({0} ILIKE {1} ESCAPE '')::int4",
        "1 if the value matches the LIKE pattern, case ignored; else 0.",
    ),
    _declare(
        "ivo_healpix_index(hpxOrder INTEGER, long REAL, lat REAL) -> BIGINT",
        "vo.healpix_index({0}::int4, {1}::float8, {2}::float8)",
        "Index of the HEALPix cell (nested, ICRS) of that order with the position, in degrees.",
    ),
    _declare(
        "ivo_healpix_index(hpxOrder INTEGER, p POINT) -> BIGINT",
        "vo.healpix_index({0}::int4, ({1})[1], ({1})[2])",
        "Index of the HEALPix cell (nested, ICRS) of that order with the point.",
    ),
    _declare(
        "ivo_healpix_center(hpxOrder INTEGER, hpxIndex BIGINT) -> POINT",
        "vo.healpix_center({0}::int4, {1}::int8)",
        "Centre of a HEALPix cell (nested, ICRS).",
        unit="deg",
        ucd="pos.eq",
    ),
    _declare(
        "ivo_interval_overlaps(l1 NUMERIC, h1 NUMERIC, l2 NUMERIC, h2 NUMERIC) -> INTEGER",
        "({0} <= {3} AND {2} <= {1})::int4",
        "1 if the intervals [l1, h1] and [l2, h2] have a point in common; else 0.",
    ),
    _declare(
        "ivo_string_agg(expression VARCHAR, delimiter VARCHAR) -> VARCHAR",
        "string_agg({0}, {1})",
        "All values of the expression in the group, the delimiter between them.",
        aggregate=True,
    ),
    _declare(
        "gavo_to_mjd(d TIMESTAMP) -> DOUBLE",
        "(extract(epoch FROM {0})::float8 / 86400.0::float8 + 40587.0::float8)",
        "The timestamp (UTC) as modified Julian date.",
        unit="d",
        ucd="time.epoch",
    ),
    _declare(
        "gavo_to_jd(d TIMESTAMP) -> DOUBLE",
        "(extract(epoch FROM {0})::float8 / 86400.0::float8 + 2440587.5::float8)",
        "The timestamp (UTC) as Julian date.",
        unit="d",
        ucd="time.epoch",
    ),
)

#: What is written between or before its arguments.
OPERATORS: Final = {
    function.name: function
    for function in (
        *(
            _declare(f"{word}(a NUMERIC, b NUMERIC) -> DOUBLE", f"({{0}} {word} {{1}})")
            for word in "+-*/"
        ),
        *(
            _declare(f"{word}(a INTEGER, b INTEGER) -> BIGINT", f"({{0}} {sql} {{1}})")
            for word, sql in (("&", "&"), ("|", "|"), ("^", "#"))
        ),
        _declare("~(a INTEGER) -> a", "(~ {0})"),
        _declare("NEGATIVE(a NUMERIC) -> a", "(- {0})", unit="=", ucd="="),
        _declare("||(a VARCHAR, b VARCHAR) -> VARCHAR", "({0} || {1})"),
        *(
            _declare(f"{word}(a ANY, b ANY) -> BOOLEAN", f"({{0}} {word} {{1}})")
            for word in ("=", "<>", "<", "<=", ">", ">=")
        ),
        _declare("BETWEEN(x ANY, a ANY, b ANY) -> BOOLEAN", "({0} BETWEEN {1} AND {2})"),
        _declare("IN(x ANY, ...) -> BOOLEAN", "({0} IN ({+}))"),
        _declare("LIKE(x VARCHAR, y VARCHAR) -> BOOLEAN", "({0} LIKE {1} ESCAPE '')"),
        _declare("ILIKE(x VARCHAR, y VARCHAR) -> BOOLEAN", "({0} ILIKE {1} ESCAPE '')"),
        _declare("IS_NULL(x ANY) -> BOOLEAN", "({0} IS NULL)"),
        _declare("NOT(x BOOLEAN) -> BOOLEAN", "(NOT {0})"),
    )
}


def arguments_fit(function: Function, kinds: Sequence[Kind]) -> bool:
    """Whether a call with arguments of these kinds is right; NULL and UNKNOWN fit anywhere."""
    least = len(function.accepts)
    if len(kinds) < least or (len(kinds) > least and not function.variadic):
        return False
    if function.name == "POLYGON" and kinds[0] is not Kind.POINT and len(kinds) % 2:
        return False
    return all(
        kind in {Kind.NULL, Kind.UNKNOWN} or kind in function.accepts[min(place, least - 1)]
        for place, kind in enumerate(kinds)
    )


class Library:
    """The functions a query may call: the standard's and some user defined ones.

    Parameters
    ----------
    user_defined
        Those besides the standard's.
    """

    def __init__(self, user_defined: Iterable[Function] = USER_DEFINED) -> None:
        self.user_defined = tuple(user_defined)
        self._by_name: dict[str, list[Function]] = {}
        for function in (*STANDARD, *self.user_defined):
            self._by_name.setdefault(function.name, []).append(function)

    @classmethod
    def of_signatures(cls, signatures: Iterable[str]) -> Library:
        """Make a library for checking calls only, of functions that have no SQL."""
        return cls([_declare(signature) for signature in signatures])

    def find(self, call: Call, kinds: Sequence[Kind]) -> Function:
        """Find the function that a call with arguments of these kinds means.

        Raises
        ------
        UnknownNameError
            If nothing is called so.
        QueryError
            If the number or the types of the arguments are wrong.
        """
        known = self._by_name.get(call.name, ())
        if not known:
            near = get_close_matches(call.name, self._by_name, n=3, cutoff=0.6)
            near = [self._by_name[name][0].signature.partition("(")[0] for name in near]
            place = {"line": call.line, "column": call.column}
            raise UnknownNameError("function", call.name.lower(), near=near, **place)
        for function in known:
            if arguments_fit(function, kinds):
                return function
        found = f"{call.name}({', '.join(kinds)})"
        expected = " or ".join(function.signature for function in known)
        message = f"found {found}, expected {expected}"
        raise QueryError(message, line=call.line, column=call.column)
