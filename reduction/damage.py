"""What is said of stored files that are gone, cut off or altered."""

from __future__ import annotations

__all__ = ["Held", "reading", "see_unaltered", "see_whole"]

import re
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reduction.storage import checksum
from schemas.errors import UnreadableError, VOError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

#: How the storage names a file: by the checksum of its bytes.
_DIGEST: Final = re.compile("[0-9a-f]{64}")
#: Files whose bytes this process has seen to be right, with what changes when one is written.
_SEEN: Final[OrderedDict[Path, tuple[int, ...]]] = OrderedDict()
_SEEN_LOCK: Final = threading.Lock()
_MOST_SEEN: Final = 10_000
#: Age (s) of a file's last change below which another one may leave its times as they are.
_SETTLED_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Held:
    """A file that the archive has, in words.

    Attributes
    ----------
    said
        What sentences call it.
    advice
        What brings it back where it is lost, as the end of a sentence.
    object_id
        The object whose file it is; None where that is not known.
    """

    said: str
    advice: str = ""
    object_id: int | None = None

    def unreadable(self, why: str) -> UnreadableError:
        """The error that says that it cannot be read, and why."""
        advice = f"; {self.advice}" if self.advice else ""
        message = f"{self.said} cannot be read ({why}){advice}"
        return UnreadableError(message, object_id=self.object_id)


@contextmanager
def reading(what: Held) -> Iterator[None]:
    """Say that something cannot be read, whatever its reader raises: of a damaged file, anything.

    Errors of the archive's own, and a lack of memory, are left as they are.

    Raises
    ------
    UnreadableError
        Of what, and why.
    """
    try:
        yield
    except (VOError, MemoryError):
        raise
    except Exception as error:
        why = str(error) if isinstance(error, (OSError, ValueError)) else repr(error)
        raise what.unreadable(why) from error


def see_whole(path: Path, what: Held) -> None:
    """See that a file that lacks something is as it was written; one beside the storage may be.

    Raises
    ------
    UnreadableError
        If it is not.
    """
    written = path.name.partition(".")[0]
    if _DIGEST.fullmatch(written) is None:
        return
    with reading(what):
        if checksum(path) != written:
            raise what.unreadable("it is not as it was written")


def see_unaltered(path: Path, what: Held) -> None:
    """See that a file is as it was written, once for each process and writing of the file.

    What a product is made from, and what is given out, is looked at so: a changed byte that its
    decoder takes would go into all that is made of it, and nobody would know.

    Raises
    ------
    UnreadableError
        If it is gone or altered.
    """
    with reading(what):
        stat = path.stat()
    written = _written(stat)
    with _SEEN_LOCK:
        if _SEEN.get(path) == written:
            _SEEN.move_to_end(path)
            return
    see_whole(path, what)
    if 0.0 <= time.time() - stat.st_ctime < _SETTLED_S:
        return  # written again within a tick of the system's clock it would look the same
    with _SEEN_LOCK:
        _SEEN[path] = written
        while len(_SEEN) > _MOST_SEEN:
            _SEEN.popitem(last=False)


def _written(stat: os.stat_result) -> tuple[int, ...]:
    """What is another when a file is written again, or another file has its place."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
