"""Words that find no target are answered with what there is."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest

from reduction.fields import FieldSpec, declare_field
from reduction.instruments.base import FrameKind
from schemas.errors import NotFoundError
from tests.support.toy import ToyBias, ToyFlat, ToyImage, write_frame

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive


@pytest.mark.parametrize(
    ("cls", "words", "said"),
    [
        (ToyFlat, {"filter": "B"}, "of filter V"),
        (ToyFlat, {"chip": "t2"}, "of chip t1"),
        (ToyFlat, {"instrument": "toi"}, "of instrument toy"),
        (ToyFlat, {"date": "2020-01-20"}, "of night 2020-01-09, 2020-01-08, 2020-01-07"),
        (ToyFlat, {"date": "2019-01-20"}, "of night 2020-01-01, 2020-01-02, 2020-01-03"),
        (ToyFlat, {"date": "2020-01-02", "chip": "t9"}, "of chip t1"),
        (ToyImage, {"raw": "scienze.fits"}, "of raw science.fits, other.fits"),
        (ToyImage, {"raw": "science.fits", "filter": "B"}, "of filter V"),
        (ToyBias, {"raw": "science.fits"}, "a ToyBias is not made for each raw frame"),
        (ToyBias, {"filter": "V"}, "no filter: a ToyBias is not made for each filter"),
    ],
)
def test_each_word_is_answered_with_its_values(
    archive: Archive, night: Path, cls: type, words: dict[str, str], said: str
) -> None:
    flats = [
        write_frame(night, f"f{n}", FrameKind.DOME_FLAT, 1000, night=f"2020-01-0{n}", hour=1)
        for n in range(2, 10)
    ]
    archive.ingest([*flats, write_frame(night, "other", FrameKind.SCIENCE, 302, hour=5)])
    with pytest.raises(NotFoundError) as none:
        cls.get(**words)
    assert said in str(none.value)
    assert f"no {cls.__name__} for" in str(none.value)


def test_a_class_of_which_there_is_nothing_says_what_brings_it_into_being(
    archive: Archive, night: Path
) -> None:
    with pytest.raises(NotFoundError, match="where there is a RawDarkFrame, and there are 3 Raw"):
        archive.get("DarkCurrent", date="2020-01-01")
    with pytest.raises(NotFoundError, match="`vo-service field add` declares one"):
        archive.get("CoaddedRegriddedFrame")
    with pytest.raises(NotFoundError, match="`vo-service field add` declares one"):
        archive.get("CoaddedRegriddedFrame", field="deep")
    declare_field(archive, FieldSpec("deep", 10.0, 20.0, 0.05))
    with pytest.raises(NotFoundError, match="there are deep"):
        archive.get("CoaddedRegriddedFrame", field="deap")
