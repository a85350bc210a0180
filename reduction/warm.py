"""What a worker of the engine does before it takes work: load the classes, open the archive.

Dask calls :func:`dask_setup` as a worker starts, so that nobody's question waits for imports.
"""

from __future__ import annotations

__all__ = ["dask_setup"]

import logging
from typing import Any

from reduction.archive import Archive
from reduction.registry import Registry
from schemas.deferred import import_deferred
from schemas.errors import VOError

_LOG = logging.getLogger(__name__)


def dask_setup(worker: Any) -> None:  # noqa: ANN401  # Dask's Worker, which this layer does not know
    """Open the archive; where that fails, the first step to be made will say why."""
    del worker
    Registry.load()  # what the classes put off is known then
    import_deferred()
    try:
        archive = Archive.current()
        _LOG.info("%d classes", len(archive.registry.classes))
    except VOError as error:
        _LOG.warning("a worker starts without its archive: %s", error)
