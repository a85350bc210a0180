"""What a simulation must know of a camera to write its raw files."""

from __future__ import annotations

__all__ = ["Camera", "Cards", "Exposure", "Layout"]

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from astropy.time import Time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reduction.instruments.base import Section
    from reduction.simulation.truth import ChipTruth

#: Keyword, value, comment.
Cards: TypeAlias = "list[tuple[str, object, str]]"


@dataclass(frozen=True, slots=True)
class Layout:
    """One chip's geometry.

    Attributes
    ----------
    raw_shape
        Of the whole raw frame, (ny, nx).
    science, overscan
        Sections of the raw frame.
    centre
        Focal-plane position (x, y) of the chip's middle, pixels from the optical axis.
    rotation
        Of the chip against the mosaic, radians.
    mirrored
        Whether x grows towards east.
    """

    raw_shape: tuple[int, int]
    science: Section
    overscan: Section
    centre: tuple[float, float]
    rotation: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the headers of an exposure say.

    Attributes
    ----------
    dpr_type
        ESO's word for the kind: "BIAS", "FLAT,DOME", "FLAT,SKY", "OBJECT".
    filter
        Name; the one that happens to be in the beam, for a bias.
    object
        OBJECT.
    exptime
        s.
    mjd
        Start, MJD UTC.
    ra, dec
        Optical axis as the telescope believes it, ICRS degrees; None for calibrations.
    airmass
        At the start.
    """

    dpr_type: str
    filter: str
    object: str
    exptime: float
    mjd: float
    ra: float | None = None
    dec: float | None = None
    airmass: float = 1.0

    @property
    def date_obs(self) -> str:
        """ISO form of the start."""
        return str(Time(self.mjd, format="mjd", scale="utc").isot)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that can be simulated: a module of this package with ``CAMERA = Camera(...)``.

    Attributes
    ----------
    name
        As the archive calls the instrument.
    chip_names
        In the order of the extensions.
    shape
        Pixels (ny, nx) of a chip that see light.
    any_shape
        Whether chips of other sizes can be simulated.
    filters
        The camera's name of the filters "V" and "B", and of "I" where its chips show fringes.
    place
        Shape of the science pixels, number of chips, index of the chip -> its layout.
    file_name
        Of an exposure.
    primary
        Exposure, number of chips -> cards of the primary header.
    extension
        Exposure, name and index of the chip, its truth and layout -> cards of its header, without
        WCS.
    """

    name: str
    chip_names: Sequence[str]
    shape: tuple[int, int]
    place: Callable[[tuple[int, int], int, int], Layout]
    file_name: Callable[[Exposure], str]
    primary: Callable[[Exposure, int], Cards]
    extension: Callable[[Exposure, str, int, ChipTruth, Layout], Cards]
    any_shape: bool = False
    filters: Mapping[str, str] = field(default_factory=lambda: {"V": "V", "B": "B"})
