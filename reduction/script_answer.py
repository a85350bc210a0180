"""What the process of a script gives back: arrays and JSON, never pickled objects.

Reading a pickle runs what its writer wants. Numpy's own format without objects, and JSON, do not.
"""

from __future__ import annotations

__all__ = ["Answer", "read_answer", "read_failure", "write_answer", "write_failure"]

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.target import Made
from schemas.errors import ReductionError

if TYPE_CHECKING:
    from pathlib import Path

_ARRAYS: Final = "answer.npz"
_WORDS: Final = "answer.json"
_FAILURE: Final = "failure.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a recipe made and found.

    Attributes
    ----------
    made
        With attributes as JSON values by flat name.
    quality_flags, compare_flags
        What ``verify`` and ``compare`` gave.
    """

    made: Made
    quality_flags: int
    compare_flags: int


def write_answer(folder: Path, answer: Answer) -> None:
    """Write an answer into a folder.

    Raises
    ------
    TypeError, ValueError
        If it holds values that are neither arrays of numbers or text nor JSON.
    """
    made = answer.made
    kept = {"images": made.images, "tables": made.tables}
    arrays = [array for by_name in kept.values() for array in by_name.values()]
    if made.rows is not None:
        arrays.append(made.rows)
    words = {
        "attributes": made.attributes,
        "cards": made.cards,
        "obscore": made.obscore,
        "images": list(made.images),
        "tables": list(made.tables),
        "rows": made.rows is not None,
        "flags": [answer.quality_flags, answer.compare_flags],
    }
    (folder / _WORDS).write_text(json.dumps(words, default=_plain), encoding="utf-8")
    with (folder / _ARRAYS).open("wb") as stream:
        for array in arrays:
            np.save(stream, np.asarray(array), allow_pickle=False)


def _plain(value: object) -> object:
    """Numbers and arrays of numpy's as Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a script gave a {type(value).__name__}: expected numbers, text and lists")


def read_answer(folder: Path) -> Answer:
    """Read what :func:`write_answer` wrote.

    Raises
    ------
    ReductionError
        If there is none, or it is not of that form.
    """
    try:
        words = json.loads((folder / _WORDS).read_text(encoding="utf-8"))
        with (folder / _ARRAYS).open("rb") as stream:
            images = {n: np.load(stream, allow_pickle=False) for n in words["images"]}
            tables = {n: np.load(stream, allow_pickle=False) for n in words["tables"]}
            rows = np.load(stream, allow_pickle=False) if words["rows"] else None
        made = Made(
            images=images,
            tables=tables,
            rows=rows,
            attributes=words["attributes"],
            cards={name: (value, comment) for name, (value, comment) in words["cards"].items()},
            obscore=words["obscore"],
        )
        flags, compared = words["flags"]
        return Answer(made, int(flags), int(compared))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
        raise ReductionError(f"the script gave nothing that can be kept: {error}") from error


def write_failure(folder: Path, kind: str, message: str) -> None:
    """Write why there is no answer: the name of an error of :mod:`schemas.errors`, or empty."""
    text = json.dumps({"kind": kind, "message": message})
    (folder / _FAILURE).write_text(text, encoding="utf-8")


def read_failure(folder: Path) -> tuple[str, str] | None:
    """What :func:`write_failure` wrote; None if nothing."""
    try:
        said = json.loads((folder / _FAILURE).read_text(encoding="utf-8"))
        return str(said["kind"]), str(said["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
