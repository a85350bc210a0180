"""What is said of stored files that are gone, cut off or altered."""

from __future__ import annotations

__all__ = ["reading", "see_unaltered", "see_whole"]

import re
import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from reduction.storage import checksum
from schemas.errors import UnreadableError, VOError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How the storage names a file: by the checksum of its bytes.
_DIGEST: Final = re.compile("[0-9a-f]{64}")
#: Files whose bytes this process has seen to be right, with what changes when one is written.
_SEEN: Final[OrderedDict[Path, tuple[int, ...]]] = OrderedDict()
_SEEN_LOCK: Final = threading.Lock()
_MOST_SEEN: Final = 10_000


@contextmanager
def reading(what: str) -> Iterator[None]:
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
        message = f"{what} cannot be read ({why})"
        raise UnreadableError(message) from error


def see_whole(path: Path, what: str) -> None:
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
            message = f"{what} cannot be read (it is not as it was written)"
            raise UnreadableError(message)


def see_unaltered(path: Path, what: str) -> None:
    """See that a file is as it was written, once for each process and writing of the file.

    What a product is made from is looked at so: a changed byte that its decoder takes would go
    into all that is made of it, and nobody would know.

    Raises
    ------
    UnreadableError
        If it is gone or altered.
    """
    with reading(what):
        stat = path.stat()
    written = stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    with _SEEN_LOCK:
        if _SEEN.get(path) == written:
            _SEEN.move_to_end(path)
            return
    see_whole(path, what)
    with _SEEN_LOCK:
        _SEEN[path] = written
        while len(_SEEN) > _MOST_SEEN:
            _SEEN.popitem(last=False)
