"""Raw frames whose camera's module was corrected after they came."""

from __future__ import annotations

__all__: list[str] = []

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, text

from reduction.archive import Archive
from reduction.causes import causes_of
from reduction.edits import edit
from reduction.instruments.base import FrameKind
from reduction.moments import _LOCK
from reduction.operate import status, sync_recipes
from reduction.redescribe import RedescribedReport, number_of_frames, redescribe
from schemas.errors import BusyError, IngestError, ParameterError
from schemas.recipe_tables import Edit
from schemas.tables import Product, Target
from tests.reduction.test_restore import path_of
from tests.support import toy
from tests.support.toy import ToyBias, ToyFlat, ToyImage, work_done, write_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PLAIN = toy.INSTRUMENT.describe
WHY = "the module took seconds for minutes"


@pytest.fixture
def corrected(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Archive]]:
    """Opens the archive with a module that describes frames of one name otherwise."""

    def reopen(kinds: Sequence[FrameKind] = tuple(FrameKind), **words: Any) -> Archive:
        plain = PLAIN if "read" not in words else words.pop("read")

        def describe(headers: Any) -> Any:
            return [replace(d, **words) if d.kind in kinds else d for d in plain(headers)]

        monkeypatch.setattr(toy, "INSTRUMENT", replace(toy.INSTRUMENT, describe=describe))
        opened = Archive(archive.settings)
        Archive.use(opened)
        sync_recipes(opened)
        return opened

    yield reopen
    Archive.use(archive)


def raws(archive: Archive, class_name: str) -> Sequence[Product]:
    with archive.transaction() as session:
        query = select(Product).where(Product.class_name == class_name)
        return session.scalars(query.order_by(Product.product_id)).all()


def targets(archive: Archive, class_name: str) -> Sequence[Target]:
    with archive.transaction() as session:
        query = select(Target).where(Target.class_name == class_name)
        return session.scalars(query.order_by(Target.target_id)).all()


def clock_of(moments: Mapping[float, float]) -> Callable[[Any], Any]:
    """A module that gives frames of some hours another beginning, MJD."""

    def read(headers: Any) -> Any:
        plain = PLAIN(headers)
        moment = moments.get(headers[0]["HOUR"])
        return plain if moment is None else [replace(found, mjd_obs=moment) for found in plain]

    return read


