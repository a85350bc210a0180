"""How much of trails is found, and how much of what is found is a trail: per kind of scene."""

from __future__ import annotations

__all__ = ["Score", "score"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reduction.steps.satellite import find_satellites
from tests.support.trail_scenes import KINDS, scene

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        Seeds and numbers of the scenes of which less than 0.9 of the harm was found, or, without a
        trail, anything was.
    """

    scenes: int = 0
    found: int = 0
    harmed: int = 0
    hit: int = 0
    masked: int = 0
    lit: int = 0
    missed: tuple[tuple[int, int], ...] = ()

    @property
    def completeness(self) -> float:
        """Part of the harmed pixels that is masked; 1 where none is harmed."""
        return self.hit / self.harmed if self.harmed else 1.0

    @property
    def purity(self) -> float:
        """Part of the masked pixels that a trail crosses; 1 where none is masked."""
        return self.lit / self.masked if self.masked else 1.0

    def error(self, part: float) -> float:
        """Binomial error of a part: pixels are not independent, scenes are.

        Half a scene is added to both sides, so that a part of 1 of few scenes has an error too.
        """
        number = self.scenes + 1
        expected = (part * self.scenes + 0.5) / number
        return math.sqrt(expected * (1.0 - expected) / number)


def score(kind: str, number: int, *, seeds: Iterable[int]) -> Score:
    """Draw so many scenes of a kind with each seed, look for trails, and compare."""
    total = Score()
    for seed in seeds:
        for index in range(number):
            _add(total, kind, index, seed)
    return total


def _add(total: Score, kind: str, index: int, seed: int) -> None:
    """Draw one scene, look for trails, and add what is found."""
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
        total.missed += ((seed, index),)
