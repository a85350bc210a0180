"""DALI's parts: parameters said once, protocols as data, and what a protocol answers."""

from __future__ import annotations

__all__ = [
    "ErrorForm",
    "FileResult",
    "Info",
    "InputParam",
    "Mode",
    "Param",
    "Params",
    "Rows",
    "ServiceDescriptor",
    "TableResult",
    "Terms",
    "Transport",
    "Upload",
    "parse_params",
]

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from schemas.errors import MissingParameterError, MultiValuedParameterError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from schemas.blocks import Block
    from schemas.columns import Column
    from schemas.frames import Frames
    from schemas.lines import Lines


Rows: TypeAlias = "Sequence[tuple[Any, ...]] | Block | Frames | Lines"
"""Some rows of a table; see :class:`TableResult`."""


class Mode(StrEnum):
    """How a protocol may be called."""

    SYNC = "sync"
    ASYNC = "async"


class Transport(StrEnum):
    """How the database hands rows over: what the form of an answer is made from most cheaply.

    BINARY gives :class:`schemas.frames.Frames`, TEXT and CSV give :class:`schemas.lines.Lines`. It
    is a wish: what cannot be said as text comes as BINARY, so who asks for text reads both.
    """

    BINARY = "binary"
    CSV = "csv"
    TEXT = "text"


class ErrorForm(StrEnum):
    """The form in which a protocol says that it failed."""

    VOTABLE = "votable"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Param:
    """A request parameter, said once for parser, service descriptors and documentation.

    Attributes
    ----------
    name
        On the wire names are compared without regard to case (DALI-1.1 3).
    parse
        Text -> value. Raises ValueError with what would be right ("a number >= 0").
    datatype, arraysize, xtype, unit, ucd, utype, description
        As for a VOTable PARAM.
    required, multiple
        Whether it must be there; whether it may be repeated (the value is then a tuple).
    default
        Value where the request does not say.
    values
        The only words allowed, where there are such.
    """

    name: str
    parse: Callable[[str], Any] = str
    datatype: str = "char"
    arraysize: str | None = "*"
    xtype: str | None = None
    unit: str = ""
    ucd: str = ""
    utype: str = ""
    description: str = ""
    required: bool = False
    multiple: bool = False
    default: Any = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Params:
    """Typed values of a request by the names of its :class:`Param` declarations."""

    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  # the type is the Param's
        """Value of a declared parameter: its default where the request said nothing."""
        return self.values[name]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a request.

    Attributes
    ----------
    name
        Name of its part: ``UPLOAD=stars,param:NAME`` points to it (DALI-1.1 3.4.5).
    media_type
        MIME type as the client says it; empty where it does not.
    open
        Gives its bytes from the start, as often as it is called; the caller closes the file.
    """

    name: str
    media_type: str
    open: Callable[[], BinaryIO]


def _nothing(told: object) -> None:
    """Hear, and do nothing."""
    del told


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms a request is answered, besides what it says itself.

    Attributes
    ----------
    transport
        How rows come from the database, if they come from there in bulk.
    uploads
        Files of the request by the name of their part.
    timeout_s
        Seconds a statement may run; None for what the settings allow a sync request.
    make_budget_s
        Seconds that making may take; None likewise.
    begun
        Called, before a statement begins, with what cancels it (from any thread); again for each
        that may be cancelled on its own.
    ended
        Called before the connection of these is given back: they may not be cancelled any more.
    is_wanted
        Asked now and then while the first rows are awaited: does the client still wait?
    admit
        Called, before a statement begins, with what estimates its cost as the database's planner
        counts. Gives the seconds that it may run, or None for ``timeout_s``; raises a
        TransientError where there is no room for it.
    """

    transport: Transport = Transport.BINARY
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    timeout_s: float | None = None
    make_budget_s: float | None = None
    begun: Callable[[Callable[[], None]], None] = field(default=_nothing)
    ended: Callable[[], None] = field(default=lambda: None)
    is_wanted: Callable[[], bool] = field(default=lambda: True)
    admit: Callable[[Callable[[], float]], float | None] = field(default=_nothing)


