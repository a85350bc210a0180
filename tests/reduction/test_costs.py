"""What making is expected to take: what it took, else what its class took or declares."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from reduction.costs import expected_s
from reduction.instruments.base import FrameKind
from reduction.operate import find_target
from tests.support.toy import ToyBias, ToyImage, write_frame

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

#: The toy camera's.
PIXELS = 64


def cost(archive: Archive, **words: str) -> float:
    found = find_target(archive, "ToyBias", **words)
    steps = archive.plan([found.target_id]).steps
    return steps[-1].cost_s


def took(archive: Archive, target_id: int, seconds: float) -> None:
    with archive.transaction() as session:
        session.execute(
            text("UPDATE vo.target SET cost_s = :s WHERE target_id = :t"),
            {"s": seconds, "t": target_id},
        )


def biases(archive: Archive, folder: Path, night: str) -> None:
    for number, level in enumerate((100, 102)):
        archive.ingest(
            [
                write_frame(
                    folder, f"{night}{number}", FrameKind.BIAS, level, night=night, hour=number
                )
            ]
        )


def test_a_class_that_was_never_made_takes_what_it_declares(
    archive: Archive, night: Path, work_log: Path
) -> None:
    assert cost(archive) == pytest.approx(0.05 + ToyBias.COST_S * PIXELS / 1e6)


def test_a_target_that_was_never_made_takes_what_others_of_its_class_took(
    archive: Archive, night: Path, work_log: Path
) -> None:
    biases(archive, night, "2020-02-01")
    biases(archive, night, "2020-03-01")
    for date, seconds in (("2020-01-01", 2.0), ("2020-02-01", 4.0)):
        ToyBias.get(date=date)
        took(archive, find_target(archive, "ToyBias", date=date).target_id, seconds)
    assert cost(archive, date="2020-03-01") == pytest.approx(3.0)
    number = find_target(archive, "ToyBias", date="2020-03-01").target_id
    assert expected_s(archive, [number]) == pytest.approx(3.0)


def test_what_another_camera_took_counts_by_its_pixels(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyBias.get()
    whole = archive.registry.instruments["omegacam"].chips["ESO_CCD_#65"].shape
    with archive.transaction() as session:
        session.execute(
            text(
                "UPDATE vo.target SET cost_s = 100, instrument = 'omegacam', chip = :chip "
                "WHERE class_name = 'ToyBias'"
            ),
            {"chip": "ESO_CCD_#65"},
        )
    biases(archive, night, "2020-02-01")
    found = cost(archive, date="2020-02-01", instrument="toy")
    assert 100 * PIXELS / (whole[0] * whole[1]) < 0.05
    assert found == 0.05  # no target takes less


def test_a_target_that_is_made_again_takes_what_it_took(
    archive: Archive, night: Path, work_log: Path
) -> None:
    image = ToyImage.get(raw="science.fits")
    took(archive, find_target(archive, "ToyBias").target_id, 7.0)
    raw = image.bias.raw_bias_frames[0]
    raw.set_valid(0, why="light leak")
    plan = archive.plan([find_target(archive, "ToyImage").target_id])
    assert plan.steps[0].name.startswith("ToyBias")
    assert plan.steps[0].cost_s == 7.0
    assert plan.cost_s == sum(step.cost_s for step in plan.steps)
