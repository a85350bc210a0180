"""The parameters that every protocol of the service takes."""

from __future__ import annotations

__all__ = ["ASOF", "FRESH", "MAXREC", "REQUEST", "RESPONSEFORMAT", "RUNID"]

from typing import Final

from schemas.dali import Param
from schemas.values import parse_count, parse_timestamp

MAXREC: Final = Param(
    "MAXREC",
    parse_count,
    datatype="long",
    arraysize=None,
    description="Rows of the answer at most; 0 asks for its columns alone (DALI-1.1 3.4.4)",
)
RESPONSEFORMAT: Final = Param(
    "RESPONSEFORMAT",
    str.strip,
    description="MIME type or short name of the form of the answer (DALI-1.1 3.4.3)",
)
RUNID: Final = Param(
    "RUNID", str.strip, default="", description="The caller's own name of the request, for logs"
)
REQUEST: Final = Param(
    "REQUEST",
    str.strip,
    default="doQuery",
    values=("doQuery",),
    description="What to do; doQuery is all there is (TAP-1.1 2.2)",
)
FRESH: Final = Param(
    "FRESH",
    lambda text: text.strip().lower(),
    default="make",
    values=("make", "any", "require"),
    description=(
        "make: remake what is stale, then answer; any: answer from what is published and say how "
        "stale it is; require: fail if anything that the answer needs is stale"
    ),
)
ASOF: Final = Param(
    "ASOF",
    parse_timestamp,
    xtype="timestamp",
    description="Answer as it was published at this moment (UTC)",
)
