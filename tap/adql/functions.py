"""Every function of the standard and every operator, one line each; where a call is looked up.

:mod:`tap.adql.declaring` says how a line is read, :mod:`tap.adql.udfs` has the functions beyond
the standard.
"""

from __future__ import annotations

__all__ = ["OPERATORS", "STANDARD", "USER_DEFINED", "Function", "Library", "arguments_fit"]

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from schemas.errors import QueryError, UnknownNameError
from tap.adql.declaring import Function, arguments_fit, declare
from tap.adql.udfs import USER_DEFINED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap.adql.kinds import Kind
    from tap.adql.nodes import Call

#: ADQL-2.1 4.1 to 4.6; those of geometry (4.2) are written by tap/adql/regions.py.
STANDARD: Final = (
    declare("ABS(x NUMERIC) -> x", "abs({0})", unit="=", ucd="="),
    declare("CEILING(x DOUBLE) -> DOUBLE", "ceil({0})", unit="=", ucd="="),
    declare("DEGREES(x DOUBLE) -> DOUBLE", "degrees({0})", unit="deg", ucd="="),
    declare("EXP(x DOUBLE) -> DOUBLE", "exp({0})"),
    declare("FLOOR(x DOUBLE) -> DOUBLE", "floor({0})", unit="=", ucd="="),
    declare("LOG(x DOUBLE) -> DOUBLE", "ln({0})"),
    declare("LOG10(x DOUBLE) -> DOUBLE", "log({0})"),
    declare("MOD(x INTEGER, y INTEGER) -> x", "mod({0}, {1})", unit="="),
    declare("MOD(x DOUBLE, y DOUBLE) -> DOUBLE", "vo.modulo({0}, {1})", unit="="),
    declare("PI() -> DOUBLE", "pi()"),
    declare("POWER(x DOUBLE, y DOUBLE) -> DOUBLE", "power({0}, {1})"),
    declare("RADIANS(x DOUBLE) -> DOUBLE", "radians({0})", unit="rad", ucd="="),
    declare("RAND() -> DOUBLE", "random()"),
    declare("RAND(seed INTEGER) -> DOUBLE", "vo.random({0}::int8)"),
    declare("ROUND(x DOUBLE) -> DOUBLE", "round({0}::text::numeric)::float8", unit="=", ucd="="),
    declare(
        "ROUND(x DOUBLE, n INTEGER) -> DOUBLE",
        "round({0}::text::numeric, {1}::int4)::float8",
        unit="=",
        ucd="=",
    ),
    declare("SQRT(x DOUBLE) -> DOUBLE", "sqrt({0})"),
    declare("TRUNCATE(x DOUBLE) -> DOUBLE", "trunc({0})", unit="=", ucd="="),
    declare(
        "TRUNCATE(x DOUBLE, n INTEGER) -> DOUBLE",
        "trunc({0}::text::numeric, {1}::int4)::float8",
        unit="=",
        ucd="=",
    ),
    declare("ACOS(x DOUBLE) -> DOUBLE", "acos({0})", unit="rad"),
    declare("ASIN(x DOUBLE) -> DOUBLE", "asin({0})", unit="rad"),
    declare("ATAN(x DOUBLE) -> DOUBLE", "atan({0})", unit="rad"),
    declare("ATAN2(y DOUBLE, x DOUBLE) -> DOUBLE", "atan2({0}, {1})", unit="rad"),
    declare("COS(x DOUBLE) -> DOUBLE", "cos({0})"),
    declare("COT(x DOUBLE) -> DOUBLE", "cot({0})"),
    declare("SIN(x DOUBLE) -> DOUBLE", "sin({0})"),
    declare("TAN(x DOUBLE) -> DOUBLE", "tan({0})"),
    declare("LOWER(x VARCHAR) -> VARCHAR", "lower({0})", ucd="="),
    declare("UPPER(x VARCHAR) -> VARCHAR", "upper({0})", ucd="="),
    declare("COALESCE(x ANY, ...) -> x", "COALESCE({*})", unit="=", ucd="="),
    declare("IN_UNIT(x DOUBLE, unit VARCHAR) -> DOUBLE", "", ucd="="),
    declare("AREA(r GEOMETRY) -> DOUBLE", unit="deg2"),
    declare("BOX(lon DOUBLE, lat DOUBLE, width DOUBLE, height DOUBLE) -> POLYGON", unit="deg"),
    declare("BOX(centre POINT, width DOUBLE, height DOUBLE) -> POLYGON", unit="deg"),
    declare("CENTROID(r GEOMETRY) -> POINT", unit="deg", ucd="pos.eq"),
    declare("CIRCLE(lon DOUBLE, lat DOUBLE, radius DOUBLE) -> CIRCLE", unit="deg"),
    declare("CIRCLE(centre POINT, radius DOUBLE) -> CIRCLE", unit="deg"),
    declare("CONTAINS(inner GEOMETRY, outer GEOMETRY) -> INTEGER"),
    declare("COORD1(p POINT) -> DOUBLE", unit="deg", ucd="pos.eq.ra"),
    declare("COORD2(p POINT) -> DOUBLE", unit="deg", ucd="pos.eq.dec"),
    declare("COORDSYS(p GEOMETRY) -> VARCHAR"),
    declare("DISTANCE(a POINT, b POINT) -> DOUBLE", unit="deg", ucd="pos.angDistance"),
    declare(
        "DISTANCE(lon1 DOUBLE, lat1 DOUBLE, lon2 DOUBLE, lat2 DOUBLE) -> DOUBLE",
        unit="deg",
        ucd="pos.angDistance",
    ),
    declare("INTERSECTS(a GEOMETRY, b GEOMETRY) -> INTEGER"),
    declare("POINT(lon DOUBLE, lat DOUBLE) -> POINT", unit="deg", ucd="pos.eq"),
    declare(
        "POLYGON(lon1 DOUBLE, lat1 DOUBLE, lon2 DOUBLE, lat2 DOUBLE, lon3 DOUBLE, lat3 DOUBLE,"
        " ...) -> POLYGON",
        unit="deg",
    ),
    declare("POLYGON(a POINT, b POINT, c POINT, ...) -> POLYGON", unit="deg"),
    declare("REGION(text VARCHAR) -> REGION", unit="deg"),
    declare("COUNT(x ANY) -> BIGINT", "count({0})", ucd="meta.number", aggregate=True),
    declare("COUNT() -> BIGINT", "count(*)", ucd="meta.number", aggregate=True),
    declare("MIN(x ORDERED) -> x", "min({0})", unit="=", ucd="stat.min", aggregate=True),
    declare("MAX(x ORDERED) -> x", "max({0})", unit="=", ucd="stat.max", aggregate=True),
    declare("AVG(x DOUBLE) -> DOUBLE", "avg({0})", unit="=", ucd="stat.mean", aggregate=True),
    declare("SUM(x BIGINT) -> BIGINT", "sum({0})::int8", unit="=", aggregate=True),
    declare("SUM(x DOUBLE) -> DOUBLE", "sum({0})", unit="=", aggregate=True),
)

