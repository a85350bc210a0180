"""The tables that a query may name, and where the database keeps them."""

from __future__ import annotations

__all__ = ["Catalogue"]

from difflib import get_close_matches
from typing import TYPE_CHECKING

from schemas.errors import QueryError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.columns import Column, Table
    from tap.adql.nodes import Name


class Catalogue:
    """Tables by name; a name without schema is looked for in all schemas.

    Parameters
    ----------
    tables
        What may be queried.
    stored
        Identifiers under which PostgreSQL knows a table, by its qualified name, where these differ
        from schema and name: an uploaded table is a temporary one, with columns c1, c2 ...
    """

    def __init__(
        self,
        tables: Iterable[Table],
        stored: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._stored = dict(stored or {})
        self._by_name: dict[str, list[Table]] = {}
        for table in tables:
            self._by_name.setdefault(table.name.lower(), []).append(table)

    def with_tables(
        self, tables: Iterable[Table], stored: Mapping[str, tuple[str, ...]] | None = None
    ) -> Catalogue:
        """Make a catalogue that also has these, such as the uploads of one request."""
        mine = [table for same in self._by_name.values() for table in same]
        return Catalogue([*mine, *tables], {**self._stored, **(stored or {})})

    def stored_name(self, table: Table) -> tuple[str, ...]:
        """Identifiers of a table in PostgreSQL, not yet quoted."""
        return self._stored.get(table.qualified_name, (table.schema, table.name))

    def stored_columns(self, table: Table) -> tuple[tuple[Column, str], ...]:
        """Columns of a table, each with its identifier in PostgreSQL."""
        if table.qualified_name in self._stored:
            return tuple((one, f"c{place}") for place, one in enumerate(table.columns, start=1))
        return tuple((one, one.name) for one in table.columns)

    def find(self, parts: tuple[Name, ...]) -> Table:
        """Find the table of a ``[[catalog.]schema.]table`` name.

        Raises
        ------
        UnknownNameError
            With the names that come near.
        QueryError
            If two schemas have one so called.
        """
        name, schema = parts[-1], parts[-2] if len(parts) > 1 else None
        found = [
            table
            for table in self._by_name.get(name.text.lower(), ())
            if name.matches(table.name) and (schema is None or schema.matches(table.schema))
        ]
        if len(found) > 1:
            found = [table for table in found if table.name == name.text] or found
        if len(found) > 1:
            among = ", ".join(table.qualified_name for table in found)
            message = f"the name `{name.text}` fits {among}: say which"
            raise QueryError(message, line=name.line, column=name.column)
        if not found:
            raise self._unknown(parts)
        return found[0]

    def _unknown(self, parts: tuple[Name, ...]) -> UnknownNameError:
        text = ".".join(part.text for part in parts)
        known = {
            key: table.qualified_name
            for same in self._by_name.values()
            for table in same
            for key in (table.qualified_name.lower(), table.name.lower())
        }
        near = get_close_matches(text.lower(), known, n=4, cutoff=0.6)
        near += get_close_matches(parts[-1].text.lower(), known, n=2, cutoff=0.75)
        names = tuple(dict.fromkeys(known[key] for key in near))[:3]
        first = parts[0]
        return UnknownNameError("table", text, near=names, line=first.line, column=first.column)
