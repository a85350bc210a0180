"""An operator's door to an archive: set up, look up, edit, ask how it stands."""

from __future__ import annotations

__all__ = [
    "EDITABLE",
    "bump",
    "edit",
    "edit_validity",
    "find_target",
    "forget_parameter",
    "initialise",
    "set_parameter",
    "status",
    "sync_recipes",
    "targets_matching",
]

from typing import TYPE_CHECKING, Any, Final

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import parse_dsn
from sqlalchemy import case, func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from reduction.edits import EDITABLE, edit, edit_validity
from reduction.events import mark_suspect
from reduction.fingerprints import fingerprint
from reduction.keys import hash_of
from reduction.lookup import find_target, targets_matching
from reduction.moments import MOMENT
from reduction.parameters import (
    check_defaults,
    check_parameters,
    near_names,
)
from reduction.published import class_views, table_name
from reduction.recipe_edits import bump, forget_parameter, made_by, set_parameter
from reduction.redeclare import redeclare
from reduction.stored_parameters import look_again
from reduction.superseded import NOT_SUPERSEDED
from reduction.verdicts import ReasonKind
from schemas.database import grant, migrate
from schemas.errors import NotFoundError, ParameterError, SettingsError
from schemas.recipe_tables import Recipe
from schemas.tables import Field, Product, ServiceFact, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.registry import Registry
    from reduction.target import ProcessTarget
    from schemas.columns import Schema
    from schemas.settings import Settings


#: Held by a start, as a target's making is; no target has this number.
_START: Final = 0
#: Fact that says how the views of classes were made.
_VIEWS: Final = "class views"
#: What code and settings say of a recipe.
_RECIPE: Final = ("version", "fingerprint", "parameters")
#: Why targets fail that another code or another camera may make.
_MAY_BE_MENDED: Final = (ReasonKind.RECIPE_FAILED, ReasonKind.NO_CAMERA)


def initialise(settings: Settings, registry: Registry) -> None:
    """Bring the database to the newest schema, make the views, give the roles their rights.

    Parameters
    ----------
    settings
        With the DSNs of all three roles.
    registry
        Classes whose products become views.
    """
    migrate(settings.database.owner_url)
    with psycopg2.connect(settings.database.owner_url) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7230126)")
            _make_views(cursor, registry)
            for name, value in (
                ("authority", settings.publisher.authority),
                ("collection", settings.publisher.title),
                ("base_url", settings.web.url),
            ):
                cursor.execute(
                    "INSERT INTO vo.service_fact (name, value) VALUES (%s, %s) "
                    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, value),
                )
            cursor.execute(
                "INSERT INTO vo.service_fact (name, value) VALUES (%s, to_char(clock_timestamp() "
                "AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')) "
                "ON CONFLICT (name) DO NOTHING",
                (MOMENT,),
            )
        grant(
            connection,
            service=parse_dsn(settings.database.service_url)["user"],
            reader=parse_dsn(settings.database.reader_url)["user"],
        )
        with connection.cursor() as cursor:
            for schema in registry.published:
                _let_read(cursor, schema, parse_dsn(settings.database.reader_url)["user"])
    connection.close()


def _make_views(cursor: psycopg2.extensions.cursor, registry: Registry) -> None:
    """Make the views of classes, unless they are there as they would be made.

    To make a view again waits for all queries of it, and lets all others wait.
    """
    statements = list(class_views(registry))
    wanted = hash_of([statement.as_string(cursor) for statement in statements])
    names = [f"archive.{table_name(cls)}" for cls in registry.targets()]
    cursor.execute(
        "SELECT value FROM vo.service_fact WHERE name = %s AND NOT EXISTS "
        "(SELECT FROM unnest(%s) AS there (name) WHERE to_regclass(there.name) IS NULL)",
        (_VIEWS, names),
    )
    if cursor.fetchone() == (wanted,):
        return
    for statement in statements:
        cursor.execute(statement)
    cursor.execute(
        "INSERT INTO vo.service_fact (name, value) VALUES (%s, %s) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (_VIEWS, wanted),
    )


def _let_read(cursor: psycopg2.extensions.cursor, schema: Schema, reader: str) -> None:
    """Let users' queries read the operator's own tables.

    Raises
    ------
    SettingsError
        If the database has no such table, or the owner role may not pass on the right to read it.
    """
    role = sql.Identifier(reader)
    for table in schema.tables:
        names = {"schema": sql.Identifier(table.schema), "role": role}
        names["table"] = sql.Identifier(table.schema, table.name)
        try:
            cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}").format(**names))
            cursor.execute(sql.SQL("GRANT SELECT ON {table} TO {role}").format(**names))
        except psycopg2.ProgrammingError as error:
            said = str(error).strip().partition("\n")[0]
            message = (
                f"a plugin publishes the table {table.qualified_name}, which cannot be read "
                f"({said}): expected a table that the owner role has made"
            )
            raise SettingsError(message) from error


