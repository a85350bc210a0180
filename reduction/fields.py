"""Fields: parts of the sky whose frames, of any night, chip and camera, are reduced together.

An operator declares a field once. Its frames are all those that reach into its circle; frames that
come later join by themselves, make the field's targets suspect and bring new ones into being.
"""

from __future__ import annotations

__all__ = [
    "FieldSpec",
    "all_fields",
    "band_filters",
    "close_field",
    "declare_field",
    "field_of",
    "field_spec",
    "find_field",
    "joined_fields",
]

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import select

from reduction.declare import declare_in_field, hold_fields
from reduction.events import mark_suspect
from reduction.parameters import check_parameters, stored_values
from reduction.reach import apart, raw_frames_of
from reduction.recorded import enter_edit
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Field, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.reach import Frame
    from reduction.registry import Registry

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
_LARGEST_RADIUS: Final = 10.0
#: Pixels of a grid's side: an image of more is beyond 2 GB compressed, which FITS cannot hold.
_LARGEST_GRID: Final = 48_000
_EVER: Final = (-1e6, 1e7)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A part of the sky and which frames of it belong together; never changes.

    Attributes
    ----------
    name
        Letters, digits and ``_ . + -``, 64 at most.
    ra, dec, radius
        Circle, degrees ICRS. The common grid is the square of side 2 radius about it: TAN, north
        up, east left.
    pixel_scale
        Of the grid, arcsec; 0 takes the finest of the instruments.
    instruments
        Names, sorted; empty takes those that have frames there.
    start, end
        Moments of the exposures, MJD UTC; the whole past and future by default.
    parameters
        The field's own process parameters: ``{"CoaddedRegriddedFrame": {"NAME": value}}``.
    is_open
        False once it was closed.
    """

    #: Names of what a product's identity depends on.
    IDENTITY: ClassVar[tuple[str, ...]] = ("ra", "dec", "radius", "pixel_scale", "name")

    name: str
    ra: float
    dec: float
    radius: float
    pixel_scale: float = 0.0
    instruments: tuple[str, ...] = ()
    start: float = _EVER[0]
    end: float = _EVER[1]
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_open: bool = field(default=True, compare=False)

    @property
    def instrument(self) -> str:
        """Names of the instruments joined by "+": what the field's targets are filed under."""
        return "+".join(self.instruments)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels of the grid (ny, nx)."""
        side = math.ceil(2.0 * self.radius * 3600.0 / self.pixel_scale)
        return side, side

    def own(self, class_name: str) -> dict[str, Any] | None:
        """The field's own process parameters of a class; None where what is stored is none."""
        by_class = stored_values(self.parameters)
        return None if by_class is None else stored_values(by_class.get(class_name, {}))

    def as_json(self) -> list[Any]:
        """What of the field a product's identity depends on: the grid, and its name.

        Coadds say the name in their headers, and are found by it.
        """
        return [getattr(self, name) for name in self.IDENTITY]


def declare_field(archive: Archive, spec: FieldSpec, *, why: str = "", who: str = "") -> FieldSpec:
    """Enter a field, and bring its targets into being, to be made when asked for.

    Returns
    -------
    FieldSpec
        With the instruments and pixel scale that were left open.

    Raises
    ------
    ParameterError
        If a value is out of range, a name is not known, the field is known with other values, or
        no frame reaches into it.
    """
    _check(archive.registry, spec)
    names = spec.instruments or tuple(sorted(archive.registry.instruments))

    def work(session: Session) -> FieldSpec:
        """Enter the field in one transaction, or see that it is known as it is."""
        hold_fields(session, alone=True)
        frames = raw_frames_of(session, archive.registry, replace(spec, instruments=names))
        found = tuple(sorted(spec.instruments or {raw.instrument for raw in frames}))
        if not found:
            place = f"{spec.ra:g} {spec.dec:g} (radius {spec.radius:g} degrees)"
            raise ParameterError("field", place, "a circle that some raw science frame reaches")
        cameras = [archive.registry.instruments[name] for name in found]
        scale = spec.pixel_scale or min(camera.pixel_scale for camera in cameras)
        whole = replace(spec, instruments=found, pixel_scale=scale)
        if max(whole.shape) > _LARGEST_GRID:
            said = f"{scale:g} arcsec: {whole.shape[0]} pixels to a side"
            raise ParameterError("pixel_scale", said, f"{_LARGEST_GRID} at most")
        row = session.scalars(select(Field).where(Field.name == spec.name)).one_or_none()
        if row is not None:
            known = _as_known(row, spec)
            own = [raw for raw in frames if raw.instrument in known.instruments]
            declare_in_field(archive, session, row.field_id, known, own)
            return known
        row = _row(whole)
        session.add(row)
        session.flush()
        declare_in_field(archive, session, row.field_id, whole, frames)
        values = (None, f"{whole.ra} {whole.dec} {whole.radius}")
        enter_edit(
            session, f"field {spec.name}", "declared", values, who=who, why=why or "declared"
        )
        return whole

    return archive.transact(work)