@contextmanager
def statements(archive: Archive) -> Iterator[list[str]]:
    """What is asked of the database, each statement with its values."""
    said: list[str] = []

    def note(*call: Any) -> None:
        said.append(f"{call[2]} {call[3]}")

    event.listen(archive.database.service, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(archive.database.service, "before_cursor_execute", note)


def test_a_frame_that_is_described_alike_stays_as_it_is(archive: Archive, night: Path) -> None:
    report = redescribe(archive, why=WHY)
    assert (report.looked, report.changed, report.unreadable) == (6, [], [])
    assert len(raws(archive, "RawBiasFrame")) == 3


def test_another_exposure_time_makes_what_came_of_it_stale_and_nothing_else(
    archive: Archive, night: Path, work_log: Path, corrected: Callable[..., Archive]
) -> None:
    image, bias = ToyImage.get(), ToyBias.get()
    (was,) = targets(archive, "ToyImage")
    work_done(work_log)
    archive = corrected([FrameKind.SCIENCE], exptime=60.0)
    looked = redescribe(archive, why=WHY, change=False)
    assert [said for _, said in looked.changed] == ["exptime 0.0 -> 60.0"]
    assert len(raws(archive, "RawScienceFrame")) == 1
    report = redescribe(archive, why=WHY, who="eva")
    assert report.changed == looked.changed
    old, new = raws(archive, "RawScienceFrame")
    assert (old.is_valid, new.is_valid) == (0, 1)
    assert (old.attributes["exptime"], new.attributes["exptime"]) == (0.0, 60.0)
    assert (new.file_id, new.hdu, new.attributes["name"]) == (
        old.file_id,
        old.hdu,
        old.attributes["name"],
    )
    again = ToyImage.get()
    assert again.object_id != image.object_id
    assert again.raw_science_frame.object_id == new.product_id
    assert ToyBias.get().object_id == bias.object_id
    assert "ToyBias" not in work_done(work_log)
    (target,) = targets(archive, "ToyImage")
    assert (target.identity, target.raw_id) == (was.identity, new.product_id)
    assert target.moment == pytest.approx(was.moment + 30.0 / 86400, abs=1e-9, rel=0)
    with archive.transaction() as session:
        (said,) = session.scalars(select(Edit).where(Edit.field == "description"))
        assert (said.who, said.product_id, said.new) == (
            "eva",
            old.product_id,
            f"{new.product_id}",
        )
        assert WHY in said.why
        assert "exptime 0.0 -> 60.0" in said.why
    assert redescribe(archive, why=WHY).changed == []


def test_frames_of_another_filter_are_taken_by_the_calibrations_of_that_filter(
    archive: Archive, night: Path, tmp_path: Path, corrected: Callable[..., Archive]
) -> None:
    ToyImage.get()
    archive = corrected([FrameKind.SCIENCE, FrameKind.DOME_FLAT], filter="B")
    redescribe(archive, why=WHY)
    image = ToyImage.get()
    assert image.filter.name == "B"
    assert {t.filter for t in targets(archive, "ToyFlat")} == {"V", "B"}
    assert ToyFlat.get(filter="B").quality_flags == 0
    with archive.transaction() as session:
        query = "SELECT filter, state FROM vo.target WHERE class_name = 'ToyFlat'"
        states = {row.filter: row.state for row in session.execute(text(query))}
    assert states["B"] == "fresh"
    assert states["V"] != "fresh"


def test_frames_of_another_night_leave_nothing_behind(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    before = ToyBias.get()
    (was,) = targets(archive, "ToyBias")
    archive = corrected(night="2020-01-02")
    assert len(redescribe(archive, why=WHY).changed) == 6
    bias = ToyImage.get().bias
    _, now = targets(archive, "ToyBias")
    assert (str(was.night), str(now.night)) == ("2020-01-01", "2020-01-02")
    assert bias.object_id != before.object_id
    assert now.product_id == bias.object_id
    assert len(list(bias.raw_bias_frames)) == 3


def test_a_night_begins_with_the_earliest_of_the_frames_that_it_has_now(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    bias = ToyBias.get()
    (was,) = targets(archive, "ToyBias")
    archive = corrected([FrameKind.BIAS], mjd_obs=was.moment + 0.25)
    redescribe(archive, why=WHY)
    (now,) = targets(archive, "ToyBias")
    assert now.moment == pytest.approx(was.moment + 0.25, abs=1e-6, rel=0)
    assert now.validity_start == pytest.approx(now.moment - 0.6, abs=1e-6, rel=0)
    # a start and a frame that comes leave it so
    sync_recipes(archive)
    assert targets(archive, "ToyBias")[0].moment == now.moment
    again = ToyBias.get()
    assert again.timestamp_start == pytest.approx(now.validity_start, abs=1e-6, rel=0)
    assert again.object_id != bias.object_id


def test_what_follows_a_frame_is_held_and_marked_before_the_one_stamp(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    ToyImage.get()
    (was,) = targets(archive, "ToyBias")
    archive = corrected([FrameKind.BIAS], mjd_obs=was.moment + 0.25)
    with statements(archive) as said:
        redescribe(archive, why=WHY)
    words = [
        "stamp"
        if str(_LOCK) in said_of
        else "begin"
        if "xact_lock_shared" in said_of
        else "waits"
        if "mark_suspect" in said_of or " FOR " in said_of
        else ""
        for said_of in said
    ]
    frames = " ".join(filter(None, words)).split("begin")[1:]
    assert [frame.split().count("stamp") for frame in frames] == [1, 1, 1]
    assert [frame.split()[-1] for frame in frames] == ["stamp"] * 3


def test_a_frame_makes_nobody_look_at_other_kinds_and_filters_of_its_night(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    archive = corrected([FrameKind.BIAS], object="zero")
    with statements(archive) as said:
        assert len(redescribe(archive, why=WHY).changed) == 3
    assert len([words for words in said if "min(" in words]) == 3
    held = [words for words in said if "FROM vo.target" in words and " FOR " in words]
    assert not [words for words in held if "ToyFlat" in words]


def test_a_frame_that_is_described_again_counts_once_and_is_named_once(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    archive = corrected([FrameKind.BIAS], object="zero")
    redescribe(archive, why=WHY)
    assert status(archive)["RawBiasFrame"] == {"raw": 3}
    new = [frame.product_id for frame in raws(archive, "RawBiasFrame")[3:]]
    for number in new[:2]:
        edit(archive, number, "is_valid", 0, why="light leak")
    (target,) = targets(archive, "ToyBias")
    (cause,) = causes_of(archive, [target.target_id])
    names = [below.name for below in cause.below]
    assert names == [f"raw frame bias{n}.fits (object {new[n]})" for n in range(2)]


def test_what_a_person_said_of_a_frame_goes_with_it_and_the_old_one_stays_out(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    first = raws(archive, "RawBiasFrame")[0].product_id
    edit(archive, first, "is_valid", 0, why="clouds in the dome")
    archive = corrected([FrameKind.BIAS], object="zero")
    redescribe(archive, why=WHY)
    old, new = raws(archive, "RawBiasFrame")[:3], raws(archive, "RawBiasFrame")[3:]
    assert [row.is_valid for row in old] == [0, 0, 0]
    assert [row.is_valid for row in new] == [0, 1, 1]
    with archive.transaction() as session:
        query = select(Edit.why).where(Edit.product_id == new[0].product_id)
        assert session.scalars(query).all() == ["clouds in the dome"]
    with pytest.raises(ParameterError, match=rf"described again as object {new[1].product_id}"):
        edit(archive, old[1].product_id, "is_valid", 1, why="I like it")
    assert len(list(ToyBias.get().raw_bias_frames)) == 2


def test_what_measuring_said_under_the_wrong_description_is_measured_again(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    first = raws(archive, "RawBiasFrame")[0].product_id
    edit(archive, first, "is_valid", 0, why="judged: it is saturated")
    archive = corrected([FrameKind.BIAS], object="zero")
    redescribe(archive, why=WHY)
    assert [row.is_valid for row in raws(archive, "RawBiasFrame")[3:]] == [1, 1, 1]


def test_a_frame_that_a_person_said_is_valid_and_has_flags_now_is_said_to_be_unused(
    archive: Archive, night: Path, tmp_path: Path, corrected: Callable[..., Archive]
) -> None:
    third = raws(archive, "RawBiasFrame")[2]
    folder = tmp_path / "more"
    folder.mkdir()
    archive.ingest([write_frame(folder, "bias2", FrameKind.BIAS, 106, hour=0.05)])
    late = raws(archive, "RawBiasFrame")[3].product_id
    for value in (0, 1):
        edit(archive, late, "is_valid", value, why="a good one")
    archive = corrected([FrameKind.BIAS], read=clock_of({0.05: third.moment or 0.0}))
    ((_, said),) = redescribe(archive, why=WHY, who="eva").changed
    new = raws(archive, "RawBiasFrame")[4]
    assert (new.is_valid, new.quality_flags > 0) == (1, True)
    assert f"object {new.product_id} is not used: a person said that it is valid" in said
    assert f"set-valid {new.product_id} proposed" in said


def test_a_frame_that_a_person_vouched_for_is_not_used_beside_the_one_that_it_turns_out_to_be(
    archive: Archive, night: Path, tmp_path: Path, corrected: Callable[..., Archive]
) -> None:
    third = raws(archive, "RawBiasFrame")[2]
    folder = tmp_path / "more"
    folder.mkdir()
    archive.ingest([write_frame(folder, "bias2", FrameKind.BIAS, 106, hour=0.05)])
    late = raws(archive, "RawBiasFrame")[3]
    edit(archive, late.product_id, "is_valid", 2, why="a good one")
    ToyBias.get()
    archive = corrected([FrameKind.BIAS], read=clock_of({0.05: third.moment or 0.0}))
    ((_, said),) = redescribe(archive, why=WHY, who="eva").changed
    new = raws(archive, "RawBiasFrame")[4]
    assert (new.is_valid, new.attributes["duplicate_of"]) == (1, third.product_id)
    words = f"is the same exposure as object {third.product_id}, which is used"
    assert f"object {new.product_id} is not used: described again, it {words}" in said
    with archive.transaction() as session:
        query = select(Edit).where(Edit.product_id == new.product_id).order_by(Edit.edit_id)
        edits = [(e.who, e.old, e.new, e.why) for e in session.scalars(query)]
    assert [(old, now) for _, old, now, _ in edits] == [("1", "2"), ("2", "1")]
    assert (edits[0][3], edits[1][0]) == ("a good one", "eva")
    assert words in edits[1][3]
    assert len(list(ToyBias.get().raw_bias_frames)) == 3


@pytest.mark.parametrize("rejected", [False, True])
def test_a_copy_of_a_frame_that_is_another_exposure_now_is_used_unless_a_person_rejected_that(
    archive: Archive,
    night: Path,
    tmp_path: Path,
    corrected: Callable[..., Archive],
    rejected: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    third = raws(archive, "RawBiasFrame")[2]
    began = third.moment or 0.0
    folder = tmp_path / "more"
    folder.mkdir()
    archive = corrected([FrameKind.BIAS], read=clock_of({0.05: began}))
    archive.ingest([write_frame(folder, "bias2", FrameKind.BIAS, 106, hour=0.05)])
    copy = raws(archive, "RawBiasFrame")[3]
    assert copy.attributes["duplicate_of"] == third.product_id
    assert len(list(ToyBias.get().raw_bias_frames)) == 3
    if rejected:
        edit(archive, third.product_id, "is_valid", 0, why="clouds in the dome")
    archive = corrected([FrameKind.BIAS], read=clock_of({0.02: began + 0.1, 0.05: began}))
    changed = redescribe(archive, why=WHY).changed
    new = raws(archive, "RawBiasFrame")[4:]
    if rejected:
        assert (len(changed), [frame.is_valid for frame in new]) == (1, [0])
        assert len(list(ToyBias.get().raw_bias_frames)) == 2
        return
    assert [frame.quality_flags for frame in new] == [0, 0]
    assert "duplicate_of" not in new[1].attributes
    words = f"duplicate_of {third.product_id} -> null: that was described again as object"
    assert changed[1][1] == f"{words} {new[0].product_id}"
    assert len(list(ToyBias.get().raw_bias_frames)) == 4
    assert redescribe(archive, why=WHY).changed == []


def test_zeros_of_either_sign_are_the_same(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    archive = corrected([FrameKind.SCIENCE], wcs={"CD1_1": 1.0, "CD1_2": -0.0})
    assert len(redescribe(archive, why=WHY).changed) == 1
    assert redescribe(archive, why=WHY).changed == []


def test_a_damaged_frame_is_named_and_not_described_by_its_altered_bytes(
    archive: Archive, night: Path
) -> None:
    frames = raws(archive, "RawBiasFrame")
    numbers = {frame.attributes["name"]: frame.product_id for frame in frames}
    cut_off, altered = sorted(numbers)[:2]
    path = path_of(archive, numbers[cut_off])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:3000])  # the header is whole
    path = path_of(archive, numbers[altered])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"2020-01-01", b"2020-01-02"))
    report = redescribe(archive, why=WHY, change=False)
    assert (report.looked, report.changed) == (5, [])
    said = dict(report.unreadable)
    for name, why in ((cut_off, "it has 3000 bytes"), (altered, "not as it was written")):
        text = said[f"{name} (object {numbers[name]})"]
        assert why in text
        assert f"`vo-service restore {numbers[name]} --file COPY`" in text


def test_a_frame_that_the_module_sees_only_now_is_named(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    archive = corrected(read=lambda headers: [*PLAIN(headers), replace(PLAIN(headers)[0], hdu=1)])
    report = redescribe(archive, why=WHY)
    assert (report.looked, report.changed, len(report.unreadable)) == (6, [], 6)
    assert report.unreadable[0][0].endswith(", HDU 1")


def test_what_was_done_is_told_where_other_code_ends_the_rest(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    archive = corrected([FrameKind.BIAS], object="zero")
    report, seen = RedescribedReport(), []

    def other_code(name: str) -> None:
        seen.append(name)
        if len(seen) == 2:
            own = "UPDATE vo.service_fact SET value = 'other' WHERE name = 'declared ToyBias toy'"
            with archive.transaction() as session:
                session.execute(text(own))

    assert number_of_frames(archive, "toy") == 6
    with pytest.raises(BusyError, match="ToyBias for toy in another way: do again"):
        redescribe(archive, why=WHY, progress=other_code, report=report)
    assert (report.looked, len(report.changed)) == (2, 1)
    assert len(raws(archive, "RawBiasFrame")) == 4


def test_described_as_before_again_it_is_used_again(
    archive: Archive, night: Path, corrected: Callable[..., Archive]
) -> None:
    for number in (1, 2, 1):
        archive = corrected([FrameKind.SCIENCE], airmass=float(number))
        assert len(redescribe(archive, why=WHY).changed) == 1
        assert ToyImage.get().raw_science_frame.airmass == number
    assert [row.is_valid for row in raws(archive, "RawScienceFrame")] == [0, 0, 0, 1]


def test_what_a_module_cannot_describe_any_more_stays_and_is_named(
    archive: Archive,
    night: Path,
    tmp_path: Path,
    corrected: Callable[..., Archive],
) -> None:
    write_frame(tmp_path, "late", FrameKind.SCIENCE, 300, hour=3)
    archive.ingest([tmp_path / "late.fits"])

    def refused(headers: Any) -> Any:
        if headers[0]["HOUR"] == 3:
            raise IngestError("", "keyword EXPTIME is 'long'")
        if headers[0]["HOUR"] == 2:
            raise KeyError("OUT")
        return PLAIN(headers)

    archive = corrected([FrameKind.BIAS], read=refused, night="2020-13-01")
    report = redescribe(archive, why=WHY)
    assert (report.looked, report.changed) == (2, [])
    said = dict(report.unreadable)
    assert len(said) == 5
    assert sorted({text.partition(",")[0] for text in said.values()}) == [
        "its headers cannot be understood as those of toy (KeyError('OUT'))",
        "keyword EXPTIME is 'long'",
        "night '2020-13-01'",
    ]
    assert len(raws(archive, "RawScienceFrame")) == 2
