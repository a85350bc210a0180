"""How well cosmic rays are told from stars, by seeing.

``python -m tests.benchmarks.cosmics [N] [SEED]``

Ours and astroscrappy's (the original method in C) on the same N frames of each seeing, with the
same limits.
"""

from __future__ import annotations

__all__ = ["find_ours", "find_theirs", "main"]

import sys
from typing import TYPE_CHECKING, Any

import astroscrappy
import numpy as np

from reduction.steps.cosmic import find_cosmics
from tests.support.cosmic_scenes import SEEINGS, judge

if TYPE_CHECKING:
    from tests.support.cosmic_scenes import CosmicScene

    Mask = np.ndarray[Any, np.dtype[np.bool_]]


def find_ours(scene: CosmicScene) -> Mask:
    """What a ReducedScienceFrame masks."""
    return find_cosmics(
        scene.image,
        gain=scene.gain,
        read_noise=scene.read_noise,
        saturated=scene.saturated,
    )


def find_theirs(scene: CosmicScene) -> Mask:
    """The same limits in the original method."""
    mask, _ = astroscrappy.detect_cosmics(
        scene.image,
        gain=scene.gain,
        readnoise=scene.read_noise * scene.gain,
        sigclip=4.5,
        sigfrac=0.3,
        objlim=5.0,
        satlevel=59999.0 * scene.gain,
        cleantype="medmask",
        fsmode="median",
    )
    return np.asarray(mask, dtype=np.bool_)


def main() -> None:
    """Print the table."""
    number, seed = (int(word) for word in (sys.argv[1:] + ["6", "7"][len(sys.argv) - 1 :])[:2])
    print(f"{number} frames of each seeing, seed {seed}")
    print("fwhm            complete    pure  cores masked")
    for fwhm in SEEINGS:
        for name, find in (("ours", find_ours), ("astroscrappy", find_theirs)):
            hits = judge(find, fwhm, number, seed=seed)
            print(
                f"{fwhm:4.1f} {name:12} {hits.completeness:6.4f}  {hits.purity:6.4f}  "
                f"{hits.stars_lost:6.4f} of {hits.stars}",
                flush=True,
            )


if __name__ == "__main__":
    main()
