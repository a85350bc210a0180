"""The simulated camera: its files, its truth, and what the archive reads from its headers."""

from __future__ import annotations

__all__: list[str] = []

import csv
from dataclasses import asdict, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from reduction.frames import read_headers, read_raw
from reduction.instruments.base import FrameKind
from reduction.instruments.simulated import INSTRUMENT
from reduction.simulate import SimulationConfig, Truth, load_truth, simulate
from reduction.simulation.geometry import PIXEL_SCALE, chip_layout, project
from reduction.simulation.size import expected_size
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = SimulationConfig(
    chips=3,
    shape=(96, 128),
    nights=("2025-03-01",),
    filters=("V", "B"),
    n_bias=2,
    n_dome=2,
    n_twilight=1,
    n_science=2,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """A small night in two filters."""
    folder = tmp_path_factory.mktemp("simulated")
    return folder, simulate(folder, config=CONFIG)


def digests(folder: Path) -> dict[str, str]:
    return {p.name: sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


def test_simulating_again_writes_the_same_bytes(run, tmp_path):
    simulate(tmp_path, config=CONFIG)
    assert digests(tmp_path / "raw") == digests(run[0] / "raw")
    assert (tmp_path / "reference.csv").read_bytes() == (run[0] / "reference.csv").read_bytes()


def test_the_truth_is_read_back_as_it_was(run):
    folder, truth = run
    assert same(asdict(load_truth(folder / "truth.npz")), asdict(truth))


def test_another_night_is_the_same_camera_and_sky_with_new_noise(run, tmp_path):
    later = replace(CONFIG, nights=("2025-03-02",), n_science=0, n_bias=1, n_dome=1)
    truth = simulate(tmp_path, config=later)
    for name, chip in truth.chips.items():
        assert same(asdict(chip), asdict(run[1].chips[name]))
    assert same(asdict(truth.sky), asdict(run[1].sky))
    assert not set(digests(tmp_path / "raw").values()) & set(digests(run[0] / "raw").values())


def test_another_seed_is_another_camera(run, tmp_path):
    truth = simulate(tmp_path, config=replace(CONFIG, seed=1, chips=1, n_science=0))
    assert truth.chips["ccd50"].gain != run[1].chips["ccd50"].gain


def test_files_are_16_bit_multi_extension_fits_with_eso_keywords(run):
    files = sorted((run[0] / "raw").iterdir())
    assert len(files) == 2 + 2 * (2 + 1 + 2)
    for path in files:
        with fits.open(path) as hdus:
            hdus.verify("exception")
            assert hdus[0].header["INSTRUME"] == "VOSIM"
            assert hdus[0].header["ESO DET CHIPS"] == 3
            assert [hdu.name.lower() for hdu in hdus[1:]] == list(CONFIG.chip_names)
            for hdu in hdus[1:]:
                assert hdu.data.dtype == np.uint16
                assert hdu.header["ESO DET OUT1 CONAD"] > 0


def test_every_frame_is_described(run):
    kinds: dict[tuple[FrameKind, str], int] = {}
    for path in sorted((run[0] / "raw").iterdir()):
        headers = read_headers(path)
        assert INSTRUMENT.recognises(headers[0])
        frames = INSTRUMENT.describe(headers)
        assert [frame.chip for frame in frames] == list(CONFIG.chip_names)
        for index, frame in enumerate(frames):
            layout = chip_layout(CONFIG, index)
            assert (frame.science, frame.overscan) == (layout.science, layout.overscan)
            assert read_raw(path, frame.hdu).shape == layout.raw_shape
            assert frame.night == "2025-03-01"
            assert bool(frame.wcs) == (frame.kind is FrameKind.SCIENCE) == (frame.ra is not None)
            key = (frame.kind, frame.filter)
            kinds[key] = kinds.get(key, 0) + 1
    assert kinds == {
        (FrameKind.BIAS, ""): 6,
        **{(FrameKind.DOME_FLAT, f): 6 for f in ("V", "B")},
        **{(FrameKind.TWILIGHT_FLAT, f): 3 for f in ("V", "B")},
        **{(FrameKind.SCIENCE, f): 6 for f in ("V", "B")},
    }


def test_the_headers_wcs_is_the_true_one_but_for_the_pointing_error(run):
    folder, truth = run
    ny, nx = CONFIG.shape
    corners_x, corners_y = np.array([0.0, nx - 1, nx - 1, 0]), np.array([0.0, 0, ny - 1, ny - 1])
    for name, exposure in truth.exposures.items():
        for frame in INSTRUMENT.describe(read_headers(folder / "raw" / name)):
            header, true = WCS(dict(frame.wcs)), WCS(dict(exposure.wcs[frame.chip]))
            offsets = [
                header.all_pix2world(x, y, 0)[1] - true.all_pix2world(x, y, 0)[1]
                for x, y in zip(corners_x, corners_y, strict=True)
            ]
            assert np.ptp(offsets) * 3600 < 0.01
            assert abs(np.mean(offsets)) * 3600 < 5 * CONFIG.pointing_error
            centre = header.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
            assert (frame.ra, frame.dec) == pytest.approx(tuple(map(float, centre)), abs=1e-9)


def test_sources_are_projected_as_wcslib_does(run):
    truth = run[1]
    exposure = next(iter(truth.exposures.values()))
    for index, name in enumerate(CONFIG.chip_names):
        x, y = project(
            chip_layout(CONFIG, index), (exposure.ra, exposure.dec), truth.sky.ra, truth.sky.dec
        )
        wcs = WCS(dict(exposure.wcs[name]))
        theirs = wcs.all_world2pix(truth.sky.ra, truth.sky.dec, 0)
        assert np.allclose((x, y), theirs, atol=1e-6)


def test_without_its_chips_the_truth_is_small_and_the_frames_the_same(run, tmp_path):
    truth = simulate(tmp_path, config=CONFIG, keep_chips=False)
    assert truth.chips == {}
    assert digests(tmp_path / "raw") == digests(run[0] / "raw")
    assert same(asdict(load_truth(tmp_path / "truth.npz").sky), asdict(run[1].sky))


def test_neighbouring_chips_do_not_overlap_and_have_the_stated_scale():
    first, second = (chip_layout(CONFIG, index) for index in (0, 1))
    assert second.centre[0] - first.centre[0] > CONFIG.shape[1]
    assert pytest.approx(0.214) == PIXEL_SCALE
    assert INSTRUMENT.pixel_scale == PIXEL_SCALE


def test_the_reference_catalogue_is_the_sky_within_its_errors(run):
    folder, truth = run
    with (folder / truth.reference).open(encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "ra", "dec", "V", "e_V", "B", "e_B"]
    where = {name: i for i, name in enumerate(truth.sky.name)}
    index = [where[row["name"]] for row in rows]
    assert not truth.sky.galaxy[index].any()
    ddec = np.array([float(row["dec"]) for row in rows]) - truth.sky.dec[index]
    dmag = np.array([float(row["V"]) for row in rows]) - truth.sky.mags["V"][index]
    # 3 sigma of a standard deviation from n values
    tolerance = 3 / np.sqrt(2 * len(rows))
    assert ddec.std() * 3600 == pytest.approx(CONFIG.reference_error, rel=tolerance)
    assert dmag.std() == pytest.approx(0.01, rel=tolerance)


def test_light_of_stars_is_what_the_zero_point_says(tmp_path):
    config = SimulationConfig(
        chips=1,
        nights=("2025-03-01",),
        n_bias=0,
        n_dome=0,
        n_twilight=0,
        n_science=1,
        stars=3.0,
        galaxies=0.0,
        cosmics=0.0,
        bright=14.0,
        faint=15.0,
        hot_fraction=0.0,
        cold_fraction=0.0,
    )
    truth = simulate(tmp_path, config=config)
    exposure = next(iter(truth.exposures.values()))
    chip, layout = truth.chips["ccd50"], chip_layout(config, 0)
    raw = read_raw(tmp_path / "raw" / exposure.file, 1).astype(float)
    level = raw[layout.overscan.slices].mean(axis=1, keepdims=True)
    image = (raw[layout.science.slices] - level - chip.bias) / chip.flat["V"] - exposure.sky
    x, y = project(layout, (exposure.ra, exposure.dec), truth.sky.ra, truth.sky.dec)
    rows, columns = np.indices(image.shape)
    checked = 0
    for i in np.nonzero((x > 20) & (x < 236) & (y > 20) & (y < 236))[0]:
        others = np.hypot(x - x[i], y - y[i])
        if np.sort(others)[1] < 40:
            continue
        flux = image[np.hypot(columns - x[i], rows - y[i]) < 12].sum()
        mag = -2.5 * np.log10(flux / exposure.exptime) + chip.zero_point["V"]
        # 400000 adu: photon noise 0.1 %; noise of 452 sky pixels 0.03 %
        assert mag == pytest.approx(truth.sky.mags["V"][i], abs=0.005)
        checked += 1
    assert checked > 0


@pytest.mark.parametrize(
    ("hdu", "keyword", "value", "sentence"),
    [
        (0, "INSTRUME", "OMEGACAM", "keyword INSTRUME: found 'OMEGACAM'"),
        (0, "ESO DPR TYPE", "WAVE", "keyword ESO DPR TYPE: found 'WAVE', expected one of BIAS"),
        (0, "EXPTIME", 5.0, "keyword EXPTIME: found 5.0, expected 0"),
        (0, "MJD-OBS", "soon", "keyword MJD-OBS"),
        (0, "ESO DET CHIPS", 2, "expected 3, the number of image extensions"),
        (1, "ESO DET CHIP NAME", "ccd99", "expected ccd50 to ccd81"),
        (2, "ESO DET CHIP NAME", "ccd50", "a different chip in each extension"),
        (1, "ESO DET OUT1 OVSCX", 31, "keyword ESO DET CHIP NX: found 128, expected the 129"),
        (3, "ESO DET CHIP NY", 95, "keyword ESO DET CHIP NY: found 95, expected the 96"),
    ],
)
def test_a_contradictory_header_is_refused(run, hdu, keyword, value, sentence):
    path = min((run[0] / "raw").iterdir())
    headers = read_headers(path)
    headers[hdu][keyword] = value
    with pytest.raises(IngestError, match=sentence):
        INSTRUMENT.describe(headers)


def test_a_science_frame_with_an_unknown_filter_or_without_wcs_is_refused(run):
    path = run[0] / "raw" / next(iter(run[1].exposures))
    headers = read_headers(path)
    del headers[1]["CD1_1"]
    with pytest.raises(IngestError, match="keyword CD1_1"):
        INSTRUMENT.describe(headers)
    headers = read_headers(path)
    headers[0]["ESO INS FILT1 NAME"] = "r_SDSS"
    with pytest.raises(IngestError, match="found 'r_SDSS', expected one of B, V"):
        INSTRUMENT.describe(headers)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda: SimulationConfig(chips=0), "chips: found 0"),
        (lambda: SimulationConfig(chips=33), "expected 1 to 32"),
        (lambda: SimulationConfig(shape=(32, 256)), "at least 64"),
        (lambda: SimulationConfig(filters=("V", "z")), r"filters: found \['z'\]"),
        (lambda: SimulationConfig(instrument="eye"), "instrument: found 'eye', expected one of"),
        (
            lambda: SimulationConfig(instrument="omegacam", shape=(256, 256)),
            r"shape: found \(256, 256\), expected \(4100, 2048\)",
        ),
    ],
)
def test_impossible_cameras_are_refused(change: Callable[[], object], sentence):
    with pytest.raises(ValueError, match=sentence):
        change()


def test_thirty_two_chips_of_omegacams_layout_have_distinct_places():
    config = SimulationConfig(chips=32)
    layouts = [chip_layout(config, index) for index in range(32)]
    assert len({layout.centre for layout in layouts}) == 32
    assert {layout.science.y0 for layout in layouts[:16]} == {0}
    assert {layout.science.y0 for layout in layouts[16:]} == {8}
    assert set(config.chip_names) == set(INSTRUMENT.chips)


@pytest.mark.parametrize("keep_chips", [True, False])
def test_the_size_of_a_simulation_is_known_before_it_is_written(tmp_path, keep_chips):
    config = SimulationConfig(
        chips=2, shape=(512, 512), nights=("2026-01-10",), n_bias=3, n_dome=2, n_twilight=2
    )
    simulate(tmp_path, config=config, keep_chips=keep_chips)
    size = expected_size(config, keep_chips=keep_chips)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = sum(path.stat().st_size for path in files) / 1e6
    assert size.files == len(list((tmp_path / "raw").iterdir()))
    # within the few MB that are set aside for what is no pixels
    assert written <= size.megabytes + 1 <= written + 6
