"""Plots: what a person sees of a product, on a simulated night and on odd pixels."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from reduction.archive import Archive
from reduction.inspection import facts, save
from reduction.operate import targets_matching
from reduction.plots import (
    show_histogram,
    show_image,
    show_mask,
    show_points,
    show_profiles,
    show_windows,
    zscale,
)
from reduction.scripts import add_script, allow_script
from reduction.simulate import SimulationConfig, simulate
from reduction.steps.weight import MaskBit
from reduction.targets.bias import BiasFrame
from reduction.targets.hot_pixels import HotPixelMap
from reduction.targets.reduced import ReducedScienceFrame
from schemas.errors import NotFoundError, StorageError
from schemas.settings import ReductionSettings
from tests.support.archives import opened_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.settings import DatabaseSettings

ROOT = Path(__file__).resolve().parents[2]
CONFIG = SimulationConfig(chips=1, shape=(128, 128), nights=("2026-01-10",))
#: Classes that nothing needs but the eye.
DRAWN = ("CosmicMap", "SatelliteMap", "SaturatedPixelMap", "WeightFrame")
PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def night(
    tmp_path_factory: pytest.TempPathFactory, database: DatabaseSettings
) -> Iterator[Archive]:
    """A simulated night, its lists of sources made, that lets allowed scripts run."""
    folder = tmp_path_factory.mktemp("night")
    simulate(folder, config=CONFIG)
    scripts = ReductionSettings(scripts="allowed")
    with opened_archive(database, folder / "files", reduction=scripts) as archive:
        archive.ingest([folder / "raw"])
        archive.load_references(folder / "reference.csv", "simulated")
        for name in (*DRAWN, "SourceList", "CalibratedScienceFrame"):
            archive.make([t.target_id for t in targets_matching(archive, name)])
        yield archive


def test_every_class_of_the_night_can_be_drawn(night: Archive, tmp_path: Path) -> None:
    drawn = set()
    for name, cls in night.registry.classes.items():
        for found in list(cls.is_valid >= 1)[:1]:
            figure = found.inspect()
            assert isinstance(figure, Figure)
            save(figure, tmp_path / f"{name}.png")
            assert (tmp_path / f"{name}.png").read_bytes().startswith(PNG)
            drawn.add(name)
    assert {"BiasFrame", "MasterFlatFrame", "ReducedScienceFrame", "SourceList"} <= drawn
    assert {"RawBiasFrame", "RawScienceFrame", "GainLinearity", "ColdPixelMap"} <= drawn
    assert {*DRAWN, "CalibratedScienceFrame", "Catalog", "PhotSrcCatalog"} <= drawn


def test_flags_and_values_stand_beside_the_plots_in_words(night: Archive) -> None:
    bias = BiasFrame.get(parameters={"BiasFrame.MAXIMUM_STDEV": 0.1})
    words = "\n".join(facts(bias))
    assert "FLAGGED: STDEV_TOO_LARGE" in words
    assert "the scatter is above MAXIMUM_STDEV" in " ".join(words.split())
    assert re.search(r"imstat\.median +-?[0-9.]+ adu", words)
    assert re.search(r"MAXIMUM_STDEV +0\.1\n", words)
    texts = [t.get_text() for f in bias.inspect().subfigs for t in f.texts]
    assert any("STDEV_TOO_LARGE" in text for text in texts)


def test_an_object_that_is_not_there_or_a_file_that_cannot_be_is_said(
    night: Archive, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="no object 123456789"):
        night.object(123456789)
    with pytest.raises(StorageError, match="cannot be written"):
        save(Figure(), tmp_path / "figure.docx")


def test_the_script_of_the_guide_does_what_it_says(night: Archive, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guide" / "scripts.rst").read_text()
    source = re.search(
        r"(    from dataclasses import dataclass\n.*?)\nor, to replace", guide, re.DOTALL
    )
    assert source
    path = tmp_path / "mine.py"
    path.write_text(dedent(source[1]))
    row = add_script(night, path, why="the guide's")
    allow_script(night, row.sha256, why="it is the guide's")
    published = HotPixelMap.get()
    grown = HotPixelMap.get(script=row.sha256)
    bad = published.images["MAP"] == 0
    assert bad.any()
    assert (grown.images["MAP"][bad] == 0).all()
    # a cross of five pixels for each, less what overlaps or lies outside
    assert 3 * published.count < grown.count <= 5 * published.count
    frame = next(iter(ReducedScienceFrame.is_valid >= 1))
    raw = frame.raw.name
    own = ReducedScienceFrame.get(raw=raw, script=row.sha256)
    hot = [np.count_nonzero(f.images["MASK"] & MaskBit.HOT) for f in (frame, own)]
    assert hot == [published.count, grown.count]
    assert own.bias.object_id == frame.bias.object_id


def panel() -> Any:
    return Figure().subplots()


def test_a_single_bad_pixel_of_a_large_mask_is_drawn_and_counted() -> None:
    mask = np.zeros((4200, 2144), dtype=np.uint8)
    mask[4199, 2143] = MaskBit.HOT | MaskBit.LINEARITY
    mask[17, 5] = MaskBit.SATURATED
    axes = panel()
    show_mask(axes, mask)
    shown = axes.images[0].get_array()
    assert max(shown.shape) <= 700
    assert np.count_nonzero(shown) == 2
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == ["saturated: 1", "hot: 1", "linearity: 1"]
    assert axes.get_xlim() == (-0.5, 2143.5)


def test_a_large_image_is_averaged_and_its_nan_left_out() -> None:
    image = np.ones((2100, 1400), dtype=np.float32)
    image[0, 0] = np.nan
    image[3:6, 3:6] = np.nan
    axes = panel()
    show_image(axes, image)
    shown = axes.images[0].get_array()
    assert shown.shape == (700, 467)
    assert shown[0, 0] == 1.0
    assert shown.mask[1, 1]
    assert shown.mask.sum() == 1


@pytest.mark.parametrize("value", [np.nan, 0.0, 7.5])
def test_images_with_nothing_to_see_are_drawn_all_the_same(value: float) -> None:
    image = np.full((16, 16), value, dtype=np.float32)
    low, high = zscale(image)
    assert low < high
    for show in (show_image, show_histogram, show_windows):
        show(panel(), image)
    show_points(panel(), image, image)


def test_a_saturated_column_does_not_hide_the_others_in_a_profile() -> None:
    image = np.random.default_rng(2).normal(10.0, 1.0, (64, 64)).astype(np.float32)
    image[:, 30] = 64000.0
    axes = panel()
    show_profiles(axes, image)
    assert axes.get_ylim()[1] < 20.0
    assert axes.get_title().endswith("(1 outside)")


def test_a_histogram_says_what_lies_outside() -> None:
    values = np.random.default_rng(1).normal(100.0, 1.0, 10_000)
    values[:3] = 1e6
    axes = panel()
    show_histogram(axes, values, unit="adu", lines={"limit": 104.0})
    assert axes.get_ylabel() == "number (3 outside)"
    assert axes.get_xlim()[1] < 120.0
    assert axes.get_legend().get_texts()[0].get_text() == "limit 104"
