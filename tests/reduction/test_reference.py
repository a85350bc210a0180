"""Reference catalogues: each form that is read, and what is refused."""

from __future__ import annotations

__all__: list[str] = []

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.reference import load_reference, read_reference
from reduction.steps.reference import ReferenceKind, parse_reference, recognise_reference
from schemas.errors import IngestError

if TYPE_CHECKING:
    from pathlib import Path

LANDOLT = (
    "Name,RA,DEC,V,B-V,U-B,V-R,R-I,V-I,Nobs,Nn,e_V,e_B-V,e_U-B,e_V-R,e_R-I,e_V-I\n"
    "PG1323-086,13:25:39.468,-08:49:19.12,13.481,-0.14,-0.681,-0.048,-0.078,-0.127,"
    "39,18,0.0019,0.0022,0.0026,0.0018,0.0045,0.0045\n"
    "PG1530+057A,15:33:10.224,+05:33:42.93,13.711,0.829,0.414,0.473,0.412,0.886,1,1,,,,,,\n"
)
SDSS = (
    "DAOPHOTID,ra,dec,u,uError,g,gError,r,rError,i,iError,z,zError\n"
    "1,114.2995,21.5005,21.789,0.162,19.277,0.03,17.91,0.05,16.84,0.038,16.29,0.03\n"
    "2,114.3023,21.5102,0.0,0.0,21.184,0.08,99.999,0.0,20.239,0.099,19.847,0.13\n"
)


def test_landolt_is_sexagesimal_and_gives_colours_as_bands() -> None:
    table = read_reference(LANDOLT.encode(), "landolt.csv")
    assert table.ra[0] == pytest.approx(201.41445)
    assert table.dec[0] == pytest.approx(-8.8219778)
    assert table.dec[1] == pytest.approx(5.5619250)
    assert table.mags["B"][0] == pytest.approx(13.341)
    assert table.mags["U"][0] == pytest.approx(12.660)
    assert table.mags["R"][0] == pytest.approx(13.529)
    assert table.mags["I"][0] == pytest.approx(13.608)
    assert table.mag_errs["B"][0] == pytest.approx(np.hypot(0.0019, 0.0022))
    assert np.isnan(table.mag_errs["V"][1])
    assert table.name[1] == "PG1530+057A"


def test_sdss_gives_b_and_v_by_lupton_and_drops_missing_values() -> None:
    table = read_reference(SDSS.encode(), "sdss.csv")
    colour = 19.277 - 17.91
    assert table.mags["V"][0] == pytest.approx(19.277 - 0.5784 * colour - 0.0038)
    assert table.mags["B"][0] == pytest.approx(19.277 + 0.3130 * colour + 0.2271)
    assert table.mag_errs["V"][0] == pytest.approx(np.hypot(0.4216 * 0.03, 0.5784 * 0.05))
    assert np.isnan([table.mags[band][1] for band in ("u", "r", "B", "V")]).all()
    assert table.mags["g"][1] == pytest.approx(21.184)
    assert table.brightness()[1] == pytest.approx(np.mean([21.184, 20.239, 19.847]))


def test_tycho_has_its_own_band_which_is_not_v() -> None:
    table = read_reference(b"field,ra,dec,vt\nM13,250.1,36.4,11.5\n", "tycho.csv")
    assert set(table.mags) == {"VT"}
    assert np.isnan(table.band("V")[0]).all()


