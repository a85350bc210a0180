"""SODA gives the pixels of a region, nothing where there are none, and refuses what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from schemas.errors import (
    MissingParameterError,
    MultiValuedParameterError,
    NotFoundError,
    ParameterError,
    ReductionError,
)
from schemas.tables import Target, TargetState
from sia import datalink
from sia.soda import PARAMS, run
from tests.sia.conftest import SHAPE, ask, fits_of, table, wcs_of


def soda(archive, **values):
    return run(ask(PARAMS, **values), archive)


@pytest.fixture(scope="module")
def parents(archive, images) -> dict[str, np.ndarray]:
    """Whole images by name."""
    found = {}
    for name, image in images.items():
        with fits_of(soda(archive, ID=image.did)) as hdus:
            found[name] = hdus[0].data.copy()
    return found


@pytest.mark.standard("SODA-1.0", "3.3.2")
@pytest.mark.parametrize("name", ["plain", "wrap", "north", "pole", "far"])
def test_a_circle_is_cut_out_with_its_pixels_and_its_wcs(archive, images, parents, name) -> None:
    image = images[name]
    circle = f"{image.ra} {image.dec} {20 / 3600}"
    with fits_of(soda(archive, ID=image.did, CIRCLE=circle)) as hdus:
        header, data = hdus[0].header, hdus[0].data
    assert data.dtype == np.dtype(">f4")
    assert data.shape == pytest.approx((40, 40), abs=2)
    x, y = (int(text.partition(":")[0]) - 1 for text in header["CUTOUT"].strip("[]").split(","))
    parent = parents[name][y : y + data.shape[0], x : x + data.shape[1]]
    np.testing.assert_array_equal(data, parent)
    corner = WCS(header).all_pix2world([[0, 0]], 0)
    expected = wcs_of(image.ra, image.dec).all_pix2world([[x, y]], 0)
    np.testing.assert_allclose(corner, expected, atol=1e-9)
    assert header["PUBDID"] == image.did
    assert header["OBJECTID"] == image.product_id
    assert header["RAWID"] == image.raw_id
    assert header["MAGZERO"] == 22.7
    assert header["OBJECT"] == name
    assert header["FRESH"] == "make"
    assert header["TARGETS_REMADE"] == "0"
    assert "PRODKEY" not in header


def test_every_way_to_say_a_region_gives_the_same_pixels(archive, images) -> None:
    image = images["plain"]
    small = {
        "CIRCLE": "10.01 20.01 0.005",
        "POLYGON": "10.005 20.005 10.015 20.005 10.015 20.015 10.005 20.015",
    }
    for name, value in small.items():
        with (
            fits_of(soda(archive, ID=image.did, **{name: value})) as one,
            fits_of(soda(archive, ID=image.did, POS=f"{name} {value}")) as other,
        ):
            np.testing.assert_array_equal(one[0].data, other[0].data)
            assert one[0].header["CUTOUT"] == other[0].header["CUTOUT"]
    with (
        fits_of(soda(archive, ID=image.did, POS="RANGE 10.005 10.015 20.005 20.015")) as one,
        fits_of(soda(archive, ID=image.did, POLYGON=small["POLYGON"])) as other,
    ):
        assert one[0].data.shape == pytest.approx(other[0].data.shape, abs=1)


def test_a_range_across_longitude_0_is_cut_out(archive, images) -> None:
    region = "RANGE 359.99 0.02 -5.01 -4.99"
    with fits_of(soda(archive, ID=images["wrap"].did, POS=region)) as hdus:
        assert hdus[0].data.shape[1] == pytest.approx(30 / 360 * 3600 * 0.36 + 15, abs=12)


def test_without_a_region_the_whole_image_comes(archive, images, parents) -> None:
    result = soda(archive, ID=images["far"].did)
    assert result.media_type == "image/fits"
    assert result.filename == f"{images['far'].product_id}-image.fits"
    with fits_of(result) as hdus:
        assert hdus[0].data.shape == SHAPE
        assert hdus[0].header["CUTOUT"] == f"[1:{SHAPE[1]},1:{SHAPE[0]}]"


def test_a_region_over_the_edge_is_cut_to_the_image(archive, images) -> None:
    with fits_of(soda(archive, ID=images["plain"].did, CIRCLE="10 20 1")) as hdus:
        assert hdus[0].data.shape == SHAPE


@pytest.mark.standard("SODA-1.0", "5.1")
@pytest.mark.parametrize(
    "outside",
    [
        {"CIRCLE": "10 21 0.1"},
        {"CIRCLE": "190 -20 1"},
        {"POS": "RANGE 0 360 30 90"},
        {"POLYGON": "100 10 101 10 101 11"},
        {"BAND": "1e-6 2e-6"},
        {"TIME": "-Inf 50000"},
        {"POL": ["Q", "U"]},
    ],
)
def test_what_has_no_pixel_in_the_dataset_gives_nothing(archive, images, outside) -> None:
    result = soda(archive, ID=images["plain"].did, **outside)
    assert result.length == 0
    assert list(result.blocks) == []


@pytest.mark.parametrize(
    "inside",
    [{"BAND": "5.5e-7"}, {"TIME": "60001 +Inf"}, {"POL": ["I", "Q"]}, {"BAND": "-Inf +Inf"}],
)
def test_axes_that_an_image_has_not_are_not_cut(archive, images, parents, inside) -> None:
    with fits_of(soda(archive, ID=images["plain"].did, **inside)) as hdus:
        np.testing.assert_array_equal(hdus[0].data, parents["plain"])


def test_an_image_of_unknown_wavelength_has_none_of_those_asked_for(archive, images) -> None:
    assert soda(archive, ID=images["far"].did, BAND="5.5e-7").length == 0


def test_an_unknown_identifier_is_not_found(archive, images) -> None:
    with pytest.raises(NotFoundError, match=r"ivo://else/where.*ivoa\.obscore"):
        soda(archive, ID="ivo://else/where?x", CIRCLE="10 20 1")


def test_an_identifier_has_no_case_before_its_question_mark(archive, images) -> None:
    before, after = images["plain"].did.split("?")
    assert soda(archive, ID=f"{before.upper()}?{after}", CIRCLE="10 20 0.001").length


@pytest.mark.standard("SODA-1.0", "3.1")
@pytest.mark.parametrize(
    "values",
    [
        {"CIRCLE": ["10 20 1", "11 20 1"]},
        {"CIRCLE": "10 20 1", "POLYGON": "9 19 11 19 11 21"},
        {"CIRCLE": "10 20 1", "POS": "CIRCLE 10 20 1"},
        {"BAND": ["1e-7 2e-7", "3e-7 4e-7"]},
    ],
)
def test_several_regions_are_refused_by_the_word_of_the_standard(archive, images, values) -> None:
    with pytest.raises(MultiValuedParameterError) as caught:
        soda(archive, ID=images["plain"].did, **values)
    assert caught.value.soda_word == "MultiValuedParamNotSupported"


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"CIRCLE": "10 20"}, "three numbers"),
        ({"CIRCLE": "10 20 -1"}, "radius"),
        ({"POLYGON": "10 20 11"}, "even number"),
        ({"POLYGON": "12 34 14 36 14 34 12 36"}, "do not cross"),
        ({"POS": "SQUARE 1 2 3"}, "CIRCLE, RANGE or POLYGON"),
        ({"BAND": "red"}, "bound"),
        ({"RESPONSEFORMAT": "image/png"}, "image/fits"),
    ],
)
def test_a_wrong_stencil_is_refused_with_what_would_be_right(
    archive, images, values, hint
) -> None:
    with pytest.raises(ParameterError, match=hint):
        soda(archive, ID=images["plain"].did, **values)


def test_the_identifier_is_required() -> None:
    with pytest.raises(MissingParameterError, match="ID"):
        ask(PARAMS, CIRCLE="10 20 1")


def test_a_dataset_of_the_past_that_did_not_exist_is_not_found(archive, images) -> None:
    with pytest.raises(NotFoundError):
        soda(archive, ID=images["plain"].did, ASOF="2020-01-01")


def test_a_stale_dataset_is_given_as_it_is_under_any_and_counted(archive, images) -> None:
    did = images["beside"].did
    _set_state(archive, did, TargetState.SUSPECT)
    try:
        with fits_of(soda(archive, ID=did, CIRCLE="10.2 20 0.01", FRESH="any")) as hdus:
            assert hdus[0].header["FRESH"] == "any"
            assert hdus[0].header["TARGETS_STALE"] == "1"
        with fits_of(soda(archive, ID=images["plain"].did, FRESH="any")) as hdus:
            assert "TARGETS_STALE" not in hdus[0].header
    finally:
        _set_state(archive, did, TargetState.FRESH)


def _set_state(archive, did: str, state: TargetState) -> None:
    with archive.transaction() as session:
        session.query(Target).filter_by(dataset_id=did).one().state = state


def test_the_same_question_gives_the_same_bytes(archive, images) -> None:
    documents = {
        b"".join(soda(archive, ID=images["plain"].did, CIRCLE="10 20 0.01").blocks)
        for _ in range(2)
    }
    assert len(documents) == 1


def test_a_dataset_that_cannot_be_made_says_why(archive, images) -> None:
    did = images["beside"].did
    _set_state(archive, did, TargetState.SUSPECT)
    with pytest.raises(ReductionError, match=r"beside.* cannot be made: \w+") as caught:
        soda(archive, ID=did, CIRCLE="10.2 20 0.01")
    assert caught.value.soda_word == "Error"
    (row,) = table(datalink.run(ask(datalink.PARAMS, ID=did), archive))
    assert row["error_message"].startswith("FatalFault: ")
