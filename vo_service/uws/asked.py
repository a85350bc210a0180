"""What a POST about a job says: about its handling, and as parameters of its protocol."""

from __future__ import annotations

__all__ = ["Asked", "check_texts"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.dali import Param, parse_params
from schemas.errors import ParameterError, TooLargeError
from schemas.values import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.datastructures import FileStorage

    from schemas.dali import Params

_NAMES: Final = 200
_TEXT_BYTES: Final = 1_000_000


def _seconds(text: str) -> int:
    if not text.strip().isdigit():
        message = "a whole number of seconds, 0 for as many as the service allows"
        raise ValueError(message)
    return int(text)


_CONTROLS: Final = (
    Param("PHASE", lambda text: text.strip().upper(), values=("RUN", "ABORT")),
    Param("ACTION", lambda text: text.strip().upper(), values=("DELETE",)),
    Param("EXECUTIONDURATION", _seconds),
    Param("DESTRUCTION", parse_timestamp),
    Param("WAIT", str),
)
_CONTROL_NAMES: Final = frozenset(param.name for param in _CONTROLS)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a POST about a job says: about its handling, and as parameters of its protocol.

    Attributes
    ----------
    controls
        PHASE, ACTION, EXECUTIONDURATION and DESTRUCTION.
    parameters
        Everything else, names in capitals.
    files
        Uploads by the name of their part.
    """

    controls: Params
    parameters: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, FileStorage], ...] = ()

    @classmethod
    def of(
        cls, pairs: Sequence[tuple[str, str]], files: Sequence[tuple[str, FileStorage]] = ()
    ) -> Asked:
        """Sort the pairs of a request.

        Raises
        ------
        ParameterError
            If one about the job's handling is wrong, or a text cannot be told in XML.
        TooLargeError
            If the texts are too long.
        """
        named = [(name.strip().upper(), text) for name, text in pairs]
        for name, text in named:
            if not _is_xml(text) or not _is_xml(name):
                raise ParameterError(name, text, "a text without control characters")
        for name, part in files:
            if not _is_xml(name + (part.mimetype or "")):
                raise ParameterError("(file)", name[:200], "a name without control characters")
        check_texts(named)
        others = tuple(pair for pair in named if pair[0] not in _CONTROL_NAMES)
        return cls(parse_params(_CONTROLS, named), others, tuple(files))


def check_texts(pairs: Sequence[Sequence[str]]) -> None:
    """See that parameters are what a row of the database, and every document, can have.

    Raises
    ------
    ParameterError
        If there are too many.
    TooLargeError
        If they are too long.
    """
    if len(pairs) > _NAMES:
        raise ParameterError("(all)", len(pairs), f"at most {_NAMES} parameters")
    size = sum(len(name) + len(text.encode()) for name, text in pairs)
    if size > _TEXT_BYTES:
        message = (
            f"the parameters of a job have {size} bytes, at most {_TEXT_BYTES} are taken: "
            "expected long ones, such as tables, as files of a multipart form"
        )
        raise TooLargeError(message)


def _is_xml(text: str) -> bool:
    """Whether XML 1.0 can hold a text (its production 2)."""
    return all(
        char in "\t\n\r"
        or " " <= char <= "\ud7ff"
        or "\ue000" <= char <= "\ufffd"
        or char > "\uffff"
        for char in text
    )
