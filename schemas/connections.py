"""How many connections to the database a whole service may hold at a time."""

from __future__ import annotations

__all__ = ["RESERVED", "connections_wanted"]

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.settings import Settings

RESERVED: Final = 3
"""Connections that PostgreSQL keeps for superusers by default (superuser_reserved_connections)."""

_QUEUE: Final = 4
_TENDER: Final = 4
_OF_SLOT: Final = 4
_OF_ENGINE_THREAD: Final = 3
_OTHERS: Final = 12


def connections_wanted(settings: Settings) -> int:
    """Connections of all processes of a service together, at most.

    A web process holds one snapshot for each of its threads, and two pools for all else; a slot
    for jobs its snapshot, its lock and what it notes; a thread of the engine what it makes with.
    Some are left to commands.

    Parameters
    ----------
    settings
        Of the service.
    """
    # a pool may grow to twice its size
    web = settings.web.threads + 2 * 2 * settings.database.pool_size
    slots = settings.jobs.slots + settings.jobs.short_slots
    engine = settings.engine.workers * settings.engine.threads_per_worker
    return (
        settings.web.workers * web
        + settings.jobs.workers * (slots * _OF_SLOT + _QUEUE + _TENDER)
        + engine * _OF_ENGINE_THREAD
        + _OTHERS
    )
