"""The questions whose answers are compared use every function, clause and type of the language."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from tap.adql import check, nodes, parse
from tap.adql.functions import OPERATORS, STANDARD, USER_DEFINED
from tap.adql.typed import Apply
from tests.tap.adql.test_results import PAIRS

#: Read as something else by the checker; found among the words instead.
REWRITTEN = {"REGION", "IN_UNIT", "+"}


def parts(found):
    """All nodes of a tree."""
    waiting = [found]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(node)
        elif is_dataclass(node):
            yield node
            waiting.extend(getattr(node, field.name) for field in fields(node))


def test_there_are_many_questions():
    assert len({adql for adql, _ in PAIRS}) >= 190


def test_every_declared_function_is_asked_in_every_form(catalogue):
    asked = {
        part.function.signature
        for adql, _ in PAIRS
        for part in parts(check(parse(adql), catalogue).query)
        if isinstance(part, Apply)
    }
    written = {
        part.name for adql, _ in PAIRS for part in parts(parse(adql)) if hasattr(part, "standard")
    }
    declared = (*STANDARD, *USER_DEFINED, *OPERATORS.values())
    missing = {each.signature for each in declared if each.name not in REWRITTEN} - asked
    assert missing == set()
    assert {"REGION", "IN_UNIT"} <= written


def test_every_clause_and_every_kind_of_expression_is_asked():
    found = [part for adql, _ in PAIRS for part in parts(parse(adql))]
    kinds = {type(part) for part in found}
    every = {getattr(nodes, name) for name in nodes.__all__} - {
        nodes.Expression,
        nodes.Value,
        nodes.Condition,
    }
    assert every - kinds == set()
    joins = {(j.kind, j.natural, bool(j.using)) for j in found if isinstance(j, nodes.Join)}
    assert {kind for kind, *_ in joins} == {"INNER", "LEFT", "RIGHT", "FULL"}
    assert {(natural, using) for _, natural, using in joins} == {
        (False, False),
        (True, False),
        (False, True),
    }
    selects = [part for part in found if isinstance(part, nodes.Select)]
    for clause in ("distinct", "top", "where", "groups", "having"):
        assert any(getattr(select, clause) for select in selects), clause
    assert any(select.top == 0 for select in selects)
    sets = {(s.operator, s.keep_all) for s in found if isinstance(s, nodes.SetOperation)}
    assert sets >= {(word, False) for word in ("UNION", "EXCEPT", "INTERSECT")}
    assert sets >= {(word, True) for word in ("UNION", "EXCEPT", "INTERSECT")}
    assert any(part.descending for part in found if isinstance(part, nodes.OrderTerm))
    assert any(part.offset for part in found if isinstance(part, nodes.Query))
    assert any(part.columns for part in found if isinstance(part, nodes.CommonTable))


def test_every_target_of_cast_and_every_form_of_literal_is_asked():
    found = [part for adql, _ in PAIRS for part in parts(parse(adql))]
    targets = {part.target for part in found if isinstance(part, nodes.Cast)}
    assert targets == {
        *("SMALLINT", "INTEGER", "BIGINT", "REAL", "DOUBLE PRECISION", "CHAR", "VARCHAR"),
        *("TIMESTAMP", "POINT", "CIRCLE", "POLYGON"),
    }
    numbers = {part.text.lower() for part in found if isinstance(part, nodes.Number)}
    for form in ("0x", ".", "e", "1.", ".5"):
        assert any(form in number for number in numbers), form
    assert {part.truth for part in found if isinstance(part, nodes.Boolean)} == {True, False}
    negated = {type(part) for part in found if getattr(part, "negated", False)}
    assert negated == {nodes.Between, nodes.In, nodes.Like, nodes.IsNull}
