"""How much of trails is found, and how much of what is found is a trail: per kind of scene."""

from __future__ import annotations

__all__ = ["Score", "score"]

from dataclasses import dataclass

from reduction.steps.satellite import find_satellites
from tests.support.trail_scenes import KINDS, scene


@dataclass
class Score:
    """Pixels of some scenes together.

    Attributes
    ----------
    scenes, found
        Scenes, and those in which anything was found.
    harmed, hit
        Pixels in which a trail's light exceeds the sky's noise, and those of them masked.
    masked, lit
        Pixels masked, and those of them that a trail gives a tenth of the noise at least.
    missed
        Numbers of the scenes of which less than 0.9 of the harm was found, or, without a trail,
        anything was.
    """

    scenes: int = 0
    found: int = 0
    harmed: int = 0
    hit: int = 0
    masked: int = 0
    lit: int = 0
    missed: tuple[int, ...] = ()

    @property
    def completeness(self) -> float:
        """Part of the harmed pixels that is masked; 1 where none is harmed."""
        return self.hit / self.harmed if self.harmed else 1.0

    @property
    def purity(self) -> float:
        """Part of the masked pixels that a trail crosses; 1 where none is masked."""
        return self.lit / self.masked if self.masked else 1.0


def score(kind: str, number: int, *, seed: int) -> Score:
    """Draw scenes of a kind, look for trails, and compare."""
    total = Score()
    for index in range(number):
        drawn = scene(kind, index, seed=seed)
        mask, _ = find_satellites(drawn.image, saturated=drawn.saturated)
        harm = (drawn.light > drawn.noise) & ~drawn.saturated
        harmed, hit = int(harm.sum()), int((mask & harm).sum())
        total.scenes += 1
        total.found += bool(mask.any())
        total.harmed += harmed
        total.hit += hit
        total.masked += int(mask.sum())
        total.lit += int((mask & (drawn.light > 0.1 * drawn.noise)).sum())
        if hit < 0.9 * harmed if kind in KINDS else mask.any():
            total.missed += (index,)
    return total
