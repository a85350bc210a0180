"""Simulate raw frames of a mosaic camera, with everything about them known.

``vo-service simulate --instrument omegacam --chips 32 --out FOLDER`` writes full frames with
OmegaCAM's headers: 18 MB a chip and exposure. Chips are simulated one after the other, so that
memory holds one, however many there are; ``--no-truth`` leaves out the chips' own truth, 120 MB
each at that size.
"""

from __future__ import annotations

__all__ = ["SimulationConfig", "Truth", "load_truth", "simulate"]

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from reduction.simulation.cameras.base import Exposure
from reduction.simulation.config import SimulationConfig, stream
from reduction.simulation.detector import FRINGED, cosmic_rays, dome_lamp, expose, simulate_chip
from reduction.simulation.files import RawFile, write_reference
from reduction.simulation.geometry import PIXEL_SCALE, chip_layout, project, wcs_cards
from reduction.simulation.size import check_room
from reduction.simulation.sky import render, simulate_sky
from reduction.simulation.truth import ExposureTruth, Truth, load_truth, save_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from reduction.simulation.cameras.base import Layout
    from reduction.simulation.truth import ChipTruth

#: Day 0 of the modified Julian date.
_MJD_EPOCH: Final = date(1858, 11, 17).toordinal()

#: Start of each kind's first exposure, days after the night's 0 h UT; filters follow each other.
_BIAS, _DOME, _TWILIGHT, _SCIENCE = 20 / 24, 21 / 24, 23 / 24, 26 / 24
_FILTER_STEP: Final = 0.3 / 24

#: adu/s of the dome lamp, and exposure times that its frames take in turn, in pairs.
_LAMP: Final = 2500.0
_LAMP_TIMES: Final = (6.0, 6.0, 10.0, 10.0, 12.0, 12.0)

#: Surface brightness of the night sky, mag/arcsec2.
_NIGHT_SKY: Final = {"V": 21.3, "B": 22.2, "I": 19.0}

#: Strength of the sky's lines that fringe, from exposure to exposure.
_LINES: Final = (0.7, 1.3)


#: Chip and layout -> electrons in the science pixels, shape of the science section.
_Light: TypeAlias = "Callable[[int, ChipTruth, Layout], NDArray[np.float64] | None]"


def simulate(out_dir: Path, *, config: SimulationConfig, keep_chips: bool = True) -> Truth:
    """Write raw frames, a reference catalogue and the truth.

    Parameters
    ----------
    out_dir
        Folder; made if it is not there. Gets ``raw/*.fits`` (one file an exposure, one
        16-bit extension a chip), ``reference.csv`` and ``truth.npz``.
    config
        Camera, sky and observing run.
    keep_chips
        Whether the truth holds the chips with their patterns, 14 bytes a pixel.

    Returns
    -------
    Truth
        What :func:`load_truth` reads from ``truth.npz``.

    Raises
    ------
    StorageError
        If the disk has no room for it; nothing is written then.

    Notes
    -----
    Everything is determined by the configuration: a second call writes the same bytes.
    """
    check_room(out_dir, config, keep_chips=keep_chips)
    raw = out_dir / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    run = _Run(raw, config)
    shots = list(run.shots())
    layouts = [chip_layout(config, index) for index in range(config.chips)]
    chips = {}
    for index, (name, layout) in enumerate(zip(config.chip_names, layouts, strict=True)):
        chip = simulate_chip(config, index)
        for shot in shots:
            shot.read_out(config, index, name, chip, layout)
        if keep_chips:
            chips[name] = chip
    exposures = {
        shot.file.name: run.truth_of(shot, layouts)
        for shot in shots
        if shot.exposure.dpr_type == "OBJECT"
    }
    for shot in shots:
        shot.file.close()
    truth = Truth(config, chips, run.sky, exposures, "reference.csv")
    write_reference(out_dir / truth.reference, config, run.sky)
    save_truth(out_dir / "truth.npz", truth)
    return truth


@dataclass(slots=True)
class _Shot:
    """An exposure that is being written: its file grows by one chip at a time."""

    file: RawFile
    exposure: Exposure
    night: str
    band: str
    number: int
    light: _Light
    pointing: tuple[float, float] = (0.0, 0.0)
    cosmics: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def read_out(
        self, config: SimulationConfig, index: int, name: str, chip: ChipTruth, layout: Layout
    ) -> None:
        """Draw the chip's cosmic rays and noise, and add its pixels to the file."""
        words = (self.night, self.band, self.number, name)
        if self.exposure.dpr_type == "OBJECT":
            self.cosmics[name] = cosmic_rays(config, stream(config, "cosmics", *words))
        rng = stream(config, "noise", self.exposure.dpr_type, *words)
        light = self.light(index, chip, layout)
        pixels = expose(chip, layout, light, rng, cosmics=self.cosmics.get(name))
        self.file.add(name, index, chip, layout, pixels)


