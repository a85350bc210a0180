"""Plots of what sources are detected on and brought together in, and of where the sky is."""

from __future__ import annotations

__all__ = ["plot_combined", "plot_detection", "show_directions"]

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.detection import half_light_radii, is_clean
from reduction.plots import show_image, show_mask, show_points
from schemas.list_tables import BAND_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.steps.wcs import TanWcs

    Array = NDArray[Any]

_ARROW: Final = 0.15
_COLOUR: Final = "#D55E00"


def plot_detection(figure: FigureBase, images: Mapping[str, Array], sources: Array) -> None:
    """Draw an image with its sources, its weights, why it has none, and the sources' widths.

    Parameters
    ----------
    images
        "IMAGE", "WEIGHT" and "MASK", shape (ny, nx).
    sources
        As :data:`reduction.steps.sources.SOURCE_DTYPE`.
    """
    panels = figure.subplots(2, 2)
    clean = is_clean(sources)
    title = f"{len(sources)} sources, {int(clean.sum())} clean (circles)"
    show_image(panels[0, 0], images["IMAGE"], title=title)
    marked = {"marker": "o", "s": 20, "linewidths": 0.5, "facecolors": "none"}
    panels[0, 0].scatter(sources["x"][clean], sources["y"][clean], edgecolors=_COLOUR, **marked)
    show_image(panels[0, 1], images["WEIGHT"], title="weight")
    show_mask(panels[1, 0], images["MASK"], title="why the weight is 0")
    flux = np.where(sources["flux_aper"] > 0, sources["flux_aper"], np.nan)
    show_points(
        panels[1, 1],
        np.log10(flux[clean]),
        half_light_radii(sources)[clean],
        title="widths of clean sources",
        x_label="lg of the flux",
        y_label="half-light radius [pixel]",
    )


def plot_combined(figure: FigureBase, rows: Array, bands: Sequence[str]) -> None:
    """Draw stars of a field: where, how often seen, their errors, and a colour.

    Parameters
    ----------
    rows
        Columns of :class:`schemas.list_tables.CombinedSource`; NaN is "no value".
    bands
        Standard bands that have magnitudes; the first two in the order of wavelength make the
        colour.
    """
    panels = figure.subplots(2, 2)
    known = [band for band in BAND_COLUMNS if band in bands]
    show_points(panels[0, 0], rows["ra"], rows["dec"], x_label="ra [deg]", y_label="dec [deg]")
    panels[0, 0].set(title=f"{len(rows)} stars")
    if len(rows):
        panels[0, 0].invert_xaxis()
        panels[0, 0].set_aspect(1.0 / max(np.cos(np.radians(np.nanmean(rows["dec"]))), 1e-3))
    often = np.bincount(rows["n_sources"].astype(np.int64), minlength=1)
    panels[0, 1].step(np.arange(len(often)), often, where="mid", color="#0072B2")
    panels[0, 1].set(title="how often seen", xlabel="sources of a star", ylabel="stars")
    _show_errors(panels[1, 0], rows, known)
    if len(known) < 2:
        panels[1, 1].axis("off")
        return
    one, two = (rows[BAND_COLUMNS[band]] for band in known[:2])
    show_points(
        panels[1, 1],
        one - two,
        two,
        title="colours",
        x_label=f"{known[0]}-{known[1]} [mag]",
        y_label=f"{known[1]} [mag]",
    )
    panels[1, 1].invert_yaxis()


def _show_errors(axes: Axes, rows: Array, bands: Sequence[str]) -> None:
    """Errors over magnitudes, each band in a colour."""
    some = False
    for band in bands:
        mag, error = rows[BAND_COLUMNS[band]], rows[f"{BAND_COLUMNS[band]}_err"]
        there = np.isfinite(mag) & (error > 0)
        if there.any():
            axes.plot(mag[there], error[there], ".", markersize=2, label=band)
            some = True
    axes.set(title="errors", xlabel="mag", ylabel="error [mag]")
    if some:
        axes.set_yscale("log")
        axes.legend(fontsize="small", markerscale=4.0)


def show_directions(axes: Axes, wcs: TanWcs, shape: tuple[int, ...]) -> None:
    """Draw where north and east are, from the middle of an image that is drawn already.

    Parameters
    ----------
    axes
        Of the image, in pixels.
    wcs
        Its projection.
    shape
        (ny, nx).
    """
    ny, nx = shape
    x, y = (nx - 1) / 2.0, (ny - 1) / 2.0
    ra, dec = (float(value) for value in wcs.to_sky(x, y))
    step = wcs.pixel_scale / 3600.0
    ends = {"N": (ra, dec + step), "E": (ra + step / max(np.cos(np.radians(dec)), 1e-6), dec)}
    for name, (end_ra, end_dec) in ends.items():
        end_x, end_y = (float(value) for value in wcs.to_pixel(end_ra, end_dec))
        away = np.array([end_x - x, end_y - y])
        length = float(np.hypot(*away))
        if not np.isfinite(length) or length == 0.0:
            continue
        away *= _ARROW * min(shape) / length
        line = {"arrowstyle": "<-", "color": _COLOUR}
        place = (x + away[0], y + away[1])
        axes.annotate(name, (x, y), place, arrowprops=line, color=_COLOUR, ha="center")
    axes.set_title(f"{ra:.5f} {dec:+.5f}, {wcs.pixel_scale:.4g} arcsec/pixel")
