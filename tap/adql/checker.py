"""Checks a query's tree against the catalogue: what every name means, what every column is."""

from __future__ import annotations

__all__ = ["Checked", "check"]

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from schemas.errors import QueryError
from tap.adql import nodes, typed
from tap.adql.conversions import alike
from tap.adql.expressions import ExpressionChecker
from tap.adql.functions import OPERATORS, Function, Library
from tap.adql.grouping import aggregates_in, check_grouping
from tap.adql.kinds import Kind, column_of, common, kind_of
from tap.adql.results import coalesced, unified
from tap.adql.scopes import Field, Visibility, Visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.columns import Column, Table
    from tap.adql.catalogue import Catalogue

_LIBRARY: Final = Library()
_MOST_COLUMNS: Final = 1600  # of a SELECT; PostgreSQL's limit is 1664


@dataclass(frozen=True, slots=True)
class Checked:
    """A query that can be answered.

    Attributes
    ----------
    query
        The checked tree.
    columns
        What the answer's columns are, in order; names may repeat.
    tables
        The stored tables that it reads, each once.
    """

    query: typed.Query
    columns: tuple[Column, ...]
    tables: tuple[Table, ...]


def check(query: nodes.Query, catalogue: Catalogue, *, functions: Library = _LIBRARY) -> Checked:
    """Resolve names and types of a query.

    Parameters
    ----------
    query
        From :func:`tap.adql.parser.parse`.
    catalogue
        The tables that may be queried.
    functions
        The functions that may be called.

    Raises
    ------
    UnknownNameError
        For a table, column or function that does not exist, with names that come near.
    QueryError
        For wrong types, ambiguous names, misuse of aggregates; with line and column.

    Notes
    -----
    ADQL-2.1 2.2 and 3.
    """
    checker = _QueryChecker(catalogue, functions)
    try:
        checked = checker.query(query, None)
    except RecursionError:
        message = "the query is nested too deeply, expected fewer operators in a row"
        raise QueryError(message) from None
    return Checked(checked, checked.columns, tuple(checker.tables))


def _fault(node: nodes.Expression | nodes.Name | nodes.SetOperation, what: str) -> QueryError:
    return QueryError(what, line=node.line, column=node.column)


