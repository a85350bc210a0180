"""How a function is declared: one line, from which checker, translator and VOSI read it.

A line says the signature as TAPRegExt-1.0 2.3 writes it, the SQL with ``{0}``, ``{1}`` for the
arguments, and, of a user defined function, the description for the capabilities. A result that is
called like a parameter has that parameter's type.
"""

from __future__ import annotations

__all__ = ["Function", "arguments_fit", "declare"]

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tap.adql.kinds import GEOMETRIC, INTEGRAL, NUMERIC, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_ARRAYS: Final = {
    "DOUBLE[6]": ("double", "6", "float8[]"),
    "INTEGER[]": ("int", "*", "int4[]"),
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
    array
        Of a result that is an array: datatype, arraysize, PostgreSQL's type.
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
    array: tuple[str, str, str] | None = None


_SIGNATURE: Final = re.compile(r"(\S+?)\s*\((.*)\)\s*->\s*(\S+)")


def declare(
    signature: str,
    sql: str = "",
    description: str = "",
    *,
    unit: str = "",
    ucd: str = "",
    aggregate: bool = False,
) -> Function:
    """Read a line that declares a function.

    Raises
    ------
    ValueError, KeyError
        If the line is none, or names a type that there is not.
    """
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
    array = _ARRAYS.get(result)
    kind = Kind.ARRAY if array else None
    return Function(
        name.upper(),
        signature,
        tuple(_ACCEPTED[word] for word in words),
        words,
        variadic,
        kind or (names.index(result) if result in names else _RESULTS[result]),
        sql,
        unit,
        ucd,
        aggregate,
        description,
        array,
    )


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
