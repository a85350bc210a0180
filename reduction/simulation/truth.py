"""What is true of a simulation, and its file."""

from __future__ import annotations

__all__ = ["ChipTruth", "ExposureTruth", "SkyTruth", "Truth", "load_truth", "save_truth"]

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.simulation.config import SimulationConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ChipTruth:
    """One chip of the camera; arrays have the shape of the chip's science section.

    Attributes
    ----------
    gain
        e-/adu.
    read_noise
        adu.
    saturation
        Raw level, adu.
    zero_point
        Magnitude of a star that gives 1 adu/s after flat-fielding, by filter; at airmass 0 and
        above, since the simulated air is clear.
    bias
        Bias pattern above the overscan level, adu, hot pixels included.
    flat
        Response of the pixels to the sky, median 1, by filter.
    hot, cold
        True where the pixel is.
    fringe
        Fringes of the sky after flat-fielding, by filter, a part of its level, of median 0; none
        where there are none.
    """

    gain: float
    read_noise: float
    saturation: float
    zero_point: Mapping[str, float]
    bias: NDArray[np.float32]
    flat: Mapping[str, NDArray[np.float32]]
    hot: NDArray[np.bool_]
    cold: NDArray[np.bool_]
    fringe: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SkyTruth:
    """The sources of the sky, arrays of shape (n,).

    Attributes
    ----------
    name
        Of the source, "S0001" for stars, "G0001" for galaxies.
    ra, dec
        ICRS degrees.
    mags
        By filter.
    galaxy
        True for galaxies.
    scale, axis_ratio, angle
        Of galaxies: exponential scale length (pixels), minor by major axis, radians from x to y.
    """

    name: NDArray[np.str_]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    mags: Mapping[str, NDArray[np.float64]]
    galaxy: NDArray[np.bool_]
    scale: NDArray[np.float64]
    axis_ratio: NDArray[np.float64]
    angle: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ExposureTruth:
    """One science exposure.

    Attributes
    ----------
    file
        Its name.
    night, filter, exptime
        As in its header.
    ra, dec
        True optical axis, ICRS degrees.
    wcs
        True WCS cards of each chip, 1-based pixels of the trimmed frame.
    sky
        Level of the sky after flat-fielding, adu.
    cosmics
        By chip: electrons that cosmic rays left, rows (y, x, electrons), shape (n, 3).
    fringe
        What the chips' fringes are multiplied with, since the sky's lines are not always as strong
        as its level says; 0 where there are none.
    """

    file: str
    night: str
    filter: str
    exptime: float
    ra: float
    dec: float
    wcs: Mapping[str, Mapping[str, float | str]]
    sky: float
    cosmics: Mapping[str, NDArray[np.float64]]
    fringe: float = 0.0


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything that is true of a simulation.

    Attributes
    ----------
    config
        What was asked for.
    chips
        By name.
    sky
        All sources.
    exposures
        Science exposures by file name.
    reference
        File name of the reference catalogue.
    """

    config: SimulationConfig
    chips: Mapping[str, ChipTruth]
    sky: SkyTruth
    exposures: Mapping[str, ExposureTruth]
    reference: str


def save_truth(path: Path, truth: Truth) -> None:
    """Write everything into one ``.npz`` file."""
    arrays: dict[str, NDArray[Any]] = {}

    def keep(key: str, value: object) -> object:
        """A tree of JSON in which names stand for arrays, which are kept."""
        if isinstance(value, np.ndarray):
            arrays[key] = value
            return {"array": key}
        if isinstance(value, dict):
            return {name: keep(f"{key}/{name}", item) for name, item in value.items()}
        return value

    document = keep("truth", asdict(truth))
    text = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, document=text, **arrays)


def load_truth(path: Path) -> Truth:
    """Read what :func:`save_truth` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}

    def restore(value: object) -> object:
        """The tree with its arrays in place of their names."""
        if isinstance(value, dict):
            if value.keys() == {"array"}:
                return arrays[value["array"]]
            return {name: restore(item) for name, item in value.items()}
        return value

    tree: Any = restore(json.loads(arrays["document"].tobytes()))
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in tree["config"].items()
    }
    return Truth(
        config=SimulationConfig(**options),
        chips={name: ChipTruth(**chip) for name, chip in tree["chips"].items()},
        sky=SkyTruth(**tree["sky"]),
        exposures={name: ExposureTruth(**item) for name, item in tree["exposures"].items()},
        reference=tree["reference"],
    )
