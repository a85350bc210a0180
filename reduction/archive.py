"""The archive: one door to ingest, plan, make, ask and edit."""

from __future__ import annotations

__all__ = ["Answering", "Archive", "Fresh", "FreshnessReport"]

import operator
import os
import threading
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import psycopg2
import psycopg2.extensions
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from reduction import objects
from reduction.answering import answering, said_moment
from reduction.datasets import Dataset, find_dataset
from reduction.described import described
from reduction.engine import open_engine
from reduction.examine import examine
from reduction.frames import StoredImages, StoredTables
from reduction.freshness import Answering, Fresh, FreshnessReport
from reduction.ingest import IngestReport, ingest_files, raw_files
from reduction.make import is_conflict
from reduction.mender import Mender
from reduction.operate import find_target
from reduction.outcomes import flattened
from reduction.published import published_schemas
from reduction.reference_ingest import ingest_references
from reduction.registry import Registry
from reduction.storage import Storage
from reduction.variants import make_variant, variant_of
from schemas.database import Database, database_there
from schemas.errors import BusyError, ParameterError, ReductionError
from schemas.settings import load_settings
from schemas.tables import Product, Target

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from sqlalchemy import ColumnElement

    from reduction.outcomes import Outcome
    from reduction.scope import Scope
    from reduction.target import DBObject
    from reduction.verdicts import Plan, Verdict
    from schemas.columns import Schema
    from schemas.settings import Settings

_ATTEMPTS = 20
_T = TypeVar("_T")
_LOCK_SPACE = 0x564F << 40