def parse_params(declared: Sequence[Param], pairs: Iterable[tuple[str, str]]) -> Params:
    """Turn a request's name-value pairs into typed values.

    Unknown names are ignored (DALI-1.1 3). A tuple stands for a repeatable parameter.

    Raises
    ------
    MissingParameterError, MultiValuedParameterError, ParameterError
        Naming the parameter, what was found and what was expected.
    """
    given: dict[str, list[str]] = {}
    for name, text in pairs:
        given.setdefault(name.upper(), []).append(text)
    return Params({param.name: _value(param, given.get(param.name, [])) for param in declared})


def _value(param: Param, texts: list[str]) -> Any:  # noqa: ANN401  # the type is the Param's
    texts = [text for text in texts if text.strip()]
    if not texts:
        if param.required:
            raise MissingParameterError(param.name, param.description or "a value")
        return param.default if not param.multiple else (param.default or ())
    if param.multiple:
        return tuple(_one(param, text) for text in texts)
    if len(set(texts)) > 1:
        raise MultiValuedParameterError(param.name, len(texts))
    return _one(param, texts[0])


def _one(param: Param, text: str) -> Any:  # noqa: ANN401  # the type is the Param's
    if param.values and text.strip().lower() not in {word.lower() for word in param.values}:
        raise ParameterError(param.name, text, "one of " + ", ".join(param.values))
    try:
        return param.parse(text)
    except ParameterError:
        raise
    except ValueError as error:
        raise ParameterError(param.name, text, str(error)) from error


@dataclass(frozen=True, slots=True)
class Info:
    """An INFO element of an answer (VOTable-1.4 3.1), or a FITS keyword beside a cutout."""

    name: str
    value: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class InputParam:
    """A PARAM of a service descriptor (DataLink-1.1 4).

    Attributes
    ----------
    param
        The service's own declaration.
    value
        Fixed value; empty where the client fills it in.
    column
        Name of the column of the described table whose values it takes; empty for none.
    minimum, maximum
        Limits as the VOTable says them; empty for none.
    options
        The values to choose from, where there are such.
    """

    param: Param
    value: str = ""
    column: str = ""
    minimum: str = ""
    maximum: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceDescriptor:
    """A service that can be called for the rows of an answer (DataLink-1.1 4).

    Attributes
    ----------
    name
        XML ID of the descriptor; column ``service_def`` of a links answer refers to it.
    path
        Where the service is, below the base URL: ``/soda/sync``.
    standard_id
        IVOA identifier of its protocol, or empty.
    inputs
        What it takes.
    description, content_type
        For people; MIME type of what it returns, or empty.
    """

    name: str
    path: str
    standard_id: str
    inputs: tuple[InputParam, ...]
    description: str = ""
    content_type: str = ""


@dataclass(slots=True)
class TableResult:
    """A table on its way to the client.

    Attributes
    ----------
    columns
        What each value of a row is.
    rows
        Rows, some at a time. Protocols with few rows give lists of tuples of Python values in
        the order of ``columns``, None where there is no value. The database's bulk transports
        give :class:`schemas.frames.Frames`, or :class:`schemas.lines.Lines` where the form of the
        answer asked for text. :meth:`schemas.blocks.Block.of` makes a block of any but the last.
        The statement has been run when the result is handed over.
    infos
        Said before the rows.
    descriptors
        Services that can be called for the rows (resources of type ``meta`` in a VOTable).
    overflowed
        Asked after the last row: were there more than the limit (DALI-1.1 4.4.1)? A sentence where
        it was another limit than ``overflow`` tells of.
    overflow
        What is said where there were: the limit, and how to go further.
    close
        Called once when the answer is sent or the client is gone.
    """

    columns: Sequence[Column]
    rows: Iterator[Rows]
    infos: tuple[Info, ...] = ()
    descriptors: tuple[ServiceDescriptor, ...] = ()
    overflowed: Callable[[], bool | str] = field(default=lambda: False)
    overflow: str = "there are more rows than this answer's limit"
    close: Callable[[], None] = field(default=lambda: None)


@dataclass(slots=True)
class FileResult:
    """A document on its way to the client.

    Attributes
    ----------
    media_type
        MIME type.
    blocks
        The bytes.
    filename
        Name offered to people, empty for none.
    length
        Bytes in all, or None where not known before. 0 says that there is nothing to send: HTTP
        204 without a body (SODA-1.0 5.1).
    close
        Called once when the answer is sent or the client is gone.
    """

    media_type: str
    blocks: Iterator[bytes]
    filename: str = ""
    length: int | None = None
    close: Callable[[], None] = field(default=lambda: None)
