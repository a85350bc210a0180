"""Simulate raw frames of an OmegaCAM-like mosaic, with everything about them known."""

from __future__ import annotations

__all__ = ["SimulationConfig", "Truth", "load_truth", "simulate"]

from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.simulation.config import SimulationConfig, stream
from reduction.simulation.detector import cosmic_rays, dome_lamp, expose, simulate_chip
from reduction.simulation.files import Exposure, raw_file_name, write_exposure, write_reference
from reduction.simulation.geometry import PIXEL_SCALE, chip_layout, project, wcs_cards
from reduction.simulation.sky import render, simulate_sky
from reduction.simulation.truth import ExposureTruth, Truth, load_truth, save_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

#: Day 0 of the modified Julian date.
_MJD_EPOCH: Final = date(1858, 11, 17).toordinal()

#: Start of each kind's first exposure, days after the night's 0 h UT; filters follow each other.
_BIAS, _DOME, _TWILIGHT, _SCIENCE = 20 / 24, 21 / 24, 23 / 24, 26 / 24
_FILTER_STEP: Final = 0.3 / 24

#: adu/s of the dome lamp, and exposure times that its frames take in turn, in pairs.
_LAMP: Final = 2500.0
_LAMP_TIMES: Final = (6.0, 6.0, 10.0, 10.0, 12.0, 12.0)

#: Surface brightness of the night sky, mag/arcsec2.
_NIGHT_SKY: Final = {"V": 21.3, "B": 22.2}


def simulate(out_dir: Path, *, config: SimulationConfig) -> Truth:
    """Write raw frames, a reference catalogue and the truth.

    Parameters
    ----------
    out_dir
        Folder; made if it is not there. Gets ``raw/VOSIM.*.fits`` (one file an exposure, one
        16-bit extension a chip), ``reference.csv`` and ``truth.npz``.
    config
        Camera, sky and observing run.

    Returns
    -------
    Truth
        What :func:`load_truth` reads from ``truth.npz``.

    Notes
    -----
    Everything is determined by the configuration: a second call writes the same bytes.
    """
    raw = out_dir / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    run = _Run(raw, config)
    exposures: dict[str, ExposureTruth] = {}
    for night in config.nights:
        run.calibrate(night)
        for name in config.filters:
            for number in range(config.n_science):
                taken = run.observe(night, name, number)
                exposures[taken.file] = taken
    truth = Truth(config, run.chips, run.sky, exposures, "reference.csv")
    write_reference(out_dir / truth.reference, config, run.sky)
    save_truth(out_dir / "truth.npz", truth)
    return truth