class _QueryChecker:
    def __init__(self, catalogue: Catalogue, library: Library) -> None:
        self._catalogue, self._library = catalogue, library
        self._common: dict[str, list[tuple[nodes.Name, str, tuple[Column, ...]]]] = {}
        self._aliases = self._queries = 0
        self.tables: dict[Table, None] = {}

    def query(self, query: nodes.Query, around: Visibility | None) -> typed.Query:
        common = tuple(self._common_table(each) for each in query.common)
        if isinstance(query.body, nodes.Select):
            select, order = self._select(query.body, query.order, around)
            return typed.Query(common, select, order, query.offset)
        body = self._body(query.body, around)
        order = self._order_of_answer(query.order, body.columns)
        return typed.Query(common, body, order, query.offset)

    def _common_table(self, each: nodes.CommonTable) -> typed.CommonTable:
        query = self.query(each.query, None)
        columns = _renamed(query.columns, each.columns, each.name)
        self._queries += 1
        name = f"w{self._queries}"
        same = self._common.setdefault(each.name.text.lower(), [])
        same.append((each.name, name, columns))
        return typed.CommonTable(name, query)

    def _body(
        self, body: nodes.Select | nodes.SetOperation | nodes.Query, around: Visibility | None
    ) -> typed.Query | typed.SetOperation:
        if isinstance(body, nodes.Query):
            return self.query(body, around)
        if isinstance(body, nodes.Select):
            return typed.Query((), self._select(body, (), around)[0], (), 0)
        one, other = (self._side(side, around) for side in (body.left, body.right))
        left, right = one.columns, other.columns
        if len(left) != len(right):
            message = f"{body.operator} of {len(left)} and {len(right)} columns, expected as many"
            raise _fault(body, message)
        columns = tuple(
            _both(body, *pair, place=n) for n, pair in enumerate(zip(left, right, strict=True), 1)
        )
        return typed.SetOperation(body.operator, body.keep_all, one, other, columns)

    def _side(
        self, side: nodes.Select | nodes.SetOperation | nodes.Query, around: Visibility | None
    ) -> typed.Query:
        found = self._body(side, around)
        return found if isinstance(found, typed.Query) else typed.Query((), found, (), 0)

    def _select(
        self,
        select: nodes.Select,
        order: tuple[nodes.OrderTerm, ...],
        around: Visibility | None,
    ) -> tuple[typed.Select, tuple[typed.OrderTerm, ...]]:
        sources, scope = self._sources(select.sources, around)
        checker = ExpressionChecker(self._library, scope, self.query)
        items = tuple(islice(self._items(select.items, scope, checker), _MOST_COLUMNS + 1))
        if len(items) > _MOST_COLUMNS:
            message = f"found more than {_MOST_COLUMNS} columns, expected fewer"
            raise QueryError(message, line=select.line, column=select.column)
        where = checker.condition(select.where) if select.where else None
        if where is not None:
            _refuse_aggregates(where, select.where, "WHERE")
        groups = tuple(self._group(each, items, scope, checker) for each in select.groups)
        having = checker.condition(select.having) if select.having else None
        terms = tuple(self._order_term(term, items, checker) for term in order)
        for term, node in zip(terms, order, strict=True):
            if select.distinct and not term.position:
                message = "found SELECT DISTINCT with ORDER BY something that is not selected"
                raise _fault(node.expression, f"{message}, expected a column of the answer")
        checked = typed.Select(select.distinct, select.top, items, sources, where, groups, having)
        check_grouping(checked, terms, select)
        return checked, terms

    def _items(
        self,
        found: Iterable[nodes.Item | nodes.AllColumns],
        scope: Visibility,
        checker: ExpressionChecker,
    ) -> Iterable[typed.Item]:
        for place, item in enumerate(found, start=1):
            if isinstance(item, nodes.AllColumns):
                for field in scope.all_of(item.qualifier):
                    column = replace(field.expression.column, name=field.name)
                    yield typed.Item(field.expression, column)
                continue
            expression = checker.check(item.expression)
            name = item.alias.text if item.alias else expression.column.name or f"col{place}"
            yield typed.Item(expression, replace(expression.column, name=name))

    def _group(
        self,
        node: nodes.Expression,
        items: Sequence[typed.Item],
        scope: Visibility,
        checker: ExpressionChecker,
    ) -> typed.Expr:
        if isinstance(node, nodes.Number) and node.text.isdigit():
            item = items[_place_in_answer(node, [item.column for item in items]) - 1]
            _refuse_aggregates(item.expression, node, "GROUP BY")
            return item.expression
        if isinstance(node, nodes.ColumnName) and len(node.parts) == 1:
            name = node.parts[0]
            if not any(name.matches(field.name) for field in scope.fields):
                named = [item for item in items if name.matches(item.column.name)]
                if named:
                    _refuse_aggregates(named[0].expression, node, "GROUP BY")
                    return named[0].expression
        found = checker.check(node)
        _refuse_aggregates(found, node, "GROUP BY")
        return found

    def _order_term(
        self,
        term: nodes.OrderTerm,
        items: Sequence[typed.Item],
        checker: ExpressionChecker,
    ) -> typed.OrderTerm:
        place = _place_in_answer(term.expression, [item.column for item in items])
        if place:
            return typed.OrderTerm(items[place - 1].expression, place, term.descending)
        found = checker.check(term.expression)
        for place, item in enumerate(items, start=1):
            if item.expression == found:
                return typed.OrderTerm(found, place, term.descending)
        return typed.OrderTerm(found, 0, term.descending)

    def _order_of_answer(
        self, order: tuple[nodes.OrderTerm, ...], columns: tuple[Column, ...]
    ) -> tuple[typed.OrderTerm, ...]:
        fields = _fields("u", columns)
        scope = Visibility((), fields)
        checker = ExpressionChecker(self._library, scope, self.query)
        terms = []
        for term in order:
            place = _place_in_answer(term.expression, columns)
            found = fields[place - 1].expression if place else checker.check(term.expression)
            terms.append(typed.OrderTerm(found, place, term.descending))
        return tuple(terms)

    def _sources(
        self,
        sources: tuple[nodes.TableName | nodes.DerivedTable | nodes.Join, ...],
        around: Visibility | None,
    ) -> tuple[tuple[typed.Relation, ...], Visibility]:
        relations: list[typed.Relation] = []
        tables: list[Visible] = []
        fields: list[Field] = []
        for source in sources:
            relation, scope = self._relation(source, around)
            relations.append(relation)
            tables.extend(scope.tables)
            fields.extend(scope.fields)
        return tuple(relations), Visibility(tuple(tables), tuple(fields), around)

    def _relation(
        self,
        source: nodes.TableName | nodes.DerivedTable | nodes.Join,
        around: Visibility | None,
    ) -> tuple[typed.Relation, Visibility]:
        if isinstance(source, nodes.Join):
            return self._join(source, around)
        self._aliases += 1
        alias = f"t{self._aliases}"
        relation: typed.Relation
        if isinstance(source, nodes.DerivedTable):
            query = self.query(source.query, around)
            fields = _fields(alias, query.columns)
            qualifiers: tuple[str, ...] = (source.alias.text,)
            relation = typed.Derived(alias, query)
        elif common := self._named_common(source):
            fields = _fields(alias, common[2])
            qualifiers = (common[0].text,)
            relation = typed.CommonUse(alias, common[1])
        else:
            table = self._catalogue.find(source.parts)
            self.tables[table] = None
            relation = typed.Source(alias, table, self._catalogue.stored_name(table))
            own = relation.uploaded
            fields = tuple(
                Field(column.name, typed.Reference(column, alias, stored, table, own))
                for column, stored in self._catalogue.stored_columns(table)
            )
            qualifiers = (table.schema, table.name)
        if isinstance(source, nodes.TableName) and source.alias:
            qualifiers = (source.alias.text,)
        return relation, Visibility((Visible(qualifiers, fields),), fields, around)

    def _named_common(
        self, source: nodes.TableName
    ) -> tuple[nodes.Name, str, tuple[Column, ...]] | None:
        if len(source.parts) > 1:
            return None
        name = source.parts[0]
        known = self._common.get(name.text.lower(), ())
        found = [each for each in known if name.matches(each[0].text)]
        return found[-1] if found else None

    def _join(
        self, join: nodes.Join, around: Visibility | None
    ) -> tuple[typed.Relation, Visibility]:
        left, lefts = self._relation(join.left, around)
        right, rights = self._relation(join.right, around)
        tables = (*lefts.tables, *rights.tables)
        if join.condition is not None:
            scope = Visibility(tables, (*lefts.fields, *rights.fields), around)
            checker = ExpressionChecker(self._library, scope, self.query)
            condition = checker.condition(join.condition)
            _refuse_aggregates(condition, join.condition, "ON")
            return typed.Join(join.kind, left, right, condition), scope
        names = join.using or _shared(lefts.fields, rights.fields, join)
        pairs = [(name, lefts.column((name,)), rights.column((name,))) for name in names]
        matches = [self._same(name, one, other) for name, one, other in pairs]
        merged = tuple(
            Field(one.column.name or name.text, _merged(join.kind, one, other))
            for name, one, other in pairs
        )
        rest = tuple(
            field
            for field in (*lefts.fields, *rights.fields)
            if not any(name.matches(field.name) for name in names)
        )
        if len(matches) == 1:
            condition = matches[0]
        else:
            condition = typed.Logical(column_of(Kind.BOOLEAN), "AND", tuple(matches))
        scope = Visibility(tables, (*merged, *rest), around)
        return typed.Join(join.kind, left, right, condition), scope

    def _same(self, name: nodes.Name, one: typed.Expr, other: typed.Expr) -> typed.Expr:
        kinds = [kind_of(one.column), kind_of(other.column)]
        pair, kind = alike(nodes.ColumnName(name.line, name.column, (name,)), (one, other))
        if kind is None:
            message = f"`{name.text}` is {kinds[0]} here and {kinds[1]} there: it cannot join"
            raise _fault(name, message)
        return typed.Apply(column_of(Kind.BOOLEAN), _EQUAL, tuple(pair))


