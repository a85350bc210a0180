"""Several cameras as one: what the products of a field are made with."""

from __future__ import annotations

__all__ = ["joined"]

from typing import TYPE_CHECKING, NoReturn

from reduction.instruments.base import Band, Chip, Instrument

if TYPE_CHECKING:
    from collections.abc import Sequence


def joined(cameras: Sequence[Instrument]) -> Instrument:
    """Join cameras under the bands of the photometric system.

    Parameters
    ----------
    cameras
        At least one.

    Returns
    -------
    Instrument
        Named "a+b"; bands by standard name, from the shortest to the longest wavelength of any;
        the finest pixels and the worst pointing; it recognises no frame.
    """
    bands: dict[str, Band] = {}
    for band in (band for camera in cameras for band in camera.bands.values()):
        known = bands.get(band.standard, band)
        bands[band.standard] = Band(
            band.standard,
            band.standard,
            min(known.em_min, band.em_min),
            max(known.em_max, band.em_max),
            corrections=known.corrections | band.corrections,
        )
    return Instrument(
        name="+".join(camera.name for camera in cameras),
        title=", ".join(camera.title for camera in cameras),
        facility=", ".join(dict.fromkeys(camera.facility for camera in cameras)),
        longitude=cameras[0].longitude,
        chips={"": whole(cameras[0])},
        bands=bands,
        recognises=lambda _: False,
        describe=_no_frames,
        pixel_scale=min(camera.pixel_scale for camera in cameras),
        pointing_error=max(camera.pointing_error for camera in cameras),
        rotation_known=all(camera.rotation_known for camera in cameras),
        parameters=cameras[0].parameters if len(cameras) == 1 else {},
        corrections=frozenset().union(*(camera.corrections for camera in cameras)),
    )


def whole(camera: Instrument) -> Chip:
    """Constants of a whole camera: those of its first chip."""
    return next(iter(camera.chips.values()))


def _no_frames(headers: object) -> NoReturn:
    del headers
    message = "several cameras together take no frames"
    raise NotImplementedError(message)
