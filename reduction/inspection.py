"""What a person looks at to judge a product: its plots, and beside them its facts in words."""

from __future__ import annotations

__all__ = ["draw", "facts", "plot_default", "save"]

import textwrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from reduction.layouts import plot_sources
from reduction.plots import show_histogram, show_image, show_mask
from reduction.quality import QualityFlags, flags_of
from reduction.target import ProcessTarget
from schemas.errors import StorageError
from schemas.tables import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import FigureBase

    from reduction.target import DBObject

_SIZE: Final = (14.0, 8.0)
_WIDTHS: Final = (3.0, 1.0)
_LINE: Final = 44
_LINES: Final = 62
_DPI: Final = 100
_PAD: Final = 0.08


def draw(shown: DBObject) -> Figure:
    """Draw a product: the plots of its class on the left, its facts in words on the right.

    Returns
    -------
    matplotlib.figure.Figure
        Not shown on any screen; :func:`save` writes it, and notebooks draw it.
    """
    figure = Figure(figsize=_SIZE, layout=ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD))
    FigureCanvasAgg(figure)
    plots, words = figure.subfigures(1, 2, width_ratios=_WIDTHS, squeeze=False)[0]
    shown.plot(plots)
    for axes in figure.axes:
        axes.title.set_fontsize(10)
        axes.tick_params(labelsize=8)
    lines = list(facts(shown))
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], "..."]
    words.text(0.0, 0.98, "\n".join(lines), family="monospace", fontsize=7, va="top")
    figure.suptitle(repr(shown).strip("<>"), fontsize=11)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a file: .png, .pdf or .svg.

    Raises
    ------
    StorageError
        If it cannot be written; says why.
    """
    try:
        figure.savefig(path, dpi=_DPI)
    except (OSError, ValueError) as error:
        raise StorageError(f"the figure cannot be written to {path}: {error}") from error


def facts(shown: DBObject) -> Iterator[str]:
    """Say in lines of text what is known of a product: its standing, its flags, its values."""
    record = shown._record  # noqa: SLF001  # the same object, in another form
    yield f"made {record.creation_date:%Y-%m-%d %H:%M} UTC, recipe {record.recipe_version}"
    yield f"is_valid {record.is_valid}, quality_flags {record.quality_flags}"
    if record.timestamp_start is not None and record.timestamp_end is not None:
        yield f"valid MJD {record.timestamp_start:.3f} to {record.timestamp_end:.3f}"
    flags = getattr(type(shown), "Flags", QualityFlags)
    for title, bits in (
        ("FLAGGED", record.quality_flags),
        ("compared with before", record.compare_flags),
    ):
        for flag in flags_of(flags):
            if bits & flag.bit:
                yield from textwrap.wrap(f"{title}: {flag.name}", _LINE)
                yield from textwrap.wrap(
                    flag.sentence, _LINE, initial_indent="  ", subsequent_indent="  "
                )
    yield ""
    for item in type(shown).ATTRIBUTES:
        value = record.attributes.get(item.name)
        yield from _line(item.name, f"{_said(value)} {item.unit}".strip())
    if record.process_params:
        yield ""
        for name, value in sorted(record.process_params.items()):
            yield from _line(name, _said(value))


def _line(name: str, value: str) -> Iterator[str]:
    space = _LINE - len(name) - 1
    if len(value) <= space:
        yield f"{name} {value:>{space}}"
    else:
        yield name
        yield from textwrap.wrap(value, _LINE, initial_indent="    ", subsequent_indent="    ")


def _said(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _sources(shown: DBObject) -> np.ndarray[Any, Any] | None:
    """Sources of a product that has such."""
    if not isinstance(shown, ProcessTarget) or type(shown).ROWS is not Source:
        return None
    rows = shown.rows
    return rows if len(rows) else None


def plot_default(shown: DBObject, figure: FigureBase) -> None:
    """Draw all images of a product: pixels above, how often each value occurs below.

    Extensions that are masks or maps are drawn in colours. A product without pixels of its own is
    drawn by those of the reduced frame that it describes, or by its sources; where it has neither
    there is nothing to draw but its facts.
    """
    images = shown.images
    if not images and "reduced" in type(shown).SLOTS:
        images = shown.reduced.images
    if not images:
        rows = _sources(shown)
        if rows is None:
            figure.text(0.5, 0.5, "no pixels and no sources", ha="center", va="center")
        else:
            plot_sources(figure, rows)
        return
    panels = figure.subplots(2, len(images), squeeze=False, height_ratios=(2.0, 1.0))
    for column, (name, image) in enumerate(images.items()):
        above, below = panels[0, column], panels[1, column]
        if name == "MASK":
            show_mask(above, image, title=name)
            below.axis("off")
        elif name == "MAP":
            bad = (image == 0).astype(np.uint8)
            show_mask(above, bad, title=name, planes={"bad": 1})
            below.axis("off")
        else:
            show_image(above, image, title=name)
            show_histogram(below, image)
