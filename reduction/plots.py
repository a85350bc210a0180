"""Panels that the plots of classes are made of: images, masks, histograms, levels, profiles.

Everything is drawn on axes of matplotlib's objects; nothing here knows windows or pyplot, so that
plots can be drawn in any thread. Pixels are 0-based, their centres at integers, as everywhere.
"""

from __future__ import annotations

__all__ = [
    "show_histogram",
    "show_image",
    "show_mask",
    "show_points",
    "show_profiles",
    "show_windows",
    "zscale",
]

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from astropy.visualization import ZScaleInterval
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize

from reduction.steps.statistics import clipped_statistics
from reduction.steps.weight import MaskBit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    Array = NDArray[Any]

_SHOWN: Final = 700
_WINDOWS: Final = (4, 8)
_BINS: Final = 200
#: Colours told apart with any kind of colour vision (Wong 2011, Nature Methods 8, 441).
_COLOURS: Final = (
    *("#000000", "#E69F00", "#D55E00", "#0072B2"),
    *("#F0E442", "#CC79A7", "#56B4E9"),
)


def zscale(image: Array) -> tuple[float, float]:
    """Lowest and highest value to be shown of an image, by IRAF's rule; NaN is "no value"."""
    values = image[np.isfinite(image)]
    if values.size == 0:
        return 0.0, 1.0
    if float(values.min()) == float(values.max()):
        return float(values.min()) - 0.5, float(values.max()) + 0.5
    low, high = ZScaleInterval().get_limits(values)
    return float(low), float(high)


