"""What the classes made of many regridded frames share: combining, and saying what came of it."""

from __future__ import annotations

__all__ = [
    "CoaddedBands",
    "CoaddedFrames",
    "coadd_cards",
    "coadd_obscore",
    "combine_bands",
    "combine_frames",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.instruments.base import Section
from reduction.mjd import utc_of
from reduction.steps.coadd import CombineType, Contribution, coadd, summed_width
from reduction.steps.grid import field_grid, part_of
from reduction.steps.star_widths import star_widths
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from reduction.fields import FieldSpec
    from reduction.steps.coadd import Planes
    from reduction.steps.wcs import TanWcs
    from reduction.target import Inputs, Progenitor

#: One row a regridded frame; ``frame`` is its position in the lineage. ``flux_scale`` is 0 for
#: frames that were left out, ``weight`` the median inverse variance on the coadd's scale.
_FRAME_DTYPE: Final = np.dtype(
    [
        *(("frame", "i4"), ("name", "U80"), ("chip", "U24"), ("instrument", "U24")),
        *(("filter", "U24"), ("night", "U10"), ("mjd_obs", "f8"), ("exptime", "f8")),
        *(("seeing", "f8"), ("pos_err", "f8"), ("zero_point", "f8"), ("zero_point_err", "f8")),
        *(("flux_scale", "f8"), ("weight", "f8"), ("gain", "f8"), ("noise_factor", "f8")),
        *(("pixels", "i8"), ("clipped", "i8")),
    ]
)

#: One row an origin: how many frames and pixels it has, their exposure time (s), electrons per
#: unit.
_SET_DTYPE: Final = np.dtype(
    [("origin", "i4"), ("frames", "i4"), ("pixels", "i8"), ("exptime", "f8"), ("gain", "f8")]
)

#: Pixels of all frames together that are read at once; more are read in pieces.
_IN_MEMORY: Final = 40_000_000
_MOST_STARS: Final = 2000
_NARROW: Final = 20.0
_ENHANCED: Final = 3
_BYTES_PER_PIXEL: Final = 4
_SECONDS: Final = 86400.0


@dataclass(frozen=True, slots=True)
class CoaddedFrames:
    """Frames combined on a part of a field's grid.

    Attributes
    ----------
    box
        The part: the rectangle around all frames.
    wcs
        Its projection.
    images, tables
        As CoaddedRegriddedFrame keeps them.
    zero_point, aperture
        Of the scale (mag; None for adu/s) and the radius of its aperture (arcsec).
    stars
        Places of bright stars, degrees, shape (n,) each.
    """

    box: Section
    wcs: TanWcs
    images: dict[str, NDArray[Any]]
    tables: dict[str, NDArray[np.void]]
    zero_point: float | None
    aperture: float | None
    stars: tuple[NDArray[np.float64], NDArray[np.float64]]

    @property
    def used(self) -> NDArray[np.void]:
        """Rows of FRAMES that have a part."""
        frames = self.tables["FRAMES"]
        return np.asarray(frames[frames["flux_scale"] > 0])

    def median_of_sets(self, name: str) -> float:
        """Value of the median pixel of what is tabled for origins."""
        sets = self.tables["SETS"]
        order = np.argsort(sets[name], kind="stable")
        sums = np.cumsum(sets["pixels"][order])
        return float(sets[name][order][np.searchsorted(sums, sums[-1] / 2.0)])

    def zero_point_error(self) -> float | None:
        """Error of the mean scale: of the frames' zero points, by weight."""
        used = self.used
        if self.zero_point is None:
            return None
        share = used["weight"] / used["weight"].sum()
        return float(np.sqrt(np.nansum((share * used["zero_point_err"]) ** 2)))

    def position_error(self) -> float:
        """Error of positions, arcsec: what the reference leaves is common to all frames."""
        known = self.used["pos_err"]
        known = known[np.isfinite(known)]
        return float(np.median(known)) if len(known) else math.nan

    def noise_factor(self) -> float:
        """Pixel rms over what the weights say, for the mean of all frames."""
        used = self.used
        share = used["weight"] / used["weight"].sum()
        return float(np.sqrt((share * used["noise_factor"] ** 2).sum()))

    def seeing(self) -> tuple[float, int]:
        """Width of stars, arcsec, and how many were measured.

        The narrowest fifth ends there, as with the frames' (:func:`star_width`).
        """
        expected = self.predicted_seeing() / self.wcs.pixel_scale
        if not math.isfinite(expected):
            return math.nan, 0
        x, y = self.wcs.to_pixel(*self.stars)
        widths = star_widths(self.images["IMAGE"], self.images["WEIGHT"], x, y, fwhm=expected)
        known = widths[np.isfinite(widths)]
        if not len(known):
            return math.nan, 0
        width = float(np.percentile(known, _NARROW, method="nearest"))
        return width * self.wcs.pixel_scale, len(known)

    def predicted_seeing(self) -> float:
        """Width of the sum of the frames' stars, arcsec."""
        used = self.used
        return summed_width(used["seeing"].tolist(), used["weight"].tolist())

    def limiting_magnitude(self) -> float:
        """Magnitude of a source of 5 sigma in the aperture, in the median pixel."""
        weight = self.images["WEIGHT"]
        if self.zero_point is None or self.aperture is None:
            return math.nan
        pixels = math.pi * (self.aperture / self.wcs.pixel_scale) ** 2
        noise = math.sqrt(pixels / float(np.median(weight[weight > 0])))
        return self.zero_point - 2.5 * math.log10(5.0 * noise)

    def coverage(self, field: FieldSpec) -> float:
        """Part of the field's circle that has weight."""
        weight = self.images["WEIGHT"]
        radius = 3600.0 * field.radius / self.wcs.pixel_scale
        ny, nx = weight.shape
        inside = 0
        across = (np.arange(nx) - self.wcs.x0) ** 2
        for row in range(ny):
            near = across <= radius**2 - (row - self.wcs.y0) ** 2
            inside += int(np.count_nonzero(near & (weight[row] > 0)))
        return inside / (math.pi * radius**2)


def combine_frames(
    inputs: Inputs,
    frames: Sequence[Progenitor],
    *,
    combine: CombineType,
    clip: tuple[float, float],
    zero_point: float,
) -> CoaddedFrames:
    """Combine regridded frames of the inputs' field.

    Parameters
    ----------
    frames
        RegriddedFrame objects, in the order of the lineage.
    combine, clip
        How, and the limits of clipping: sigma, and the part of the median.
    zero_point
        Of the scale wanted, mag; not counted where no frame has one.

    Raises
    ------
    UnprocessableError
        If no frame has a pixel with weight.
    """
    calibrated = any(frame["flux_scale"] is not None for frame in frames)
    table = np.array(
        [_row(i, frame, zero_point, calibrated=calibrated) for i, frame in enumerate(frames)],
        _FRAME_DTYPE,
    )
    chosen = np.flatnonzero(table["flux_scale"] > 0)
    field = inputs.field
    grid, _ = field_grid(field.ra, field.dec, radius=field.radius, pixel_scale=field.pixel_scale)
    boxes = {int(i): _box(frames[i]) for i in chosen}
    whole = sum(box.shape[0] * box.shape[1] for box in boxes.values()) <= _IN_MEMORY
    parts = [
        Contribution(boxes[i], _reader(frames[i], whole=whole), float(table["flux_scale"][i]))
        for i in map(int, chosen)
    ]
    box = _around(list(boxes.values()))
    made = coadd(parts, box, combine=combine, clip_sigma=clip[0], clip_fraction=clip[1])
    for frame in frames:
        frame.forget()
    if not (made.weight > 0).any():
        message = f"no pixel of field {field.name} has weight in any of {len(frames)} frames"
        raise UnprocessableError(message)
    table["clipped"][chosen] = made.clipped
    members = made.members.copy()
    members["frame"] = chosen[members["frame"]]
    tables = {
        "FRAMES": table,
        "SETS": _sets(made.origin, members, table),
        "MEMBERS": members,
    }
    images: dict[str, NDArray[Any]] = {"IMAGE": made.image, "WEIGHT": made.weight}
    images |= {"MASK": made.mask, "NUMBER": made.number, "ORIGIN": made.origin}
    radii = [frames[i]["aperture"] for i in chosen if frames[i]["aperture"] is not None]
    return CoaddedFrames(
        box,
        part_of(grid, x0=box.x0, y0=box.y0),
        images,
        tables,
        zero_point if calibrated else None,
        max(radii) if radii else None,
        _stars([frames[i] for i in chosen]),
    )


@dataclass(frozen=True, slots=True)
class CoaddedBands:
    """Bands combined on a part of a field's grid; planes as :class:`reduction.steps.coadd.Coadd`.

    Attributes
    ----------
    box, wcs
        The part and its projection.
    gain
        Electrons per unit, mean of the bands'.
    bands, n_frames
        What has a part.
    """

    box: Section
    wcs: TanWcs
    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]
    gain: float
    bands: tuple[str, ...]
    n_frames: int


