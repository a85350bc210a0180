"""Targets by the words that people have for them: days, moments, nights, validities."""

from __future__ import annotations

__all__: list[str] = []

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.dialects import postgresql

from reduction.instead import is_named
from reduction.instruments.base import FrameKind
from reduction.lookup import find_target, targets_matching
from reduction.mjd import utc_of
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Product, Target
from tests.support.toy import ToyBias, write_frame

if TYPE_CHECKING:
    from reduction.archive import Archive


@pytest.fixture
def nights(archive: Archive, night: Path) -> Archive:
    """Biases of three nights: 2020-01-01 and, an hour after dusk, the 3rd and the 5th."""
    later = [
        write_frame(night, f"b{n}{k}", FrameKind.BIAS, 100, night=f"2020-01-0{n}", hour=1 + k / 10)
        for n in (3, 5)
        for k in range(3)
    ]
    assert archive.ingest(later).refused == []
    return archive


def of_night(archive: Archive, night: str) -> Target:
    (found,) = targets_matching(archive, "ToyBias", night=night)
    return found


def test_targets_of_a_night_are_those_alone_oldest_first(nights: Archive) -> None:
    everything = targets_matching(nights, "ToyBias")
    assert [str(t.night) for t in everything] == ["2020-01-01", "2020-01-03", "2020-01-05"]
    assert str(of_night(nights, "2020-01-03").night) == "2020-01-03"
    assert targets_matching(nights, "ToyBias", night="2020-01-02") == []
    assert targets_matching(nights, "ToyBias", night="2020-01-03", chip="t9") == []


def test_a_night_that_is_no_date_is_refused_with_what_is_one(archive: Archive) -> None:
    with pytest.raises(ParameterError, match=r"foo.*a date such as 2025-03-01"):
        targets_matching(archive, "ToyBias", night="foo")


def test_what_is_no_text_or_number_is_answered_with_one_that_is(archive: Archive) -> None:
    for word, value in (("chip", 50), ("date", 20250301), ("raw", Path("a.fits"))):
        said = f"{word}: found {value!r}, expected a text: {word}='{value}'"
        with pytest.raises(ParameterError, match=re.escape(said)):
            ToyBias.get(**{word: value})
    with pytest.raises(ParameterError, match="object_id: found 'ToyBias', expected the number"):
        archive.object("ToyBias")
    with pytest.raises(NotFoundError, match="there is no object 99"):
        archive.object(np.int64(99))


def test_a_date_is_the_day_on_which_something_was_observed(nights: Archive) -> None:
    third = of_night(nights, "2020-01-03")
    day = utc_of(third.moment).date().isoformat()
    assert find_target(nights, "ToyBias", date=day).target_id == third.target_id
    with pytest.raises(ParameterError, match="expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ss"):
        find_target(nights, "ToyBias", date="yesterday")


def test_where_nothing_was_observed_the_newest_that_holds_then_is_found(nights: Archive) -> None:
    first, third, fifth = targets_matching(nights, "ToyBias")
    with nights.transaction() as session:
        for target, start, end in ((first, 1, 9e4), (third, 1, 9e4), (fifth, 1, 2)):
            session.execute(
                update(Target)
                .where(Target.target_id == target.target_id)
                .values(validity_start=start, validity_end=end, created=target.night)
            )
    # 2030 is MJD 62502: the fifth's ended long before, the third is newer than the first
    assert find_target(nights, "ToyBias", date="2030-01-01").target_id == third.target_id
    with nights.transaction() as session:
        session.execute(
            update(Target).where(Target.target_id == first.target_id).values(created="2021-01-01")
        )
    assert find_target(nights, "ToyBias", date="2030-01-01").target_id == first.target_id
    with pytest.raises(NotFoundError, match="of night 2020-01-05"):
        find_target(nights, "ToyBias", date="2300-01-01")


def test_a_validity_holds_on_its_first_and_last_moment(nights: Archive) -> None:
    third = of_night(nights, "2020-01-03")
    with nights.transaction() as session:
        session.execute(update(Target).values(validity_start=1, validity_end=2))
        # noon of 2030-01-01 is MJD 62502.5
        session.execute(
            update(Target)
            .where(Target.target_id == third.target_id)
            .values(validity_start=62502.5, validity_end=62503.5)
        )
    assert find_target(nights, "ToyBias", date="2030-01-01").target_id == third.target_id
    assert find_target(nights, "ToyBias", date="2030-01-02").target_id == third.target_id
    for day in ("2029-12-31", "2030-01-03"):
        with pytest.raises(NotFoundError):
            find_target(nights, "ToyBias", date=day)


def test_several_are_listed_and_none_is_chosen(nights: Archive) -> None:
    with pytest.raises(NotFoundError, match=r"^3 ToyBias for no restriction: there are ToyBias"):
        find_target(nights, "ToyBias")
    with pytest.raises(NotFoundError, match="no target class 'ToyBiass'"):
        targets_matching(nights, "ToyBiass")


def test_a_raw_frame_is_found_by_the_index_of_names(archive: Archive, night: Path) -> None:
    asked = select(Product.product_id).where(is_named("science"))
    said = asked.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    with archive.transaction() as session:
        assert len(session.execute(asked).all()) == 1
        session.execute(text("SET LOCAL enable_seqscan = off"))
        # what the plan would be if there were many
        plan = session.scalars(text("EXPLAIN " + str(said).replace(":", "\\:"))).all()
    assert "ix_product_name" in "\n".join(plan)
