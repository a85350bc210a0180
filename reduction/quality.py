"""Quality flags as data: bits, each with a name and a sentence."""

from __future__ import annotations

__all__ = ["DOUBTED", "Flag", "QualityFlags", "describe_flags", "flags_of", "said_flags", "unfit"]

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.tables import Product

DOUBTED: Final = -1
"""``is_valid`` of a product that may have been made from altered bytes."""


class QualityFlags(IntFlag):
    """Base of a class's flags; 0 means no problem (Astro-WISE ``quality_flags``).

    A member is declared as its bit and the sentence that people read: what was found, and which
    process parameter it was compared with::

        class Flags(QualityFlags):
            STDEV_TOO_LARGE = 1, "the scatter of the bias is above MAXIMUM_STDEV"

    Attributes
    ----------
    sentence
        Of a single bit; sums of bits have none.
    """

    sentence: str

    def __new__(cls, bit: int, sentence: str = "") -> Self:
        """Make a member of its bit and its sentence."""
        member = int.__new__(cls, bit)
        member._value_ = bit
        member.sentence = sentence
        return member


@dataclass(frozen=True, slots=True)
class Flag:
    """One bit of a class's flags.

    Attributes
    ----------
    bit
        Its value, a power of 2.
    name, sentence
        For programs and for people.
    """

    bit: int
    name: str
    sentence: str


def flags_of(flags: type[QualityFlags]) -> Iterator[Flag]:
    """All bits of a class's flags, the lowest first."""
    for member in sorted(flags):
        yield Flag(int(member), member.name or "", member.sentence)


def describe_flags(flags: type[QualityFlags], value: int) -> str:
    """Name the bits that are set, as "MEAN_TOO_LARGE, STDEV_TOO_LARGE"; empty for 0."""
    return ", ".join(flag.name for flag in flags_of(flags) if value & flag.bit)


def said_flags(flags: type[QualityFlags], value: int) -> str:
    """Name the bits that are set, each with its sentence; empty for 0.

    A bit that the class does not declare (any longer) is said by its number.
    """
    said = [f"{flag.name} ({flag.sentence})" for flag in flags_of(flags) if value & flag.bit]
    rest = value & ~sum(flag.bit for flag in flags_of(flags))
    said += [f"bit {1 << n}" for n in range(rest.bit_length()) if rest >> n & 1]
    return ", ".join(said)


def unfit(classes: Mapping[str, type], product: Product) -> str:
    """Why a product is no progenitor of others, as the end of a sentence about it.

    Parameters
    ----------
    classes
        All classes by name, whose flags have names and sentences.
    product
        One that is rejected or has flags.
    """
    if product.is_valid == DOUBTED:
        return "is doubted"
    if product.is_valid < 1:
        return "was rejected"
    flags = getattr(classes.get(product.class_name), "Flags", QualityFlags)
    return f"is flagged {said_flags(flags, product.quality_flags)}"
