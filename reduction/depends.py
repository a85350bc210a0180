"""How a target says what it is made from; only what is declared here can reach its computation."""

from __future__ import annotations

__all__ = [
    "Slot",
    "SlotKind",
    "calibration",
    "of_frame",
    "raw_frame",
    "raw_frames",
    "references",
]

from dataclasses import dataclass
from enum import StrEnum


class SlotKind(StrEnum):
    """Where the progenitors of a slot are looked for."""

    RAW_FRAMES = "raw_frames"
    RAW_FRAME = "raw_frame"
    CALIBRATION = "calibration"
    OF_FRAME = "of_frame"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class Slot:
    """One declared input of a target class.

    Attributes
    ----------
    name
        The class attribute, and the role in the lineage; set by the class.
    kind
        Where progenitors are looked for.
    classes
        Names of the classes that may fill it.
    at_least
        Fewest progenitors with which the target can be made; 0 makes the slot optional.
    prefer_own
        For calibrations made per frame: the one of the same raw frame comes first.
    """

    kind: SlotKind
    classes: tuple[str, ...]
    at_least: int
    prefer_own: bool = False
    name: str = ""

    @property
    def many(self) -> bool:
        """Whether compute() sees a list."""
        return self.kind in (SlotKind.RAW_FRAMES, SlotKind.REFERENCES)


def raw_frames(class_name: str, *, at_least: int = 1) -> Slot:
    """All valid raw frames of a class of the target's instrument, chip, night (and filter)."""
    return Slot(SlotKind.RAW_FRAMES, (class_name,), at_least)


def raw_frame(class_name: str) -> Slot:
    """The raw frame that the target belongs to."""
    return Slot(SlotKind.RAW_FRAME, (class_name,), 1)


def calibration(class_name: str, *, required: bool = True, prefer_own: bool = False) -> Slot:
    """The calibration that the selection rule gives for the target's chip and moment.

    The filter has to agree where the calibration's class is made per filter.
    """
    return Slot(SlotKind.CALIBRATION, (class_name,), int(required), prefer_own)


def of_frame(class_name: str, *, required: bool = True) -> Slot:
    """The target of another class that belongs to the same raw frame."""
    return Slot(SlotKind.OF_FRAME, (class_name,), int(required))


def references(*, at_least: int = 0) -> Slot:
    """All valid reference catalogues with stars in the frame's field, newest first."""
    return Slot(SlotKind.REFERENCES, ("ReferenceCatalogue",), at_least)