def combine_bands(
    inputs: Inputs,
    frames: Sequence[Progenitor],
    *,
    combine: CombineType,
    clip: tuple[float, float],
    zero_point: float,
) -> CoaddedBands:
    """Combine regridded frames band by band, and the bands with each other.

    A source's colour would look like an outlier among frames of several bands: only within each
    band values are clipped.

    Parameters
    ----------
    frames, combine, clip, zero_point
        As :func:`combine_frames`.

    Raises
    ------
    UnprocessableError
        If no frame has a pixel with weight.
    """
    calibrated = any(frame["flux_scale"] is not None for frame in frames)
    usable = [f for f in frames if f["zero_point"] is not None or not calibrated]
    box = _around([_box(frame) for frame in usable])
    bands = tuple(sorted({str(frame["band"]) for frame in usable}))
    contributions, gains, wcs = [], [], None
    for band in bands:
        made = combine_frames(
            inputs,
            [frame for frame in usable if frame["band"] == band],
            combine=combine,
            clip=clip,
            zero_point=zero_point,
        )
        planes = (made.images["IMAGE"], made.images["WEIGHT"], made.images["MASK"])
        contributions.append(Contribution(made.box, _cut(planes)))
        gains.append(made.median_of_sets("gain"))
        wcs = part_of(made.wcs, x0=box.x0 - made.box.x0, y0=box.y0 - made.box.y0)
    assert wcs is not None  # noqa: S101  # there is at least one band
    total = coadd(contributions, box, combine=CombineType.WEIGHTED)
    return CoaddedBands(
        box, wcs, total.image, total.weight, total.mask, sum(gains), bands, len(usable)
    )


