"""What a computation sees of its inputs: values, and pixels read when they are looked at."""

from __future__ import annotations

__all__ = ["Progenitor", "ReferenceStars"]

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.frames import StoredImages
from reduction.steps.proper_motion import julian_year, moved
from schemas.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reduction.frames import Sections

Array = np.ndarray[Any, Any]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Progenitor:
    """One input as a computation sees it.

    Attributes
    ----------
    object_id
        Its number in the archive.
    class_name, filter
        Its class, and the filter's name (empty where none applies).
    attributes
        Values by attribute name ("imstat.median"); for raw frames also exptime, mjd_obs, object,
        airmass, ra, dec, wcs, and science and overscan as :class:`Section` (overscan may be None).
    images
        Pixels by extension name, native byte order, read from the storage when asked for. A raw
        frame has one, "RAW" (uint16, int32 or float32, untrimmed), shape (ny, nx).
    quality_flags
        0 means no problem.
    tables
        Structured arrays by extension name, read when asked for.
    raw
        Attributes of the raw frame that a product made per frame belongs to; empty for others.
    instrument, chip, night, moment
        Of the product: names, date of the night's beginning (empty for fields), MJD UTC.
    read_rows
        Reads its catalogue rows; None where its class has none.
    band
        Standard name of its filter; empty where none applies.
    """

    object_id: int
    class_name: str
    filter: str
    attributes: Mapping[str, Any]
    images: Mapping[str, Array]
    quality_flags: int = 0
    tables: Mapping[str, Array] = field(default_factory=lambda: _NOTHING)
    raw: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    instrument: str = ""
    chip: str = ""
    night: str = ""
    moment: float | None = None
    read_rows: Callable[[], Array] | None = None
    band: str = ""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  # the type is the attribute's
        """Value of an attribute; None where the class computed no value."""
        return self.attributes[name]

    @property
    def rows(self) -> Array:
        """Its catalogue rows as a structured array, read anew each time; NaN is "no value".

        Raises
        ------
        FatalError
            If the class has none.
        """
        if self.read_rows is None:
            message = f"{self.class_name} object {self.object_id} has no catalogue rows"
            raise FatalError(message)
        return self.read_rows()

    def section(self, name: str, slices: tuple[slice, slice]) -> Array:
        """Pixels of a rectangle of an image, without reading the others.

        Parameters
        ----------
        name
            Extension.
        slices
            Rows and columns, 0-based, without steps.
        """
        if isinstance(self.images, StoredImages):
            return self.images.section(name, slices)
        return self.images[name][slices]

    def sections(self) -> Sections | None:
        """Rectangles of its images from its file, to be closed; None where it is in no file."""
        return self.images.sections() if isinstance(self.images, StoredImages) else None

    def forget(self) -> None:
        """Let go of pixels that were read; they are read again when asked for."""
        if isinstance(self.images, StoredImages):
            self.images.forget()


@dataclass(frozen=True, slots=True)
class ReferenceStars:
    """Stars of one reference catalogue in the field of a frame.

    Attributes
    ----------
    object_id, catalogue
        The catalogue's number and name in the archive.
    name
        Names of the stars, shape (n,).
    ra, dec
        ICRS degrees, shape (n,).
    mags, mag_errs
        Magnitudes and errors by band of the photometric system ("B", "V", "g" ...), shape (n,),
        NaN where the catalogue has none.
    pm_ra, pm_dec
        Proper motions, mas a year, that of right ascension along the sky, shape (n,); NaN where
        not known. None is "of none".
    epoch
        Julian years that the positions are of, shape (n,); NaN where not known.
    """

    object_id: int
    catalogue: str
    name: Sequence[str]
    ra: Array
    dec: Array
    mags: Mapping[str, Array]
    mag_errs: Mapping[str, Array]
    pm_ra: Array | None = None
    pm_dec: Array | None = None
    epoch: Array | None = None

    def at(self, mjd: float) -> ReferenceStars:
        """The same stars where they are at a moment (MJD), by their proper motions.

        Stars without a known motion, or epoch, stay where they are.
        """
        if self.pm_ra is None or self.pm_dec is None or self.epoch is None:
            return self
        year = julian_year(mjd)
        ra, dec = moved(self.ra, self.dec, self.pm_ra, self.pm_dec, year - self.epoch)
        return replace(self, ra=ra, dec=dec, epoch=np.full(len(ra), year))
