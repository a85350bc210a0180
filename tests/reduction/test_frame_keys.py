"""Frames keep their identity where names of files repeat, are long, or in capitals."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.frame_keys import (
    FRAME_KEY_FIELDS,
    by_frame,
    file_stem,
    frame_key,
    keys_of,
    rows_of,
)
from reduction.instruments.base import FrameKind
from reduction.lookup import targets_matching
from reduction.progenitor import Progenitor
from reduction.solutions import SOLUTION_DTYPE, pos_err_of, solution_row, wcs_of
from reduction.steps.wcs import TanWcs
from schemas.errors import UnprocessableError
from tests.support.toy import write_frame

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive


def frame(name: str, mjd: float, chip: str = "1") -> Progenitor:
    return Progenitor(
        *(1, "SourceList", "V", {}, {}),
        raw={"name": name, "mjd_obs": mjd},
        instrument="nickel",
        chip=chip,
    )


def test_frames_of_two_nights_with_one_name_have_solutions_of_their_own() -> None:
    frames = [frame("d1047.fits", 60000.25 + night) for night in range(2)]
    table = np.zeros(2, SOLUTION_DTYPE)
    for number, (row, one) in enumerate(zip(table, frames, strict=True)):
        row["instrument"], row["chip"], row["name"], row["mjd_obs"] = frame_key(one)
        wcs = TanWcs(10.0 + 0.2 * number, 0.0, 100, 100, ((-1e-4, 0), (0, 1e-4)))
        for column, value in solution_row(wcs).items():
            row[column] = value
        row["pos_err"] = 0.1 + number
    solved = Progenitor(2, "GAstrometric", "", {}, {}, tables={"SOLUTIONS": table})
    for number, one in enumerate(frames):
        found = wcs_of(solved, one)
        assert found is not None
        assert found.ra0 == 10.0 + 0.2 * number
        assert pos_err_of(solved, one) == 0.1 + number
    assert wcs_of(solved, frame("d1047.fits", 60002.25)) is None


def test_two_products_of_one_exposure_are_refused_by_their_numbers_and_its_name() -> None:
    frames = [
        frame("d1.fits", 60000.25),
        frame("d1.fits", 60001.25),
        frame("d1.fits", 60000.25, "2"),
    ]
    assert list(by_frame(frames)) == [frame_key(one) for one in frames]
    again = replace(frame("d1.fits", 60001.25), object_id=7)
    with pytest.raises(UnprocessableError, match=r"objects 1 and 7, .* d1\.fits of chip 1"):
        by_frame([*frames, again])


def test_a_table_keeps_the_key_of_a_frame_with_the_longest_name_of_all() -> None:
    key = frame_key(frame("n" * 250 + ".fits", 60000.123456789, chip="c" * 60))
    assert keys_of(np.array([key], [*FRAME_KEY_FIELDS])) == [key]


@pytest.mark.parametrize("end", ["", ".fits", ".FITS", ".fits.fz", ".FITS.fz", ".FIT", ".fts.GZ"])
def test_the_stem_of_a_name_is_without_its_suffix_whatever_its_case(end: str) -> None:
    assert file_stem(f"a.fitted.2025-01-01T00:00:00.5{end}") == "a.fitted.2025-01-01T00:00:00.5"


def test_a_target_is_named_and_found_without_the_suffix_whatever_its_case(
    archive: Archive, tmp_path: Path
) -> None:
    path = write_frame(tmp_path, "a_1", FrameKind.SCIENCE, 302)
    path.rename(tmp_path / "a_1.FITS")
    other = write_frame(tmp_path, "ab1", FrameKind.SCIENCE, 304)
    assert archive.ingest([tmp_path / "a_1.FITS", other]).refused == []
    for asked in ("a_1", "a_1.FITS", "a_1.fits", "a_1.fits.fz"):
        (found,) = targets_matching(archive, "ToyImage", raw=asked)
        assert found.identity.split("/")[-1].startswith("a_1-")


def test_rows_are_found_by_key_once_for_each_table() -> None:
    table = np.zeros(3, [*FRAME_KEY_FIELDS])
    table["instrument"], table["chip"] = "cam", "a"
    table["name"], table["mjd_obs"] = ["x.fits", "y.fits  ", "x.fits"], [1.0, 2.0, 1.0]
    rows = rows_of(table)
    # blanks of FITS do not count, of two rows with one key the first does
    assert rows == {("cam", "a", "x.fits", 1.0): 0, ("cam", "a", "y.fits", 2.0): 1}
    assert rows_of(table) is rows
    # another table is another, also in the place of one that is gone
    for number in range(20):
        other = np.zeros(1, [*FRAME_KEY_FIELDS])
        other["name"] = f"{number}.fits"
        assert list(rows_of(other)) == [("", "", f"{number}.fits", 0.0)]
        del other
    assert rows_of(table) is rows