def _cut(planes: Planes) -> Callable[[Section], Planes]:
    def read(part: Section) -> Planes:
        image, weight, mask = planes
        return image[part.slices], weight[part.slices], mask[part.slices]

    return read


def _row(
    number: int, frame: Progenitor, zero_point: float, *, calibrated: bool
) -> tuple[Any, ...]:
    raw, exptime = frame.raw, float(frame["exptime"])
    scale = 0.0
    if not calibrated:
        scale = 1.0 / exptime if exptime > 0 else 0.0
    elif frame["zero_point"] is not None:
        scale = 10.0 ** (0.4 * (zero_point - float(frame["zero_point"]))) / exptime
    gain = float(frame["effective_gain"]) / scale if scale else math.nan
    weight = float(frame["weight"]) / scale**2 if scale else 0.0
    ny, nx = frame["grid_ny"], frame["grid_nx"]
    return (
        *(number, raw["name"], frame.chip, frame.instrument, frame.filter, frame.night),
        *(raw["mjd_obs"], exptime, _number(frame["seeing"]) * (1 + _number(_difference(frame)))),
        *(_number(frame["pos_err"]), _number(frame["zero_point"]), _number(frame["zero_point_err"]), scale, weight, gain),
        *(frame["noise_factor"], int(frame["good_fraction"] * ny * nx), 0),
    )


def _difference(frame: Progenitor) -> float:
    return 0.0 if frame["psf_difference"] is None else float(frame["psf_difference"])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _box(frame: Progenitor) -> Section:
    """Part of the grid that a regridded frame is."""
    x, y = frame["grid_x"], frame["grid_y"]
    return Section(y, y + frame["grid_ny"], x, x + frame["grid_nx"])


def _around(boxes: Sequence[Section]) -> Section:
    return Section(
        min(box.y0 for box in boxes),
        max(box.y1 for box in boxes),
        min(box.x0 for box in boxes),
        max(box.x1 for box in boxes),
    )


def _reader(frame: Progenitor, *, whole: bool) -> Callable[[Section], Planes]:
    """How pieces of a frame are read: from memory, or each from the file."""

    def read(part: Section) -> Planes:
        names = ("IMAGE", "WEIGHT", "MASK")
        if whole:
            image, weight, mask = (frame.images[name][part.slices] for name in names)
        else:
            image, weight, mask = (frame.section(name, part.slices) for name in names)
        return image, weight, mask

    return read


def _sets(
    origin: NDArray[np.int32], members: NDArray[np.void], table: NDArray[np.void]
) -> NDArray[np.void]:
    """What each set of frames amounts to."""
    pixels = np.bincount(origin.ravel())
    n, which, frame = len(pixels), members["origin"], members["frame"]
    weight, gain = table["weight"][frame], table["gain"][frame]
    total = np.bincount(which, weight, n)
    photons = np.bincount(which, weight**2 / gain, n)
    sets = np.zeros(n - 1, _SET_DTYPE)
    sets["origin"] = np.arange(1, n)
    sets["frames"] = np.bincount(which, minlength=n)[1:]
    sets["pixels"] = pixels[1:]
    sets["exptime"] = np.bincount(which, table["exptime"][frame], n)[1:]
    sets["gain"] = total[1:] ** 2 / photons[1:]
    return sets


