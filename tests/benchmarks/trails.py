"""How well trails are told from all else, by kind of scene.

``python -m tests.benchmarks.trails [SCENES] [FIRST_SEED] [LAST_SEED]``

Completeness and purity are those of pixels (:class:`tests.support.trail_scores.Score`), over so
many scenes of each kind and seed, with their binomial errors, scenes being what is independent;
then scenes without a trail, in which nothing ought to be found. Every third scene is a crowd.
Limits were chosen on seeds 7, 8, 31, 47, 101 to 107, 301, 302, 311 to 316 and 321 to
330; the last rules after a look at 901 to 915.
"""

from __future__ import annotations

__all__ = ["main"]

import sys

from tests.support.trail_scenes import EMPTY, KINDS
from tests.support.trail_scores import Score, score


def main() -> None:
    """Print the table."""
    given = [int(word) for word in sys.argv[1:]]
    number, first, last = (given + [3, 401, 410][len(given) :])[:3]
    seeds = range(first, last + 1)
    print(f"{number} scenes of each kind, seeds {first} to {last}")
    print(f"{'with a trail':22} complete           pure              less than 0.9 found in")
    for kind in KINDS:
        made = score(kind, number, seeds=seeds)
        parts = (f"{part:.4f} +- {made.error(part):.4f}" for part in _parts(made))
        print(f"{kind:22}", "  ".join(parts), "", _missed(made), flush=True)
    print(f"{'without':22} with a false one   in")
    for kind in EMPTY:
        made = score(kind, number, seeds=seeds)
        part = made.found / made.scenes
        print(f"{kind:22} {part:.4f} +- {made.error(part):.4f}  {_missed(made)}", flush=True)


def _parts(made: Score) -> tuple[float, float]:
    return made.completeness, made.purity


def _missed(made: Score) -> str:
    """Seeds and numbers of scenes."""
    return " ".join(f"{seed}:{number}" for seed, number in made.missed)


if __name__ == "__main__":
    main()