#: What is written between or before its arguments.
OPERATORS: Final = {
    function.name: function
    for function in (
        *(
            declare(f"{word}(a NUMERIC, b NUMERIC) -> DOUBLE", f"({{0}} {word} {{1}})")
            for word in "+-*/"
        ),
        *(
            declare(f"{word}(a INTEGER, b INTEGER) -> BIGINT", f"({{0}} {sql} {{1}})")
            for word, sql in (("&", "&"), ("|", "|"), ("^", "#"))
        ),
        declare("~(a INTEGER) -> a", "(~ {0})"),
        declare("NEGATIVE(a NUMERIC) -> a", "(- {0})", unit="=", ucd="="),
        declare("||(a VARCHAR, b VARCHAR) -> VARCHAR", "({0} || {1})"),
        *(
            declare(f"{word}(a ANY, b ANY) -> BOOLEAN", f"({{0}} {word} {{1}})")
            for word in ("=", "<>", "<", "<=", ">", ">=")
        ),
        declare("BETWEEN(x ANY, a ANY, b ANY) -> BOOLEAN", "({0} BETWEEN {1} AND {2})"),
        declare("IN(x ANY, ...) -> BOOLEAN", "({0} IN ({+}))"),
        declare("LIKE(x VARCHAR, y VARCHAR) -> BOOLEAN", "({0} LIKE {1} ESCAPE '')"),
        declare("ILIKE(x VARCHAR, y VARCHAR) -> BOOLEAN", "({0} ILIKE {1} ESCAPE '')"),
        declare("IS_NULL(x ANY) -> BOOLEAN", "({0} IS NULL)"),
        declare("NOT(x BOOLEAN) -> BOOLEAN", "(NOT {0})"),
    )
}


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
        return cls([declare(signature) for signature in signatures])

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
            raise UnknownNameError(
                "function", call.name.lower(), near=near, line=call.line, column=call.column
            )
        for function in known:
            if arguments_fit(function, kinds):
                return function
        found = f"{call.name}({', '.join(kinds)})"
        expected = " or ".join(function.signature for function in known)
        message = f"found {found}, expected {expected}"
        raise QueryError(message, line=call.line, column=call.column)