def test_native_form_has_any_bands(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv.gz"
    text = "name,ra,dec,V,e_V,B,e_B\na,150.1,2.2,14.0,0.01,,\nb,150.2,2.3,15.0,0.02,15.5,0.02\n"
    path.write_bytes(gzip.compress(text.encode()))
    table = load_reference(path)
    assert table.band("V")[0].tolist() == [14.0, 15.0]
    assert np.isnan(table.band("B")[0][0])
    assert table.band("B")[1][1] == pytest.approx(0.02)


def test_proper_motions_come_with_the_epoch_of_the_positions() -> None:
    gaia = (
        b"name,ra,dec,pmra,e_pmra,pmdec,ref_epoch,G,e_G\n"
        b"a,10.5,-3.25,120.5,0.1,-80,2016.0,15.2,0.01\nb,10.6,-3.2,,,,2016.0,16,0.02\n"
    )
    table = read_reference(gaia, "gaia.csv")
    assert set(table.mags) == {"G"}
    assert table.motion["pm_ra"][0] == 120.5
    assert table.motion["pm_dec"][0] == -80.0
    assert table.motion["epoch"].tolist() == [2016.0, 2016.0]
    assert np.isnan(table.motion["pm_ra"][1])
    with pytest.raises(IngestError, match="no column epoch: expected pmra, pmdec"):
        read_reference(b"name,ra,dec,pmra,pmdec\na,10,-3,1,2\n", "old.csv")
    with pytest.raises(IngestError, match="no column pmdec"):
        read_reference(b"name,ra,dec,pmra,epoch\na,10,-3,1,2000\n", "half.csv")


def test_positions_alone_are_a_catalogue() -> None:
    table = parse_reference({"name": ["a"], "ra": ["1.0"], "dec": ["2.0"]})
    assert np.isnan(table.brightness()).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n", ("columns a, b", "landolt", "native")),
        (b"name,ra,dec\n", ("1 lines",)),
        (b"name,ra,dec\nx,400,0\n", ("ra 400", "row 1", "0 <= ra < 360")),
        (b"name,ra,dec\nx,10,-91\n", ("dec -91",)),
        (b"name,ra,dec\nx,here,0\n", ("found 'here'",)),
        (b"name,ra,dec\nx,1\n", ("2 fields in row 2", "expected 3")),
        (LANDOLT.replace("13:25:39.468", "13h25m").encode(), ("RA '13h25m'", "row 1")),
        (b"\xff\xfe\x00", ("UTF-8",)),
        (gzip.compress(SDSS.encode(), mtime=0)[:60], ("whole CSV",)),
        (b'name,ra,dec\n"x,1,2\n' + b"y,1,2\n" * 25_000, ("field limit", "whole CSV")),
        (b"name,ra,dec,V,e_V\nx,1,2,inf,0.1\n", ("column V, row 1", "'inf'", "expected a number")),
        (b"name,ra,dec,V,e_V\nx,1,2,14,1e999\n", ("column e_V, row 1", "'1e999'")),
        (b"name,ra,dec\nx,1,2\ny\0,1,2\n", ("'y\\x00' in row 2", "without NUL")),
        (b"name,ra,dec,V\0,e_V\0\nx,1,2,14,0.1\n", ("column 'V\\x00'", "without NUL")),
        (b"name,ra,dec,V,e_V,V\nx,1,2,14,0.1,15\n", ("two columns V", "names that differ")),
    ],
)
def test_wrong_catalogue_is_refused_with_a_sentence(content: bytes, words: tuple) -> None:
    with pytest.raises(IngestError) as refused:
        read_reference(content, "stars.csv")
    assert refused.value.file == "stars.csv"
    for word in words:
        assert word in str(refused.value)


def test_missing_column_of_a_named_kind_is_said() -> None:
    with pytest.raises(IngestError, match="vt"):
        parse_reference({"field": [], "ra": [], "dec": []}, ReferenceKind.TYCHO2)


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("landolt_all.csv", ReferenceKind.LANDOLT, 930),
        ("tycho2_fields.csv", ReferenceKind.TYCHO2, 3322),
        ("sdss_daophot_NGC2420.csv.gz", ReferenceKind.SDSS_DAOPHOT, 3071),
        ("sdss_daophot_M2.csv.gz", ReferenceKind.SDSS_DAOPHOT, 13953),
    ],
)
def test_real_catalogues_are_read_whole(
    shared: Path, name: str, kind: ReferenceKind, count: int
) -> None:
    path = shared / "data" / "reference_catalogues" / name
    content = path.read_bytes()
    text = gzip.decompress(content) if name.endswith("gz") else content
    assert recognise_reference(text.split(b"\n")[0].decode().strip().split(",")) is kind
    table = load_reference(path)
    assert len(table.ra) == count
    assert np.isfinite(table.ra).all()
