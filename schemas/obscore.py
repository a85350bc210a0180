"""``ivoa.obscore``: the published images as ObsCore-1.1 describes them, under DaCHS's names."""

from __future__ import annotations

__all__ = ["OBSCORE", "OBSCORE_COLUMNS"]

from typing import Final

from schemas.columns import Column, Table


def _text(name: str, ucd: str, utype: str, description: str, **flags: bool) -> Column:
    return _column(name, "char", "", ucd, utype, description, **flags)


def _column(
    name: str, datatype: str, unit: str, ucd: str, utype: str, description: str, **flags: bool
) -> Column:
    principal = flags.get("principal", True)
    return Column(
        name=name,
        datatype=datatype,
        arraysize="*" if datatype == "char" else None,
        unit=unit,
        ucd=ucd,
        utype=f"obscore:{utype}" if utype else "",
        description=description,
        principal=principal,
        indexed=flags.get("indexed", False),
        std=flags.get("std", True),
    )


_IDENTITY: Final = (
    _text(
        "dataproduct_type",
        "meta.code.class",
        "ObsDataset.dataProductType",
        "High-level kind of the dataset: image",
    ),
    _text(
        "dataproduct_subtype",
        "meta.code.class",
        "ObsDataset.dataProductSubtype",
        "Class of the archive's target that the dataset is a product of",
    ),
    _column(
        "calib_level",
        "int",
        "",
        "meta.code;obs.calib",
        "ObsDataset.calibLevel",
        "Amount of calibration: 1 raw, 2 science-ready with the instrument's signature removed, "
        "3 enhanced",
    ),
    _text(
        "obs_collection",
        "meta.id",
        "DataID.collection",
        "Collection that the dataset belongs to",
    ),
    _text(
        "obs_id",
        "meta.id",
        "DataID.observationID",
        "Observation that the dataset comes from; chips of one exposure share it",
    ),
    _text("obs_title", "meta.title;obs", "DataID.title", "One line that says what this is"),
    _text(
        "obs_publisher_did",
        "meta.ref.ivoid",
        "Curation.publisherDID",
        "Identifier of the dataset; stays the same when the dataset is remade",
        indexed=True,
    ),
    _text(
        "obs_creator_did",
        "meta.id",
        "DataID.creatorDID",
        "Identifier that the dataset's creator gave it",
        principal=False,
    ),
)

_ACCESS: Final = (
    _text("access_url", "meta.ref.url", "Access.reference", "URL of the dataset or its links"),
    _text(
        "access_format", "meta.code.mime", "Access.format", "MIME type of what access_url gives"
    ),
    _column(
        "access_estsize",
        "long",
        "kbyte",
        "phys.size;meta.file",
        "Access.size",
        "Estimated size of what access_url gives",
    ),
    _text("target_name", "meta.id;src", "Target.name", "Object as the observer called it"),
    _text("target_class", "src.class", "Target.class", "Class of that object"),
)

_SPACE: Final = (
    _column(
        "s_ra",
        "double",
        "deg",
        "pos.eq.ra",
        "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C1",
        "Right ascension of the centre, ICRS",
        indexed=True,
    ),
    _column(
        "s_dec",
        "double",
        "deg",
        "pos.eq.dec",
        "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C2",
        "Declination of the centre, ICRS",
        indexed=True,
    ),
    _column(
        "s_fov",
        "double",
        "deg",
        "phys.angSize;instr.fov",
        "Char.SpatialAxis.Coverage.Bounds.Extent.diameter",
        "Diameter of the circle around the covered region",
    ),
    Column(
        name="s_region",
        datatype="char",
        arraysize="*",
        xtype="adql:REGION",
        ucd="pos.outline;obs.field",
        utype="obscore:Char.SpatialAxis.Coverage.Support.Area",
        description="Outline of the covered region, STC-S in ICRS degrees",
        principal=True,
        indexed=True,
        std=True,
        sql_type="float8[]",
    ),
    _column(
        "s_resolution",
        "double",
        "arcsec",
        "pos.angResolution",
        "Char.SpatialAxis.Resolution.Refval.value",
        "Full width at half maximum of point sources",
    ),
)

