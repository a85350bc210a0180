"""What an archive should have remade, told by another that knew the same facts from the start.

The witness has a database and files of its own, takes the same raw files in, is told which of
them are rejected and which recipes are in force, and makes everything once: no event, no suspect,
no verdict about an older product is in its history. What it holds is right; what an archive that
lived through the events must have remaded is where its own products' inputs differ from it.
"""

from __future__ import annotations

__all__ = ["Held", "Name", "held", "needed", "to_remake", "witness"]

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from reduction.archive import Archive
from reduction.operate import targets_matching
from schemas.settings import EngineSettings, StorageSettings
from vo_service.opening import prepare_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from schemas.settings import DatabaseSettings
    from tests.support.serving import Observatory

#: Class, chip, filter, night and raw file of a target: the same in every archive.
Name = tuple[str, str, str, str, str]

_TARGETS = """
    SELECT t.class_name, t.chip, t.filter, t.night, r.file_name, t.object_id, p.content_hash,
      p.recipe_version, p.process_params
    FROM archive.targets AS t
    LEFT OUTER JOIN archive.raw_frames AS r ON r.object_id = t.raw_object_id
    LEFT OUTER JOIN archive.products AS p ON p.object_id = t.object_id
"""
_LINEAGE = """
    SELECT l.object_id, l.role, l.progenitor_id, p.content_hash
    FROM archive.lineage AS l JOIN archive.products AS p ON p.object_id = l.progenitor_id
"""


@dataclass(frozen=True)
class Held:
    """What an archive holds of one target.

    Attributes
    ----------
    object_id
        Product that it answers with, or None.
    content
        What that contains.
    made_by
        Version of the recipe, process parameters, and the contents of its inputs by role.
    progenitors
        Numbers of the products it was made from.
    """

    object_id: int | None
    content: str | None
    made_by: tuple
    progenitors: frozenset[int]


def held(rows: Callable[[str], list[tuple]]) -> dict[Name, Held]:
    """Read what an archive holds of each target, with lineage one step back."""
    inputs: dict[int, list[tuple]] = {}
    for number, role, progenitor, content in rows(_LINEAGE):
        inputs.setdefault(number, []).append((role, content, progenitor))
    found = {}
    for *name, number, content, version, parameters in rows(_TARGETS):
        mine = inputs.get(number, [])
        found[tuple(part or "" for part in name)] = Held(
            number,
            content,
            (version, parameters, tuple(sorted((role, content) for role, content, _ in mine))),
            frozenset(progenitor for _, _, progenitor in mine),
        )
    return found


def needed(state: Mapping[Name, Held], goals: set[Name]) -> set[Name]:
    """Targets that some targets rest on, these included."""
    owner = {one.object_id: name for name, one in state.items() if one.object_id is not None}
    found, todo = set(), list(goals)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [owner[number] for number in state[name].progenitors if number in owner]
    return found


def to_remake(
    before: Mapping[Name, Held], knowing: Mapping[Name, Held], goals: set[Name]
) -> set[Name]:
    """Targets to remake for a question: those it rests on that were made by or from others."""
    return {
        name
        for name in needed(knowing, goals)
        if name not in before or before[name].made_by != knowing[name].made_by
    }


@contextmanager
def witness(
    stage: Observatory, archive: Archive, database: DatabaseSettings, folder: Path
) -> Iterator[Callable[[str], list[tuple]]]:
    """Make everything in a new archive that knows what this one knows; asks it by SQL."""
    settings = stage.settings.model_copy(
        update={
            "database": database,
            "storage": StorageSettings(root=folder / "witness"),
            "engine": EngineSettings(address="inline"),
        }
    )
    prepare_database(settings)
    other = Archive(settings)
    try:
        other.ingest([one / "raw" for one in stage.folders])
        other.load_references(stage.folders[0] / "reference.csv", "simulated")
        _tell(archive, other)
        goals = [
            target.target_id
            for name in ("SourceList", "CalibratedScienceFrame")
            for target in targets_matching(other, name)
        ]
        other.make(goals)

        def rows(query: str) -> list[tuple]:
            with other.transaction() as session:
                return [tuple(row) for row in session.execute(text(query))]

        yield rows
    finally:
        other.close()


def _tell(archive: Archive, other: Archive) -> None:
    """Copy what people decided: rejections, and the recipes in force."""
    recipes = (
        "SELECT class_name, instrument, version, revision, fingerprint, "
        "CAST(parameters AS text) AS parameters, CAST(overrides AS text) AS overrides "
        "FROM vo.recipe"
    )
    with archive.transaction() as session, other.transaction() as told:
        raws = "SELECT key, is_valid FROM vo.product WHERE target_id IS NULL"
        for raw in session.execute(text(raws)).mappings():
            told.execute(
                text("UPDATE vo.product SET is_valid = :is_valid WHERE key = :key"), dict(raw)
            )
        for recipe in session.execute(text(recipes)).mappings():
            told.execute(
                text(
                    "UPDATE vo.recipe SET version = :version, revision = :revision, "
                    "fingerprint = :fingerprint, parameters = CAST(:parameters AS jsonb), "
                    "overrides = CAST(:overrides AS jsonb) "
                    "WHERE class_name = :class_name AND instrument = :instrument"
                ),
                dict(recipe),
            )
