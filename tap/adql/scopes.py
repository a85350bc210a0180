"""What names a place in a query can use: the columns of its tables, and of those around it."""

from __future__ import annotations

__all__ = ["Field", "Visibility", "Visible"]

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from schemas.errors import QueryError, UnknownNameError

if TYPE_CHECKING:
    from tap.adql.nodes import Name
    from tap.adql.typed import Expr


@dataclass(frozen=True, slots=True)
class Field:
    """A column that can be named, and what the name means."""

    name: str
    expression: Expr


@dataclass(frozen=True, slots=True)
class Visible:
    """A table in FROM.

    Attributes
    ----------
    qualifiers
        Words before the dot, outermost first: (schema, table) or (alias,).
    fields
        Its columns.
    """

    qualifiers: tuple[str, ...]
    fields: tuple[Field, ...]

    def answers(self, qualifiers: tuple[Name, ...]) -> bool:
        """Whether these words before a dot mean this table."""
        mine = self.qualifiers[-len(qualifiers) :]
        if len(mine) < len(qualifiers):  # a catalog, which has no name here
            qualifiers = qualifiers[-len(mine) :]
        return all(word.matches(own) for word, own in zip(qualifiers, mine, strict=True))


@dataclass(frozen=True, slots=True)
class Visibility:
    """Everything that FROM offers.

    Attributes
    ----------
    tables
        For qualified names.
    fields
        What ``*`` is, and unqualified names mean: columns joined by NATURAL or USING once.
    around
        What the query around a subquery offers.
    """

    tables: tuple[Visible, ...] = ()
    fields: tuple[Field, ...] = ()
    around: Visibility | None = None

    def column(self, parts: tuple[Name, ...]) -> Expr:
        """Find the column that a name means.

        Raises
        ------
        UnknownNameError
            With the names that come near.
        QueryError
            If it means several.
        """
        scope: Visibility | None = self
        while scope is not None:
            found = scope.own(parts)
            if len(found) > 1:
                found = [field for field in found if field.name == parts[-1].text]
                if len(found) != 1:
                    raise _ambiguous(parts)
            if found:
                return found[0].expression
            scope = scope.around
        raise self._unknown(parts)

    def all_of(self, qualifiers: tuple[Name, ...]) -> tuple[Field, ...]:
        """Columns that ``*`` or ``qualifier.*`` stands for."""
        if not qualifiers:
            return self.fields
        found = [table for table in self.tables if table.answers(qualifiers)]
        if not found:
            raise self._unknown_table(qualifiers)
        if len(found) > 1:
            raise _ambiguous(qualifiers)
        return found[0].fields

    def own(self, parts: tuple[Name, ...]) -> list[Field]:
        """Columns of these tables, not of those around, that a name fits."""
        *qualifiers, name = parts
        if not qualifiers:
            return [field for field in self.fields if name.matches(field.name)]
        return [
            field
            for table in self.tables
            if table.answers(tuple(qualifiers))
            for field in table.fields
            if name.matches(field.name)
        ]

    def _unknown(self, parts: tuple[Name, ...]) -> UnknownNameError:
        *qualifiers, name = parts
        scope: Visibility | None = self
        known: dict[str, str] = {}
        answered = not qualifiers
        while scope is not None:
            for table in scope.tables:
                if not qualifiers or table.answers(tuple(qualifiers)):
                    answered = True
                    known.update({field.name.lower(): field.name for field in table.fields})
            scope = scope.around
        if not answered:
            return self._unknown_table(tuple(qualifiers))
        near = get_close_matches(name.text.lower(), known, n=3, cutoff=0.6)
        text = ".".join(part.text for part in parts)
        names = [known[word] for word in near]
        quoted = name.delimited and not qualifiers and not near
        advice = f"texts are put between single quotes: '{name.text}'" if quoted else ""
        line, column = parts[0].line, parts[0].column
        return UnknownNameError(
            "column", text, near=names, advice=advice, line=line, column=column
        )

    def _unknown_table(self, qualifiers: tuple[Name, ...]) -> UnknownNameError:
        text = ".".join(part.text for part in qualifiers)
        known = [".".join(table.qualifiers) for table in self.tables]
        near = get_close_matches(text, known, n=3, cutoff=0.4)
        first = qualifiers[0]
        return UnknownNameError("table", text, near=near, line=first.line, column=first.column)


def _ambiguous(parts: tuple[Name, ...]) -> QueryError:
    text = ".".join(part.text for part in parts)
    message = f"`{text}` fits several columns or tables: put the table's name or alias before it"
    return QueryError(message, line=parts[0].line, column=parts[0].column)
