"""Plots for people: what an object of the archive looks like."""

from __future__ import annotations

__all__ = ["draw", "plot_default"]

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from reduction.target import DBObject


def draw(target: DBObject) -> Figure:
    """Figure of an object, drawn by its class."""
    figure = Figure(figsize=(10.0, 6.0), layout="constrained")
    figure.suptitle(repr(target))
    target.plot(figure)
    return figure


def plot_default(target: DBObject, figure: Figure) -> None:
    """Draw an object's images side by side, between their first and last percent."""
    images = target.images
    if not images:
        figure.text(0.05, 0.5, "\n".join(_values(target)), family="monospace", va="center")
        return
    for axes, (name, pixels) in zip(
        np.atleast_1d(figure.subplots(1, len(images))), images.items(), strict=True
    ):
        low, high = np.nanpercentile(pixels, (1.0, 99.0))
        drawn = axes.imshow(pixels, origin="lower", vmin=low, vmax=high, cmap="gray")
        axes.set_title(name)
        figure.colorbar(drawn, ax=axes)


def _values(target: DBObject) -> list[str]:
    return [f"{item.name:24} {getattr(target, item.name)}" for item in type(target).ATTRIBUTES]
