"""What a computation is given, and what it gives."""

from __future__ import annotations

__all__ = ["Inputs", "Made"]

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.scratch import Scratch
from schemas.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reduction.fields import FieldSpec
    from reduction.instruments.base import Instrument

Array = np.ndarray[Any, Any]


class Inputs:
    """The progenitors of one making, by slot name; anything undeclared does not exist.

    ``inputs.bias`` is a :class:`Progenitor` (None where an optional slot is empty), or a list of
    them for slots of many; ``inputs.references`` is a list of :class:`ReferenceStars`. The context
    of the making is in ``instrument``, ``chip``, ``filter``, ``band`` and, for a class made per
    field, ``field`` (:class:`reduction.fields.FieldSpec`, else None). ``scratch`` makes planes
    that may be too large for memory (:class:`reduction.scratch.Scratch`).
    """

    def __init__(
        self,
        owner: str,
        slots: Mapping[str, Any],
        *,
        instrument: Instrument,
        chip: str,
        filter: str,
        field: FieldSpec | None = None,
        scratch: Scratch | None = None,
    ) -> None:
        self._owner, self._slots = owner, dict(slots)
        self.instrument, self.chip, self.filter = instrument, chip, filter
        self.field = field
        self.scratch = scratch or Scratch()

    @property
    def band(self) -> Any:  # noqa: ANN401  # Band; None, which a class for each filter never meets
        """The filter as the instrument describes it (:class:`Band`), or None for none."""
        return self.instrument.bands.get(self.filter)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # see the class
        """Progenitors of a declared slot."""
        if name.startswith("_") or name not in self._slots:
            message = f"{self._owner} does not declare an input {name!r}; see its slots"
            raise FatalError(message)
        return self._slots[name]


@dataclass(slots=True)
class Made:
    """What ``compute`` gives.

    Attributes
    ----------
    images
        Pixels by extension name; the first is the main one. Float images are stored as float32.
    attributes
        Values of the class's declared attributes; ImStat for an ``imstat()`` declaration. NaN and
        None both mean "no value".
    tables
        Structured arrays by extension name, kept in the product's file.
    rows
        Structured array of catalogue rows: goes into the table that the class's ``ROWS`` names.
    cards
        FITS keyword -> (value, comment) for the main extension; for a class without images of its
        own, the cards that its data are delivered with.
    obscore
        Classes with ``PUBLISHED`` only: values for the columns of
        :class:`schemas.tables.ObsCore` but ``product_id``.
    """

    images: dict[str, Array] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Array] = field(default_factory=dict)
    rows: Array | None = None
    cards: dict[str, tuple[Any, str]] = field(default_factory=dict)
    obscore: dict[str, Any] = field(default_factory=dict)