def _shared(
    lefts: tuple[Field, ...], rights: tuple[Field, ...], join: nodes.Join
) -> tuple[nodes.Name, ...]:
    others = {field.name for field in rights}
    names = [field.name for field in lefts if field.name in others]
    if not names:
        message = "NATURAL JOIN of tables without a column in common, expected ON a condition"
        raise QueryError(message, line=join.line, column=join.column)
    return tuple(nodes.Name(name, True, join.line, join.column) for name in names)


def _merged(kind: str, one: typed.Expr, other: typed.Expr) -> typed.Expr:
    if kind == "FULL":
        common_kind = common([kind_of(one.column), kind_of(other.column)]) or Kind.UNKNOWN
        return typed.Apply(coalesced((one, other), common_kind), _COALESCE, (one, other))
    return other if kind == "RIGHT" else one


def _function(name: str) -> Function:
    call = nodes.Call(1, 1, name, (), standard=True)
    return _LIBRARY.find(call, [Kind.UNKNOWN, Kind.UNKNOWN])


_EQUAL: Final = OPERATORS["="]
_COALESCE: Final = _function("COALESCE")


def _fields(alias: str, columns: Iterable[Column]) -> tuple[Field, ...]:
    return tuple(
        Field(column.name, typed.Reference(column, alias, f"c{place}"))
        for place, column in enumerate(columns, start=1)
    )