_TIME: Final = (
    _column(
        "t_min",
        "double",
        "d",
        "time.start;obs.exposure",
        "Char.TimeAxis.Coverage.Bounds.Limits.StartTime",
        "Start of the exposure, MJD UTC",
    ),
    _column(
        "t_max",
        "double",
        "d",
        "time.end;obs.exposure",
        "Char.TimeAxis.Coverage.Bounds.Limits.StopTime",
        "End of the exposure, MJD UTC",
    ),
    _column(
        "t_exptime",
        "double",
        "s",
        "time.duration;obs.exposure",
        "Char.TimeAxis.Coverage.Support.Extent",
        "Exposure time",
    ),
    _column(
        "t_resolution",
        "double",
        "s",
        "time.resolution",
        "Char.TimeAxis.Resolution.Refval.value",
        "Temporal resolution",
    ),
)

_SPECTRUM: Final = (
    _column(
        "em_min",
        "double",
        "m",
        "em.wl;stat.min",
        "Char.SpectralAxis.Coverage.Bounds.Limits.LoLimit",
        "Shorter half-power wavelength of the filter",
    ),
    _column(
        "em_max",
        "double",
        "m",
        "em.wl;stat.max",
        "Char.SpectralAxis.Coverage.Bounds.Limits.HiLimit",
        "Longer half-power wavelength of the filter",
    ),
    _column(
        "em_res_power",
        "double",
        "",
        "spect.resolution",
        "Char.SpectralAxis.Resolution.ResolPower.refVal",
        "Spectral resolving power: wavelength over bandwidth",
    ),
    _text("o_ucd", "meta.ucd", "Char.ObservableAxis.ucd", "UCD of what the pixels measure"),
    _text(
        "pol_states",
        "meta.code;phys.polarization",
        "Char.PolarizationAxis.stateList",
        "Polarization states, /I/Q/; null where none were observed",
    ),
    _text(
        "facility_name",
        "meta.id;instr.tel",
        "Provenance.ObsConfig.Facility.name",
        "Telescope",
    ),
    _text(
        "instrument_name",
        "meta.id;instr",
        "Provenance.ObsConfig.Instrument.name",
        "Camera",
    ),
)

_PIXELS: Final = (
    _column("s_xel1", "long", "", "meta.number", "Char.SpatialAxis.numBins1", "Pixels a row"),
    _column("s_xel2", "long", "", "meta.number", "Char.SpatialAxis.numBins2", "Rows"),
    _column("t_xel", "long", "", "meta.number", "Char.TimeAxis.numBins", "Elements in time"),
    _column(
        "em_xel", "long", "", "meta.number", "Char.SpectralAxis.numBins", "Elements in wavelength"
    ),
    _column(
        "pol_xel",
        "long",
        "",
        "meta.number",
        "Char.PolarizationAxis.numBins",
        "Polarization states observed",
    ),
    _column(
        "s_pixel_scale",
        "double",
        "arcsec",
        "phys.angSize;instr.pixel",
        "Char.SpatialAxis.Sampling.RefVal.SamplingPeriod",
        "Distance of neighbouring pixel centres",
    ),
    _text("em_ucd", "meta.ucd", "Char.SpectralAxis.ucd", "Nature of the spectral axis"),
    _text(
        "preview",
        "meta.ref.url;meta.preview",
        "",
        "URL of a small picture of the dataset",
        principal=False,
        std=False,
    ),
    _text(
        "source_table",
        "meta.id;meta.table",
        "",
        "Table that this row comes from",
        principal=False,
        std=False,
    ),
)

OBSCORE_COLUMNS: Final = (*_IDENTITY, *_ACCESS, *_SPACE, *_TIME, *_SPECTRUM, *_PIXELS)
"""The columns in the order of the view.

Notes
-----
Standard: ObsCore-1.1 Tables 1, 6 and 7 with Errata 1 (UCDs) and 2 (pol_states is mandatory).
"""

OBSCORE: Final = Table(
    schema="ivoa",
    name="obscore",
    columns=OBSCORE_COLUMNS,
    description="Published images: one row for each calibrated science frame and each coadd, in "
    "the terms of the IVOA's ObsCore data model.",
    utype="ivo://ivoa.net/std/ObsCore#core-1.1",
    kind="view",
    freshness=("CalibratedScienceFrame", "CoaddedRegriddedFrame"),
    position=("s_ra", "s_dec"),
    footprint=("s_region", "s_ra", "s_dec", "s_fov"),
)
"""The published view of images."""
