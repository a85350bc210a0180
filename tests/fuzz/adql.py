"""Query texts at random through parser, checker, translator and PostgreSQL.

``python -m tests.fuzz.adql [--texts 100000] [--seed 1] [--jobs 2]`` asserts of each: it is
answered, or refused by an error of the user (UsageError) or of the moment (TransientError); never
by another exception; within a limit of time; and of all together: nothing was written.
"""

from __future__ import annotations

__all__ = ["Fuzz", "Outcome", "laboratory"]

import argparse
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2 import sql

from schemas.errors import TransientError, UsageError
from schemas.sphere import FUNCTIONS
from tap.adql import Catalogue, check, parse, translate
from tap.execute import execute
from tests.fuzz.grammar import damaged, grown
from tests.tap.adql.conftest import FIELDS, MAKE, OTHER, PLATES, STARS
from tests.tap.adql.test_results import PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.settings import DatabaseSettings

_LYONETIA: Final = Path(__file__).parents[3] / "shared" / "adql" / "lyonetia.json"
#: Seconds of the processor that understanding a text may take; seconds of the database.
_UNDERSTOOD_S: Final = 10.0
_ANSWERED_S: Final = 1.0
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
    cursor.execute("SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'v', 'S', 'm')")
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
        self._catalogue = Catalogue([STARS, FIELDS, PLATES, OTHER])
        self._connection = psycopg2.connect(dsn)
        self._connection.set_session(readonly=True)
        self.texts = [adql for adql, _ in PAIRS]
        if _LYONETIA.exists():
            self.texts += [case["query"] for case in json.loads(_LYONETIA.read_text())]

    def run(self, seed: int, count: int) -> Outcome:
        """Ask so many texts, the same ones for the same seed."""
        chance = random.Random(seed)
        outcome = Outcome()
        for n in range(count):
            text = grown(chance) if n % 2 else damaged(chance, self.texts)
            start = time.perf_counter()
            kind = self.ask(text)
            outcome.slowest = max(outcome.slowest, (time.perf_counter() - start, text[:500]))
            outcome.counts[kind.partition(":")[0]] += 1
            if kind.startswith("fault"):
                outcome.faults.append((kind, text))
        return outcome

    def ask(self, text: str) -> str:
        """What becomes of one text: answered, refused, transient or fault."""
        start = time.process_time()
        try:
            checked = check(parse(text), self._catalogue)
            statement = translate(checked, limit=100).text
        except UsageError:
            return self._in_time(start, "refused")
        except Exception as error:  # noqa: BLE001  # that there is none is what is tested
            return f"fault: {type(error).__name__}: {error}"[:300]
        told = self._in_time(start, "")
        return told or self._answer(statement, checked.columns)

    @staticmethod
    def _in_time(start: float, kind: str) -> str:
        took = time.process_time() - start
        return f"fault: understood after {took:.1f} s" if took > _UNDERSTOOD_S else kind

    def _answer(self, statement: str, columns: object) -> str:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {int(_ANSWERED_S * 1000)}")
            execution, blocks = execute(
                self._connection, statement, columns, limit=100, timeout_s=_ANSWERED_S
            )
            try:
                for _ in blocks:
                    pass
            finally:
                execution.close()
        except UsageError:
            return "refused by the database"
        except TransientError:
            return "out of time"
        except Exception as error:  # noqa: BLE001  # as above
            cause = str(error.__cause__ or "")
            return f"fault: {type(error).__name__}: {error}: {cause}"[:500]
        finally:
            self._connection.rollback()
        return "answered"

    def close(self) -> None:
        """End it."""
        self._connection.close()


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
    from tests.support.clusters import Databases, throw_away_cluster  # noqa: PLC0415

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
