"""The grammar's rules turned into nodes while Lark parses, refusing what LALR(1) cannot refuse."""

from __future__ import annotations

# ruff: noqa: D102, ANN401  # methods are named and documented by the grammar's rules; Lark's types

__all__ = ["TreeBuilder"]

from typing import TYPE_CHECKING, Any, Final

from lark import Token, Transformer, v_args

from schemas.errors import QuerySyntaxError, UnsupportedFeatureError
from tap.adql import nodes
from tap.adql.literal_lists import literal_list
from tap.adql.nodes import Condition, Expression, Name, Value

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Digits of a number of rows or characters.
_MOST_DIGITS: Final = 18


def _value(node: Expression) -> Expression:
    if not isinstance(node, Value):
        message = "found a condition, expected a value"
        raise QuerySyntaxError(message, line=node.line, column=node.column)
    return node


def _condition(node: Expression) -> Expression:
    if isinstance(node, nodes.Call) and node.standard:
        message = f"found {node.name}, expected a condition such as a comparison"
        if node.name in {"CONTAINS", "INTERSECTS"}:
            message += f"; write 1 = {node.name}(...)"
        raise QuerySyntaxError(message, line=node.line, column=node.column)
    if not isinstance(node, Condition):
        message = "found a value, expected a condition such as a comparison"
        if isinstance(node, nodes.ColumnName):
            message += f"; of booleans write {node.parts[-1].text} = TRUE"
        raise QuerySyntaxError(message, line=node.line, column=node.column)
    return node


def _values(found: Iterable[Expression] | None) -> tuple[Expression, ...]:
    return tuple(_value(node) for node in found or ())


def _place(token: Token) -> tuple[int, int]:
    return token.line or 1, token.column or 1


def _whole(token: Token) -> int:
    if len(token) > _MOST_DIGITS:
        line, column = _place(token)
        message = f"found a number of {len(token)} digits, expected at most {_MOST_DIGITS}"
        raise QuerySyntaxError(message, line=line, column=column)
    return int(token)


def _names(found: tuple[Name, ...], longest: int, what: str) -> tuple[Name, ...]:
    if len(found) > longest:
        text = ".".join(name.text for name in found)
        message = f"found `{text}`, expected {what}"
        raise QuerySyntaxError(message, line=found[0].line, column=found[0].column)
    return found


