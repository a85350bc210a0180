"""A better recipe of one class, as an operator would install it: a higher VERSION."""

from __future__ import annotations

__all__ = ["MasterFlatFrame"]

import numpy as np

from reduction.targets import master_flat


class MasterFlatFrame(master_flat.MasterFlatFrame):
    """The same flat with a slope of one part in a thousand."""

    VERSION = master_flat.MasterFlatFrame.VERSION + 1

    def compute(self, inputs, parameters):
        """Join the flats, and tilt."""
        made = super().compute(inputs, parameters)
        slope = np.linspace(0.9995, 1.0005, made.images["FLAT"].shape[1], dtype=np.float32)
        made.images["FLAT"] = made.images["FLAT"] * slope
        return made
