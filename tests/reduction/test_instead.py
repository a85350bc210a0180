"""Words that find no target are answered with what there is."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

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


def test_of_very_many_names_those_near_in_the_alphabet_are_looked_at_and_all_are_counted(
    archive: Archive, night: Path
) -> None:
    made = ToyImage.get().object_id
    with archive.transaction() as session:
        session.execute(
            text(
                "WITH raw AS (INSERT INTO vo.product (class_name, key, content_hash, "
                "recipe_version, process_params, attributes, instrument, chip, filter) "
                "SELECT 'RawScienceFrame', 'k' || n, '', '', '{}', "
                "jsonb_build_object('name', to_char(n, 'FM\"frame\"00000') || '.fits'), "
                "'toy', 't1', 'V' FROM generate_series(1, 3000) AS n RETURNING product_id) "
                "INSERT INTO vo.target (identity, class_name, instrument, chip, filter, moment, "
                "raw_id) SELECT 'i' || product_id, 'ToyImage', 'toy', 't1', 'V', 1, product_id "
                "FROM raw"
            )
        )
    with pytest.raises(NotFoundError) as none:
        ToyImage.get(raw="frame01500.fitz")
    said = str(none.value)
    assert "there are 3001, of raw frame01500.fits, frame0" in said
    assert said.endswith("and 2989 more")
    with pytest.raises(NotFoundError, match=r"^3001 ToyImage for .* and 2993 more"):
        ToyImage.get()
    assert ToyImage.get(raw="science").object_id == made


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
