"""Quality flags as data: bits, each with a name and a sentence."""

from __future__ import annotations

__all__ = ["QualityFlags", "describe_flags"]

from enum import IntFlag


class QualityFlags(IntFlag):
    """Base of a class's flags; 0 means no problem (Astro-WISE ``quality_flags``).

    Members are declared with a bit; the sentence for people is the entry of the same name in
    the class's ``SENTENCES``::

        class Flags(QualityFlags):
            STDEV_TOO_LARGE = 1
    """


def describe_flags(flags: type[QualityFlags], value: int) -> str:
    """Name the bits that are set, as "MEAN_TOO_LARGE, STDEV_TOO_LARGE"; empty for 0."""
    return ", ".join(flag.name or "" for flag in flags if value & flag)