class Archive:
    """Targets, products and raw frames of one installation.

    Parameters
    ----------
    settings
        Where the database, the files and the engine are.
    """

    _current: ClassVar[Archive | None] = None
    _opening: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database, snapshots=settings.web.threads)
        self.storage = Storage(settings.storage.root)
        self.engine = open_engine(self, settings.engine.address)
        self.mender = Mender(self)
        self._process = os.getpid()

    @cached_property
    def registry(self) -> Registry:
        """Classes and instruments; looked for when they are first asked for."""
        return Registry.load(self.settings.reduction.plugins)

    @classmethod
    def current(cls) -> Archive:
        """The archive that the settings name; opened once a process."""
        with cls._opening:
            if cls._current is None or cls._current._process != os.getpid():  # noqa: SLF001  # own class
                cls._current = cls(load_settings())
            return cls._current

    @classmethod
    def use(cls, archive: Archive) -> None:
        """Make an archive the one that classes and queries speak of in this process."""
        cls._current = archive

    def dataset_id(self, identity: str) -> str:
        """Publisher's dataset identifier of a published target."""
        return f"ivo://{self.settings.publisher.authority}/archive?{identity}"

    # transactions

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session of the service role; committed at the end, rolled back on any error.

        Raises
        ------
        BusyError
            If the database is not there, or has no free connection.
        """
        with (
            database_there(),
            Session(self.database.service, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def transact(self, work: Callable[[Session], _T]) -> _T:
        """Do work in a transaction of the service role; again where it met another one.

        Parameters
        ----------
        work
            Called with the session; must have no effect but on the database.

        Raises
        ------
        BusyError
            As :meth:`transaction`, or if it keeps meeting others.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self.transaction() as session:
                    return work(session)
            except DBAPIError as error:
                if not is_conflict(error):
                    raise
                time.sleep(0.01 * attempt)
        raise BusyError("the archive changes too fast; ask again", retry_after_s=2)

    @contextmanager
    def single_flight(self, target_id: int) -> Iterator[None]:
        """Hold a target's making alone, among all processes; released if this one dies."""
        with database_there():
            connection = psycopg2.connect(self.settings.database.service_url)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", (_LOCK_SPACE | target_id,))
            yield
        finally:
            connection.close()

    # verdicts

    def _snapshot_session(self) -> Session:
        engine = self.database.service.execution_options(isolation_level="REPEATABLE READ")
        return Session(engine, expire_on_commit=False)

    @contextmanager
    def examining(self) -> Iterator[Session]:
        """A snapshot in which verdicts can be reached; nothing is written in it.

        Raises
        ------
        BusyError
            If the database is not there, or has no free connection.
        """
        with database_there(), self._snapshot_session() as session:
            yield session

    def examine(self, target_id: int) -> Verdict:
        """Reach a verdict on one target; what needs no making is written down at once."""
        return examine(self, [target_id])[1][target_id]

    def plan(self, target_ids: Iterable[int]) -> Plan:
        """What has to be made so that the given targets are right."""
        return examine(self, target_ids)[0]

    # questions

    @contextmanager
    def snapshot(
        self,
        scope: Scope,
        *,
        fresh: Fresh = Fresh.MAKE,
        asof: dt.datetime | None = None,
        timeout_s: float,
        make_budget_s: float | None = None,
        prepare: Callable[[psycopg2.extensions.connection], None] | None = None,
    ) -> Iterator[Answering]:
        """Open the snapshot in which a question is answered.

        Parameters
        ----------
        scope
            What the question touches.
        fresh
            Make what is stale, take what is published, or refuse.
        asof
            Answer as of a past moment; nothing is made then.
        timeout_s
            Seconds any statement may run.
        make_budget_s
            Seconds that making may take; None for what the settings say.
        prepare
            As for :meth:`schemas.database.Database.snapshot`; called again for each attempt.

        Raises
        ------
        ParameterError
            If ``asof`` is in the future.
        NotMadeYetError
            If making takes longer than the budget.
        StaleError
            If something is stale under ``require``.
        BusyError
            If neither the database nor the engine has room.
        """
        with answering(
            self,
            scope,
            FreshnessReport(fresh, "" if asof is None else said_moment(asof)),
            timeout_s=timeout_s,
            budget_s=make_budget_s or self.settings.limits.make_budget_s,
            prepare=prepare,
        ) as found:
            yield found

    def make(
        self,
        target_ids: Sequence[int],
        *,
        budget_s: float = 86400.0,
        progress: Callable[[Outcome], None] | None = None,
    ) -> list[Outcome]:
        """Make targets, and whatever they need before; repeat until nothing is left to do."""
        outcomes: list[Outcome] = []
        deadline = time.monotonic() + budget_s
        while (plan := self.plan(target_ids)).steps:
            left = max(deadline - time.monotonic(), 0.01)
            outcomes += flattened(self.engine.run(plan, budget_s=left, progress=progress))
        return outcomes

    # raw data

    def ingest(
        self, paths: Sequence[Path], progress: Callable[[Path], None] = lambda _: None
    ) -> IngestReport:
        """Take raw files and folders of them into the archive; see :mod:`reduction.ingest`."""
        return ingest_files(self, raw_files(paths), progress)

    def load_references(
        self, path: Path, name: str, *, columns: Mapping[str, str] | None = None
    ) -> int:
        """Take a reference catalogue into the archive; number of its stars, 0 if known.

        ``columns`` has the file's names by ours: see :func:`reduction.reference_columns.named`.
        """
        return ingest_references(self, path, name, columns)

    # objects

    def dataset(self, connection: psycopg2.extensions.connection, dataset_id: str) -> Dataset:
        """A published image, as a snapshot sees it; see :func:`find_dataset`."""
        return find_dataset(connection, self.storage, dataset_id)

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """What users may query."""
        return published_schemas(self.registry)

    def get(
        self,
        class_name: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        script: str | Path | None = None,
        **words: str | None,
    ) -> DBObject:
        """Exists and up to date? else make; see :meth:`ProcessTarget.get`."""
        if parameters or script is not None:
            variant = variant_of(self, class_name, parameters=parameters or {}, script=script)
            found = find_target(self, variant.host, **words)
            return self.shown(make_variant(self, found, variant))
        target = find_target(self, class_name, **words)
        outcomes = self.make([target.target_id])
        with self.transaction() as session:
            target = session.get_one(Target, target.target_id)
            if target.product_id is None:
                failed = "; ".join(reason["text"] for reason in target.reasons)
                said = failed or "; ".join(o.message for o in outcomes if o.message)
                raise ReductionError(f"{target.identity} cannot be made: {said}")
            row = session.get_one(Product, target.product_id)
        return self.shown(row)

    def shown(self, row: Product) -> DBObject:
        """A product as an object of its class; of what a script made, as it describes itself."""
        known = self.registry.classes.get(row.class_name)
        if known is None or "+" in row.recipe_version:
            with self.transaction() as session:
                known = described(row, known, objects.inputs_of(session, row.product_id))
        return known(row, self)

    def why(self, target_id: int) -> Verdict:
        """Say of a target whether it is right, and if not, why (nothing is made)."""
        return self.examine(target_id)

    def search(self, cls: type[DBObject], condition: ColumnElement[bool]) -> list[DBObject]:
        """Published objects of a class that meet a condition, oldest observation first."""
        with self.transaction() as session:
            rows = objects.search(session, cls, condition)
        return [cls(row, self) for row in rows]

    def count(self, cls: type[DBObject], condition: ColumnElement[bool]) -> int:
        """Number of published objects of a class that meet a condition."""
        with self.transaction() as session:
            return objects.count(session, cls, condition)

    def object(self, object_id: int) -> DBObject:
        """An object by its number.

        Raises
        ------
        NotFoundError
            If there is none.
        ParameterError
            If it is no number.
        """
        try:
            number = operator.index(object_id)  # a table's column has numbers of numpy
        except TypeError as error:
            expected = "the number of an object, such as 17"
            raise ParameterError("object_id", object_id, expected) from error
        with self.transaction() as session:
            row = objects.product(session, number)
        return self.shown(row)

    def progenitors(self, object_id: int, role: str) -> list[DBObject]:
        """What an object was made from in one role, in order.

        A progenitor that was remade with the same content stands for the one that was used.
        """
        with self.transaction() as session:
            rows = objects.progenitors(session, object_id, role)
        return [self.shown(row) for row in rows]

    def images(self, object_id: int) -> dict[str, np.ndarray[Any, Any]]:
        """Pixels of a product by extension name, of a raw frame as "RAW"; empty if it has none."""
        with self.transaction() as session:
            row, file = objects.with_file(session, object_id)
        if file is None or row.class_name == "ReferenceCatalogue":
            return {}
        path = self.storage.path(file.location)
        owner = objects.held(row, path)
        return dict(StoredImages(path, row.hdu, self.storage.planes, owner=owner, sure=True))

    def tables(self, object_id: int) -> dict[str, np.ndarray[Any, Any]]:
        """Tables of a product's file by extension name; empty if it has none."""
        with self.transaction() as session:
            row, file = objects.with_file(session, object_id)
        if file is None:
            return {}
        path = self.storage.path(file.location)
        return dict(StoredTables(path, objects.held(row, path), sure=True))

    def close(self) -> None:
        """Close the connections and leave the engine."""
        self.engine.close()
        self.mender.close()
        self.database.close()
