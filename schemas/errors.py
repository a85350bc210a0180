"""The errors of the whole project, and the words each protocol has for them.

::

    VOError
    + UsageError                 the request is at fault, a retry is pointless
    |  + ParameterError
    |  |  + MissingParameterError | MultiValuedParameterError | UnsupportedXtypeError
    |  + QueryError
    |  |  + QuerySyntaxError | UnknownNameError | UnsupportedFeatureError
    |  + UploadError
    |  |  + TooLargeError       more bytes or rows than are taken
    |  + PhaseError              a job cannot do that now
    |  + TimeLimitError          it takes longer than it may: only another request helps
    |  + StaleError              what may not be remade (FRESH=require) is stale
    |  + IngestError             a file cannot become a raw frame
    |  + SettingsError           the operator's settings are at fault
    + NotFoundError              unknown job, dataset or table
    + AuthenticationError        nobody that the service knows
    + AuthorizationError
    + TransientError             may succeed later
    |  + BusyError | NotMadeYetError
    |  + QuotaError              the caller has too much going on
    + FatalError
       + StorageError
       |  + UnreadableError       a file of the archive is not there, or damaged
       + ReductionError
          + ProgenitorMissingError | UnprocessableError

An error is plain: how it is said on the wire is looked up at the edge (``vo_service/errors.py``).
"""

from __future__ import annotations

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "BusyError",
    "FatalError",
    "IngestError",
    "MissingParameterError",
    "MultiValuedParameterError",
    "NotFoundError",
    "NotMadeYetError",
    "ParameterError",
    "PhaseError",
    "ProgenitorMissingError",
    "QueryError",
    "QuerySyntaxError",
    "QuotaError",
    "ReductionError",
    "SettingsError",
    "StaleError",
    "StorageError",
    "TimeLimitError",
    "TooLargeError",
    "TransientError",
    "UnknownNameError",
    "UnprocessableError",
    "UnreadableError",
    "UnsupportedFeatureError",
    "UnsupportedXtypeError",
    "UploadError",
    "UsageError",
    "VOError",
]

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class VOError(Exception):
    """Anything the project says went wrong; ``str()`` is a sentence a user can act on.

    Attributes
    ----------
    http_status
        Status code of the answer.
    soda_word, fault
        The word that starts a SODA-1.0 5.2 text answer, and the fault of SIA-2.0 3.2 and
        DataLink-1.1 3.4.
    transient
        Whether the same request may succeed later (UWS-1.1 error type).
    """

    http_status: ClassVar[int] = 500
    soda_word: ClassVar[str] = "Error"
    fault: ClassVar[str] = "DefaultFault"
    transient: ClassVar[bool] = False


class UsageError(VOError):
    """The request itself is at fault; a retry is pointless."""

    http_status = 400
    soda_word = "UsageError"
    fault = "UsageFault"


class ParameterError(UsageError):
    """A parameter has a value that cannot be used.

    Parameters
    ----------
    name
        The parameter's name.
    found
        What the request said.
    expected
        What would be right, as the end of "expected ...".
    """

    def __init__(self, name: str, found: object, expected: str) -> None:
        self.name, self.found, self.expected = name, found, expected
        super().__init__(f"parameter {name}: found {found!r}, expected {expected}")


class MissingParameterError(ParameterError):
    """A parameter that must be given is not."""

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(name, None, expected)
        self.args = (f"parameter {name} is missing: expected {expected}",)


class MultiValuedParameterError(ParameterError):
    """A parameter is given more often than the service accepts."""

    soda_word = "MultiValuedParamNotSupported"

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name, count, "one value")
        self.args = (f"parameter {name} is given {count} times: expected once",)


class UnsupportedXtypeError(ParameterError):
    """A geometry or literal of an xtype the service does not take (DALI-1.2 3.17)."""

    def __init__(self, name: str, found: object, expected: str) -> None:
        super().__init__(name, found, expected)
        self.args = (f"unsupported-xtype: {self.args[0]}",)


