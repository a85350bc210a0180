"""The look at a raw frame that is taken into the archive: what it measures, and its flags."""

from __future__ import annotations

__all__ = ["RawQuality", "judge"]

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from reduction.frames import read_raw
from reduction.parameters import resolve_parameters
from reduction.steps.raw_statistics import raw_statistics
from reduction.targets.raw import RawFrame
from schemas.errors import IngestError, StorageError, UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reduction.archive import Archive
    from reduction.instruments.base import FrameDescription, Instrument


@dataclass(frozen=True, slots=True)
class RawQuality:
    """Of one raw frame.

    Attributes
    ----------
    flags
        Bits of its class's ``Flags``; 0 means no problem.
    attributes
        Statistics by the name of their attribute; NaN is None.
    limits
        What it was compared with, by parameter name.
    """

    flags: int
    attributes: Mapping[str, Any]
    limits: Mapping[str, Any]


def judge(
    archive: Archive, instrument: Instrument, description: FrameDescription, path: Path
) -> RawQuality:
    """Measure a raw frame and compare it with its class's limits, as the instrument sets them.

    Raises
    ------
    IngestError
        If its pixels cannot be read, or are not as its headers say.
    """
    cls = archive.registry.classes[description.kind.value]
    if not issubclass(cls, RawFrame):
        return RawQuality(0, {}, {})
    name = cls.__name__
    overrides = dict(instrument.parameters.get(name, {}))
    for owner in ("*", instrument.name):
        overrides |= archive.settings.reduction.parameters.get(owner, {}).get(name, {})
    chip = instrument.chips[description.chip]
    limits = resolve_parameters(name, cls.Parameters, overrides, chip)
    parameters = cls.Parameters(**limits)
    try:
        measured = raw_statistics(
            read_raw(path, description.hdu),
            description.science,
            saturation=parameters.SATURATION,
            overscan=description.overscan,
        )
    except (StorageError, UnprocessableError) as error:
        raise IngestError(path.name, str(error)) from error
    attributes = {f"imstat.{word}": value for word, value in asdict(measured.imstat).items()}
    for word in ("level", "scatter", "flatness", "saturated"):
        attributes[word] = getattr(measured, word)
    known = {word: None if math.isnan(value) else value for word, value in attributes.items()}
    return RawQuality(cls.verify(measured, parameters), known, limits)
