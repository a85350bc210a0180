"""The gain of a night with many flats: as from few, in as little memory."""

from __future__ import annotations

__all__: list[str] = []

import tracemalloc

import numpy as np
import pytest

from reduction.instruments.base import Section
from reduction.making import Inputs
from reduction.progenitor import Progenitor
from reduction.registry import Registry
from reduction.targets.gain import GainLinearity
from schemas.errors import ProgenitorMissingError

SIZE, GAIN = 200, 2.0
PARAMETERS = GainLinearity.Parameters(SATURATION=64000.0)


class Stored(dict[str, np.ndarray]):
    """Pixels that are made when asked for, and not kept."""

    def __init__(self, number: int, level: float) -> None:
        super().__init__()
        self.number, self.level = number, level

    def __missing__(self, name: str) -> np.ndarray:
        rng = np.random.default_rng(self.number)
        return (rng.poisson(self.level * GAIN, (SIZE, SIZE)) / GAIN).astype(np.float32)


def flat(
    number: int, filter: str, exptime: float = 6.0, level: float = 20000.0, kind: str = "Dome"
) -> Progenitor:
    science = Section(0, SIZE, 0, SIZE)
    values = {"science": science, "overscan": None, "exptime": exptime}
    return Progenitor(number, f"Raw{kind}FlatFrame", filter, values, Stored(number, level))


def inputs_of(dome: list[Progenitor], twilight: list[Progenitor]) -> Inputs:
    camera = Registry.load(()).instruments["nickel"]
    zero = np.zeros((SIZE, SIZE), np.float32)
    slots = {
        "raw_dome_flats": dome,
        "raw_twilight_flats": twilight,
        "bias": Progenitor(0, "BiasFrame", "", {"overscan_correction": 0}, {"BIAS": zero}),
        "read_noise": Progenitor(0, "ReadNoise", "", {"read_noise": 0.1}, {}),
        "hot": Progenitor(0, "HotPixelMap", "", {}, {"MAP": np.ones((SIZE, SIZE), np.uint8)}),
        "dark": None,
    }
    chip = next(iter(camera.chips))
    return Inputs("GainLinearity", slots, instrument=camera, chip=chip, filter="")


def planes_of(number: int) -> float:
    """Most memory of a making, in planes of float32."""
    inputs = inputs_of([flat(i, "BVRI"[i % 4]) for i in range(number)], [])
    tracemalloc.start()
    made = GainLinearity().compute(inputs, PARAMETERS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.attributes["pairs"] == number - 4
    assert made.attributes["gain"] == pytest.approx(GAIN, abs=4 * made.attributes["gain_error"])
    return peak / (4 * SIZE**2)


def test_memory_does_not_grow_with_the_flats_of_a_night() -> None:
    few, many = planes_of(8), planes_of(40)
    assert many < few + 1.0


def test_pairs_are_neighbours_of_one_filter_and_exposure_time() -> None:
    dome = [flat(0, "V", 6.0), flat(1, "B"), flat(2, "V", 6.0), flat(3, "V", 9.0, 30000.0)]
    dome += [flat(4, "V", 9.0, 30000.0), flat(5, "V", 9.0, 500.0), flat(6, "V", 9.0, 30000.0)]
    made = GainLinearity().compute(inputs_of(dome, []), PARAMETERS)
    assert made.attributes["pairs"] == 3  # 0 and 2, 3 and 4, 4 and 6 beside one without light
    assert made.attributes["median_sum"] == pytest.approx((40000 + 2 * 60000) / 3, rel=1e-3)
    assert made.attributes["nonlinearity"] == pytest.approx(0.0, abs=1e-3)


def test_twilight_flats_are_paired_where_no_dome_flats_are() -> None:
    dome = [flat(0, "V", 6.0), flat(1, "V", 7.0)]
    twilight = [flat(2, "V", 1.0, kind="Twilight"), flat(3, "V", 2.0, kind="Twilight")]
    made = GainLinearity().compute(inputs_of(dome, twilight), PARAMETERS)
    assert made.attributes["pairs"] == 1
    assert made.attributes["nonlinearity"] > 0.05  # of the dome flats: 6 and 7 s, one level
    with pytest.raises(ProgenitorMissingError, match="found 2 dome and 1 twilight"):
        GainLinearity().compute(inputs_of(dome, twilight[:1]), PARAMETERS)
