"""What a simulation will write, known before it begins."""

from __future__ import annotations

__all__ = ["Size", "check_room", "expected_size"]

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reduction.simulation.geometry import chip_layout
from schemas.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.simulation.config import SimulationConfig

#: Bytes of a header, and of everything that is not pixels together.
_HEADER: Final = 10_000
_REST: Final = 5_000_000
#: Bytes of a pixel: of a raw frame, of the truth of a chip, of that for each filter.
_RAW, _TRUTH, _TRUTH_OF_FILTER = 2, 6, 4


@dataclass(frozen=True, slots=True)
class Size:
    """What a simulation will write.

    Attributes
    ----------
    files
        Raw files: one an exposure.
    megabytes
        Of everything, the truth included; 10^6 bytes.
    """

    files: int
    megabytes: int


def expected_size(config: SimulationConfig, *, keep_chips: bool) -> Size:
    """Files and bytes that a simulation will write.

    Parameters
    ----------
    config
        Camera, sky and observing run.
    keep_chips
        Whether the truth holds the chips with their patterns.
    """
    in_each = config.n_dome + config.n_twilight + config.n_science
    files = len(config.nights) * (config.n_bias + len(config.filters) * in_each)
    layouts = [chip_layout(config, index) for index in range(config.chips)]
    raw = sum(layout.raw_shape[0] * layout.raw_shape[1] for layout in layouts)
    total = files * (_RAW * raw + _HEADER * (config.chips + 1)) + _REST
    if keep_chips:
        seen = sum(layout.science.shape[0] * layout.science.shape[1] for layout in layouts)
        total += seen * (_TRUTH + _TRUTH_OF_FILTER * len(config.filters))
    return Size(files, total // 10**6)


def check_room(folder: Path, config: SimulationConfig, *, keep_chips: bool) -> None:
    """See that the disk has room for a simulation, before anything is written.

    Raises
    ------
    StorageError
        If it has not; says how much it takes, and what takes less.
    """
    size = expected_size(config, keep_chips=keep_chips)
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free // 10**6
    if size.megabytes <= free:
        return
    message = (
        f"the simulation takes {size.megabytes} MB ({size.files} files of {config.chips} chips), "
        f"the disk of {folder} has {free} MB free: expected fewer chips, nights or frames"
    )
    raise StorageError(message + (", or no truth of the chips" if keep_chips else ""))