class _Run:
    """An observing run: the camera, the sky, and a folder for raw files."""

    def __init__(self, folder: Path, config: SimulationConfig) -> None:
        self._folder, self._config = folder, config
        self.chips = {
            name: simulate_chip(config, index) for index, name in enumerate(config.chip_names)
        }
        self._layouts = [chip_layout(config, index) for index in range(config.chips)]
        self.sky = simulate_sky(config)

    def calibrate(self, night: str) -> None:
        """Take the biases and flats of a night."""
        config = self._config
        for number in range(config.n_bias):
            moment = _moment(night, _BIAS, number)
            exposure = Exposure("BIAS", config.filters[0], "BIAS", 0.0, moment)
            self._take(exposure, night, number, lambda _index, _name: None)
        for order, name in enumerate(config.filters):
            for number in range(config.n_dome):
                seconds = _LAMP_TIMES[number % len(_LAMP_TIMES)]
                moment = _moment(night, _DOME + order * _FILTER_STEP, number)
                exposure = Exposure("FLAT,DOME", name, "FLAT,DOME", seconds, moment)
                self._take(exposure, night, number, self._lamp(name, _LAMP * seconds))
            for number in range(config.n_twilight):
                level = float(stream(config, "dusk", night, name, number).uniform(2e4, 3.5e4))
                moment = _moment(night, _TWILIGHT + order * _FILTER_STEP, number)
                exposure = Exposure("FLAT,SKY", name, "FLAT,SKY", 4.0 + 2.0 * number, moment)
                self._take(exposure, night, number, self._dusk(name, level))

    def observe(self, night: str, name: str, number: int) -> ExposureTruth:
        """Take a science exposure."""
        config = self._config
        rng = stream(config, "pointing", night, name, number)
        across, along = rng.uniform(-config.dither, config.dither, 2) / 3600.0
        dec = config.dec + along
        ra = (config.ra + across / np.cos(np.radians(dec))) % 360.0
        wrong = rng.normal(0.0, config.pointing_error / 3600.0, 2)
        order = config.filters.index(name)
        moment = _moment(night, _SCIENCE + order * _FILTER_STEP, number)
        exposure = Exposure(
            "OBJECT",
            name,
            f"VOSIM-{config.seed}",
            config.science_exptime,
            moment,
            ra=float((ra + wrong[0] / np.cos(np.radians(dec))) % 360.0),
            dec=float(dec + wrong[1]),
            airmass=round(1.05 + 0.02 * number, 3),
        )
        seeing = config.seeing * float(rng.uniform(0.95, 1.05))
        sky_level = (
            config.science_exptime * 10.0 ** (-0.4 * (_NIGHT_SKY[name] - 24.5)) * PIXEL_SCALE**2
        )
        light = self._field((float(ra), float(dec)), exposure, sky_level, seeing)
        cosmics = {
            chip: cosmic_rays(config, stream(config, "cosmics", night, name, number, chip))
            for chip in self.chips
        }
        self._take(exposure, night, number, light, cosmics)
        return ExposureTruth(
            file=raw_file_name(exposure),
            night=night,
            filter=name,
            exptime=config.science_exptime,
            ra=float(ra),
            dec=float(dec),
            wcs={
                chip: wcs_cards(layout, float(ra), float(dec), trimmed=True)
                for chip, layout in zip(self.chips, self._layouts, strict=True)
            },
            sky=sky_level,
            cosmics=cosmics,
        )

    def _take(
        self,
        exposure: Exposure,
        night: str,
        number: int,
        light: Callable[[int, str], NDArray[np.float64] | None],
        cosmics: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        frames = []
        words = (exposure.dpr_type, night, exposure.filter, number)
        for index, (name, chip) in enumerate(self.chips.items()):
            rng = stream(self._config, "noise", *words, name)
            hits = None if cosmics is None else cosmics[name]
            layout = self._layouts[index]
            pixels = expose(chip, layout, light(index, name), rng, cosmics=hits)
            frames.append((name, chip, layout, pixels))
        write_exposure(self._folder, exposure, frames)

    def _lamp(self, filter_name: str, level: float) -> Callable[[int, str], NDArray[np.float64]]:
        def light(index: int, name: str) -> NDArray[np.float64]:
            chip = self.chips[name]
            lamp = dome_lamp(self._config, index)
            return np.asarray(chip.flat[filter_name] * lamp * (level * chip.gain))

        return light

    def _dusk(self, filter_name: str, level: float) -> Callable[[int, str], NDArray[np.float64]]:
        def light(_index: int, name: str) -> NDArray[np.float64]:
            chip = self.chips[name]
            return np.asarray(chip.flat[filter_name] * (level * chip.gain), dtype=np.float64)

        return light

    def _field(
        self, pointing: tuple[float, float], exposure: Exposure, sky_level: float, seeing: float
    ) -> Callable[[int, str], NDArray[np.float64]]:
        def light(index: int, name: str) -> NDArray[np.float64]:
            chip, layout = self.chips[name], self._layouts[index]
            zero_point = chip.zero_point[exposure.filter]
            mags = self.sky.mags[exposure.filter]
            flux = exposure.exptime * 10.0 ** (-0.4 * (mags - zero_point))
            x, y = project(layout, pointing, self.sky.ra, self.sky.dec)
            image = np.full(layout.science.shape, sky_level)
            render(image, x, y, flux, self.sky, seeing=seeing)
            return np.asarray(image * chip.flat[exposure.filter] * chip.gain, dtype=np.float64)

        return light


def _moment(night: str, start: float, number: int) -> float:
    """MJD of the n-th exposure, two minutes apart, of a block of a night."""
    day = date.fromisoformat(night).toordinal() - _MJD_EPOCH
    return round(day + start + number * 2.0 / 1440.0, 8)