def _renamed(
    columns: tuple[Column, ...], names: tuple[nodes.Name, ...], query: nodes.Name
) -> tuple[Column, ...]:
    if not names:
        return columns
    if len(names) != len(columns):
        message = f"`{query.text}` names {len(names)} columns of {len(columns)}"
        raise _fault(query, message)
    pairs = zip(columns, names, strict=True)
    return tuple(replace(column, name=name.text) for column, name in pairs)


def _both(body: nodes.SetOperation, left: Column, right: Column, *, place: int) -> Column:
    column = unified(left, right)
    if column is None:
        message = f"column {place} of this {body.operator} is {kind_of(left)} on one side and"
        raise _fault(body, f"{message} {kind_of(right)} on the other")
    return column


def _place_in_answer(node: nodes.Expression, columns: Sequence[Column]) -> int:
    """Number of the answer's column that an ORDER BY term means; 0 if it is an expression."""
    if isinstance(node, nodes.Number) and node.text.isdigit():
        place = int(node.text)
        if not 1 <= place <= len(columns):
            message = f"found column {place} of the answer, expected 1 to {len(columns)}"
            raise _fault(node, message)
        return place
    if isinstance(node, nodes.ColumnName) and len(node.parts) == 1:
        name = node.parts[0]
        return next((n for n, column in enumerate(columns, 1) if name.matches(column.name)), 0)
    return 0


def _refuse_aggregates(found: typed.Expr, node: nodes.Expression | None, where: str) -> None:
    for aggregate in aggregates_in(found):
        message = f"found the set function {aggregate.function.name} in {where}, expected it"
        message += " in the select list, HAVING or ORDER BY"
        place = {} if node is None else {"line": node.line, "column": node.column}
        raise QueryError(message, **place)
