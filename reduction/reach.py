"""Where raw frames are on the sky, and which of them reach into a field."""

from __future__ import annotations

__all__ = ["Frame", "apart", "raw_frames_of"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Double, cast, select

from reduction.frame_keys import file_stem
from reduction.select import angle
from schemas.tables import Product

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
            values["ra"] if pointed else None,
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


def raw_frames_of(session: Session, registry: Registry, spec: FieldSpec) -> Sequence[Product]:
    """Raw science frames that reach into a field, in the order in which they were taken."""
    reach = max(
        math.hypot(*chip.shape) / 2 * camera.pixel_scale / 3600 + camera.pointing_error
        for name in spec.instruments
        for camera in [registry.instruments[name]]
        for chip in camera.chips.values()
    )
    ra = cast(Product.attributes["ra"].astext, Double)
    dec = cast(Product.attributes["dec"].astext, Double)
    near = session.scalars(
        select(Product)
        .where(
            Product.class_name == "RawScienceFrame",
            Product.instrument.in_(spec.instruments),
            Product.moment.between(spec.start, spec.end),
            dec.between(spec.dec - spec.radius - reach, spec.dec + spec.radius + reach),
            angle(ra, dec, spec.ra, spec.dec) <= spec.radius + reach,
        )
        .order_by(Product.moment, Product.product_id)
    ).all()
    return [
        raw
        for raw in near
        if apart(raw.attributes["ra"], raw.attributes["dec"], spec.ra, spec.dec)
        <= spec.radius + _reach(registry.instruments[raw.instrument], raw)
    ]
