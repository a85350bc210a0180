"""Process parameters that operators and fields set, looked at again when the code may be new.

A value that was right when it was set may be none for a later version of the class. It is said,
the targets that it reaches are examined again and fail with the same sentence, and all others go
on.
"""

from __future__ import annotations

__all__ = ["look_again"]

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from reduction.events import mark_suspect
from reduction.parameters import check_parameters, stored_values
from reduction.verdicts import ReasonKind
from schemas.errors import ParameterError
from schemas.tables import Field, Recipe, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    for class_name, condition, where, values in _stored(registry, session):
        parameters = registry.target(class_name).Parameters
        wrong = _wrong(class_name, parameters, values)
        if wrong:
            fresh = Target.state == TargetState.FRESH
            query = select(Target.target_id).where(
                Target.class_name == class_name, condition, fresh
            )
            mark_suspect(session, session.scalars(query).all())
        said += [f"{where}: {sentence}; its {class_name} cannot be made" for sentence in wrong]
    failed = select(Target.target_id).where(
        Target.state == TargetState.FAILED,
        Target.reasons.contains([{"kind": ReasonKind.WRONG_PARAMETER.value}]),
    )
    mark_suspect(session, session.scalars(failed).all())
    return said


def _stored(
    registry: Registry, session: Session
) -> Iterator[tuple[str, ColumnElement[bool], str, Mapping[str, Any]]]:
    """Class, which of its targets, whose words, and values by name."""
    known = {cls.__name__ for cls in registry.targets()}
    for row in session.scalars(select(Recipe).where(Recipe.overrides != {})).all():
        if row.class_name in known:
            reached = Target.instrument == row.instrument
            where = f"set by an operator for {row.instrument}"
            yield row.class_name, reached, where, row.overrides
    for field in session.scalars(select(Field).where(Field.is_valid >= 1)).all():
        for class_name, values in (stored_values(field.parameters) or {}).items():
            if class_name in known:
                reached = Target.field_id == field.field_id
                yield class_name, reached, f"set for the field {field.name}", values


def _wrong(class_name: str, parameters: type[Any], values: Mapping[str, Any]) -> list[str]:
    if stored_values(values) is None:
        return [f"{class_name}: found {values!r}, expected values by the names of parameters"]
    found = []
    for name, value in values.items():
        try:
            check_parameters(class_name, parameters, {name: value})
        except ParameterError as error:
            found.append(str(error))
    return found
