"""How well trails are told from all else, by kind of scene.

``python -m tests.benchmarks.trails [N] [SEED]``

Completeness and purity are those of pixels (:class:`tests.support.trail_scores.Score`), over N
scenes of each kind; then scenes without a trail, in which nothing ought to be found. Limits were
chosen on seeds 7, 8, 31 and 47, and after looks at 101 to 103; 104 was looked at when nearly all
was done, and 105 to 107 and 211 had a part in the last rules only.
"""

from __future__ import annotations

__all__ = ["main"]

import sys

from tests.support.trail_scenes import EMPTY, KINDS
from tests.support.trail_scores import score


def main() -> None:
    """Print the table."""
    number, seed = (int(word) for word in (sys.argv[1:] + ["30", "7"][len(sys.argv) - 1 :])[:2])
    print(f"{number} scenes of each kind, seed {seed}")
    print(f"{'with a trail':24} complete   pure  found  less than 0.9 found in")
    for kind in KINDS:
        made = score(kind, number, seed=seed)
        print(
            f"{kind:24} {made.completeness:8.4f} {made.purity:6.4f} {made.found:6} "
            f" {' '.join(map(str, made.missed))}",
            flush=True,
        )
    print(f"{'without':24}          false pixels  found in")
    for kind in EMPTY:
        made = score(kind, number, seed=seed)
        missed = " ".join(map(str, made.missed))
        print(f"{kind:24} {made.masked:21}  {missed}", flush=True)


if __name__ == "__main__":
    main()
