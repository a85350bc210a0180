"""The examples document: queries for people, and for clients that offer them (TOPCAT)."""

from __future__ import annotations

__all__ = ["ExamplesPage", "examples_blueprint", "examples_document"]

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import sqlalchemy as sa
from flask import Blueprint, Response
from lxml import etree
from lxml.builder import ElementMaker  # type: ignore[import-not-found]  # has no stubs

from tap.examples import SOMEWHERE, Place
from tap.protocol import STANDARD_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.database import Database
    from tap.examples import Example

_XHTML: Final = "http://www.w3.org/1999/xhtml"
_VOCABULARY: Final = "http://www.ivoa.net/rdf/examples#"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_TYPE: Final = "application/xhtml+xml;charset=utf-8"
_KNOWN_FOR_S: Final = 60.0
_NAMESPACES: Final[Any] = {None: _XHTML}
_E: Final = ElementMaker(namespace=_XHTML, nsmap=_NAMESPACES)
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
pre { background: #8881; border: 1px solid #8886; padding: .8rem; overflow-x: auto; }
"""
_TARGETS: Final = sa.table("target", sa.column("ra"), sa.column("dec"), schema="vo")


@dataclass(slots=True)
class ExamplesPage:
    """Examples with a place at which the archive has data.

    Attributes
    ----------
    database
        Asked for the place, at most once a minute.
    examples
        What is offered.
    url
        Of the TAP service.
    """

    database: Database
    examples: Sequence[Example]
    url: str
    _place: Place = SOMEWHERE
    _asked: float = float("-inf")

    def place(self) -> Place:
        """Centre of a frame of the archive; a fixed one while there is none, or no database."""
        if time.monotonic() - self._asked > _KNOWN_FOR_S:
            self._asked = time.monotonic()
            query = sa.select(_TARGETS).where(_TARGETS.c.ra.is_not(None)).limit(1)
            try:
                with self.database.reader.connect() as connection:
                    found = connection.execute(query).first()
            except sa.exc.SQLAlchemyError:
                return self._place
            if found is not None:
                self._place = Place(found.ra, found.dec)
        return self._place

    def queries(self) -> list[tuple[Example, str, str]]:
        """Each example with its ADQL and the address that runs it."""
        place = self.place()
        return [
            (example, query, run_url(self.url, query))
            for example in self.examples
            for query in (example.at(place),)
        ]

    def document(self) -> bytes:
        """XHTML with RDFa Lite (DALI-1.1 2.3)."""
        return examples_document(self.queries())


def run_url(url: str, query: str) -> str:
    """Address that answers a query with a text that browsers show."""
    given = {"LANG": "ADQL", "RESPONSEFORMAT": "votable/td", "QUERY": query}
    return f"{url}/sync?{urlencode(given)}"


def examples_document(queries: Sequence[tuple[Example, str, str]]) -> bytes:
    """Say examples, each with its ADQL and the address that runs it.

    Notes
    -----
    Standard: DALI-1.1 2.3; TAP-1.1 2.4 (properties ``table`` and ``query``).
    """
    page = _E.html(
        {"lang": "en", _LANG: "en"},
        _E.head(_E.meta(charset="utf-8"), _E.title("Examples of queries"), _E.style(_STYLE)),
        _E.body(
            {"vocab": _VOCABULARY},
            _E.h1("Examples of queries"),
            _E.p(
                "Each of them runs here as it stands. Clients such as TOPCAT list them beside "
                "their own examples."
            ),
            *(_section(*each) for each in queries),
        ),
    )
    return etree.tostring(page, encoding="UTF-8", xml_declaration=True, doctype="<!DOCTYPE html>")


def _section(example: Example, query: str, run: str) -> etree._Element:
    """An example; marked up for clients if it is of the ADQL that all of them understand.

    STILTS before 3.5 and TOPCAT before 4.9 take the examples of a document for ADQL 2.0 and
    complain of anything newer. Such ones are for people alone.
    """
    marked = example.language == "2.0"
    about = {"typeof": "example", "resource": f"#{example.name}"} if marked else {}
    section: etree._Element = _E.div(
        {"id": example.name, **about},
        _E.h2(_property("name", marked=marked), example.title),
        _E.p(example.text),
        _E.p(
            _E.span(_property("capability", marked=marked), STANDARD_ID),
            f", ADQL {example.language}, tables: ",
            *_listed(example.tables, marked=marked),
        ),
        _E.pre(_property("query", marked=marked), query),
        _E.p(_E.a({"href": run}, "Run it")),
    )
    return section


def _property(name: str, *, marked: bool) -> dict[str, str]:
    return {"property": name} if marked else {}


def _listed(tables: Sequence[str], *, marked: bool) -> list[Any]:
    parts: list[Any] = []
    for table in tables:
        parts += [", "] if parts else []
        parts.append(_E.code(_property("table", marked=marked), table))
    return parts


def examples_blueprint(page: ExamplesPage, path: str) -> Blueprint:
    """View of the examples document."""
    views = Blueprint("examples", __name__)

    @views.get(path)
    def examples() -> Response:
        return Response(page.document(), content_type=_TYPE)

    return views
