"""Plots that several classes share: a calibration image, a pixel map, a number over time, sources.

They are drawn into an empty figure, or a part of one, from an object of the archive.
"""

from __future__ import annotations

__all__ = [
    "plot_calibration",
    "plot_exposures",
    "plot_pixel_map",
    "plot_reduced",
    "plot_sources",
    "plot_trend",
    "science_pixels",
]

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.instruments.base import Section
from reduction.plots import (
    show_histogram,
    show_image,
    show_mask,
    show_points,
    show_profiles,
    show_windows,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.target import DBObject

    Array = NDArray[Any]

_MIDDLE: Final = 256


def plot_calibration(
    figure: FigureBase,
    image: Array,
    *,
    title: str,
    unit: str = "",
    lines: Mapping[str, float] | None = None,
    bad: NDArray[np.bool_] | None = None,
) -> None:
    """Draw a bias or a flat: pixels, sub-windows, profiles, and how often each value occurs.

    Parameters
    ----------
    image
        Shape (ny, nx); NaN is "no value".
    title, unit
        What it is, and the unit of its values.
    lines
        Values to mark in the histogram, by what they are.
    bad
        Pixels that sub-windows, profiles and the histogram leave out, same shape.
    """
    panels = figure.subplots(2, 2)
    good = image if bad is None else np.where(bad, np.float32(np.nan), image)
    show_image(panels[0, 0], image, title=title, unit=unit)
    show_windows(panels[0, 1], good)
    show_profiles(panels[1, 0], good, unit=unit)
    show_histogram(panels[1, 1], good, unit=unit, lines=lines)


def plot_pixel_map(
    figure: FigureBase,
    good: Array,
    found_in: Array | None,
    *,
    title: str,
    unit: str = "",
    lines: Mapping[str, float] | None = None,
) -> None:
    """Draw a pixel map, where its bad pixels crowd, and the image that they were found in.

    Parameters
    ----------
    good
        The map, shape (ny, nx): 1 good, 0 bad.
    found_in
        The image, same shape; None where it is not there.
    title, unit
        What is bad, and the unit of the image's values.
    lines
        Values to mark in the histogram of the image, by what they are.
    """
    panels = figure.subplots(2, 2)
    bad = good == 0
    show_mask(panels[0, 0], bad.astype(np.uint8), title=title, planes={"bad": 1})
    for axis, name in ((0, "column"), (1, "row")):
        panels[0, 1].plot(bad.sum(axis=axis), linewidth=0.8, label=f"in each {name}")
    panels[0, 1].legend(frameon=False, fontsize="small")
    panels[0, 1].set(title="number of bad pixels", xlabel="pixel")
    if found_in is None:
        panels[1, 0].axis("off")
        panels[1, 1].axis("off")
        return
    show_image(panels[1, 0], found_in, title="found in", unit=unit)
    show_histogram(panels[1, 1], found_in, title="all pixels", unit=unit, lines=lines)
    if bad.any():
        low, high = panels[1, 1].get_xlim()
        panels[1, 1].hist(
            np.clip(found_in[bad], low, high), bins=100, range=(low, high), label="bad", alpha=0.5
        )
        panels[1, 1].legend(frameon=False, fontsize="small")


def plot_reduced(figure: FigureBase, images: Mapping[str, Array]) -> Axes:
    """Draw a reduced frame: pixels, what the mask says, weights, and the values of good pixels.

    Returns
    -------
    matplotlib.axes.Axes
        Those of the pixels.
    """
    panels = figure.subplots(2, 2)
    image, mask = images["IMAGE"], images["MASK"]
    show_image(panels[0, 0], image, title="IMAGE", unit="adu")
    show_mask(panels[0, 1], mask, title="MASK")
    show_image(panels[1, 0], images["WEIGHT"], title="WEIGHT")
    show_histogram(panels[1, 1], image[mask == 0], title="good pixels", unit="adu")
    shown: Axes = panels[0, 0]
    return shown


def plot_trend(
    axes: Axes, shown: DBObject, attribute: str, *, error: str = "", unit: str = ""
) -> None:
    """Draw a number of all published objects of a class, chip and filter over time.

    Parameters
    ----------
    axes
        Where.
    shown
        The object that is marked among them.
    attribute, error
        Names of the number and of its error; no error where that is empty.
    unit
        Of both.
    """
    cls = type(shown)
    same = (cls.chip.name == shown.chip.name) & (cls.filter.name == shown.filter.name)
    others = list(same & (cls.instrument.name == shown.instrument.name))
    if shown.object_id not in {o.object_id for o in others}:
        others.append(shown)
    x = np.array([o.moment for o in others], dtype=float)
    y = np.array([_number(o, attribute) for o in others])
    errors = np.array([_number(o, error) for o in others]) if error else None
    axes.errorbar(x, y, yerr=errors, fmt="o", markersize=3, color="#0072B2", linewidth=0.8)
    own = _number(shown, attribute)
    axes.plot([shown.moment], [own], "s", color="#D55E00", markersize=6, label="this one")
    axes.ticklabel_format(useOffset=False, axis="both")
    axes.locator_params(axis="x", nbins=4)
    if np.ptp(x) == 0.0:
        axes.set_xlim(x[0] - 1.0, x[0] + 1.0)
    axes.legend(fontsize="small")
    title = f"{attribute}, {len(others)} of {cls.__name__}"
    axes.set(title=title, xlabel="MJD", ylabel=f"{attribute} [{unit}]" if unit else attribute)


def _number(shown: DBObject, name: str) -> float:
    value = getattr(shown, name)
    return np.nan if value is None else float(value)


def plot_exposures(axes: Axes, raws: Sequence[DBObject], *, level: float) -> None:
    """Draw the level of flats over their exposure time, with the straight line through 0.

    Parameters
    ----------
    axes
        Where.
    raws
        Raw flats.
    level
        Level of the bias, adu, that is taken off.
    """
    times = np.array([raw.exptime for raw in raws], dtype=float)
    levels = np.array([_middle_level(raw) - level for raw in raws])
    show_points(
        axes,
        times,
        levels,
        title="levels of the flats, about their middle",
        x_label="exposure time [s]",
        y_label="adu above the bias",
    )
    if times.any():
        slope = float(times @ levels / (times @ times))
        reach = np.array([0.0, times.max()])
        axes.plot(reach, slope * reach, linewidth=0.8, color="#D55E00", label=f"{slope:.4g} adu/s")
        axes.legend(frameon=False, fontsize="small")


def _middle_level(raw: DBObject) -> float:
    """Median of the middle of a raw frame, adu; its overscan is not taken off."""
    pixels = science_pixels(raw)
    ny, nx = (n // 2 for n in pixels.shape)
    half = _MIDDLE // 2
    return float(np.median(pixels[max(ny - half, 0) : ny + half, max(nx - half, 0) : nx + half]))


def science_pixels(raw: DBObject) -> Array:
    """Pixels of a raw frame that see light, shape (ny, nx), adu; nothing is taken off."""
    pixels = raw.images["RAW"]
    science = raw._record.attributes.get("science")  # noqa: SLF001  # kept, not declared
    return pixels if science is None else pixels[Section(*science).slices]


def plot_sources(figure: FigureBase, rows: Array) -> None:
    """Draw a list of sources: where they are, how many of each magnitude, errors, widths.

    Parameters
    ----------
    rows
        Structured array with ra, dec, mag, mag_err, half_light_radius, flags; NaN is "no value".
    """
    panels = figure.subplots(2, 2)
    clean = rows["flags"] == 0
    axes = panels[0, 0]
    show_points(axes, rows["ra"], rows["dec"], x_label="ra [deg]", y_label="dec [deg]")
    if len(rows):
        axes.invert_xaxis()
        axes.set_aspect(1.0 / max(np.cos(np.radians(np.nanmean(rows["dec"]))), 1e-3))
    axes.set(title=f"{len(rows)} sources, {int(clean.sum())} without flags")
    mags = rows["mag"][np.isfinite(rows["mag"])]
    if mags.size:
        edges = np.arange(np.floor(mags.min()), np.ceil(mags.max()) + 0.5, 0.5)
        count, _, _ = panels[0, 1].hist(mags, bins=edges, histtype="step", color="#0072B2")
        panels[0, 1].set_yscale("log" if np.max(count) > 100 else "linear")  # legible
    panels[0, 1].set(title="sources of each half magnitude", xlabel="mag", ylabel="number")
    show_points(
        panels[1, 0],
        rows["mag"][clean],
        rows["mag_err"][clean],
        title="errors, without flags",
        x_label="mag",
        y_label="error [mag]",
    )
    if (rows["mag_err"][clean] > 0).any():
        panels[1, 0].set_yscale("log")
    show_points(
        panels[1, 1],
        rows["mag"][clean],
        rows["half_light_radius"][clean],
        title="widths, without flags",
        x_label="mag",
        y_label="half-light radius [pixel]",
    )
