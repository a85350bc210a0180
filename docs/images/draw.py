"""Draw ``demo.png``: a raw frame of the demonstration and the image made from it.

Run it on the folder of a demonstration that has ended its story::

    vo-service --data data prompt -c "exec(open('docs/images/draw.py').read())"
"""

from __future__ import annotations

__all__ = ["draw"]

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from reduction.archive import Archive


def draw(archive: Archive, target: Path) -> None:
    """Draw a raw frame and the calibrated image made from it."""
    names = archive.registry.classes
    chip = names["ReducedScienceFrame"].chip.name == "ccd50"
    frame = next(iter(chip))
    pixels = next(iter(frame.images.values()))
    raw = next(iter(frame.raw.images.values())) if frame.raw.images else pixels
    panels = (("raw", raw), ("calibrated", pixels))
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
    for axis, (title, image) in zip(axes, panels, strict=True):
        low, high = np.nanpercentile(image, (2, 99.3))
        axis.imshow(image, origin="lower", cmap="gray", vmin=low, vmax=high)
        axis.set_title(title)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(target, dpi=90)


if "archive" in globals():
    draw(globals()["archive"], Path("docs/images/demo.png"))
