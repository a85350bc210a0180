"""Process parameters that operators and fields set, looked at again when the code may be new.

A value that was right when it was set may be none for a later version of the class. It is said,
the targets that it reaches are examined again and fail with the same sentence, and all others go
on.
"""

from __future__ import annotations

__all__ = ["look_again"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from reduction.events import mark_suspect
from reduction.parameters import BY_NAME, check_parameters, stored_values
from reduction.verdicts import ReasonKind
from schemas.errors import ParameterError
from schemas.recipe_tables import Recipe
from schemas.tables import Field, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from reduction.registry import Registry


def look_again(registry: Registry, session: Session) -> list[str]:
    """Mark targets as suspect that a value reaches which cannot be used, or could not before.

    Returns
    -------
    list of str
        A sentence for each value that cannot be used.
    """
    said: list[str] = []
    for stored in _stored(registry, session):
        wrong = _wrong(registry, stored)
        if wrong:
            fresh = Target.state == TargetState.FRESH
            query = select(Target.target_id).where(stored.reached, fresh)
            mark_suspect(session, session.scalars(query).all())
        what = f"its {stored.class_name}" if stored.class_name else "what is made of it"
        said += [f"{stored.where}: {sentence}; {what} cannot be made" for sentence in wrong]
    failed = select(Target.target_id).where(
        Target.state == TargetState.FAILED,
        Target.reasons.contains([{"kind": ReasonKind.WRONG_PARAMETER.value}]),
    )
    mark_suspect(session, session.scalars(failed).all())
    return said


@dataclass(frozen=True, slots=True)
class _Stored:
    """Process parameters of a class that the database holds.

    Attributes
    ----------
    class_name
        Empty where they are of no class: a field's that are not by class.
    reached
        Which targets they are for.
    where
        Who said them.
    values
        By name; what else the JSON is where they are none.
    """

    class_name: str
    reached: ColumnElement[bool]
    where: str
    values: Any


def _stored(registry: Registry, session: Session) -> Iterator[_Stored]:
    known = {cls.__name__ for cls in registry.targets()}
    for row in session.scalars(select(Recipe).where(Recipe.overrides != {})).all():
        if row.class_name in known:
            reached = (Target.class_name == row.class_name) & (Target.instrument == row.instrument)
            where = f"set by an operator for {row.instrument}"
            yield _Stored(row.class_name, reached, where, row.overrides)
    for field in session.scalars(select(Field).where(Field.is_valid >= 1)).all():
        where, of_it = f"set for the field {field.name}", Target.field_id == field.field_id
        by_class = stored_values(field.parameters)
        if by_class is None:
            yield _Stored("", of_it, where, field.parameters)
            continue
        for class_name in sorted(known & by_class.keys()):
            reached = of_it & (Target.class_name == class_name)
            yield _Stored(class_name, reached, where, by_class[class_name])


def _wrong(registry: Registry, stored: _Stored) -> list[str]:
    """A sentence for each value that cannot be used."""
    name, values = stored.class_name, stored_values(stored.values)
    if values is None or not name:
        expected = BY_NAME if name else "values by the names of classes and parameters"
        found = f"found {stored.values!r}, expected {expected}"
        return [f"{name}: {found}" if name else found]
    sentences = []
    for parameter, value in values.items():
        try:
            check_parameters(name, registry.target(name).Parameters, {parameter: value})
        except ParameterError as error:
            sentences.append(str(error))
    return sentences