def sync_recipes(archive: Archive) -> list[str]:
    """Tell the archive which recipes the code has; what they made in another way is suspect.

    One start at a time: of two, one may bring targets into being and die, and the other would
    not know that what uses them has to be marked.

    Returns
    -------
    list of str
        Sentences about what changed.
    """
    check_settings(archive.settings, archive.registry)
    archive.storage.put_back()
    archive.storage.clear_leftovers()
    with archive.single_flight(_START):
        said = archive.transact(lambda session: _sync(archive, session))
        said += redeclare(archive)
        return said + archive.transact(lambda session: _again(archive, session))


def _sync(archive: Archive, session: Session) -> list[str]:
    """Write down the recipes of the code."""
    session.execute(select(func.pg_advisory_xact_lock(7230127)))
    several = _several(archive, session)
    classes = list(archive.registry.targets())
    owners = (*archive.registry.instruments, "")
    changed = _write(archive, session, [(cls, owner) for cls in classes for owner in owners])
    of_fields = [cls for cls in classes if cls.ANCHOR.of_whole_field]
    changed += _write(archive, session, [(cls, owner) for cls in of_fields for owner in several])
    if not changed:
        return []
    # all at once: most of what is made hangs on several of them
    made = [number for name, owner in changed for number in made_by(session, name, owner or None)]
    count = mark_suspect(session, made)
    said = [f"the recipe of {name} for {owner or 'several'} changed" for name, owner in changed]
    return [*said, f"{count} targets are suspect"]


def _again(archive: Archive, session: Session) -> list[str]:
    """Mark as suspect what could not be made, and may now."""
    return _try_again(archive, session) + look_again(archive.registry, session)


def _try_again(archive: Archive, session: Session) -> list[str]:
    """Mark as suspect what failed in a way that another code, or camera, may have mended."""
    failed = session.execute(
        select(Target.target_id, Target.instrument, Target.reasons).where(
            Target.state == TargetState.FAILED,
            or_(*(Target.reasons.contains([{"kind": kind.value}]) for kind in _MAY_BE_MENDED)),
        )
    ).all()
    there = [row for row in failed if not archive.registry.missing(row.instrument)]
    mark_suspect(session, [row.target_id for row in there])
    of_recipe = sum(
        any(reason["kind"] == ReasonKind.RECIPE_FAILED for reason in row.reasons) for row in there
    )
    if not of_recipe:
        return []
    return [f"{of_recipe} targets whose recipe had failed will be tried again"]


def _several(archive: Archive, session: Session) -> list[str]:
    """Cameras, joined by "+", of which settings or an operator say something together."""
    known = set(session.scalars(select(Recipe.instrument).distinct()))
    names = {name for name in known | archive.settings.reduction.parameters.keys() if "+" in name}
    cameras = archive.registry.instruments.keys()
    return sorted(name for name in names if cameras >= set(name.split("+")))


def check_settings(settings: Settings, registry: Registry) -> None:
    """See that process parameters of classes, instruments and settings can be used.

    Raises
    ------
    SettingsError
        If an instrument, a class or a parameter is unknown, or a value cannot be used: names
        where it is said, and the names that look like it or the values that can be used.
    """
    declared = {name: getattr(cls, "Parameters", None) for name, cls in registry.classes.items()}
    classes = {name: parameters for name, parameters in declared.items() if parameters is not None}
    for name, parameters in classes.items():
        try:
            check_defaults(name, parameters)
        except ParameterError as error:
            raise SettingsError(f"the class {name}: {error}") from error
    for camera in registry.instruments.values():
        _check_said(f"the instrument {camera.name}", camera.parameters, classes)
    for owner, by_class in settings.reduction.parameters.items():
        key = f"reduction.parameters.{owner}"
        if owner != "*":
            _check_owner(registry, key, owner, by_class)
        _check_said(key, by_class, classes)


def _check_said(
    where: str, by_class: Mapping[str, Mapping[str, Any]], classes: Mapping[str, type[Any]]
) -> None:
    for name, values in by_class.items():
        if name not in classes:
            known = near_names(name, classes)
            raise SettingsError(f"{where}.{name}: there is no such class, expected {known}")
        try:
            check_parameters(name, classes[name], values)
        except ParameterError as error:
            raise SettingsError(f"{where}: {error}") from error


