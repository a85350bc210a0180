"""What can be said of a target, and what has to be done about it: values, nothing else."""

from __future__ import annotations

__all__ = ["Plan", "Reason", "ReasonKind", "Step", "Verdict", "VerdictKind"]

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reduction.pools import Pool
    from schemas.tables import Product, Target


class ReasonKind(StrEnum):
    """Why a target is stale (design invariant 7)."""

    MISSING = "missing"
    NEW_RAW_DATA = "new raw data"
    OTHER_PARAMETERS = "other parameters"
    OTHER_RECIPE = "other recipe version"
    PROGENITOR_STALE = "progenitor stale"
    PROGENITOR_INVALIDATED = "progenitor invalidated"
    PROGENITOR_DOUBTED = "progenitor was altered"
    PROGENITOR_REMADE = "progenitor remade with other content"
    BETTER_CALIBRATION = "better calibration available"
    NOT_PUBLISHED = "made before, not published now"
    CANNOT_BE_MADE = "cannot be made"
    RECIPE_FAILED = "recipe failed"
    WRONG_PARAMETER = "wrong parameter"
    NO_CAMERA = "no such camera"
    UNREADABLE = "file cannot be read"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, the input it is about (empty for the target itself), and a sentence."""

    kind: ReasonKind
    role: str
    text: str

    def as_json(self) -> dict[str, str]:
        """Words for the archive's tables."""
        return {"kind": self.kind.value, "role": self.role, "text": self.text}


class VerdictKind(StrEnum):
    """What can be said of a target."""

    FRESH = "fresh"
    STALE = "stale"
    UNMAKEABLE = "unmakeable"


@dataclass(slots=True)
class Verdict:
    """What is known of one target after looking.

    Attributes
    ----------
    target
        The target's row as it was.
    kind, reasons
        The verdict and why; no reasons for FRESH.
    inputs
        Progenitor products by slot, in order; complete only where ``needs`` is empty.
    needs
        Targets that have to be made first.
    considered
        Targets the verdict rests on, candidates that were passed over included, and each one's
        count of events at the time.
    pools
        Calibrations that were passed over and are not among ``considered`` one by one.
    providers
        Product that each target gave; two targets made from the same inputs share one.
    recipe_version, parameters, key, input_hash
        What the product would be made by, and its identity (empty while ``needs`` is not).
    reuse
        A product made before with the same key or the same input contents.
    looked
        False where the target's state was trusted without looking.
    answer
        Product that the target answers with, where that is not the published one (variants).
    epoch
        The target's count of events when the verdict was reached.
    """

    target: Target
    kind: VerdictKind
    reasons: tuple[Reason, ...] = ()
    inputs: dict[str, list[Product]] = field(default_factory=dict)
    needs: tuple[int, ...] = ()
    considered: dict[int, int] = field(default_factory=dict)
    providers: dict[int, int] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    recipe_version: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    input_hash: str = ""
    reuse: Product | None = None
    looked: bool = True
    answer: Product | None = None
    epoch: int = field(init=False)

    def __post_init__(self) -> None:
        """Remember which events the verdict knows of."""
        self.epoch = self.target.epoch


@dataclass(frozen=True, slots=True)
class Step:
    """One target to be made: which, why, after which others, and in about how many seconds."""

    target_id: int
    epoch: int
    name: str
    reasons: tuple[Reason, ...]
    needs: tuple[int, ...]
    cost_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order in which they can be run."""

    steps: tuple[Step, ...]

    @property
    def cost_s(self) -> float:
        """Estimated seconds of one process for all steps."""
        return sum(step.cost_s for step in self.steps)
