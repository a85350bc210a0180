"""What the classes made of many regridded frames share: combining, and saying what came of it."""

from __future__ import annotations

__all__ = [
    "CoaddedFrames",
    "combine_frames",
    "exposure_of",
    "frame_box",
    "rectangle_around",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.coadd_tables import FRAME_DTYPE, detectors_of, sets_of
from reduction.coadd_widths import stars_of_frames, widths_of_stars
from reduction.field_grids import grid_of, own_field
from reduction.focal_plane import nodes_of
from reduction.frame_keys import frame_key
from reduction.instruments.base import Section
from reduction.steps.blocks import row_blocks
from reduction.steps.coadd import CombineType, Contribution, Tiling, coadd
from reduction.steps.coadd_sources import sky_noise
from reduction.steps.grid import part_of
from reduction.steps.photometry import limiting_magnitude
from reduction.steps.photons import Photons
from reduction.strips import Strips, stripe_width
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from reduction.coadd_widths import Widths
    from reduction.fields import FieldSpec
    from reduction.scratch import Scratch
    from reduction.steps.coadd import Coadd, Planes
    from reduction.steps.wcs import TanWcs
    from reduction.target import Inputs, Progenitor

#: Pixels of all frames together that are read at once; more are read in pieces.
_IN_MEMORY: Final = 40_000_000
#: Bytes of a tile's values, of a pixel and frame of it; and how much deeper than a coadd's mean a
#: tile of it may be.
_ROOM: Final = 64_000_000
_PIXEL: Final = 13
_UNEVEN: Final = 2
_NARROWEST: Final = 128

#: How far the light of the widest stars reaches for clipping, in their widths and in grid pixels:
#: where no width is known, and at most.
_REACH: Final = 0.75
_USUAL_REACH: Final = 3
_FARTHEST: Final = 15


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
    widths
        Of its stars.
    """

    box: Section
    wcs: TanWcs
    images: dict[str, NDArray[Any]]
    tables: dict[str, NDArray[np.void]]
    zero_point: float | None
    aperture: float | None
    widths: Widths

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
        """Error of the mean scale: the mean of the frames' zero points' errors, by weight.

        Frames of a night share their zero point, those of a global solution its standards: the
        errors of many frames do not average out. NaN where no frame has one.
        """
        used = self.used
        if self.zero_point is None:
            return None
        known = np.isfinite(used["zero_point_err"])
        if not known.any():
            return math.nan
        return float(np.average(used["zero_point_err"][known], weights=used["weight"][known]))

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

    def limiting_magnitude(self) -> float:
        """Magnitude of a source of 5 sigma in the aperture, at the median weight."""
        if self.zero_point is None or self.aperture is None:
            return math.nan
        noise = sky_noise(self.images["WEIGHT"], self.aperture / self.wcs.pixel_scale)
        return limiting_magnitude(noise, self.zero_point)

    def coverage(self, field: FieldSpec) -> float:
        """Part of the field's circle that has weight."""
        weight = self.images["WEIGHT"]
        radius = 3600.0 * field.radius / self.wcs.pixel_scale
        nx = weight.shape[1]
        inside = 0
        across = (np.arange(nx) - self.wcs.x0) ** 2
        for rows in row_blocks(weight):
            for row in range(rows.start, rows.stop):
                near = across <= radius**2 - (row - self.wcs.y0) ** 2
                inside += int(np.count_nonzero(near & (weight[row] > 0)))
        return min(inside / (math.pi * radius**2), 1.0)


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
        How, and the limits of clipping: sigma, and the part of the light near by.
    zero_point
        Of the scale wanted, mag; not counted where no frame has one.

    Raises
    ------
    UnprocessableError
        If no frame has a pixel with weight.
    """
    calibrated = any(frame["flux_scale"] is not None for frame in frames)
    rows = [_row(i, frame, zero_point, calibrated=calibrated) for i, frame in enumerate(frames)]
    table = np.array(rows, FRAME_DTYPE)
    chosen: list[int] = np.flatnonzero(table["flux_scale"] > 0).tolist()
    reach = _reach(table, own_field(inputs).pixel_scale)
    made, box = _combined(frames, table, combine, (*clip, reach), inputs.scratch)
    if made is None or not len(made.members):
        name = own_field(inputs).name
        message = f"no pixel of field {name} has weight in any of {len(frames)} frames"
        raise UnprocessableError(message)
    table["clipped"][chosen] = made.clipped
    members = made.members.copy()
    members["frame"] = np.array(chosen)[members["frame"]]
    tables = {
        "FRAMES": table,
        "SETS": sets_of(made.origin, members, table),
        "MEMBERS": members,
        "DETECTORS": detectors_of(table[chosen]),
    }
    images: dict[str, NDArray[Any]] = {"IMAGE": made.image, "WEIGHT": made.weight}
    images |= {"MASK": made.mask, "NUMBER": made.number, "GAIN": made.gain}
    images |= {"ORIGIN": made.origin}
    radii = [frames[i]["aperture"] for i in chosen if frames[i]["aperture"] is not None]
    wcs = part_of(grid_of(own_field(inputs))[0], x0=box.x0, y0=box.y0)
    return CoaddedFrames(
        box,
        wcs,
        images,
        tables,
        zero_point if calibrated else None,
        max(radii) if radii else None,
        widths_of_stars((made.image, made.weight), wcs, stars_of_frames(frames, chosen), table),
    )


def _combined(
    frames: Sequence[Progenitor],
    table: NDArray[np.void],
    combine: CombineType,
    clip: tuple[float, float, int],
    scratch: Scratch,
) -> tuple[Coadd | None, Section]:
    """Combine what has a scale, and the rectangle that this is; None where nothing has one."""
    scales = {i: float(scale) for i, scale in enumerate(table["flux_scale"]) if scale > 0}
    if not scales:
        return None, Section(0, 0, 0, 0)
    boxes = {i: frame_box(frames[i]) for i in scales}
    box = rectangle_around(list(boxes.values()))
    sigma, fraction, reach = clip
    whole = sum(box.shape[0] * box.shape[1] for box in boxes.values()) <= _IN_MEMORY
    width = box.shape[1] if whole else stripe_width(list(boxes.values()))
    with Strips(range(box.x0, box.x1, width), margin=reach) as strips:
        found = None if whole else strips
        parts = [
            Contribution(
                *(boxes[i], _reader(frames[i], found), scale),
                *(_photons(frames[i]), nodes_of(frames[i].tables["ILLUMINATION"])),
            )
            for i, scale in scales.items()
        ]
        made = coadd(
            *(parts, box),
            combine=combine,
            clip_sigma=sigma,
            clip_fraction=fraction,
            reach=reach,
            tiling=_tiling(list(boxes.values()), box, width),
            scratch=scratch,
        )
    for frame in frames:
        frame.forget()
    return made, box


def _photons(frame: Progenitor) -> Photons:
    """Electrons of a frame's values."""
    facts = (frame[name] for name in ("effective_gain", "unit_weight", "photon_fraction"))
    return Photons(*(_number(fact) for fact in facts))


def _tiling(boxes: Sequence[Section], box: Section, stripe: int) -> Tiling:
    """Tiles whose values of all frames take no more than there is room for, or the narrowest."""
    depth = sum(ny * nx for ny, nx in (one.shape for one in boxes)) / (box.shape[0] * box.shape[1])
    columns = int(_ROOM / (_UNEVEN * depth * Tiling().rows * _PIXEL))
    return Tiling(columns=min(max(columns, _NARROWEST), Tiling().columns), stripe=stripe)


def _reach(table: NDArray[np.void], pixel_scale: float) -> int:
    """Grid pixels within which the light of a star counts for clipping."""
    known = table["seeing"][(table["flux_scale"] > 0) & np.isfinite(table["seeing"])]
    if not len(known):
        return _USUAL_REACH
    return min(max(round(_REACH * float(known.max()) / pixel_scale), 1), _FARTHEST)


def _row(
    number: int, frame: Progenitor, zero_point: float, *, calibrated: bool
) -> tuple[Any, ...]:
    exptime = float(frame["exptime"])
    scale = 0.0
    if not calibrated:
        scale = 1.0 / exptime if exptime > 0 else 0.0
    elif frame["zero_point"] is not None:
        scale = 10.0 ** (0.4 * (zero_point - float(frame["zero_point"]))) / exptime
    gain = float(frame["effective_gain"]) / scale if scale else math.nan
    weight, unit = (
        _number(frame[name]) / scale**2 if scale else 0.0 for name in ("weight", "unit_weight")
    )
    ny, nx = frame["grid_ny"], frame["grid_nx"]
    return (
        *(number, *frame_key(frame), frame.filter, frame.night),
        *(exptime, _number(frame["seeing"]) * (1 + _number(_difference(frame)))),
        *(
            _number(frame["pos_err"]),
            _number(frame["zero_point"]),
            _number(frame["zero_point_err"]),
            scale,
            *(weight, unit, gain, _number(frame["photon_fraction"])),
        ),
        *(frame["noise_factor"], int(frame["good_fraction"] * ny * nx), 0),
    )


def _difference(frame: Progenitor) -> float:
    return 0.0 if frame["psf_difference"] is None else float(frame["psf_difference"])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def exposure_of(row: np.void) -> tuple[str, str, str]:
    """Key of the exposure that a row of FRAMES is a chip of; names repeat, night after night."""
    return str(row["instrument"]), str(row["name"]), f"{float(row['mjd_obs']):.6f}"


def frame_box(frame: Progenitor) -> Section:
    """Part of the grid that a regridded frame is."""
    x, y = frame["grid_x"], frame["grid_y"]
    return Section(y, y + frame["grid_ny"], x, x + frame["grid_nx"])


def rectangle_around(boxes: Sequence[Section]) -> Section:
    """Smallest rectangle that has others in it."""
    return Section(
        min(box.y0 for box in boxes),
        max(box.y1 for box in boxes),
        min(box.x0 for box in boxes),
        max(box.x1 for box in boxes),
    )


def _reader(frame: Progenitor, strips: Strips | None) -> Callable[[Section], Planes]:
    """How pieces of a frame are read: from memory, or from the strips of its file."""

    def read(part: Section) -> Planes:
        """A piece of the frame."""
        if strips is not None:
            return strips.read(frame, part)
        image, weight, mask = (
            frame.images[name][part.slices] for name in ("IMAGE", "WEIGHT", "MASK")
        )
        return image, weight, mask

    return read
