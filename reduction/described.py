"""Products of classes that this process does not have: shown as they describe themselves."""

from __future__ import annotations

__all__ = ["described"]

from types import new_class
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute
from reduction.target import DBObject, ProcessTarget

if TYPE_CHECKING:
    from schemas.tables import Product

_TYPES = (bool, int, float, str)


def described(row: Product, known: type[DBObject] | None) -> type[DBObject]:
    """A class for a product that a script made.

    Parameters
    ----------
    row
        The product; its attributes say of what kind they are.
    known
        The archive's class of that name, or None: its inputs and plots serve.

    Returns
    -------
    type
        With all attributes of the product. It can be looked at, not made.
    """
    base = ProcessTarget if known is None else known
    names = {item.name for item in base.ATTRIBUTES}
    more: dict[str, Any] = {
        name: attribute(_type(value), "declared by a script")
        for name, value in row.attributes.items()
        if name not in names and "." not in name
    }
    namespace = {"__doc__": base.__doc__, **more}
    made: type[DBObject] = new_class(row.class_name, (base,), {}, lambda n: n.update(namespace))
    return made


def _type(value: Any) -> type:  # noqa: ANN401  # any JSON value
    return next((kind for kind in _TYPES if isinstance(value, kind)), float)
