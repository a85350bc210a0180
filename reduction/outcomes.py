"""What becomes of the steps of a plan."""

from __future__ import annotations

__all__ = ["Outcome", "OutcomeKind", "flattened"]

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class OutcomeKind(StrEnum):
    """How a step ended."""

    MADE = "made"
    REUSED = "reused"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step.

    Attributes
    ----------
    target_id, name
        The target.
    kind
        ``made`` anew, ``reused`` (published again), ``unchanged`` (looked at: right), ``failed``
        (cannot be made), ``error`` (something else went wrong, the target is as it was).
    seconds
        What it took.
    message
        Why it failed; empty otherwise.
    before
        Outcomes of targets that were made on the way, because this one still needed them.
    """

    target_id: int
    name: str
    kind: OutcomeKind
    seconds: float
    message: str = ""
    before: tuple[Outcome, ...] = ()


def flattened(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Outcomes with those made on the way, each in the order of its end."""
    for outcome in outcomes:
        yield from flattened(outcome.before)
        yield outcome