def _as_known(row: Field, spec: FieldSpec) -> FieldSpec:
    """A field of the archive; what a declaration of the same name leaves open is as it is there.

    Raises
    ------
    ParameterError
        If the declaration says anything else, or the field was closed.
    """
    known = _spec(row)
    said = replace(
        spec,
        instruments=spec.instruments or known.instruments,
        pixel_scale=spec.pixel_scale or known.pixel_scale,
    )
    if said != known:
        expected = "a new name: a field of this name is known, and differs"
        raise ParameterError("field", spec.name, expected)
    if not known.is_open:
        raise ParameterError("field", spec.name, "a new name: this field was closed")
    return known


def close_field(archive: Archive, name: str, *, why: str, who: str = "") -> int:
    """Close a field: its products stay, and are no longer what the archive answers with.

    Returns
    -------
    int
        Number of targets that this made suspect.

    Raises
    ------
    NotFoundError
        If there is no such field.
    """

    def work(session: Session) -> int:
        """Close the field in one transaction; how many targets were marked."""
        row = find_field(session, name)
        if row.is_valid == 0:
            return 0
        row.is_valid = 0
        session.flush()
        enter_edit(session, f"field {name}", "is_valid", ("1", "0"), who=who, why=why)
        seeds = session.scalars(select(Target.target_id).where(Target.field_id == row.field_id))
        return mark_suspect(session, seeds.all())

    return archive.transact(work)


def find_field(session: Session, name: str) -> Field:
    """Field of a name.

    Raises
    ------
    NotFoundError
        If there is none; lists those there are.
    """
    row = session.scalars(select(Field).where(Field.name == name)).one_or_none()
    if row is None:
        known = session.scalars(select(Field.name).order_by(Field.name).limit(20)).all()
        there = ", ".join(known) or "none yet, `vo-service field add` declares one"
        message = f"there is no field {name!r}; there are {there}"
        raise NotFoundError(message)
    return row


def all_fields(archive: Archive) -> list[FieldSpec]:
    """All fields, open and closed, by name."""
    with archive.transaction() as session:
        return [_spec(row) for row in session.scalars(select(Field).order_by(Field.name))]


def field_of(session: Session, target: Target) -> FieldSpec | None:
    """Field that a target belongs to; None for those of nights and frames."""
    if target.field_id is None:
        return None
    return field_spec(session, target.field_id)


def field_spec(session: Session, number: int) -> FieldSpec:
    """Field of a number, open or closed."""
    return _spec(session.get_one(Field, number))


def joined_fields(session: Session, frame: Frame) -> Sequence[tuple[int, FieldSpec]]:
    """Fields that a raw science frame reaches into, with their numbers; none for others."""
    raw, ra, dec, radius = frame.raw, frame.ra, frame.dec, frame.radius
    if raw.class_name != "RawScienceFrame" or ra is None or dec is None or radius is None:
        return []
    reach = radius + _LARGEST_RADIUS
    rows = session.scalars(
        select(Field).where(
            Field.is_valid >= 1,
            Field.instruments.contains([raw.instrument]),
            Field.start <= raw.moment,
            Field.end >= raw.moment,
            Field.dec.between(dec - reach, dec + reach),
        )
    ).all()
    return [
        (row.field_id, _spec(row))
        for row in rows
        if apart(row.ra, row.dec, ra, dec) <= row.radius + radius
    ]


def band_filters(registry: Registry, spec: FieldSpec, band: str) -> list[tuple[str, str]]:
    """Instrument and filter names, of a field's cameras, that stand for a standard band."""
    return [
        (name, found.name)
        for name in spec.instruments
        for found in registry.instruments[name].bands.values()
        if found.standard == band
    ]


def _check(registry: Registry, spec: FieldSpec) -> None:
    if not _NAME.fullmatch(spec.name):
        raise ParameterError("name", spec.name, "letters, digits and _ . + -, 64 at most")
    for name, value, low, high in (
        ("ra", spec.ra, 0.0, 360.0),
        ("dec", spec.dec, -90.0, 90.0),
        ("radius", spec.radius, 1e-4, _LARGEST_RADIUS),
        ("pixel_scale", spec.pixel_scale, 0.0, 3600.0),
    ):
        if not low <= value <= high:
            raise ParameterError(name, value, f"{low:g} to {high:g}")
    for name in spec.instruments:
        if name not in registry.instruments:
            known = ", ".join(sorted(registry.instruments))
            raise ParameterError("instrument", name, f"one of {known}")
    for name, values in spec.parameters.items():
        cls = registry.target(name)
        if not cls.ANCHOR.per_field:
            expected = "a class that is made per field: others do not know of fields"
            raise ParameterError("parameters", name, expected)
        check_parameters(name, cls.Parameters, values)


def _row(spec: FieldSpec) -> Field:
    return Field(
        name=spec.name,
        ra=spec.ra,
        dec=spec.dec,
        radius=spec.radius,
        pixel_scale=spec.pixel_scale,
        instruments=list(spec.instruments),
        start=spec.start,
        end=spec.end,
        parameters={name: dict(values) for name, values in spec.parameters.items()},
    )


def _spec(row: Field) -> FieldSpec:
    return FieldSpec(
        row.name,
        row.ra,
        row.dec,
        row.radius,
        row.pixel_scale,
        tuple(row.instruments),
        row.start,
        row.end,
        row.parameters,
        row.is_valid >= 1,
    )