def show_image(
    axes: Axes,
    image: Array,
    *,
    title: str = "",
    unit: str = "",
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw an image with its colour bar.

    Parameters
    ----------
    axes
        Where.
    image
        Shape (ny, nx); NaN is drawn in red. Large images are averaged down to what can be seen.
    title, unit
        Of the panel, and of the values.
    limits
        Values of the darkest and brightest colour; :func:`zscale`'s where not given.
    """
    low, high = zscale(image) if limits is None else limits
    norm = Normalize(low, high)
    shown = _draw(axes, _averaged(image), image.shape, cmap=_grey(), norm=norm)
    axes.figure.colorbar(shown, ax=axes, shrink=0.9, pad=0.02).set_label(unit)
    axes.set(title=title, xlabel="x [pixel]", ylabel="y [pixel]")


def show_mask(
    axes: Axes,
    mask: Array,
    *,
    title: str = "",
    planes: Mapping[str, int] | None = None,
) -> None:
    """Draw which pixels are bad, and why: each plane in a colour, with the number of its pixels.

    Parameters
    ----------
    axes
        Where.
    mask
        Sum of bits, integers of shape (ny, nx); 0 is good. A single bad pixel stays visible where
        the image is drawn smaller than it is.
    title
        Of the panel.
    planes
        Bit by name; :class:`reduction.steps.weight.MaskBit` where not given. Of several bits the
        last one named is drawn.
    """
    if planes is None:
        planes = {bit.name or "": int(bit) for bit in MaskBit}
    ny, nx = mask.shape
    step = _step(mask.shape)
    drawn = np.zeros((-(-ny // step), -(-nx // step)), dtype=np.uint8)
    labels = []
    for number, (name, bit) in enumerate(planes.items(), 1):
        has = (mask & mask.dtype.type(bit)) != 0
        count = int(np.count_nonzero(has))
        if count:
            drawn[_any(has, step)] = number
            colour = _COLOURS[(number - 1) % len(_COLOURS)]
            words = name.lower().replace("_", " ")
            labels.append((f"{words}: {count}", colour))
    colours = ["#FFFFFF", *(_COLOURS[n % len(_COLOURS)] for n in range(len(planes)))]
    norm = BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours))
    _draw(axes, drawn, mask.shape, cmap=ListedColormap(colours), norm=norm)
    for words, colour in labels:
        axes.plot([], [], "s", color=colour, label=words)
    if labels:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
    axes.set(title=title or "mask", xlabel="x [pixel]", ylabel="y [pixel]")


def show_histogram(
    axes: Axes,
    values: Array,
    *,
    title: str = "",
    unit: str = "",
    lines: Mapping[str, float] | None = None,
) -> None:
    """Draw how often each value occurs, within ten deviations of the middle.

    Parameters
    ----------
    axes
        Where.
    values
        Any shape; NaN is "no value".
    title, unit
        Of the panel, and of the values.
    lines
        Values to mark, by what they are: limits, means.
    """
    left = np.asarray(values, dtype=np.float64)
    left = left[np.isfinite(left)]
    if left.size == 0:
        _say_nothing(axes, title)
        return
    low, high, outside = _bulk(left)
    axes.hist(left, bins=_edges(left, low, high), histtype="step", color=_COLOURS[3])
    axes.set_yscale("log")
    for number, (name, value) in enumerate((lines or {}).items()):
        colour = _COLOURS[1 + number % 5]
        axes.axvline(value, color=colour, linestyle="--", label=f"{name} {value:.4g}")
    if lines:
        axes.legend(fontsize="small")
    axes.set(title=title, xlabel=unit or "value", ylabel=f"number ({outside} outside)")


def show_windows(
    axes: Axes, image: Array, *, bad: NDArray[np.bool_] | None = None, title: str = ""
) -> None:
    """Draw the medians of the 32 sub-windows that flatness is measured in, less that of them all.

    Parameters
    ----------
    axes
        Where.
    image
        Shape (ny, nx); NaN is "no value".
    bad
        Pixels to leave out, same shape.
    title
        Of the panel.
    """
    good = np.isfinite(image) if bad is None else np.isfinite(image) & ~bad
    medians = np.full(_WINDOWS, np.nan)
    for place in np.ndindex(_WINDOWS):
        window = tuple(
            slice(number * length // parts, (number + 1) * length // parts)
            for number, length, parts in zip(place, image.shape, _WINDOWS, strict=True)
        )
        values = image[window][good[window]]
        medians[place] = np.median(values) if values.size else np.nan
    if not np.isfinite(medians).any():
        _say_nothing(axes, title)
        return
    middle = float(np.nanmedian(medians))
    most = float(np.nanmax(np.abs(medians - middle))) or 1.0
    axes.imshow(
        medians - middle, cmap="RdBu_r", vmin=-most, vmax=most, origin="lower", aspect="auto"
    )
    for (row, column), value in np.ndenumerate(medians - middle):
        colour = "white" if abs(value) > 0.6 * most else "black"
        axes.text(
            column,
            row,
            f"{value:.2g}",
            ha="center",
            va="center",
            fontsize="x-small",
            color=colour,
        )
    axes.set(
        title=title or f"sub-windows: median - {middle:.4g}",
        xticks=[],
        yticks=[],
        xlabel=f"largest - smallest: {np.nanmax(medians) - np.nanmin(medians):.3g}",
    )


def show_profiles(axes: Axes, image: Array, *, title: str = "", unit: str = "") -> None:
    """Draw the medians of the columns against x and those of the rows against y."""
    usable = np.where(np.isfinite(image), image, np.nan)
    drawn = []
    for axis, name, colour in ((0, "columns, along x", 3), (1, "rows, along y", 2)):
        known = np.isfinite(usable).any(axis=axis)
        places = np.flatnonzero(known)
        lines = usable[:, known] if axis == 0 else usable[known]
        medians = np.nanmedian(lines, axis=axis)
        axes.plot(places, medians, linewidth=0.8, color=_COLOURS[colour], label=name)
        drawn.append(medians)
    low, high, outside = _bulk(np.concatenate(drawn))
    if low < high:
        axes.set_ylim(low, high)
    axes.legend(fontsize="small")
    said = f" ({outside} outside)" if outside else ""
    title = f"{title or 'medians of columns and rows'}{said}"
    axes.set(title=title, xlabel="pixel", ylabel=unit)


def show_points(
    axes: Axes,
    x: Array,
    y: Array,
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    zero: bool = False,
) -> None:
    """Draw points, thousands of them where there are: small and pale.

    Parameters
    ----------
    axes
        Where.
    x, y
        Shape (n,); NaN is left out.
    title, x_label, y_label
        Words of the panel, with units.
    zero
        Draw the line y = 0.
    """
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        _say_nothing(axes, title)
        return
    size = 8.0 if np.count_nonzero(known) < 2000 else 2.0
    axes.scatter(x[known], y[known], s=size, alpha=0.5, color=_COLOURS[3], linewidths=0)
    if zero:
        axes.axhline(0.0, color=_COLOURS[0], linewidth=0.8)
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.locator_params(axis="x", nbins=5)


def _bulk(values: Array) -> tuple[float, float, int]:
    """Range within ten deviations of the middle, and the number of values outside."""
    known = values[np.isfinite(values)]
    middle = clipped_statistics(known, threshold=5.0, iterations=10)
    width = 10.0 * middle.stdev or 0.5
    if not known.size:
        return 0.0, 0.0, 0
    low = max(middle.median - width, float(known.min()))
    high = min(middle.median + width, float(known.max()))
    if low >= high:
        low, high = middle.median - width, middle.median + width
    return low, high, int(np.count_nonzero((known < low) | (known > high)))


def _edges(values: Array, low: float, high: float) -> list[float]:
    """Edges of bins; about whole numbers where all values are such."""
    edges = np.linspace(low, high, _BINS + 1)
    if (values == np.rint(values)).all():
        step = max(int((high - low) / _BINS), 1)
        edges = np.arange(np.floor(low) - 0.5, np.ceil(high) + step, step)
    return [float(edge) for edge in edges]


def _say_nothing(axes: Axes, title: str) -> None:
    axes.set(title=title, xticks=[], yticks=[])
    axes.text(0.5, 0.5, "no values", ha="center", va="center", transform=axes.transAxes)


def _grey() -> Colormap:
    return mpl.colormaps["gray"].with_extremes(bad=_COLOURS[2])


def _draw(
    axes: Axes, shown: Array, shape: tuple[int, ...], *, cmap: Colormap, norm: Normalize
) -> AxesImage:
    """Draw squares of pixels so that the axes count the pixels of the whole image."""
    step = _step(shape)
    my, mx = shown.shape
    drawn = axes.imshow(
        shown,
        cmap=cmap,
        norm=norm,
        origin="lower",
        extent=(-0.5, mx * step - 0.5, -0.5, my * step - 0.5),
        interpolation="nearest",
        aspect="equal",
    )
    axes.set(xlim=(-0.5, shape[1] - 0.5), ylim=(-0.5, shape[0] - 0.5))
    return drawn


def _step(shape: tuple[int, ...]) -> int:
    return max(-(-max(shape) // _SHOWN), 1)


def _blocks(image: Array, step: int, fill: float) -> Array:
    """An image cut into squares, shape (my, step, mx, step), filled up at its ends."""
    ny, nx = image.shape
    my, mx = -(-ny // step), -(-nx // step)
    padded = np.full((my * step, mx * step), fill, dtype=image.dtype)
    padded[:ny, :nx] = image
    return padded.reshape(my, step, mx, step)


def _averaged(image: Array) -> Array:
    step = _step(image.shape)
    if step == 1:
        return np.ma.masked_invalid(image)
    blocks = _blocks(np.asarray(image, dtype=np.float32), step, np.nan)
    known = np.isfinite(blocks)
    number = known.sum(axis=(1, 3))
    total = np.where(known, blocks, np.float32(0.0)).sum(axis=(1, 3), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.ma.masked_invalid(total / np.where(number, number, np.nan))


def _any(flags: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    return np.asarray(_blocks(flags, step, fill=False).any(axis=(1, 3)))
