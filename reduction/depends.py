"""How a target says what it is made from; only what is declared here can reach its computation."""

from __future__ import annotations

__all__ = [
    "Slot",
    "SlotKind",
    "calibration",
    "frames_of_field",
    "frames_of_night",
    "in_field",
    "of_frame",
    "raw_frame",
    "raw_frames",
    "references",
]

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

#: A slot in its class's body, and on an object what fills it: no type of Python's says both.
Filler: TypeAlias = Any


class SlotKind(StrEnum):
    """Where the progenitors of a slot are looked for."""

    RAW_FRAMES = "raw_frames"
    RAW_FRAME = "raw_frame"
    CALIBRATION = "calibration"
    OF_FRAME = "of_frame"
    REFERENCES = "references"
    FRAMES_OF_NIGHT = "frames_of_night"
    FRAMES_OF_FIELD = "frames_of_field"
    IN_FIELD = "in_field"


_MANY = frozenset(
    {
        SlotKind.RAW_FRAMES,
        SlotKind.REFERENCES,
        SlotKind.FRAMES_OF_NIGHT,
        SlotKind.FRAMES_OF_FIELD,
    }
)


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
        For calibrations made per frame: the one of the same raw frame comes first, then the
        nearest in time.
    when
        Looked at only where this word is among the corrections that the instrument or its filter
        asks for, or, with a "!" before it, where it is not; empty for always.
    unless
        Names of slots of the same class, declared before: looked at only where all of these
        stayed empty.
    """

    kind: SlotKind
    classes: tuple[str, ...]
    at_least: int
    prefer_own: bool = False
    when: str = ""
    unless: tuple[str, ...] = ()
    name: str = ""

    @property
    def many(self) -> bool:
        """Whether compute() sees a list."""
        return self.kind in _MANY


def raw_frames(class_name: str, *, at_least: int = 1, when: str = "") -> Filler:
    """All valid raw frames of a class of the target's instrument, chip, night (and filter)."""
    return Slot(SlotKind.RAW_FRAMES, (class_name,), at_least, when=when)


def raw_frame(class_name: str) -> Filler:
    """The raw frame that the target belongs to."""
    return Slot(SlotKind.RAW_FRAME, (class_name,), 1)


def calibration(
    *class_names: str,
    required: bool = True,
    prefer_own: bool = False,
    when: str = "",
    unless: tuple[str, ...] = (),
) -> Filler:
    """The calibration that the selection rule gives for the target's chip and moment.

    Of several classes the first that gives one is taken. The filter has to agree where the
    calibration's class is made per filter.
    """
    return Slot(
        SlotKind.CALIBRATION, class_names, int(required), prefer_own, when=when, unless=unless
    )


def of_frame(class_name: str, *, required: bool = True, when: str = "") -> Filler:
    """The target of another class that belongs to the same raw frame."""
    return Slot(SlotKind.OF_FRAME, (class_name,), int(required), when=when)


def references(*, at_least: int = 0) -> Filler:
    """All valid reference catalogues with stars in the frame's field, newest first."""
    return Slot(SlotKind.REFERENCES, ("ReferenceCatalogue",), at_least)


def frames_of_night(class_name: str, *, at_least: int = 1, when: str = "") -> Filler:
    """Targets of a class made per frame, of the target's instrument, night, chip and filter.

    Chip and filter count where the target has one. A frame that cannot be made, has quality flags
    or was rejected is left out: the others go on.
    """
    return Slot(SlotKind.FRAMES_OF_NIGHT, (class_name,), at_least, when=when)


def frames_of_field(class_name: str, *, at_least: int = 1, when: str = "") -> Filler:
    """Targets of a class made per frame whose frames lie in the target's field, and of its band.

    For classes made per frame and field, those of the same field. Left out is what
    :func:`frames_of_night` leaves out.
    """
    return Slot(SlotKind.FRAMES_OF_FIELD, (class_name,), at_least, when=when)


def in_field(class_name: str, *, required: bool = True, when: str = "") -> Filler:
    """The target of a class made per field (and band) that belongs to the target's own field."""
    return Slot(SlotKind.IN_FIELD, (class_name,), int(required), when=when)
