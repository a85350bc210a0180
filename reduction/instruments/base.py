"""What every camera tells the archive: how its headers read, its chips, filters and defaults."""

from __future__ import annotations

__all__ = [
    "NO_OVERSCAN",
    "Band",
    "Chip",
    "FrameDescription",
    "FrameKind",
    "Instrument",
    "Section",
    "held_for",
]

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from reduction.keys import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from astropy.io.fits import Header


class FrameKind(StrEnum):
    """What a raw frame was taken for; the value names its class in the archive."""

    BIAS = "RawBiasFrame"
    DARK = "RawDarkFrame"
    DOME_FLAT = "RawDomeFlatFrame"
    TWILIGHT_FLAT = "RawTwilightFlatFrame"
    SCIENCE = "RawScienceFrame"

    @property
    def has_filter(self) -> bool:
        """Whether the filter means something: without light it does not."""
        return self not in {FrameKind.BIAS, FrameKind.DARK}


@dataclass(frozen=True, slots=True)
class Section:
    """A rectangle of pixels, 0-based, upper ends excluded, as numpy slices take it."""

    y0: int
    y1: int
    x0: int
    x1: int

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Self:
        """All pixels of a frame of a shape (ny, nx)."""
        return cls(0, shape[0], 0, shape[1])

    @property
    def slices(self) -> tuple[slice, slice]:
        """``array[section.slices]`` is the rectangle, shape (y1 - y0, x1 - x0)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (ny, nx)."""
        return self.y1 - self.y0, self.x1 - self.x0


@dataclass(frozen=True, slots=True)
class Chip:
    """One CCD; every object of the archive belongs to one.

    Attributes
    ----------
    name
        As Astro-WISE's ``chip.name``.
    shape
        Science pixels (ny, nx), after trimming.
    gain
        Nominal e-/adu.
    read_noise
        Nominal adu.
    saturation
        Level in adu above which a raw pixel is saturated.
    """

    name: str
    shape: tuple[int, int]
    gain: float
    read_noise: float
    saturation: float


