"""Where raw frames are on the sky, and which of them reach into a field."""

from __future__ import annotations

__all__ = ["Frame", "apart", "farthest", "raw_frames_of"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from reduction.batches import batched
from reduction.frame_keys import file_stem
from reduction.select import angle, in_box
from reduction.superseded import NOT_SUPERSEDED
from schemas.sphere import Cap
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from reduction.fields import FieldSpec
    from reduction.instruments.base import Instrument
    from reduction.registry import Registry


@dataclass(frozen=True, slots=True)
class Frame:
    """A raw frame as the targets that it makes possible need it.

    Attributes
    ----------
    raw
        Its product.
    stem
        Name that is its own: of its file, without suffix, and the beginning of its checksum.
    ra, dec, radius
        Its circle on the sky, degrees, widened by the pointing's error; None where there is none.
    """

    raw: Product
    stem: str
    ra: float | None
    dec: float | None
    radius: float | None

    @classmethod
    def of(cls, registry: Registry, raw: Product, sha256: str) -> Frame:
        """Of a raw product and the checksum of its file."""
        values = raw.attributes
        camera = registry.instruments[raw.instrument]
        pointed = values["ra"] is not None and values["dec"] is not None
        return cls(
            raw,
            f"{file_stem(values['name'])}-{sha256[:8]}",
            values["ra"] % 360.0 if pointed else None,
            values["dec"] if pointed else None,
            _reach(camera, raw) if pointed else None,
        )


def _reach(camera: Instrument, raw: Product) -> float:
    """Degrees from a frame's pointing to its corners, widened by the pointing's error."""
    y0, y1, x0, x1 = raw.attributes["science"]
    half = math.hypot(y1 - y0, x1 - x0) / 2
    return half * camera.pixel_scale / 3600 + camera.pointing_error


def apart(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    """Angle between two places on the sky, all in degrees; see also :func:`select.angle`."""
    d1, d2 = math.radians(dec1), math.radians(dec2)
    half = math.sin((d1 - d2) / 2) ** 2
    half += math.cos(d1) * math.cos(d2) * math.sin(math.radians(ra1 - ra2) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))


def farthest(registry: Registry, spec: FieldSpec) -> float:
    """Degrees from its pointing that no frame of a field's cameras reaches beyond."""
    return max(
        math.hypot(*chip.shape) / 2 * camera.pixel_scale / 3600 + camera.pointing_error
        for name in spec.instruments
        for camera in [registry.instruments[name]]
        for chip in camera.chips.values()
    )


def raw_frames_of(session: Session, registry: Registry, spec: FieldSpec) -> Sequence[Product]:
    """Raw science frames that reach into a field, in the order in which they were taken.

    They are found by their targets, whose places have an index.
    """
    classes = [
        cls.__name__
        for cls in registry.targets()
        if cls.ANCHOR.per_frame and not cls.ANCHOR.per_field
    ]
    reach = min(spec.radius + farthest(registry, spec), 180.0)
    made_of = select(Target.raw_id).where(
        Target.class_name.in_(classes),
        Target.instrument.in_(spec.instruments),
        Target.moment.between(spec.start, spec.end),
        angle(Target.ra, Target.dec, spec.ra, spec.dec) <= reach,
        *in_box(Cap(spec.ra, spec.dec, reach)),
    )
    near: list[Product] = []
    for part in batched(sorted({n for n in session.scalars(made_of) if n is not None})):
        raws = select(Product).where(
            Product.product_id.in_(part),
            Product.class_name == "RawScienceFrame",
            NOT_SUPERSEDED,
        )
        near += session.scalars(raws)
    return [
        raw
        for raw in sorted(near, key=lambda raw: (raw.moment or 0.0, raw.product_id))
        if apart(raw.attributes["ra"], raw.attributes["dec"], spec.ra, spec.dec)
        <= spec.radius + _reach(registry.instruments[raw.instrument], raw)
    ]
