"""ADQL in three stages: parse a text, check it against the catalogue, translate it to SQL."""

from __future__ import annotations

__all__ = ["Catalogue", "Checked", "Sql", "check", "parse", "translate"]

from tap.adql.catalogue import Catalogue
from tap.adql.checker import Checked, check
from tap.adql.parser import parse
from tap.adql.translator import Sql, translate
