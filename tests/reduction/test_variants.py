"""Products with the parameters of one call: made and found, shared, and never published."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from reduction.operate import edit, find_target, set_parameter
from reduction.published import flagged_classes
from reduction.quality import flags_of
from reduction.remake import remake
from reduction.target import Made
from schemas.errors import ParameterError, ReductionError
from tests.support.toy import ToyBias, ToyCatalogue, ToyFlat, ToyImage, work_done

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

OFFSET = {"ToyBias.process_params.OFFSET": 10.0}


def standing(archive: Archive) -> list[tuple[object, ...]]:
    """All that is published, and how the targets are."""
    with archive.transaction() as session:
        targets = "SELECT target_id, state, epoch, product_id FROM vo.target ORDER BY target_id"
        publications = "SELECT publication_id, product_id, published_to FROM vo.publication"
        return [
            *map(tuple, session.execute(text(targets))),
            *map(tuple, session.execute(text(publications + " ORDER BY publication_id"))),
        ]


def test_a_call_s_parameters_reach_its_product_and_nothing_that_is_published(
    archive: Archive, night: Path, work_log: Path
) -> None:
    published = ToyImage.get(raw="science.fits")
    before = standing(archive)
    work_done(work_log)
    own = ToyImage.get(raw="science.fits", parameters=OFFSET)
    # 302 - 112 over 1102 - 112 against 302 - 102 over 1102 - 102
    assert own.level == pytest.approx(100 * 190 / 990, rel=1e-6)
    assert own.bias.process_params["OFFSET"] == 10.0
    assert own.bias.level == published.bias.level + 10.0
    assert work_done(work_log) == ["ToyBias", "ToyFlat", "ToyImage", "ToyMap"]
    assert standing(archive) == before
    assert ToyImage.get(raw="science.fits").object_id == published.object_id
    assert [k.object_id for k in (ToyImage.chip.name == "t1")] == [published.object_id]
    with archive.transaction() as session:
        rows = session.execute(
            text("SELECT object_id, is_current FROM archive.products WHERE class_name='ToyImage'")
        ).all()
    assert set(map(tuple, rows)) == {(published.object_id, 1), (own.object_id, 0)}


def test_the_same_call_finds_what_it_made(archive: Archive, night: Path, work_log: Path) -> None:
    first = ToyImage.get(raw="science.fits", parameters=OFFSET)
    work_done(work_log)
    again = ToyImage.get(raw="science.fits", parameters={"ToyBias.OFFSET": 10})
    assert again.object_id == first.object_id
    assert work_done(work_log) == []


def test_what_a_parameter_does_not_reach_is_shared(
    archive: Archive, night: Path, work_log: Path
) -> None:
    published = ToyFlat.get()
    own = ToyBias.get(parameters=OFFSET)
    assert [r.object_id for r in own.raw_bias_frames] == [
        r.object_id for r in published.bias.raw_bias_frames
    ]
    image = ToyImage.get(raw="science.fits", parameters={"ToyBias.MAXIMUM_LEVEL": 900.0})
    work_done(work_log)
    other = ToyImage.get(raw="science.fits", parameters={"ToyBias.MAXIMUM_LEVEL": 901.0})
    # the limit makes another bias of the same content: what is made of it is the same
    assert work_done(work_log) == ["ToyBias"]
    assert other.object_id == image.object_id


def test_a_call_that_asks_for_what_holds_anyway_gets_the_published_product(
    archive: Archive, night: Path, work_log: Path
) -> None:
    published = ToyImage.get(raw="science.fits")
    work_done(work_log)
    same = ToyImage.get(raw="science.fits", parameters={"ToyBias.OFFSET": 0.0})
    assert same.object_id == published.object_id
    assert work_done(work_log) == []


def test_a_call_makes_stale_progenitors_that_it_does_not_touch_for_everybody(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyCatalogue.get(raw="science.fits", parameters=OFFSET)
    assert find_target(archive, "ToyImage").state == "missing"
    assert find_target(archive, "ToyCatalogue").state == "missing"


def test_what_was_a_variant_is_published_when_the_operator_decides_so(
    archive: Archive, night: Path, work_log: Path
) -> None:
    own = ToyImage.get(raw="science.fits", parameters=OFFSET)
    set_parameter(archive, "ToyBias", "OFFSET", 10.0, instrument="toy", why="it was better")
    work_done(work_log)
    assert ToyImage.get(raw="science.fits").object_id == own.object_id
    assert work_done(work_log) == []


def test_a_rejected_raw_frame_is_no_progenitor_of_variants_either(
    archive: Archive, night: Path
) -> None:
    own = ToyBias.get(parameters=OFFSET)
    assert own.level == 112.0
    edit(archive, own.raw_bias_frames[2].object_id, "is_valid", 0, why="light leak")
    assert ToyBias.get(parameters=OFFSET).level == 111.0


def test_a_variant_that_is_flagged_is_no_progenitor_and_says_so(
    archive: Archive, night: Path
) -> None:
    published = ToyImage.get(raw="science.fits")
    strict = {"ToyBias.MAXIMUM_LEVEL": 50.0}
    flagged = ToyBias.get(parameters=strict)
    assert (flagged.quality_flags, flagged.level) == (1, published.bias.level)
    words = r"2020-01-01 \(object \d+\) is flagged LEVEL_TOO_HIGH"
    with pytest.raises(ReductionError, match=words):
        ToyImage.get(raw="science.fits", parameters=strict)
    assert find_target(archive, "ToyImage").state == "fresh"


def test_what_cannot_be_made_in_the_way_of_a_call_is_said_and_not_noted(
    archive: Archive, night: Path
) -> None:
    raws = ToyBias.get().raw_bias_frames
    for raw in raws[:2]:
        edit(archive, raw.object_id, "is_valid", 0, why="clouds")
    before = standing(archive)
    with pytest.raises(ReductionError, match="needs 2 valid RawBiasFrame"):
        ToyBias.get(parameters=OFFSET)
    assert standing(archive) == before


def test_parameters_of_a_call_are_checked_before_anything_is_made(
    archive: Archive, night: Path, work_log: Path
) -> None:
    for parameters, words in (
        ({"ToyBias.OFFSET": "10"}, "a number from -100 to 10000"),
        ({"ToyBias.OFSET": 10.0}, "expected OFFSET"),
        ({"ToyCatalogue.OFFSET": 10.0}, "ToyImage or a class that it is made from: ToyBias"),
    ):
        with pytest.raises(ParameterError, match=words):
            ToyImage.get(raw="science.fits", parameters=parameters)
    assert work_done(work_log) == []


def test_a_product_made_once_more_comes_out_the_same(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = ToyImage.get(raw="science.fits")
    own = ToyImage.get(raw="science.fits", parameters=OFFSET)
    before = standing(archive)
    work_done(work_log)
    for product in (published, own, own.bias, published.flat):
        assert remake(archive, product.object_id).same
    assert work_done(work_log) == ["ToyBias", "ToyFlat", "ToyImage", "ToyImage"]
    assert standing(archive) == before
    monkeypatch.setattr(ToyFlat, "compute", lambda *_: Made({}, {"level": 1.0}))
    monkeypatch.setattr(archive.registry.classes["ToyFlat"], "compute", ToyFlat.compute)
    assert not remake(archive, published.flat.object_id).same
    with pytest.raises(ParameterError, match="raw data is not made"):
        remake(archive, published.raw_science_frame.object_id)


def test_two_who_ask_at_once_get_one_product(archive: Archive, night: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ToyFlat.get, parameters=OFFSET) for _ in range(2)]
    assert len({found.result().object_id for found in asked}) == 1


def test_every_flag_can_be_read_by_adql(archive: Archive, night: Path) -> None:
    flagged = ToyBias.get(parameters={"ToyBias.MAXIMUM_LEVEL": 50.0})
    query = text(
        "SELECT f.name FROM archive.products p JOIN archive.flags f "
        "ON f.class_name = p.class_name AND 1 = MOD(p.quality_flags / f.flag, 2) "
        "WHERE p.object_id = :i"
    )
    with archive.transaction() as session:
        assert session.scalars(query, {"i": flagged.object_id}).all() == ["LEVEL_TOO_HIGH"]
        rows = session.execute(
            text("SELECT class_name, flag, name, description FROM archive.flags")
        )
        published = set(map(tuple, rows))
    declared = {
        (cls.__name__, flag.bit, flag.name, flag.sentence)
        for cls in flagged_classes(archive.registry)
        for flag in flags_of(cls.Flags)
    }
    assert published == declared
