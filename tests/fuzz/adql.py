"""Query texts at random through parser, checker, translator and PostgreSQL.

``python -m tests.fuzz.adql [--texts 100000] [--seed 1] [--jobs 2]`` asserts of each: it is
answered, or refused by an error of the user (UsageError) or of the moment (TransientError); never
by another exception; within a limit of time; its rows can be written in a form taken at random;
and of all together: nothing was written.
"""

from __future__ import annotations

__all__ = ["Fuzz", "Outcome", "laboratory"]

import argparse
import io
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg2
from psycopg2 import sql

from schemas.dali import TableResult, Upload
from schemas.errors import TransientError, UsageError
from schemas.settings import LimitSettings
from schemas.sphere import FUNCTIONS
from tap.adql import Catalogue, check, parse, translate
from tap.execute import execute
from tap.upload import UploadRequest, opened_uploads
from tests.fuzz.grammar import damaged, grown
from tests.tap.adql.conftest import FIELDS, MAKE, OTHER, PLATES, STARS
from tests.tap.adql.test_results import PAIRS
from vo_service.formats.choice import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.columns import Column
    from schemas.settings import DatabaseSettings
    from vo_service.formats.base import Format

_LYONETIA: Final = Path(__file__).parents[3] / "shared" / "adql" / "lyonetia.json"
#: Seconds of the processor that understanding a text may take; seconds of the database.
_UNDERSTOOD_S: Final = 10.0
_ANSWERED_S: Final = 1.0
#: An upload with the columns of the stars, other letters, and positions on other turns.
_MINE: Final = """id,ra,dec,mag,kind,flag,small,good,seen,noted,pm
1,-10,0,11.5,stär,1,2,true,2026-01-01T00:00:00,2026-01-01,0.5
2,350.25,89.9,,galaxy,-1,0,false,2026-02-03T04:05:06.25,,
3,720,-5e-1,1e30,🔭,,3,,,2026-01-01,-1
,,,,,,,,,,
"""
_TABLES: Final = ("lab.stars", 'lab."Fields"', "lab.plates", "other.stars2")


@dataclass
class Outcome:
    """What became of some texts: how many of each kind, and those at which we are at fault."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str]] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def add(self, other: Outcome) -> None:
        """Put another's texts to these."""
        self.counts += other.counts
        self.faults += other.faults
        self.slowest = max(self.slowest, other.slowest)


@contextmanager
def laboratory(settings: DatabaseSettings) -> Iterator[str]:
    """Make the tables, let the reader role read them; its DSN. Nothing is written meanwhile."""
    owner = psycopg2.connect(settings.owner_url)
    owner.autocommit = True
    reader = psycopg2.extensions.parse_dsn(settings.reader_url)["user"]
    with owner.cursor() as cursor:
        for statement in FUNCTIONS:
            cursor.execute(statement)
        cursor.execute(MAKE)
        for schema in ("lab", "other", "vo"):
            named = {"schema": sql.Identifier(schema), "reader": sql.Identifier(reader)}
            cursor.execute(
                sql.SQL(
                    "GRANT USAGE ON SCHEMA {schema} TO {reader};"
                    " GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}"
                ).format(**named)
            )
        cursor.execute(
            sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(
                sql.Identifier(owner.info.dbname), sql.Identifier(reader)
            )
        )
        before = _state(cursor)
        yield settings.reader_url
        if before != _state(cursor):
            message = f"something was written: {before} became {_state(cursor)}"
            raise AssertionError(message)
    owner.close()


def _state(cursor: psycopg2.extensions.cursor) -> list[object]:
    """Checksums of the tables, the tables that there are, and rows written in them."""
    cursor.execute("SELECT pg_stat_force_next_flush(); SELECT pg_stat_clear_snapshot()")
    found: list[object] = []
    for table in _TABLES:
        cursor.execute(f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY id)) FROM {table} t")
        found += cursor.fetchall()
    cursor.execute(
        "SELECT count(*) FROM pg_class"
        " WHERE relkind IN ('r', 'v', 'S', 'm') AND relpersistence <> 't'"
    )
    found += cursor.fetchall()
    cursor.execute(
        "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
        " WHERE schemaname IN ('lab', 'other')"
    )
    return found + cursor.fetchall()