def _check_owner(registry: Registry, key: str, owner: str, by_class: Iterable[str]) -> None:
    """See that there are such instruments, and of several, that classes are of whole fields."""
    try:
        known = registry.owner(owner)
    except NotFoundError as error:
        near = near_names(owner, {"*", *registry.instruments})
        raise SettingsError(f"{key}: {error}" if "+" in owner else _no_such(key, near)) from error
    if owner != known:
        raise SettingsError(_no_such(key, known))
    for name in by_class:
        cls = registry.classes.get(name)
        anchor = getattr(cls, "ANCHOR", None)
        if "+" in owner and cls is not None and (anchor is None or not anchor.of_whole_field):
            message = f"{key}.{name}: it is made for each camera, expected it under "
            raise SettingsError(message + " or ".join(owner.split("+")))


def _no_such(key: str, expected: str) -> str:
    return f"{key}: there is no such instrument, expected {expected}"


def _write(
    archive: Archive, session: Session, recipes: Iterable[tuple[type[ProcessTarget], str]]
) -> list[tuple[str, str]]:
    """Write down recipes; those of them that made something in another way before.

    Of one camera, of several joined by "+", or, under "", of all others of several.
    """
    every = select(Recipe).execution_options(populate_existing=True)
    known = {(row.class_name, row.instrument): row for row in session.scalars(every)}
    written: list[dict[str, Any]] = []
    changed: list[tuple[str, str]] = []
    for cls, owner in recipes:
        key = cls.__name__, owner
        own = _recipe(archive, cls, owner)
        before = known.get(key)
        if before is not None and (before.version, before.fingerprint) == (
            own["version"],
            own["fingerprint"],
        ):
            continue
        new = {"class_name": cls.__name__, "instrument": owner, "revision": 0, **own}
        if before is not None:
            changed.append(key)
        elif "+" in owner and (common := known.get((cls.__name__, ""))) is not None:
            new["revision"] = _held_revision(session, cls.__name__)
            if common.fingerprint != own["fingerprint"]:
                changed.append(key)
        written.append(new)
    if written:
        statement = upsert(Recipe).values(written)
        values = {name: statement.excluded[name] for name in _RECIPE}
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["class_name", "instrument"], set_=values
            )
        )
    return changed


def _recipe(archive: Archive, cls: type[ProcessTarget], owner: str) -> dict[str, Any]:
    """What code and settings make of a class for its cameras, as it is written down."""
    name, camera = cls.__name__, archive.registry.instruments.get(owner)
    overlay: dict[str, Any] = {} if camera is None else dict(camera.parameters.get(name, {}))
    for level in ("*", owner):
        overlay |= archive.settings.reduction.parameters.get(level, {}).get(name, {})
    overlay = check_parameters(name, cls.Parameters, overlay)
    own = fingerprint(cls, camera, overlay)
    return dict(zip(_RECIPE, (cls.VERSION, own, overlay), strict=True))


def _held_revision(session: Session, class_name: str) -> int:
    """Revision of a class for several cameras, held against one who raises it meanwhile."""
    of_common = select(Recipe.revision).where(
        Recipe.class_name == class_name, Recipe.instrument == ""
    )
    return session.scalar(of_common.with_for_update(read=True)) or 0


def status(archive: Archive) -> dict[str, dict[str, int]]:
    """Number of targets by class and state, and of raw frames by class.

    Targets of a closed field are withdrawn, whatever their state. A raw frame that was described
    again counts once.

    Returns
    -------
    dict
        ``{"BiasFrame": {"fresh": 3, "suspect": 1}, "RawBiasFrame": {"raw": 20}}``
    """
    counted: dict[str, dict[str, int]] = {}
    with archive.transaction() as session:
        closed = select(Field.field_id).where(Field.is_valid < 1)
        state = case((Target.field_id.in_(closed), "withdrawn"), else_=Target.state)
        rows = session.execute(
            select(Target.class_name, state, func.count()).group_by(Target.class_name, state)
        ).all()
        raws = session.execute(
            select(Product.class_name, func.count())
            .where(Product.target_id.is_(None), NOT_SUPERSEDED)
            .group_by(Product.class_name)
        ).all()
    for name, state, number in rows:
        counted.setdefault(name, {})[state] = number
    for name, number in raws:
        counted[name] = {"raw": number}
    return counted


def set_base_url(archive: Archive, url: str) -> None:
    """Tell the views under which URL the service is reached."""
    with archive.transaction() as session:
        statement = upsert(ServiceFact).values(name="base_url", value=url)
        session.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"value": url})
        )
