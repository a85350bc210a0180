"""TAP 1.1 declared: its parameters and what its capabilities say."""

from __future__ import annotations

__all__ = ["LANGUAGES", "PARAMS", "STANDARD_ID", "UPLOAD", "UPLOAD_METHODS"]

from typing import Final

from schemas.dali import Param
from schemas.params import ASOF, FRESH, MAXREC, REQUEST, RESPONSEFORMAT, RUNID
from tap.upload import parse_upload

STANDARD_ID: Final = "ivo://ivoa.net/std/TAP"

LANGUAGES: Final = (
    ("2.0", "ivo://ivoa.net/std/ADQL#v2.0"),
    ("2.1", "ivo://ivoa.net/std/ADQL#v2.1"),
)
"""Versions of ADQL, each with its identifier."""

UPLOAD_METHODS: Final = tuple(
    f"ivo://ivoa.net/std/TAPRegExt#upload-{method}" for method in ("inline", "http", "https")
)
"""Ways in which a table may be uploaded (TAPRegExt-1.0 2.5)."""

_NAMES: Final = ("ADQL", *(f"ADQL-{version}" for version, _ in LANGUAGES))

LANG: Final = Param(
    "LANG",
    lambda text: text.strip().upper(),
    required=True,
    values=_NAMES,
    description="Language of QUERY: ADQL, or ADQL- and a version (TAP-1.1 2.7.2)",
)
QUERY: Final = Param(
    "QUERY", required=True, description="The query, a text in the language of LANG (TAP-1.1 2.7.1)"
)
FORMAT: Final = Param(
    "FORMAT", str.strip, description="Older name of RESPONSEFORMAT (TAP-1.1 2.7.3)"
)
UPLOAD: Final = Param(
    "UPLOAD",
    parse_upload,
    multiple=True,
    description="A table of the user's own, TAP_UPLOAD.NAME in the query: NAME,param:PART for a "
    "file part of the request, or NAME,URI (TAP-1.1 2.7.6)",
)

PARAMS: Final = (
    REQUEST,
    LANG,
    QUERY,
    MAXREC,
    RESPONSEFORMAT,
    FORMAT,
    RUNID,
    UPLOAD,
    FRESH,
    ASOF,
)
