"""The five panels by which a person judges an astrometric solution: its residuals."""

from __future__ import annotations

__all__ = ["show_residuals"]

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

_FEW: Final = 2000
_SHOWN: Final = 20000
_COLOUR: Final = "#0072B2"


def show_residuals(figure: FigureBase, table: NDArray[np.void], *, title: str) -> None:
    """Draw residuals against each other and against position, as Astro-WISE's inspect() does.

    Parameters
    ----------
    figure
        Empty figure, or a part of one.
    table
        Columns ``ra``, ``dec`` (degrees), ``dra``, ``ddec`` (arcsec, NaN for "no value").
    title
        What the residuals are against.
    """
    figure.suptitle(title)
    rows = table[np.isfinite(table["dra"]) & np.isfinite(table["ddec"])]
    step = max(len(rows) // _SHOWN, 1)
    rows = rows[::step]
    if len(rows) == 0:
        figure.text(0.5, 0.5, "no residuals", ha="center", va="center")
        return
    panels: list[Axes] = list(np.ravel(figure.subplots(1, 5)))
    limit = 1.1 * float(max(np.abs(rows["dra"]).max(), np.abs(rows["ddec"]).max(), 1e-6))
    _draw(panels[0], rows["dra"], rows["ddec"], ("dRA [arcsec]", "dDEC [arcsec]"))
    panels[0].set(xlim=(limit, -limit), aspect="equal")
    panels[0].axvline(0.0, color="black", linewidth=0.8)
    turns = (("dra", "ra"), ("dra", "dec"), ("ddec", "ra"), ("ddec", "dec"))
    for axes, (what, against) in zip(panels[1:], turns, strict=True):
        words = (f"{against.upper()} [deg]", f"d{what[1:].upper()} [arcsec]")
        _draw(axes, rows[against], rows[what], words)
    for axes in panels:
        axes.set_ylim(-limit, limit)


def _draw(axes: Axes, x: NDArray[Any], y: NDArray[Any], words: tuple[str, str]) -> None:
    size = 8.0 if len(x) < _FEW else 2.0
    axes.scatter(x, y, s=size, alpha=0.5, color=_COLOUR, linewidths=0)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(xlabel=words[0], ylabel=words[1])
    axes.ticklabel_format(useOffset=False)
