"""What is said of stored files that are gone, cut off or altered."""

from __future__ import annotations

__all__ = ["reading", "see_whole"]

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from reduction.storage import checksum
from schemas.errors import UnreadableError, VOError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How the storage names a file: by the checksum of its bytes.
_DIGEST: Final = re.compile("[0-9a-f]{64}")


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
