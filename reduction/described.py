"""Products of classes that this process does not have: shown as they describe themselves."""

from __future__ import annotations

__all__ = ["described"]

from types import new_class
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute
from reduction.depends import Slot, SlotKind
from reduction.target import DBObject, ProcessTarget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.tables import Product

_TYPES = (bool, int, float, str)


def described(
    row: Product, known: type[DBObject] | None, inputs: Iterable[tuple[str, int]]
) -> type[DBObject]:
    """A class for a product that a script made.

    Parameters
    ----------
    row
        The product; its attributes say of what kind they are.
    known
        The archive's class of that name, or None: its plots serve.
    inputs
        Roles and positions of the product's progenitors.

    Returns
    -------
    type
        With all attributes and inputs of the product. It can be looked at, not made.
    """
    base = ProcessTarget if known is None else known
    names = {item.name for item in base.ATTRIBUTES}
    more: dict[str, Any] = {
        name: attribute(_type(value), "declared by a script")
        for name, value in row.attributes.items()
        if name not in names and "." not in name
    }
    for role, position in inputs:
        if role not in base.SLOTS and (position or role not in more):
            kind = SlotKind.RAW_FRAMES if position else SlotKind.RAW_FRAME
            more[role] = Slot(kind, (), 0, name=role)
    namespace = {"__doc__": base.__doc__, **more}
    made: type[DBObject] = new_class(row.class_name, (base,), {}, lambda n: n.update(namespace))
    return made


def _type(value: object) -> type:
    return next((kind for kind in _TYPES if isinstance(value, kind)), float)