def _stars(frames: Sequence[Progenitor]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of the frames' bright stars, each once."""
    tables = [frame.tables["STARS"] for frame in frames]
    ra = np.concatenate([table["ra"] for table in tables])
    dec = np.concatenate([table["dec"] for table in tables])
    second = np.stack([np.rint(ra * 1800), np.rint(dec * 1800)])
    _, first = np.unique(second, axis=1, return_index=True)
    first = np.sort(first)[:_MOST_STARS]
    return ra[first], dec[first]


def coadd_cards(
    inputs: Inputs, coadded: CoaddedFrames, attributes: dict[str, Any]
) -> dict[str, tuple[Any, str]]:
    """What the header of a coadd says, WCS in 1-based pixels."""
    used = coadded.used
    start, end = _times(used)
    calibrated = coadded.zero_point is not None
    cards: dict[str, tuple[Any, str]] = {
        "OBJECT": (inputs.field.name, "field"),
        "DATE-OBS": (utc_of(start).isoformat(timespec="milliseconds"), "first start (UTC)"),
        "MJD-OBS": (start, "[d] start of the first exposure (UTC)"),
        "MJD-END": (end, "[d] end of the last exposure (UTC)"),
        "TIMESYS": ("UTC", "time scale"),
        "EXPTIME": (attributes["exptime"], "[s] exposure time of the median pixel"),
        "TEXPTIME": (attributes["exptime_total"], "[s] of all exposures"),
        "NCOMBINE": (len(used), "frames in it"),
        "GAIN": (attributes["effective_gain"], "electrons per unit, median pixel"),
        "GRIDX": (coadded.box.x0 + 1, "column of the grid of the first pixel"),
        "GRIDY": (coadded.box.y0 + 1, "row of the grid of the first pixel"),
        "NOISEFAC": (attributes["noise_factor"], "pixel rms over rms of weights"),
    }
    if not calibrated:
        cards["BUNIT"] = ("adu/s", "unit of the pixels")
    for keyword, name, comment in (
        ("SEEING", "seeing", "[arcsec] fwhm of stars"),
        ("PHOTZP", "zero_point", "[mag] of 1 unit"),
        ("PHOTZPE", "zero_point_err", "[mag] its error"),
        ("MAGLIM", "limiting_mag", "[mag] 5 sigma in the aperture"),
    ):
        value = attributes[name]
        if value is not None and math.isfinite(value):
            cards[keyword] = (value, comment)
    if calibrated:
        cards["PHOTBAND"] = (inputs.filter, "band of the zero point")
    return cards | {keyword: (value, "") for keyword, value in coadded.wcs.to_cards().items()}


def coadd_obscore(
    inputs: Inputs, coadded: CoaddedFrames, attributes: dict[str, Any]
) -> dict[str, Any]:
    """Columns of a coadd's ObsCore row (ObsCore-1.1 3)."""
    used, band, field = coadded.used, inputs.band, inputs.field
    cameras = "+".join(sorted({str(name) for name in used["instrument"]}))
    ny, nx = coadded.images["IMAGE"].shape
    ra, dec, radius = coadded.wcs.circle((ny, nx))
    start, end = _times(used)
    seconds = attributes["exptime_total"]
    return {
        "obs_id": f"{field.name}-{inputs.filter}",
        "obs_title": f"{field.name} {inputs.filter}: {len(used)} frames, {seconds:g} s, {cameras}",
        "calib_level": _ENHANCED,
        "dataproduct_subtype": "CoaddedRegriddedFrame",
        "access_estsize": max(1, ny * nx * _BYTES_PER_PIXEL // 1000),
        "target_name": field.name,
        "s_ra": ra,
        "s_dec": dec,
        "s_fov": 2.0 * radius,
        "s_region": coadded.wcs.footprint((ny, nx)),
        "s_resolution": _known(attributes["seeing"]),
        "s_pixel_scale": coadded.wcs.pixel_scale,
        "s_xel1": nx,
        "s_xel2": ny,
        "t_min": start,
        "t_max": end,
        "t_exptime": attributes["exptime"],
        "em_min": band.em_min,
        "em_max": band.em_max,
        "facility_name": inputs.instrument.facility,
        "instrument_name": inputs.instrument.name,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _times(used: NDArray[np.void]) -> tuple[float, float]:
    """Start of the first and end of the last exposure, MJD."""
    start = used["mjd_obs"]
    return float(start.min()), float((start + used["exptime"] / _SECONDS).max())
