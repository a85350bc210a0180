"""What GROUP BY and set functions demand of a query (SQL-92 7.9): one value for each group."""

from __future__ import annotations

__all__ = ["aggregates_in", "check_grouping", "parts", "relations_in"]

from typing import TYPE_CHECKING

from schemas.errors import QueryError
from tap.adql import typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap.adql import nodes


def parts(found: typed.Expr) -> tuple[typed.Expr, ...]:
    """Operands and arguments of an expression; a query inside is not entered."""
    if isinstance(found, typed.Apply):
        return found.arguments
    if isinstance(found, typed.Logical):
        return found.operands
    if isinstance(found, typed.Convert | typed.InQuery):
        return (found.operand,)
    return ()


def aggregates_in(found: typed.Expr) -> Iterator[typed.Apply]:
    """Set functions in an expression, outermost only."""
    if isinstance(found, typed.Apply) and found.function.aggregate:
        yield found
        return
    for part in parts(found):
        yield from aggregates_in(part)


def relations_in(found: typed.Expr) -> frozenset[str]:
    """Aliases of the relations whose columns are used, queries inside not counted."""
    if isinstance(found, typed.Reference):
        return frozenset({found.relation})
    return frozenset().union(*(relations_in(part) for part in parts(found)))


def check_grouping(
    select: typed.Select, order: Sequence[typed.OrderTerm], node: nodes.Select
) -> None:
    """Refuse columns that have many values in a group, and set functions in set functions.

    Raises
    ------
    QueryError
        Naming the column.
    """
    found = [item.expression for item in select.items]
    found += [term.expression for term in order if term.expression is not None]
    found += [select.having] if select.having is not None else []
    aggregates = [each for expression in found for each in aggregates_in(expression)]
    for aggregate in aggregates:
        inner = [each for part in aggregate.arguments for each in aggregates_in(part)]
        if inner:
            message = f"found {inner[0].function.name} inside {aggregate.function.name}"
            raise _fault(node, f"{message}, expected no set function in another")
    if not (aggregates or select.groups or select.having is not None):
        return
    own = frozenset(_aliases(select.sources))
    for aggregate in aggregates:
        used = relations_in(aggregate)
        if used and not used & own:
            message = f"{aggregate.function.name} is over columns of the query around, expected"
            raise _fault(node, f"{message} columns of this one")
    for expression in found:
        loose = _loose(expression, select.groups, own)
        if loose is not None:
            message = (
                f"`{loose.column.name}` is neither in GROUP BY nor inside a set function such as"
                " MIN, MAX, AVG"
            )
            raise _fault(node, message)


def _loose(
    found: typed.Expr, groups: tuple[typed.Expr, ...], own: frozenset[str]
) -> typed.Reference | None:
    if found in groups:
        return None
    if isinstance(found, typed.Reference):
        return found if found.relation in own else None
    if isinstance(found, typed.Apply) and found.function.aggregate:
        return None
    return next(
        (loose for part in parts(found) if (loose := _loose(part, groups, own)) is not None), None
    )


def _aliases(sources: Iterable[typed.Relation]) -> Iterator[str]:
    for source in sources:
        if isinstance(source, typed.Join):
            yield from _aliases((source.left, source.right))
        else:
            yield source.alias


def _fault(node: nodes.Select, message: str) -> QueryError:
    return QueryError(message, line=node.line, column=node.column)
