"""Jobs over plain HTTP, without following redirections; and queries that take long."""

from __future__ import annotations

__all__ = ["LONG", "QUICK", "Jobs", "backends", "until"]

import time
from dataclasses import dataclass, field

import psycopg2
import requests
from lxml import etree

#: Answered at once.
QUICK = "SELECT table_name FROM tap_schema.tables WHERE schema_name = 'tap_schema' ORDER BY 1"
#: Takes hours.
LONG = (
    "SELECT COUNT(*) AS n FROM tap_schema.columns AS a, tap_schema.columns AS b, "
    "tap_schema.columns AS c, tap_schema.columns AS d, tap_schema.columns AS e "
    "WHERE a.column_index + b.column_index + c.column_index + d.column_index > e.column_index"
)
_UWS = {"uws": "http://www.ivoa.net/xml/UWS/v1.0"}
_OVER = {"COMPLETED", "ERROR", "ABORTED"}


def until(condition, seconds=30.0):
    """Wait for a condition; what it gave."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.05)
    return found


def backends(dsn, like="%tap_schema%"):
    """Queries of users that run in the database now, as the role that runs them sees them."""
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                "AND datname = current_database() AND pid <> pg_backend_pid() "
                "AND query LIKE 'COPY%%' AND query LIKE %s",
                (like,),
            )
            return cursor.fetchone()[0]
    finally:
        connection.close()


@dataclass
class Jobs:
    """One who has jobs at a service, with his cookies."""

    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self):
        self.session.headers["Connection"] = "close"  # nothing is left open

    def make(self, query=QUICK, *, run=True, files=None, **more):
        """Address of a new job."""
        data = {"LANG": "ADQL", "QUERY": query, **more}
        if run:
            data["PHASE"] = "RUN"
        answer = self.post("", files=files, **data)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def post(self, where, *, files=None, **data):
        """POST to an address, or to the list; the answer, not followed."""
        return self.session.post(
            where or self.url, data=data, files=files, allow_redirects=False, timeout=60
        )

    def get(self, where="", **params):
        """GET an address, or the list."""
        return self.session.get(where or self.url, params=params, timeout=120)

    def told(self, where, path):
        """Text at a path in a job's document."""
        return etree.fromstring(self.get(where).content).findtext(path, namespaces=_UWS)

    def phase(self, where):
        """Where a job is."""
        return self.get(where + "/phase").text

    def over(self, where, seconds=60.0):
        """The phase that a job ends in."""
        return until(lambda: p if (p := self.phase(where)) in _OVER else "", seconds)

    def listed(self, **params):
        """Ids of the jobs in the list."""
        return [one.get("id") for one in etree.fromstring(self.get(**params).content)]
