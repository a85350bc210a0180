"""Parts of what is many, small enough for one statement each."""

from __future__ import annotations

__all__ = ["batched"]

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")


def batched(items: Iterable[_T], size: int = 1000) -> Iterator[tuple[_T, ...]]:
    """Give parts of some items, in their order, each of so many at most."""
    rest = iter(items)
    while part := tuple(islice(rest, size)):
        yield part
