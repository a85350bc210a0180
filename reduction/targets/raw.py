"""Raw frames and reference catalogues: what is ingested, never made, and sacred."""

from __future__ import annotations

__all__ = [
    "RawBiasFrame",
    "RawDarkFrame",
    "RawDomeFlatFrame",
    "RawFrame",
    "RawScienceFrame",
    "RawTwilightFlatFrame",
    "ReferenceCatalogue",
]

from reduction.attributes import attribute
from reduction.raw_quality import RawFlags
from reduction.target import DBObject


class RawFrame(DBObject):
    """One CCD of one exposure, as the telescope wrote it.

    Its pixels are judged at ingest (``quality_flags``); its file is kept whatever they are.
    """

    Flags = RawFlags

    name = attribute(str, "name of the raw file", ucd="meta.id;meta.file")
    object = attribute(str, "target or calibration as the observer named it", ucd="meta.id;src")
    exptime = attribute(float, "exposure time", unit="s", ucd="time.duration;obs.exposure")
    mjd_obs = attribute(float, "start of the exposure (UTC)", unit="d", ucd="time.start;obs")
    ra = attribute(float, "pointing, right ascension (ICRS)", unit="deg", ucd="pos.eq.ra")
    dec = attribute(float, "pointing, declination (ICRS)", unit="deg", ucd="pos.eq.dec")
    airmass = attribute(float, "airmass at mid-exposure", ucd="obs.airMass")


class RawBiasFrame(RawFrame):
    """A raw bias."""


class RawDarkFrame(RawFrame):
    """A raw dark."""


class RawDomeFlatFrame(RawFrame):
    """A raw dome flat."""


class RawTwilightFlatFrame(RawFrame):
    """A raw twilight flat."""


class RawScienceFrame(RawFrame):
    """A raw science frame, standard fields included."""


class ReferenceCatalogue(DBObject):
    """A catalogue of stars with known positions, and magnitudes in some bands."""

    name = attribute(str, "name of the catalogue", ucd="meta.id;meta.dataset")
    n_stars = attribute(int, "number of stars", ucd="meta.number")
