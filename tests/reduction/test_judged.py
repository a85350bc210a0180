"""People judge objects, and see what was judged; old raw frames are judged by today's limits."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg2
import pytest

from reduction.instruments.base import FrameKind
from reduction.listing import listed
from reduction.operate import find_target
from reduction.rejudge import frames_to_judge, rejudge
from schemas.errors import NotFoundError, ParameterError
from tests.support.toy import ToyBias, write_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from astropy.io import fits

    from reduction.archive import Archive
    from reduction.instruments.base import FrameDescription


def forget_judgement(archive: Archive) -> None:
    """Make raw frames as those of archives from before frames were judged."""
    connection = psycopg2.connect(archive.settings.database.owner_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE vo.product SET quality_flags = 0, process_params = '{}' "
            "WHERE target_id IS NULL"
        )
    connection.close()


def test_what_is_proposed_is_listed_with_who_and_why(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias = ToyBias.get()
    raw = bias.raw_bias_frames[1]
    assert bias.set_valid(2, why="best of the month", who="ann") > 0
    raw.set_valid(0, why="light leak", who="bob")
    assert bias.is_valid == 2
    (proposed,) = listed(archive, is_valid=2)
    assert (proposed.product.product_id, proposed.who) == (bias.object_id, "ann")
    assert proposed.why == "best of the month"
    (rejected,) = listed(archive, "RawBiasFrame", is_valid=0)
    assert (rejected.name, rejected.who) == ("bias1.fits", "bob")
    assert [item.name for item in listed(archive, "RawBiasFrame")] == [
        f"bias{n}.fits" for n in range(3)
    ]
    assert listed(archive, "RawBiasFrame", night="2020-01-02") == []
    assert len(listed(archive, raw="science")) == 1
    with pytest.raises(NotFoundError, match="expected RawBiasFrame"):
        listed(archive, "RawBiasFrames")
    with pytest.raises(ParameterError, match="night: found 'yesterday', expected a date such as"):
        listed(archive, "RawBiasFrame", night="yesterday")
    with pytest.raises(ParameterError, match="chips: found 't1', expected chip"):
        listed(archive, "RawBiasFrame", chips="t1")


def test_a_judgement_is_0_1_or_2_and_has_a_reason(archive: Archive, night: Path) -> None:
    bias = ToyBias.get()
    with pytest.raises(ParameterError, match=r"0 \(rejected\), 1 \(valid\) or 2 \(proposed\)"):
        bias.set_valid(3, why="so good")
    with pytest.raises(ParameterError, match="the reason, in words"):
        bias.set_valid(2, why=" ")
    assert listed(archive, is_valid=2) == []


def test_old_raw_frames_are_judged_by_todays_limits_as_an_event_with_consequences(
    archive: Archive, night: Path, work_log: Path
) -> None:
    archive.ingest([write_frame(night, "dead", FrameKind.BIAS, 2**30, hour=0.5)])
    (flagged,) = listed(archive, flagged=True)
    assert flagged.flags == "SATURATED, LEVEL_TOO_HIGH"
    forget_judgement(archive)
    assert len(ToyBias.get().raw_bias_frames) == 4
    frames = frames_to_judge(archive)
    assert len(frames) == 7
    looked = rejudge(archive, frames, change=False)
    assert len(looked.failed) == 1
    assert find_target(archive, "ToyBias").state == "fresh"

    done = rejudge(archive, frames, who="ann")
    assert (done.judged, done.unreadable) == (7, [])
    ((name, said),) = done.failed
    assert name.startswith("dead.fits")
    assert said.startswith("SATURATED (more of the pixels than MAX_SATURATED")
    assert find_target(archive, "ToyBias").state == "suspect"
    assert len(ToyBias.get().raw_bias_frames) == 3
    (rejected,) = listed(archive, is_valid=0)
    assert (rejected.who, rejected.why) == ("ann", f"judged: {said}")
    assert len(frames_to_judge(archive)) == 6


def test_who_vouches_for_a_frame_is_not_overruled(
    archive: Archive, night: Path, work_log: Path
) -> None:
    archive.ingest([write_frame(night, "dead", FrameKind.BIAS, 2**30, hour=0.5)])
    forget_judgement(archive)
    raw = next(r for r in ToyBias.get().raw_bias_frames if r.name == "dead.fits")
    raw.set_valid(2, why="it is as it should be")
    assert rejudge(archive, frames_to_judge(archive)).failed == []
    assert len(ToyBias.get().raw_bias_frames) == 4


def test_frames_that_were_judged_when_they_came_are_judged_again_where_that_is_asked(
    archive: Archive, night: Path
) -> None:
    assert frames_to_judge(archive) == []
    assert len(frames_to_judge(archive, every=True)) == 6


def test_what_a_person_says_while_frames_are_judged_or_said_before_stays(
    archive: Archive, night: Path, work_log: Path
) -> None:
    files = [
        write_frame(night, f"dead{n}", FrameKind.BIAS, 2**30, hour=0.5 + n / 10) for n in range(3)
    ]
    archive.ingest(files)
    forget_judgement(archive)
    raw = {r.name: r for r in ToyBias.get().raw_bias_frames}
    raw["dead0.fits"].set_valid(0, why="light leak")
    raw["dead0.fits"].set_valid(1, why="it was the moon")
    frames = frames_to_judge(archive)
    assert len(frames) == 8
    raw["dead1.fits"].set_valid(2, why="it is as it should be", who="ann")
    ((name, _),) = rejudge(archive, frames).failed
    assert name.startswith("dead2.fits")
    raw["dead2.fits"].set_valid(1, why="so it should be")
    assert rejudge(archive, frames_to_judge(archive)).failed == []
    assert listed(archive, is_valid=0) == []
    assert [item.who for item in listed(archive, is_valid=2)] == ["ann"]


def test_a_frame_that_cannot_be_judged_is_named_and_the_others_are(
    archive: Archive, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_judgement(archive)
    toy = archive.registry.instruments["toy"]
    limits = {**toy.parameters, "RawBiasFrame": {"MAX_SATURATED": -1.0}}

    def describe(headers: Sequence[fits.Header]) -> list[FrameDescription]:
        if headers[0]["KIND"] == "SCIENCE":
            raise KeyError("GAIN")
        return toy.describe(headers)

    other = replace(toy, parameters=limits, describe=describe)
    monkeypatch.setitem(archive.registry.instruments, "toy", other)
    done = rejudge(archive, frames_to_judge(archive))
    assert done.judged == 2
    said = dict(done.unreadable)
    assert "KeyError('GAIN')" in said["science.fits"]
    wrong = [text for name, text in said.items() if name.startswith("bias")]
    assert len(wrong) == 3
    assert all("RawBiasFrame.MAX_SATURATED: found -1" in text for text in wrong)
