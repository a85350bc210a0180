"""The declaration of ivoa.obscore agrees with the standard and with DaCHS's view."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from astropy import units
from astropy.io.votable.ucd import check_ucd

from schemas.obscore import OBSCORE, OBSCORE_COLUMNS

MANDATORY = [
    "dataproduct_type",
    "calib_level",
    "obs_collection",
    "obs_id",
    "obs_publisher_did",
    "access_url",
    "access_format",
    "access_estsize",
    "target_name",
    "s_ra",
    "s_dec",
    "s_fov",
    "s_region",
    "s_resolution",
    "s_xel1",
    "s_xel2",
    "t_min",
    "t_max",
    "t_exptime",
    "t_resolution",
    "t_xel",
    "em_min",
    "em_max",
    "em_res_power",
    "em_xel",
    "o_ucd",
    "pol_states",
    "pol_xel",
    "facility_name",
    "instrument_name",
]


def test_columns_are_those_of_the_dachs_view_in_its_order() -> None:
    dump = Path(__file__).parents[3] / "shared" / "dachs_schema.sql"
    if not dump.is_file():
        pytest.skip("needs ../shared/dachs_schema.sql")
    view = re.search(
        r"CREATE VIEW ivoa\.obscore AS\n SELECT (.*?)\n   FROM", dump.read_text(), re.DOTALL
    )
    assert view is not None
    names = [re.split(r"[. ]", item.strip())[-1] for item in view[1].split(",\n")]
    assert [column.name for column in OBSCORE_COLUMNS] == names


@pytest.mark.standard("ObsCore-1.1", "3.3")
def test_every_mandatory_column_is_there_and_principal() -> None:
    columns = {column.name: column for column in OBSCORE_COLUMNS}
    assert len(MANDATORY) == 30
    assert all(columns[name].principal and columns[name].std for name in MANDATORY)


@pytest.mark.parametrize("column", OBSCORE_COLUMNS, ids=lambda column: column.name)
def test_a_column_has_a_valid_unit_ucd_and_utype(column) -> None:
    assert check_ucd(column.ucd, check_controlled_vocabulary=True, has_colon=False)
    units.Unit(column.unit, format="vounit")
    assert column.description
    assert column.utype.startswith("obscore:") == column.std


def test_a_search_of_images_makes_frames_and_coadds_fresh() -> None:
    assert OBSCORE.qualified_name == "ivoa.obscore"
    assert OBSCORE.freshness == ("CalibratedScienceFrame", "CoaddedRegriddedFrame")
    assert OBSCORE.position == ("s_ra", "s_dec")