@dataclass(frozen=True, slots=True)
class Band:
    """A filter as the archive knows it.

    Attributes
    ----------
    name
        The instrument's own name of the filter.
    standard
        Band of the photometric system that zero points are tied to: "B", "V", "r" ...
    em_min, em_max
        Half-power wavelengths, m.
    extinction
        Of the site's usual sky, mag per airmass; None where it is not known.
    color, color_term
        Bands of the colour index, and by how much the standard magnitude is greater than the
        instrument's for each mag of it; None and 0 where not known.
    corrections
        Words that switch on optional inputs of targets in this filter ("fringe"); see
        :class:`reduction.depends.Slot`.
    """

    name: str
    standard: str
    em_min: float
    em_max: float
    extinction: float | None = None
    color: tuple[str, str] | None = None
    color_term: float = 0.0
    corrections: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FrameDescription:
    """What an instrument reads from the headers of one CCD frame.

    Attributes
    ----------
    hdu
        Index of the HDU with the pixels.
    kind, chip, filter
        What it was taken for; chip name; the instrument's filter name, empty where it means
        nothing (bias, dark).
    object
        Target or calibration name as the observer wrote it.
    exptime
        s.
    mjd_obs
        Start of the exposure, MJD UTC.
    night
        Date of the night's beginning, local noon to noon (Astro-WISE 1), ISO ``YYYY-MM-DD``.
    science, overscan
        The pixels that see light, and those that do not (None where there are none).
    ra, dec
        Pointing, ICRS degrees; None for calibrations that have none.
    airmass
        At mid-exposure, or None.
    wcs
        Cards of a first WCS (CTYPEi, CRPIXi, CRVALi, CDi_j) in 1-based pixels of the *trimmed*
        frame; empty where there is none.
    """

    hdu: int
    kind: FrameKind
    chip: str
    filter: str
    object: str
    exptime: float
    mjd_obs: float
    night: str
    science: Section
    overscan: Section | None = None
    ra: float | None = None
    dec: float | None = None
    airmass: float | None = None
    wcs: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A camera: one module under ``reduction/instruments`` with ``INSTRUMENT = Instrument(...)``.

    Attributes
    ----------
    name, title, facility
        Short name used in the archive, and what ObsCore calls ``instrument_name`` and
        ``facility_name``.
    longitude
        Of the telescope, degrees east: nights run from local noon to noon.
    chips, bands
        By name.
    recognises
        Whether the primary header (or, for tile-compressed files, that of HDU 1) is this
        instrument's.
    describe
        Headers of all HDUs -> one description for each CCD frame in the file. Raises
        :class:`schemas.errors.IngestError` (file name left empty) naming keyword, found and
        expected where headers are missing, out of range or contradict each other or the pixels'
        shape.
    pixel_scale
        arcsec/pixel.
    pointing_error
        Degrees by which a header's pointing may be off: widens the search for reference stars
        and the scope of questions.
    rotation_known
        False where the sky's orientation on the chip has to be found: any rotation or parity.
    parameters
        Process parameters that differ from the class's defaults: ``{"BiasFrame": {...}}``.
    validity
        Days before and after the observation for which a calibration holds, by class.
    corrections
        Words that switch inputs of targets on or off; see :class:`reduction.depends.Slot`.
        "dark": dark current is subtracted; "illumination"; "uncalibrated": there are neither
        biases nor flats, and frames are taken as they come.
    """

    name: str
    title: str
    facility: str
    longitude: float
    chips: Mapping[str, Chip]
    bands: Mapping[str, Band]
    recognises: Callable[[Header], bool]
    describe: Callable[[Sequence[Header]], list[FrameDescription]]
    pixel_scale: float
    pointing_error: float
    rotation_known: bool = True
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    corrections: frozenset[str] = frozenset()
    _described: list[str] = field(default_factory=list, init=False, compare=False, repr=False)

    def described(self) -> str:
        """All facts of all chips in all bands, as canonical JSON; composed once."""
        if not self._described:
            bands = sorted({"", *self.bands})
            facts = {
                name: [self.facts(chip, band) for band in bands]
                for name, chip in self.chips.items()
            }
            self._described.append(canonical_json(facts))
        return self._described[0]

    def facts(self, chip: Chip, filter: str) -> dict[str, Any]:
        """What a computation may see of the camera, as JSON: part of a product's identity."""
        band = self.bands.get(filter)
        own = None if band is None else {**asdict(band), "corrections": sorted(band.corrections)}
        return {
            "name": [self.name, self.title, self.facility],
            "geometry": [self.pixel_scale, self.pointing_error, self.rotation_known],
            "chip": asdict(chip) | {"shape": list(chip.shape)},
            "band": None if own is None else own | {"color": band and list(band.color or ())},
            "corrections": sorted(self.corrections),
        }

    def wants(self, word: str, filter: str) -> bool:
        """Whether a correction is asked for, by the camera or by its filter of that name.

        A "!" before the word asks whether it is not.
        """
        if word.startswith("!"):
            return not self.wants(word[1:], filter)
        band = self.bands.get(filter)
        return word in self.corrections or (band is not None and word in band.corrections)


NO_OVERSCAN: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "ReadNoise": MappingProxyType({"OVERSCAN_CORRECTION": 0}),
        "BiasFrame": MappingProxyType({"OVERSCAN_CORRECTION": 0}),
    }
)
"""Process parameters of a camera all of whose pixels see light."""


def held_for(*, biases: float, flats: float) -> Mapping[str, tuple[float, float]]:
    """Validity of a camera's calibrations, for :class:`Instrument`.

    Parameters
    ----------
    biases, flats
        Days before and after the observation for which what is measured on biases holds, and
        what is measured on flats.
    """
    return MappingProxyType(
        {
            **dict.fromkeys(("ReadNoise", "BiasFrame", "HotPixelMap"), (biases, biases)),
            **dict.fromkeys(
                (
                    *("ColdPixelMap", "GainLinearity"),
                    *("DomeFlatFrame", "TwilightFlatFrame", "MasterFlatFrame"),
                ),
                (flats, flats),
            ),
        }
    )
