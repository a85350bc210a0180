"""A good simulated exposure, made bad in each way that a night at a telescope knows."""

from __future__ import annotations

__all__ = [
    "REFUSED",
    "SPOILED",
    "blank_sky",
    "spoil",
    "spoil_calibrations",
    "spoil_science",
]

from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.time import Time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LIGHT = np.s_[:, 16:-32]


def _empty(hdus: fits.HDUList) -> None:
    hdus[1].data[:] = 0


def _saturated(hdus: fits.HDUList) -> None:
    hdus[1].data[:] = 65535


def _half_saturated(hdus: fits.HDUList) -> None:
    hdus[1].data[:, :170] = 65535


def _float(hdus: fits.HDUList) -> None:
    hdus[1].data = hdus[1].data.astype(np.float32)
    for keyword in ("BZERO", "BSCALE"):
        hdus[1].header.remove(keyword, ignore_missing=True)


def _some_nan(hdus: fits.HDUList) -> None:
    _float(hdus)
    hdus[1].data[100:140, 80:120] = np.nan
    hdus[1].data[60, 200] = np.inf


def _mostly_nan(hdus: fits.HDUList) -> None:
    _float(hdus)
    hdus[1].data[:230] = np.nan


def _nan_overscan(hdus: fits.HDUList) -> None:
    _float(hdus)
    hdus[1].data[:, -32:] = np.nan


def _all_nan(hdus: fits.HDUList) -> None:
    _float(hdus)
    hdus[1].data[:] = np.nan


def _huge(hdus: fits.HDUList) -> None:
    """Numbers that no converter gives: a file of another program."""
    _float(hdus)
    hdus[1].data *= np.float32(1e30)


def _other_size(hdus: fits.HDUList) -> None:
    """A window of the chip, as its header says: no calibration fits."""
    hdus[1].data = hdus[1].data[:200].copy()
    hdus[1].header["HIERARCH ESO DET CHIP NY"] = 192


def _wrong_size(hdus: fits.HDUList) -> None:
    hdus[1].data = hdus[1].data[:200].copy()


def _card(hdu: int, keyword: str, value: object) -> Callable[[fits.HDUList], None]:
    def change(hdus: fits.HDUList) -> None:
        hdus[hdu].header[keyword] = value

    return change


#: Frames that are taken: how they are spoiled.
SPOILED: Mapping[str, Callable[[fits.HDUList], None]] = {
    "empty": _empty,
    "saturated": _saturated,
    "half_saturated": _half_saturated,
    "some_nan": _some_nan,
    "mostly_nan": _mostly_nan,
    "nan_overscan": _nan_overscan,
    "huge": _huge,
    "other_size": _other_size,
    "other_filter": _card(0, "HIERARCH ESO INS FILT1 NAME", "B"),
    "other_sky": _card(1, "CRVAL1", 290.0),
    "at_the_pole": _card(1, "CRVAL2", 90.0),
    "wrong_scale_sign": _card(1, "CD1_1", 5.9444e-5),
}

#: Frames that are refused at ingest: how they are spoiled, and words of the sentence.
REFUSED: Mapping[str, tuple[Callable[[fits.HDUList], None], str]] = {
    "all_nan": (_all_nan, "all are NaN"),
    "unknown_filter": (_card(0, "HIERARCH ESO INS FILT1 NAME", "r_SDSS"), "keyword ESO INS FILT1"),
    "negative_exposure": (_card(0, "EXPTIME", -60.0), "keyword EXPTIME"),
    "wrong_size": (_wrong_size, "keyword ESO DET CHIP NY"),
    "nan_matrix": (_card(1, "CD1_1", "NaN"), "keyword CD1_1"),
    "no_scale": (_card(1, "CD1_1", 0.0), "keyword CD1_1 to CD2_2"),
    "beyond_the_pole": (_card(1, "CRVAL2", 92.2), "keyword CRVAL2"),
    "no_moment": (_card(0, "MJD-OBS", "unknown"), "keyword MJD-OBS"),
    "other_kind": (_card(0, "HIERARCH ESO DPR TYPE", "BIAS"), "keyword EXPTIME"),
}


def spoil(
    source: Path, path: Path, change: Callable[[fits.HDUList], None], *, minutes: float
) -> Path:
    """Write a good exposure anew, taken some minutes later, and spoiled."""
    with fits.open(source, memmap=False) as hdus:
        hdus[0].header["MJD-OBS"] += minutes / 1440.0
        hdus[0].header["DATE-OBS"] = Time(hdus[0].header["MJD-OBS"], format="mjd").isot
        hdus[1].data = hdus[1].data.copy()
        change(hdus)
        hdus.writeto(path)
    return path


def blank_sky(bias: Path, science: Path, path: Path) -> Path:
    """Write a science frame of sky without a star, on the pixels of a bias: thick clouds."""
    with fits.open(bias, memmap=False) as hdus:
        pixels = hdus[1].data.astype(np.float64)
    sky = np.random.default_rng(4).poisson(150.0, pixels[_LIGHT].shape) / 2.5
    pixels[_LIGHT] += sky

    def change(hdus: fits.HDUList) -> None:
        hdus[1].data[:] = np.rint(pixels)

    return spoil(science, path, change, minutes=40.0)


def spoil_science(science: Path, bias: Path, folder: Path) -> None:
    """Write every bad science frame, each under the name of its fault."""
    for number, (name, change) in enumerate(SPOILED.items()):
        spoil(science, folder / f"{name}.fits", change, minutes=10.0 + number)
    for number, (name, (change, _)) in enumerate(REFUSED.items()):
        spoil(science, folder / f"{name}.fits", change, minutes=60.0 + number)
    blank_sky(bias, science, folder / "blank_sky.fits")
    whole = science.read_bytes()
    (folder / "truncated.fits").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "no_fits.fits").write_bytes(b"SIMPLE" + bytes(10000))
    (folder / "nothing.fits").write_bytes(b"")


def spoil_calibrations(bias: Path, dome: Path, twilight: Path, folder: Path) -> None:
    """Write bad calibration frames: empty, saturated, without numbers, with light or without."""
    for kind, path in (("bias", bias), ("dome", dome), ("twilight", twilight)):
        for number, name in enumerate(("empty", "saturated", "mostly_nan", "nan_overscan")):
            target = folder / f"{kind}_{name}.fits"
            spoil(path, target, SPOILED[name], minutes=12.0 + number)
    lit = fits.getdata(dome, 1)
    dark = fits.getdata(bias, 1)

    def exposed(hdus: fits.HDUList) -> None:
        hdus[1].data[:] = lit

    def lamp_off(hdus: fits.HDUList) -> None:
        hdus[1].data[:] = dark

    spoil(bias, folder / "bias_with_light.fits", exposed, minutes=20.0)
    spoil(dome, folder / "dome_lamp_off.fits", lamp_off, minutes=20.0)
