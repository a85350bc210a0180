"""Who says what of a class's process parameters, beside the class itself and a call."""

from __future__ import annotations

__all__ = ["Speakers", "View"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from reduction.fields import field_spec, find_field
from reduction.instruments.composite import whole
from reduction.parameters import near_names, stored_values
from reduction.target import ProcessTarget
from schemas.errors import NotFoundError
from schemas.recipe_tables import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reduction.archive import Archive
    from reduction.depends import Slot
    from reduction.fields import FieldSpec
    from reduction.instruments.base import Band, Chip, Instrument
    from reduction.target import DBObject


@dataclass(frozen=True, slots=True)
class View:
    """With what a class is made: camera (several as one, for a whole field), chip and filter.

    What is not known is None; ``owner`` is what the recipe is kept under, empty where not known.
    """

    owner: str = ""
    camera: Instrument | None = None
    chip: Chip | None = None
    band: Band | None = None

    def wants(self, slot: Slot) -> bool:
        """Whether a slot is looked at; without an instrument, or a filter, all may be."""
        if not slot.when or self.camera is None:
            return True
        bands = ("", *self.camera.bands) if self.band is None else (self.band.name,)
        return any(self.camera.wants(slot.when, name) for name in bands)


class Speakers:
    """Instrument, settings, operator and field: what they say of classes.

    Parameters
    ----------
    archive
        Where they are looked up.
    instrument
        One, or several joined by "+": classes of whole fields are made with several as one, all
        others with one camera.
    chip, filter
        Names; a filter may also be a standard band.
    field
        Its cameras count where no instrument is named, and its own parameters.

    Raises
    ------
    NotFoundError
        If there is no such instrument, chip, filter or field, or the field has no such camera.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        instrument: str | None = None,
        chip: str | None = None,
        filter: str | None = None,
        field: str | None = None,
    ) -> None:
        self._archive, self._field = archive, field or ""
        registry = archive.registry
        owner = None if instrument is None else registry.owner(instrument)
        self._spec: FieldSpec | None = None
        together = owner
        if field:
            with archive.transaction() as session:
                spec = field_spec(session, find_field(session, field).field_id)
            self._spec, together = spec, spec.instrument
            if owner is not None and not {*owner.split("+")} <= {*spec.instruments}:
                _refuse(owner, spec.instruments, f"instrument of the field {field}")
            owner = together if owner is None else owner
        camera = None if owner is None or "+" in owner else registry.instruments[owner]
        joined = None if together is None else registry.camera(together, composite=True)
        if chip is not None and (camera is None or chip not in camera.chips):
            _refuse(chip, () if camera is None else camera.chips, "chip")
        known = [
            band for one in (camera, joined) if one is not None for band in one.bands.values()
        ]
        if filter is not None and filter not in {band.name for band in known}:
            _refuse(filter, {band.name for band in known}, "filter")
        self._one, self._all = View(), View()
        if camera is not None:
            of_chip = None if chip is None else camera.chips[chip]
            self._one = View(camera.name, camera, of_chip, _band(camera, filter))
        if joined is not None:
            standard = next((b.standard for b in known if b.name == filter), filter)
            self._all = View(joined.name, joined, whole(joined), _band(joined, standard))
        self._operator = self._overrides()

    def _overrides(self) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        owners = {self._one.owner, self._all.owner} - {""}
        query = select(Recipe).where(Recipe.instrument.in_(owners))
        with self._archive.transaction() as session:
            rows = session.scalars(query).all() if owners else []
        return {
            (row.class_name, row.instrument): stored_values(row.overrides) or {} for row in rows
        }

    def view(self, cls: type[DBObject]) -> View:
        """With what a class is made."""
        anchor = getattr(cls, "ANCHOR", None)
        return self._all if anchor is not None and anchor.of_whole_field else self._one

    def stored(self, cls: type[DBObject]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What an operator and the field say of a class, later ones counting.

        It was right when it was said, and may have been said to another version of the class.
        """
        view = self.view(cls)
        yield "operator", self._operator.get((cls.__name__, view.owner), {})
        if issubclass(cls, ProcessTarget) and cls.ANCHOR.per_field:
            own = None if self._spec is None else self._spec.own(cls.__name__)
            yield f"field {self._field}", own or {}

    def configured(self, cls: type[DBObject]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What instrument and settings say of a class, later ones counting."""
        name, view = cls.__name__, self.view(cls)
        by_owner = self._archive.settings.reduction.parameters
        if view.camera is not None:
            yield f"instrument {view.owner}", view.camera.parameters.get(name, {})
        yield "settings for all instruments", by_owner.get("*", {}).get(name, {})
        if view.camera is not None:
            yield f"settings for {view.owner}", by_owner.get(view.owner, {}).get(name, {})


def _refuse(name: str, known: Iterable[str], what: str) -> None:
    raise NotFoundError(f"there is no {what} {name!r}, expected {near_names(name, known)}")


def _band(camera: Instrument, name: str | None) -> Band | None:
    """A filter by its own name, or the first that stands for the band."""
    of_band = (band for band in camera.bands.values() if band.standard == name)
    return camera.bands.get(name or "") or next(of_band, None)
