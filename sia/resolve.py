"""Publisher's dataset identifiers: how they are spelt, and what the published image covers."""

from __future__ import annotations

__all__ = ["Coverage", "canonical", "coverage", "find", "scope_of"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reduction.published import dataset_classes
from reduction.scope import Scope
from schemas.errors import NotFoundError, ReductionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reduction.archive import Archive
    from reduction.datasets import Dataset
    from reduction.freshness import Answering
    from schemas.database import Connection

_QUERY: Final = (
    "SELECT obs_publisher_did, obs_title, s_region, "
    "em_min, em_max, t_min, t_max FROM vo.described WHERE obs_publisher_did = %s"
)
_FAILED: Final = (
    "SELECT string_agg(r ->> 'text', '; ') FROM archive.targets t "
    "LEFT JOIN LATERAL jsonb_array_elements(t.reasons::jsonb) r ON true "
    "WHERE t.obs_publisher_did = %s AND t.state = 'failed' HAVING count(*) > 0"
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What ObsCore says of one image; names as there, None where nothing is known."""

    obs_publisher_did: str
    obs_title: str | None
    s_region: tuple[float, ...] | None
    em_min: float | None
    em_max: float | None
    t_min: float | None
    t_max: float | None


def canonical(text: str, prefix: str) -> str:
    """Spell an identifier as the archive does: the part before ``?`` has no case.

    Parameters
    ----------
    text
        As a request writes it.
    prefix
        What identifiers of the archive's datasets begin with.

    Notes
    -----
    Standard: SIA-2.0 2.1.12, Identifiers-2.0 2.6.
    """
    text = text.strip()
    return prefix + text[len(prefix) :] if text.lower().startswith(prefix.lower()) else text


def scope_of(archive: Archive, datasets: Iterable[str]) -> Scope:
    """Targets that must be fresh for these datasets to be so."""
    return Scope(classes=dataset_classes(archive.registry), datasets=frozenset(datasets))


def find(archive: Archive, answering: Answering, dataset_id: str) -> tuple[Dataset, Coverage]:
    """Look an image up as a snapshot has it: its file, and what it covers.

    Raises
    ------
    NotFoundError
        If no published image has that identifier.
    ReductionError
        If the archive knows it, but cannot make it; says why.
    """
    try:
        dataset = archive.dataset(answering.connection, dataset_id)
    except NotFoundError:
        _refuse_failed(answering, dataset_id)
        raise
    return dataset, coverage(answering.connection, dataset_id)


def _refuse_failed(answering: Answering, dataset_id: str) -> None:
    if not answering.report.failed:
        return
    with answering.connection.cursor() as cursor:
        cursor.execute(_FAILED, (dataset_id,))
        row = cursor.fetchone()
    if row is not None:
        message = f"the dataset {dataset_id!r} cannot be made: {row[0] or 'its recipe failed'}"
        raise ReductionError(message)


def coverage(connection: Connection, dataset_id: str) -> Coverage:
    """Look an image up as a connection's snapshot has it.

    Raises
    ------
    NotFoundError
        If no published image has that identifier.
    """
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, (dataset_id,))
        row = cursor.fetchone()
    if row is None:
        message = f"no published dataset has the identifier {dataset_id!r}; see ivoa.obscore"
        raise NotFoundError(message)
    did, title, region, *bounds = row
    return Coverage(did, title, None if region is None else tuple(region), *bounds)
