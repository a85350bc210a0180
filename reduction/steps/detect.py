"""Detection by SEP with buffers that suit the frame, and errors of ours where none does."""

from __future__ import annotations

__all__ = ["detect"]

from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from schemas.deferred import deferred
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    import numpy as np
    import sep
    from numpy.typing import NDArray
else:
    sep = deferred("sep")

#: Parts that one detection may be deblended into, where SEP's own 1024 do not suffice.
_PARTS: Final = 8192

#: SEP's buffers are of the whole process: one thread at a time sets them, and puts them back.
_BUFFERS: Final = Lock()

#: How SEP's errors of its buffers begin.
_FULL: Final = ("internal pixel buffer full", "object deblending overflow")


def detect(
    pixels: NDArray[np.float32],
    threshold: float,
    *,
    parts: int = _PARTS,
    **settings: Any,  # noqa: ANN401  # sep's
) -> Any:  # noqa: ANN401  # one array or two
    """Detect the sources of a frame: ``sep.extract``, not cleaned.

    Parameters
    ----------
    pixels
        Shape (ny, nx), sky subtracted.
    threshold
        Units of the noise.
    parts
        Parts that one detection may be deblended into, if more than SEP's own limit.
    settings
        Further arguments of ``sep.extract``.

    Returns
    -------
    ndarray or tuple
        As ``sep.extract`` returns it; what is but a wing of a brighter source is still there, see
        :func:`reduction.steps.wings.beyond_wings`.

    Raises
    ------
    UnprocessableError
        If a detection has more parts than can be deblended.

    Notes
    -----
    SEP's buffer holds 300 000 pixels above the threshold: a plateau of saturation or a nebula has
    more. One for the whole frame costs time in every frame, so that it is made where it is needed.
    """
    with _BUFFERS:
        usual = sep.get_extract_pixstack(), sep.get_sub_object_limit()
        larger = max(usual[0], pixels.size), max(usual[1], parts)
        try:
            for stack, limit in (usual, (larger[0], usual[1]), larger):
                sep.set_extract_pixstack(stack)
                sep.set_sub_object_limit(limit)
                try:
                    return sep.extract(pixels, threshold, clean=False, **settings)
                except Exception as error:
                    found = str(error)
                    if not found.startswith(_FULL):
                        raise
        finally:
            sep.set_extract_pixstack(usual[0])
            sep.set_sub_object_limit(usual[1])
    message = (
        f"sources of a frame of {pixels.shape[1]} x {pixels.shape[0]} pixels cannot be told from "
        f"each other: {found.split(':', 1)[0]}, expected at most {larger[1]} parts of one; a "
        "higher detection threshold has fewer"
    )
    raise UnprocessableError(message)