class _Run:
    """An observing run: a sky, and a folder for raw files."""

    def __init__(self, folder: Path, config: SimulationConfig) -> None:
        self._folder, self._config = folder, config
        self.sky = simulate_sky(config)

    def shots(self) -> Iterator[_Shot]:
        """Plan all exposures."""
        config = self._config
        for night in config.nights:
            yield from self._calibrations(night)
            for band in config.filters:
                for number in range(config.n_science):
                    yield self._science(night, band, number)

    def truth_of(self, shot: _Shot, layouts: list[Layout]) -> ExposureTruth:
        """Tell what is true of a science exposure."""
        ra, dec = shot.pointing
        return ExposureTruth(
            file=shot.file.name,
            night=shot.night,
            filter=shot.band,
            exptime=shot.exposure.exptime,
            ra=ra,
            dec=dec,
            wcs={
                name: wcs_cards(layout, ra, dec, trimmed=True)
                for name, layout in zip(self._config.chip_names, layouts, strict=True)
            },
            sky=self._sky_level(shot.band),
            cosmics=shot.cosmics,
            fringe=self._lines(shot.night, shot.band, shot.number),
        )

    def _calibrations(self, night: str) -> Iterator[_Shot]:
        config = self._config
        for number in range(config.n_bias):
            moment = _moment(night, _BIAS, number)
            band = config.filters[0]
            yield self._shot("BIAS", night, band, number, 0.0, moment, lambda *_: None)
        for order, band in enumerate(config.filters):
            step = order * _FILTER_STEP
            for number in range(config.n_dome):
                seconds = _LAMP_TIMES[number % len(_LAMP_TIMES)]
                moment = _moment(night, _DOME + step, number)
                light = self._lamp(band, _LAMP * seconds)
                yield self._shot("FLAT,DOME", night, band, number, seconds, moment, light)
            for number in range(config.n_twilight):
                level = float(stream(config, "dusk", night, band, number).uniform(2e4, 3.5e4))
                seconds, moment = 4.0 + 2.0 * number, _moment(night, _TWILIGHT + step, number)
                light = _dusk(band, level)
                yield self._shot("FLAT,SKY", night, band, number, seconds, moment, light)

    def _science(self, night: str, band: str, number: int) -> _Shot:
        config = self._config
        rng = stream(config, "pointing", night, band, number)
        across, along = rng.uniform(-config.dither, config.dither, 2) / 3600.0
        dec = config.dec + along
        ra = (config.ra + across / np.cos(np.radians(dec))) % 360.0
        wrong = rng.normal(0.0, config.pointing_error / 3600.0, 2)
        order = config.filters.index(band)
        exposure = Exposure(
            "OBJECT",
            config.camera.filters[band],
            f"VOSIM-{config.seed}",
            config.science_exptime,
            _moment(night, _SCIENCE + order * _FILTER_STEP, number),
            ra=float((ra + wrong[0] / np.cos(np.radians(dec))) % 360.0),
            dec=float(dec + wrong[1]),
            airmass=round(1.05 + 0.02 * number, 3),
        )
        seeing = config.seeing * float(rng.uniform(0.95, 1.05))
        pointing = (float(ra), float(dec))
        dimmed = (self._lines(night, band, number), self._clouds(night, number))
        light = self._field(pointing, band, seeing, *dimmed)
        file = RawFile(self._folder, config.camera, exposure, config.chips)
        return _Shot(file, exposure, night, band, number, light, pointing)

    def _shot(
        self,
        kind: str,
        night: str,
        band: str,
        number: int,
        seconds: float,
        moment: float,
        light: _Light,
    ) -> _Shot:
        camera = self._config.camera
        exposure = Exposure(kind, camera.filters[band], kind, seconds, moment)
        file = RawFile(self._folder, camera, exposure, self._config.chips)
        return _Shot(file, exposure, night, band, number, light)

    def _sky_level(self, band: str) -> float:
        surface = 10.0 ** (-0.4 * (_NIGHT_SKY[band] - 24.5)) * PIXEL_SCALE**2
        return float(self._config.science_exptime * surface)

    def _lamp(self, band: str, level: float) -> _Light:
        def light(index: int, chip: ChipTruth, _layout: Layout) -> NDArray[np.float64]:
            """The lamp's light on the screen."""
            lamp = dome_lamp(self._config, index)
            return np.asarray(chip.flat[band] * lamp * (level * chip.gain))

        return light

    def _lines(self, night: str, band: str, number: int) -> float:
        """Strength of a science exposure's fringes; 0 in a band without."""
        if band != FRINGED:
            return 0.0
        return float(stream(self._config, "lines", night, number).uniform(*_LINES))

    def _clouds(self, night: str, number: int) -> float:
        """Magnitudes that clouds take from an exposure."""
        config = self._config
        if not config.clouds:
            return 0.0
        earlier = config.nights.index(night) * config.n_science
        return config.clouds[(earlier + number) % len(config.clouds)]

    def _field(
        self, pointing: tuple[float, float], band: str, seeing: float, lines: float, clouds: float
    ) -> _Light:
        def light(_index: int, chip: ChipTruth, layout: Layout) -> NDArray[np.float64]:
            """The light of sky, stars and galaxies."""
            zero_point = chip.zero_point[band] - clouds
            mags = self.sky.mags[band]
            flux = self._config.science_exptime * 10.0 ** (-0.4 * (mags - zero_point))
            x, y = project(layout, pointing, self.sky.ra, self.sky.dec)
            image = np.full(layout.science.shape, self._sky_level(band))
            if lines:
                image *= 1.0 + lines * chip.fringe[band]
            render(image, x, y, flux, self.sky, seeing=seeing)
            return np.asarray(image * chip.flat[band] * chip.gain, dtype=np.float64)

        return light


def _dusk(band: str, level: float) -> _Light:
    def light(_index: int, chip: ChipTruth, _layout: Layout) -> NDArray[np.float64]:
        """The even light of the twilight."""
        return np.asarray(chip.flat[band] * (level * chip.gain), dtype=np.float64)

    return light


def _moment(night: str, start: float, number: int) -> float:
    """MJD of the n-th exposure, two minutes apart, of a block of a night."""
    day = date.fromisoformat(night).toordinal() - _MJD_EPOCH
    return round(day + start + number * 2.0 / 1440.0, 8)
