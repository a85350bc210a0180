"""Names of columns for forms whose readers want each name once."""

from __future__ import annotations

__all__ = ["distinct"]

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def distinct(
    names: Sequence[str], *, folded: bool = False, longest: int | None = None
) -> list[str]:
    """Number what has been there before: ``id, id`` becomes ``id, id_2``.

    Parameters
    ----------
    names
        Of the columns, in order.
    folded
        Whether names that differ in case alone are the same (FITS-4.0 7.3.2.1).
    longest
        Characters of a name at most; None for any number.
    """

    def key(name: str) -> str:
        return name.lower() if folded else name

    taken = {key(name) for name in names}
    seen: dict[str, int] = {}
    made = []
    for name in names:
        wanted, number = name, seen.get(key(name), 0) + 1
        while number > 1:
            end = f"_{number}"
            wanted = (name if longest is None else name[: longest - len(end)]) + end
            if key(wanted) not in taken:
                break
            number += 1
        taken.add(key(wanted))
        seen[key(name)] = number
        made.append(wanted)
    return made