@v_args(inline=True)
class TreeBuilder(Transformer[Token, nodes.Query]):
    """One method for each rule of ``grammar.lark``; each makes the node named like it."""

    def start(self, query: nodes.Query) -> nodes.Query:
        return query

    def query_specification(
        self, common: tuple[nodes.CommonTable, ...] | None, query: nodes.Query
    ) -> nodes.Query:
        if common is None:
            return query
        return nodes.Query(common, query.body, query.order, query.offset)

    def parenthesised_specification(
        self, query: nodes.Query, order: tuple[nodes.OrderTerm, ...] | None, offset: int | None
    ) -> nodes.Query:
        if not order and offset is None:
            return query
        return nodes.Query((), query, order or (), offset or 0)

    def with_clause(self, _with: Token, *common: nodes.CommonTable) -> tuple[Any, ...]:
        return common

    def with_query(
        self, name: Name, columns: tuple[Name, ...] | None, _as: Token, query: nodes.Query
    ) -> nodes.CommonTable:
        return nodes.CommonTable(name, columns or (), query)

    def query_expression(
        self,
        body: nodes.Select | nodes.SetOperation,
        order: tuple[nodes.OrderTerm, ...] | None,
        offset: int | None,
    ) -> nodes.Query:
        return nodes.Query((), body, order or (), offset or 0)

    def paren_query(self, query: nodes.Query) -> nodes.Query:
        return query

    def union(self, left: Any, word: Token, keep: Token | None, right: Any) -> nodes.SetOperation:
        return nodes.SetOperation(word.upper(), keep is not None, left, right, *_place(word))

    intersection = union

    def select_query(
        self,
        word: Token,
        quantifier: str | None,
        top: int | None,
        items: tuple[nodes.Item, ...],
        sources: tuple[nodes.TableName, ...],
        where: Expression | None,
        groups: tuple[Expression, ...] | None,
        having: Expression | None,
    ) -> nodes.Select:
        return nodes.Select(
            quantifier == "DISTINCT",
            top,
            items,
            sources,
            where,
            groups or (),
            having,
            *_place(word),
        )

    def set_quantifier(self, word: Token) -> str:
        return word.upper()

    def set_limit(self, _top: Token, number: Token) -> int:
        return _whole(number)

    def select_list(self, *items: nodes.Item) -> tuple[nodes.Item, ...]:
        return items

    def all_columns(self, star: Token) -> nodes.AllColumns:
        return nodes.AllColumns((), *_place(star))

    def all_columns_of(self, qualifier: tuple[Name, ...], star: Token) -> nodes.AllColumns:
        qualifier = _names(qualifier, 3, "catalog.schema.table.* at most")
        return nodes.AllColumns(qualifier, *_place(star))

    def derived_column(self, node: Expression, *alias: Any) -> nodes.Item:
        return nodes.Item(_value(node), alias[-1])

    def from_clause(self, _from: Token, *sources: nodes.TableName) -> tuple[Any, ...]:
        return sources

    def joined_table(
        self,
        left: Any,
        natural: Token | None,
        kind: str | None,
        word: Token,
        right: Any,
        how: Expression | tuple[Name, ...] | None,
    ) -> nodes.Join:
        using = how if isinstance(how, tuple) else ()
        condition = how if isinstance(how, Expression) else None
        line, column = _place(word)
        if (natural is None) == (how is None):
            message = (
                "a NATURAL JOIN takes neither ON nor USING"
                if natural is not None
                else "found a JOIN without condition, expected ON or USING after it"
            )
            raise QuerySyntaxError(message, line=line, column=column)
        kind = kind or "INNER"
        return nodes.Join(left, right, kind, natural is not None, condition, using, line, column)

    def join_type(self, kind: Token, *_outer: Token) -> str:
        return kind.upper()

    def join_condition(self, _on: Token, node: Expression) -> Expression:
        return _condition(node)

    def named_columns_join(self, _using: Token, names: tuple[Name, ...]) -> tuple[Name, ...]:
        return names

    def table_name(self, parts: tuple[Name, ...], *alias: Any) -> nodes.TableName:
        return nodes.TableName(_names(parts, 3, "catalog.schema.table at most"), alias[-1])

    def derived_table(self, query: nodes.Query, *alias: Any) -> nodes.DerivedTable:
        return nodes.DerivedTable(query, alias[-1])

    def parenthesised_join(self, join: nodes.Join) -> nodes.Join:
        return join

    def column_name_list(self, *names: Name) -> tuple[Name, ...]:
        return names

    def where_clause(self, _where: Token, node: Expression) -> Expression:
        return _condition(node)

    def having_clause(self, _having: Token, node: Expression) -> Expression:
        return _condition(node)

    def group_by_clause(
        self, _group: Token, _by: Token, *found: Expression
    ) -> tuple[Expression, ...]:
        return _values(found)

    def order_by_clause(
        self, _order: Token, _by: Token, *terms: nodes.OrderTerm
    ) -> tuple[nodes.OrderTerm, ...]:
        return terms

    def order_by_term(self, node: Expression, ordering: str | None) -> nodes.OrderTerm:
        return nodes.OrderTerm(_value(node), ordering == "DESC")

    def ordering(self, word: Token) -> str:
        return word.upper()

    def offset_clause(self, _offset: Token, number: Token) -> int:
        return _whole(number)

    def search_condition_list(self, *found: Any) -> nodes.Logical:
        return self._logical("OR", found)

    def boolean_factor_list(self, *found: Any) -> nodes.Logical:
        return self._logical("AND", found)

    def _logical(self, operator: str, found: tuple[Any, ...]) -> nodes.Logical:
        operands = tuple(_condition(node) for node in found if not isinstance(node, Token))
        return nodes.Logical(operands[0].line, operands[0].column, operator, operands)

    def negation(self, word: Token, node: Expression) -> nodes.Not:
        return nodes.Not(*_place(word), _condition(node))

    def comparison(self, left: Expression, operator: Token, right: Expression) -> nodes.Comparison:
        spelled = "<>" if operator == "!=" else str(operator)
        return nodes.Comparison(*_place(operator), spelled, _value(left), _value(right))

    def between(
        self,
        operand: Expression,
        negated: Token | None,
        word: Token,
        low: Expression,
        _and: Token,
        high: Expression,
    ) -> nodes.Between:
        values = _value(operand), _value(low), _value(high)
        return nodes.Between(*_place(word), *values, negated is not None)

    def in_query(
        self, operand: Expression, negated: Token | None, word: Token, query: nodes.Query
    ) -> nodes.In:
        return nodes.In(*_place(word), _value(operand), (), query, negated is not None)

    def in_list(
        self,
        operand: Expression,
        negated: Token | None,
        word: Token,
        items: tuple[Expression, ...] | Token,
    ) -> nodes.In:
        items = literal_list(items) if isinstance(items, Token) else items
        return nodes.In(*_place(word), _value(operand), items, None, negated is not None)

    def like(
        self, operand: Expression, negated: Token | None, word: Token, pattern: Expression
    ) -> nodes.Like:
        values = _value(operand), _value(pattern)
        return nodes.Like(*_place(word), *values, negated is not None, word.upper() == "ILIKE")

    def is_null(
        self, operand: Expression, word: Token, negated: Token | None, _null: Token
    ) -> nodes.IsNull:
        return nodes.IsNull(*_place(word), _value(operand), negated is not None)

    def exists(self, word: Token, query: nodes.Query) -> nodes.Exists:
        return nodes.Exists(*_place(word), query)

    def binary(self, left: Expression, operator: Token, right: Expression) -> nodes.Binary:
        operands = _value(left), _value(right)
        for operand in operands:
            if isinstance(operand, nodes.Call) and operand.name in {"POINT", "CIRCLE", "POLYGON"}:
                message = f"found {operand.name} beside `{operator}`, expected a number or text"
                raise QuerySyntaxError(message, line=operand.line, column=operand.column)
        return nodes.Binary(*_place(operator), str(operator), *operands)

    def unary(self, operator: Token, operand: Expression) -> nodes.Unary:
        return nodes.Unary(*_place(operator), str(operator), _value(operand))

    def scalar_subquery(self, query: nodes.Query) -> nodes.Subquery:
        body = query.body
        while isinstance(body, nodes.Query):
            body = body.body
        return nodes.Subquery(body.line, body.column, query)

    def function(
        self, name: Token, arguments: tuple[Expression, ...] | Token | None
    ) -> nodes.Call:
        arguments = literal_list(arguments) if isinstance(arguments, Token) else arguments
        standard = name.type != "REGULAR_IDENTIFIER"
        return nodes.Call(*_place(name), name.upper(), arguments or (), standard)

    def function_name(self, name: Token) -> Token:
        return name

    def argument_list(self, *found: Expression) -> tuple[Expression, ...]:
        return _values(found)

    def count_rows(self, name: Token, _star: Token) -> nodes.Call:
        return nodes.Call(*_place(name), "COUNT", (), standard=True, rows=True)

    def set_function(self, name: Token, quantifier: str | None, node: Expression) -> nodes.Call:
        distinct = quantifier == "DISTINCT"
        return nodes.Call(*_place(name), name.upper(), (_value(node),), True, distinct)

    def cast(
        self, word: Token, node: Expression, _as: Token, target: tuple[str, int | None]
    ) -> nodes.Cast:
        return nodes.Cast(*_place(word), _value(node), *target)

    def cast_target(self, *words: Token) -> tuple[str, int | None]:
        spelled = [word.upper() for word in words if word]
        if spelled[0] in {"CHAR", "VARCHAR"}:
            length = next((_whole(word) for word in words if word and word.isdigit()), None)
            if length is not None and not 0 < length <= 10_485_760:
                line, column = _place(words[0])
                message = f"found a text of {length} characters, expected 1 to 10485760"
                raise UnsupportedFeatureError(message, line=line, column=column)
            return spelled[0], length
        return " ".join(spelled), None

    def column_reference(self, parts: tuple[Name, ...]) -> nodes.ColumnName:
        parts = _names(parts, 4, "catalog.schema.table.column at most")
        return nodes.ColumnName(parts[0].line, parts[0].column, parts)

    def qualifier(self, name: Name) -> tuple[Name, ...]:
        return (name,)

    def qualified(self, parts: tuple[Name, ...], name: Name) -> tuple[Name, ...]:
        return (*parts, name)

    def identifier(self, token: Token) -> Name:
        delimited = token.type == "DELIMITED_IDENTIFIER"
        text = token[1:-1].replace('""', '"') if delimited else str(token)
        return Name(text, delimited, *_place(token))

    def literal(self, token: Token) -> Expression:
        if token.type == "NULL":
            return nodes.Null(*_place(token))
        if token.type in {"TRUE", "FALSE"}:
            return nodes.Boolean(*_place(token), token.type == "TRUE")
        return nodes.Number(*_place(token), str(token))

    def string(self, *tokens: Token) -> nodes.String:
        text = "".join(token[1:-1].replace("''", "'") for token in tokens)
        return nodes.String(*_place(tokens[0]), text)