class QueryError(UsageError):
    """A query that cannot be answered.

    Parameters
    ----------
    message
        What is wrong and what would be right.
    line, column
        Place in the query text, counted from 1; None where no place is at fault.
    """

    def __init__(
        self, message: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        self.line, self.column = line, column
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(place + message)


class QuerySyntaxError(QueryError):
    """The text is not ADQL."""


class UnsupportedFeatureError(QueryError):
    """The text is ADQL, but uses a feature that the service does not offer."""


class UnknownNameError(QueryError):
    """A table, column or function that does not exist.

    Parameters
    ----------
    kind
        What was looked for: "table", "column", "function".
    name
        As the query spells it.
    near
        Names that exist and look alike, best first.
    advice
        What else may have been meant.
    line, column
        Place in the query text, counted from 1.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        *,
        near: Sequence[str] = (),
        advice: str = "",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.kind, self.name, self.near = kind, name, tuple(near)
        hint = f"; did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
        hint += f"; {advice}" if advice else ""
        super().__init__(f"unknown {kind} `{name}`{hint}", line=line, column=column)


class UploadError(UsageError):
    """An uploaded table cannot be read."""


class TooLargeError(UploadError):
    """What is sent has more bytes or rows than the service takes; says how many that are."""

    http_status = 413


class PhaseError(UsageError):
    """A job cannot do that in its phase.

    Parameters
    ----------
    phase, event
        Where the job is, and what was asked.
    allowed
        What may be asked instead.
    """

    http_status = 409

    def __init__(self, phase: str, event: str, allowed: Sequence[str]) -> None:
        self.phase, self.event, self.allowed = phase, event, tuple(allowed)
        instead = f"PHASE={' or PHASE='.join(allowed)} may be" if allowed else "nothing can be"
        super().__init__(f"the job is {phase}: {event} is not possible now, {instead} asked of it")


class TimeLimitError(UsageError):
    """The work takes longer than its limit: the same request would meet the same limit again.

    Not transient, and so not 503 with Retry-After: clients that heed those would only repeat what
    is too expensive.
    """


class StaleError(UsageError):
    """Something that the answer needs is stale, and the request forbids to remake it.

    RFC 9110 15.5.10: in conflict with the state of the resource, and the client can do something
    about it.
    """

    http_status = 409


class IngestError(UsageError):
    """A file cannot become a raw frame.

    Parameters
    ----------
    file
        Name of the file as the user gave it.
    what
        What was found and what was expected; names the keyword where one is at fault.
    """

    def __init__(self, file: str, what: str) -> None:
        self.file, self.what = file, what
        super().__init__(f"{file}: {what}")


class SettingsError(UsageError):
    """The operator's settings cannot be used; says key, source, found and expected."""


class NotFoundError(VOError):
    """There is no such job, dataset or table."""

    http_status = 404
    soda_word = "UsageError"
    fault = "NotFoundFault"


class AuthenticationError(VOError):
    """The request's name or token is nobody's that the service knows."""

    http_status = 401
    soda_word = "AuthenticationError"


class AuthorizationError(VOError):
    """The user may not do that."""

    http_status = 403
    soda_word = "AuthorizationError"


class TransientError(VOError):
    """The same request may succeed later.

    Parameters
    ----------
    message
        What is in the way.
    retry_after_s
        Seconds after which a retry is worth while (HTTP Retry-After).
    """

    http_status = 503
    soda_word = "ServiceUnavailable"
    fault = "TransientFault"
    transient = True

    def __init__(self, message: str, *, retry_after_s: float = 10.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class BusyError(TransientError):
    """Too much is asked of the service at this moment."""


class QuotaError(TransientError):
    """The caller has as much going on as one caller may have (RFC 6585 4)."""

    http_status = 429


class NotMadeYetError(TransientError):
    """The answer needs targets that are still being made."""


class FatalError(VOError):
    """The service failed; the request was right."""

    fault = "FatalFault"


class StorageError(FatalError):
    """A file cannot be read or written as it should."""


class UnreadableError(StorageError):
    """A file of the archive is not there, or not as it was written; others may be.

    Parameters
    ----------
    message
        Which, and what brings it back.
    object_id
        The object whose file it is; None where that is not known.
    """

    def __init__(self, message: str, *, object_id: int | None = None) -> None:
        self.object_id = object_id
        super().__init__(message)


class ReductionError(FatalError):
    """A target cannot be made; names the frame and why."""


class ProgenitorMissingError(ReductionError):
    """Something that a target is made from does not exist or is not good enough."""


class UnprocessableError(ReductionError):
    """The pixels do not allow the computation."""