class Fuzz:
    """Asks texts as the reader role does.

    Parameters
    ----------
    dsn
        Of the reader role.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        self._connection.set_session(readonly=False)
        self._catalogue = self._upload(Catalogue([STARS, FIELDS, PLATES, OTHER]))
        self._connection.set_session(readonly=True)
        self.texts = [adql for adql, _ in PAIRS]
        if _LYONETIA.exists():
            self.texts += [case["query"] for case in json.loads(_LYONETIA.read_text())]

    def _upload(self, published: Catalogue) -> Catalogue:
        mine = {"mine": Upload("mine", "text/csv", lambda: io.BytesIO(_MINE.encode()))}
        requested = [UploadRequest("mine", "param:mine")]
        with opened_uploads(requested, mine, LimitSettings(), timeout_s=5) as uploads:
            uploads.load(self._connection)
            self._connection.commit()
            return published.with_tables(uploads.tables, uploads.stored)

    def run(self, seed: int, count: int) -> Outcome:
        """Ask so many texts, the same ones for the same seed."""
        chance = random.Random(seed)
        outcome = Outcome()
        for n in range(count):
            text = grown(chance) if n % 2 else damaged(chance, self.texts)
            start = time.perf_counter()
            kind = self.ask(text, chance.randrange(len(FORMATS)))
            outcome.slowest = max(outcome.slowest, (time.perf_counter() - start, text[:500]))
            outcome.counts[kind.partition(":")[0]] += 1
            if kind.startswith("fault"):
                outcome.faults.append((kind, text))
        return outcome

    def ask(self, text: str, form: int = 0) -> str:
        """What becomes of one text, in one form: answered, refused, transient or fault."""
        start = time.process_time()
        try:
            checked = check(parse(text), self._catalogue)
            statement = translate(checked, limit=100).text
        except UsageError:
            return self._in_time(start, "refused")
        except Exception as error:  # noqa: BLE001  # that there is none is what is tested
            return f"fault: {type(error).__name__}: {error}"[:300]
        told = self._in_time(start, "")
        return told or self._answer(statement, checked.columns, FORMATS[form])

    @staticmethod
    def _in_time(start: float, kind: str) -> str:
        took = time.process_time() - start
        return f"fault: understood after {took:.1f} s" if took > _UNDERSTOOD_S else kind

    def _answer(self, statement: str, columns: Sequence[Column], form: Format) -> str:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {int(_ANSWERED_S * 1000)}")
            return self._written(statement, columns, form)
        except UsageError:
            return "refused by the database"
        except TransientError:
            return "out of time"
        except Exception as error:  # noqa: BLE001  # as above
            cause = str(error.__cause__ or "")
            return f"fault: {type(error).__name__} in {form.mime}: {error}: {cause}"[:500]
        finally:
            self._connection.rollback()

    def _written(self, statement: str, columns: Sequence[Column], form: Format) -> str:
        """Write the rows; what the database says late is raised here, and not in the document."""
        execution, blocks = execute(
            self._connection,
            statement,
            columns,
            limit=100,
            timeout_s=_ANSWERED_S,
            transport=form.transport,
        )
        failed: list[Exception] = []
        try:
            rows = _watched(blocks, failed)
            result = TableResult(columns, rows, (), overflowed=execution.overflowed)
            document = b"".join(form.write(result, ""))
        finally:
            execution.close()
        for failure in failed:
            raise failure
        if b'name="QUERY_STATUS" value="ERROR"' in document:
            return f"fault: written as {form.mime}: {document[-300:]!r}"
        return "answered"

    def close(self) -> None:
        """End it."""
        self._connection.close()


def _watched(blocks: Iterator[Any], failed: list[Exception]) -> Iterator[Any]:
    """The same, keeping the failure of the database that a writer may put into its document."""
    try:
        yield from blocks
    except Exception as error:
        failed.append(error)
        raise


def _share(dsn: str, seed: int, count: int) -> Outcome:
    fuzz = Fuzz(dsn)
    try:
        return fuzz.run(seed, count)
    finally:
        fuzz.close()


def main() -> int:
    """Ask as many as were asked for; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    from tests.support.clusters import Databases, throw_away_cluster  # noqa: PLC0415  # a cluster, if asked for

    outcome, share = Outcome(), 1000
    start = time.monotonic()
    with (
        throw_away_cluster() as cluster,
        Databases(cluster).fresh() as settings,
        laboratory(settings) as dsn,
        ProcessPoolExecutor(given.jobs) as pool,
    ):
        shares = range(0, given.texts, share)
        waiting = [
            pool.submit(_share, dsn, given.seed * 1_000_000 + n, min(share, given.texts - n))
            for n in shares
        ]
        for done in waiting:
            outcome.add(done.result())
    for kind, text in outcome.faults[:50]:
        print(f"{kind}\n    {text[:400]!r}")
    print(f"{sum(outcome.counts.values())} texts in {time.monotonic() - start:.0f} s:")
    for kind, count in outcome.counts.most_common():
        print(f"    {kind}: {count}")
    print(f"    slowest: {outcome.slowest[0]:.2f} s")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
