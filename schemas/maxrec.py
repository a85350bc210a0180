"""Rows of an answer: the limit that MAXREC and the settings make, and what is said beyond it."""

from __future__ import annotations

__all__ = ["NO_ROWS", "overflow_text", "row_limit"]

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.settings import LimitSettings

NO_ROWS: Final = "MAXREC=0 asks for columns alone"
"""Said in answers to MAXREC=0, which overflow by definition (DALI-1.1 3.4.4)."""


def row_limit(maxrec: int | None, limits: LimitSettings) -> int:
    """Rows that an answer may have.

    Parameters
    ----------
    maxrec
        As asked for; None where the request does not say.
    limits
        Of the service.
    """
    wanted = limits.maxrec_default if maxrec is None else maxrec
    return min(wanted, limits.maxrec_hard)


def overflow_text(maxrec: int | None, limits: LimitSettings) -> str:
    """Say which limit cut an answer, and how to go further."""
    limit = row_limit(maxrec, limits)
    if limit == limits.maxrec_hard:
        return (
            f"there are more rows than {limit}, the most that one answer may have: ask in parts, "
            "with conditions that tell them apart"
        )
    which = "an answer without MAXREC" if maxrec is None else "MAXREC"
    return (
        f"there are more rows than the {limit} of {which}: ask with a higher MAXREC, "
        f"{limits.maxrec_hard} at most"
    )
