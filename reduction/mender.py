"""Files that are given out: as they were written, a product's made again where it is damaged."""

from __future__ import annotations

__all__ = ["Mender", "SoundFile"]

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from reduction.damage import Held, see_unaltered
from reduction.objects import held, with_file
from reduction.pixel_cache import PIXELS
from reduction.restore import restore
from schemas.errors import NotMadeYetError, TransientError, UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

#: Seconds for which a file that could not be made again is not tried once more.
_REST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class SoundFile:
    """A file whose bytes are those that were written.

    Attributes
    ----------
    path, size
        Where it is, and its bytes.
    name, media_type
        As people know it.
    held
        What sentences call it.
    """

    path: Path
    size: int
    name: str
    media_type: str
    held: Held


class Mender:
    """Gives the files of objects, and makes those of products again that are lost or damaged.

    One at a time in each process, however many ask for it; what it comes to is told to all of
    them. Who asks for a file that cannot be made again is not made to wait for that anew within a
    minute.

    Parameters
    ----------
    archive
        Whose files.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._mending: dict[int, tuple[float, Future[list[int]]]] = {}

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="mend")

    def file(self, object_id: int, *, make: bool = True) -> SoundFile | None:
        """The file of an object as it was written; None of one without a file.

        Each file is read once a process for its checksum, and again when it was written since.

        Parameters
        ----------
        object_id
            A product or raw frame.
        make
            Whether a product's may be made again.

        Raises
        ------
        NotFoundError
            If there is no such object.
        UnreadableError
            If the file is lost or damaged, and is a raw frame's, may not be made again or cannot;
            says what brings it back.
        NotMadeYetError
            If making it takes longer than a request may.
        """
        found, raw = self._look_up(object_id)
        if found is None:
            return None
        try:
            see_unaltered(found.path, found.held)
        except UnreadableError as error:
            if raw or not make:
                raise
            PIXELS.forget(found.path)
            self._mend(object_id, found.held, error)
        else:
            return found
        found, _ = self._look_up(object_id)
        if found is not None:
            see_unaltered(found.path, found.held)
        return found

    def _look_up(self, object_id: int) -> tuple[SoundFile | None, bool]:
        """Where an object's file is, and whether it is one that cannot be made."""
        with self._archive.transaction() as session:
            product, file = with_file(session, object_id)
        if file is None:
            return None, False
        path = self._archive.storage.path(file.location)
        what = held(product, path)
        found = SoundFile(path, file.size, file.name, file.media_type, what)
        return found, product.target_id is None

    def _mend(self, object_id: int, what: Held, error: UnreadableError) -> None:
        """Make a product again, and wait for it as long as a request may."""
        budget_s = self._archive.settings.limits.make_budget_s
        future = self._begun(object_id)
        try:
            future.result(timeout=budget_s)
        except TransientError:
            raise
        except Exception as cause:
            if not future.done():
                message = f"{what.said} was damaged and is being made again: ask again"
                raise NotMadeYetError(message, retry_after_s=budget_s) from cause
            message = f"{error}; it cannot be made again now: {cause}"
            raise UnreadableError(message, object_id=object_id) from cause

    def _begun(self, object_id: int) -> Future[list[int]]:
        """The making of an object's file: that which runs or has just failed, or a new one."""
        now = time.monotonic()
        with self._lock:
            self._mending = {
                number: (begun, future)
                for number, (begun, future) in self._mending.items()
                if not future.done() or (future.exception() and now - begun < _REST_S)
            }
            if object_id not in self._mending:
                future = self._pool.submit(restore, self._archive, object_id)
                self._mending[object_id] = now, future
            return self._mending[object_id][1]

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            if "_pool" in self.__dict__:
                self._pool.shutdown(wait=False, cancel_futures=True)
