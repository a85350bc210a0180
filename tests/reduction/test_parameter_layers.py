"""Who sets process parameters and for which cameras; one key for each value; bad old values."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from sqlalchemy import text

from reduction.archive import Archive
from reduction.edits import edit, edit_validity
from reduction.fields import FieldSpec, close_field, declare_field
from reduction.instruments.base import FrameKind
from reduction.operate import (
    bump,
    check_settings,
    find_target,
    forget_parameter,
    initialise,
    set_parameter,
    sync_recipes,
)
from reduction.parameters import parameter
from reduction.pars import Pars
from reduction.recipe_edits import operators_say
from schemas.errors import (
    BusyError,
    NotFoundError,
    ParameterError,
    ReductionError,
    SettingsError,
)
from schemas.settings import ReductionSettings, Settings, StorageSettings
from tests.support.toy import INSTRUMENT, ToyBias, ToyFlat, ToyImage, write_frame
from tests.support.toy_field import ToyCoadd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.settings import DatabaseSettings

FIELD = FieldSpec("deep", 10.0, 20.0, 0.05, pixel_scale=0.5)
PLUGINS = ("tests.support.toy", "tests.support.toy_field")
BOTH = "toy+toy2"


def is_of_other(header: Any) -> bool:
    return header.get("INSTRUME") == "TOY2"


@pytest.fixture
def archive(fresh_database: DatabaseSettings, tmp_path: Path) -> Iterator[Archive]:
    """An archive of two cameras, toy and toy2, with classes of fields."""
    settings = Settings(
        database=fresh_database,
        storage=StorageSettings(root=tmp_path / "files"),
        reduction=ReductionSettings(plugins=PLUGINS),
    )
    opened = Archive(settings)
    other = replace(INSTRUMENT, name="toy2", title="Another", recognises=is_of_other)
    opened.registry = replace(
        opened.registry, instruments={**opened.registry.instruments, "toy2": other}
    )
    initialise(settings, opened.registry)
    sync_recipes(opened)
    Archive.use(opened)
    yield opened
    opened.close()


@pytest.fixture
def both(archive: Archive, night: Path, work_log: Path) -> Path:
    """A night of both cameras, and a field of both."""
    folder = night.parent / "other"
    folder.mkdir()
    for number, level in enumerate((100, 102)):
        name = f"other_bias{number}"
        write_frame(folder, name, FrameKind.BIAS, level, hour=number / 100, camera="TOY2")
    write_frame(folder, "other_flat", FrameKind.DOME_FLAT, 1102, hour=1, camera="TOY2")
    write_frame(folder, "other", FrameKind.SCIENCE, 502, hour=2, camera="TOY2")
    assert archive.ingest([folder]).refused == []
    assert declare_field(archive, FIELD).instrument == BOTH
    return folder


def settings_of(archive: Archive, parameters: dict[str, Any]) -> list[str]:
    """Open the archive again with other settings; what the start says."""
    reduction = ReductionSettings(plugins=PLUGINS, parameters=parameters)
    archive.settings = archive.settings.model_copy(update={"reduction": reduction})
    return sync_recipes(archive)


def module_of(archive: Archive, parameters: dict[str, Any]) -> list[str]:
    """Open the archive again with another module of the camera."""
    changed = replace(INSTRUMENT, parameters={**INSTRUMENT.parameters, **parameters})
    archive.registry = replace(
        archive.registry, instruments={**archive.registry.instruments, "toy": changed}
    )
    return sync_recipes(archive)


def key_of(archive: Archive, made: Any) -> str:
    with archive.transaction() as session:
        query = text("SELECT key FROM vo.product WHERE product_id = :n")
        return str(session.scalar(query, {"n": made.object_id}))


def bias_key(archive: Archive, offset: float | None = None) -> str:
    given = {} if offset is None else {"ToyBias.OFFSET": offset}
    return key_of(archive, ToyBias.get(instrument="toy", parameters=given))


def coadd_key(archive: Archive, field: str, factor: float | None = None) -> str:
    given = {} if factor is None else {"ToyCoadd.FACTOR": factor}
    return key_of(archive, ToyCoadd.get(field=field, filter="V", parameters=given))


def test_a_value_gives_one_key_whoever_says_it(archive: Archive, night: Path) -> None:
    default = bias_key(archive)
    assert bias_key(archive, 0) == default
    asked = bias_key(archive, 10)
    assert len({asked, bias_key(archive, 11.0), default}) == 3
    set_parameter(archive, "ToyBias", "OFFSET", 10, instrument="toy", why="a try")
    assert bias_key(archive) == asked
    assert forget_parameter(archive, "ToyBias", "OFFSET", instrument="toy", why="enough") > 0
    assert bias_key(archive) == default
    for parameters in ({"*": {"ToyBias": {"OFFSET": 10}}}, {"toy": {"ToyBias": {"OFFSET": 10.0}}}):
        settings_of(archive, parameters)
        assert bias_key(archive) == asked
    settings_of(archive, {})
    assert bias_key(archive) == default
    module_of(archive, {"ToyBias": {"OFFSET": 10}})
    assert bias_key(archive) == asked


def test_several_cameras_together_have_settings_of_their_own(archive: Archive, both: Path) -> None:
    default = coadd_key(archive, "deep")
    asked = coadd_key(archive, "deep", 2)
    assert len({default, asked, coadd_key(archive, "deep", 3)}) == 3
    set_parameter(archive, "ToyCoadd", "FACTOR", 2, instrument="toy2+toy", why="a try")
    assert find_target(archive, "ToyCoadd", field="deep").state == "suspect"
    assert coadd_key(archive, "deep") == asked
    assert sync_recipes(archive) == []
    forget_parameter(archive, "ToyCoadd", "FACTOR", instrument=BOTH, why="enough")
    assert coadd_key(archive, "deep") == default
    said = settings_of(archive, {BOTH: {"ToyCoadd": {"FACTOR": 2.0}}})
    assert any(f"ToyCoadd for {BOTH} changed" in sentence for sentence in said)
    assert coadd_key(archive, "deep") == asked
    settings_of(archive, {"*": {"ToyCoadd": {"FACTOR": 2}}, "toy": {"ToyCoadd": {"FACTOR": 7}}})
    assert coadd_key(archive, "deep") == asked
    settings_of(archive, {})
    assert coadd_key(archive, "deep") == default
    declare_field(archive, replace(FIELD, name="own", parameters={"ToyCoadd": {"FACTOR": 2}}))
    assert ToyCoadd.get(field="own", filter="V").process_params == {"FACTOR": 2.0}
    assert coadd_key(archive, "own") == coadd_key(archive, "own", 2.0)


def test_the_first_word_about_several_cameras_reaches_what_is_made_already(
    archive: Archive, both: Path
) -> None:
    default = coadd_key(archive, "deep")
    settings_of(archive, {BOTH: {"ToyCoadd": {"FACTOR": 5}}})
    assert find_target(archive, "ToyCoadd", field="deep").state == "suspect"
    assert coadd_key(archive, "deep") != default


def test_the_parameters_of_a_field_are_shown_with_all_who_set_them(
    archive: Archive, both: Path
) -> None:
    declare_field(archive, replace(FIELD, name="own", parameters={"ToyCoadd": {"FACTOR": 4}}))
    settings_of(
        archive,
        {BOTH: {"ToyCoadd": {"FACTOR": 2}}, "toy2": {"ToyBias": {"OFFSET": 1}}},
    )
    set_parameter(archive, "ToyCoadd", "FACTOR", 3, instrument=BOTH, why="a try")
    pars = Pars("ToyCoadd", field="own", filter="V", archive=archive)
    assert [
        (x.origin, x.value) for x in pars.settings["ToyCoadd.process_params.FACTOR"].layers
    ] == [
        ("default", 1.0),
        (f"settings for {BOTH}", 2.0),
        ("operator", 3),
        ("field own", 4),
    ]
    assert pars["ToyBias.OFFSET"] == 0.0  # of one camera: which is not said
    of_one = Pars("ToyCoadd", field="own", instrument="toy2", archive=archive)
    assert (of_one["ToyBias.OFFSET"], of_one["ToyCoadd.FACTOR"]) == (1.0, 4)
    together = Pars("ToyCoadd", instrument="toy2+toy", archive=archive)
    assert together["ToyCoadd.FACTOR"] == 3
    with pytest.raises(NotFoundError, match="no instrument of the field own 'nickel'"):
        Pars("ToyCoadd", field="own", instrument="nickel", archive=archive)


def test_what_is_made_for_each_camera_is_not_set_for_several(archive: Archive) -> None:
    with pytest.raises(ParameterError, match="one of toy, toy2: ToyBias is made for each camera"):
        set_parameter(archive, "ToyBias", "OFFSET", 1, instrument=BOTH, why="a slip")
    with pytest.raises(NotFoundError, match="no instrument 'toy3', expected toy"):
        set_parameter(archive, "ToyCoadd", "FACTOR", 1, instrument="toy+toy3", why="a slip")
    for parameters, words in (
        ({BOTH: {"ToyBias": {"OFFSET": 1}}}, "expected it under toy or toy2"),
        ({"toy2+toy": {"ToyCoadd": {"FACTOR": 1}}}, r"no such instrument, expected toy\+toy2"),
        ({"toy+nikel": {"ToyCoadd": {"FACTOR": 1}}}, "no instrument 'nikel', expected nickel"),
        ({BOTH: {"ToyCoadd": {"FACTOR": 0}}}, "found 0, expected a number above 0"),
    ):
        settings = Settings(reduction=ReductionSettings(parameters=parameters))
        with pytest.raises(SettingsError, match=words):
            check_settings(settings, archive.registry)


def store(archive: Archive, class_name: str, values: str, instrument: str = "toy") -> None:
    """Put into the database what an operator had set when the class was another."""
    with archive.transaction() as session:
        session.execute(
            text(
                "UPDATE vo.recipe SET overrides = CAST(:v AS jsonb) "
                "WHERE class_name = :c AND instrument = :i"
            ),
            {"v": values, "c": class_name, "i": instrument},
        )


SENTENCE = r"ToyBias.OFFSET: found -500, expected a number from -100 to 10000 \(adu\)"


def test_a_value_of_before_that_is_none_now_fails_its_targets_alone_and_says_which(
    archive: Archive, both: Path
) -> None:
    image = ToyImage.get(raw="other.fits")
    ToyImage.get(raw="science.fits")
    store(archive, "ToyBias", '{"OFFSET": -500, "GONE": 1}')
    said = " ".join(sync_recipes(archive))
    assert "set by an operator for toy: parameter ToyBias.OFFSET: found -500, expected" in said
    assert "ToyBias.GONE: found 1, expected" in said
    assert "its ToyBias cannot be made" in said
    with pytest.raises(ReductionError, match=f"^ToyBias/toy/.*{SENTENCE}.*operator for toy"):
        ToyBias.get(instrument="toy")
    with pytest.raises(ReductionError, match=r"^ToyImage/toy/.*ToyBias"):
        ToyImage.get(raw="science.fits")
    assert ToyImage.get(raw="other.fits").object_id == image.object_id
    target = find_target(archive, "ToyBias", instrument="toy")
    assert target.state == "failed"
    assert target.reasons[0]["kind"] == "wrong parameter"
    setting = Pars("ToyBias", instrument="toy").settings["ToyBias.process_params.OFFSET"]
    assert setting.wrong == "cannot be used: expected a number from -100 to 10000 (adu)"
    assert setting.wrong in str(Pars("ToyBias", instrument="toy"))
    with pytest.raises(ReductionError, match=SENTENCE):
        ToyFlat.get(instrument="toy", parameters={"ToyBias.MAXIMUM_LEVEL": 900})
    set_parameter(archive, "ToyBias", "OFFSET", 5, instrument="toy", why="right now")
    with pytest.raises(ReductionError, match=r"ToyBias\.GONE: found 1, expected"):
        ToyBias.get(instrument="toy")
    forget_parameter(archive, "ToyBias", "GONE", instrument="toy", why="there is none any more")
    assert ToyBias.get(instrument="toy").level == 107.0
    assert ToyImage.get(raw="science.fits").bias.level == 107.0


def test_a_value_that_a_later_version_takes_is_used_from_the_next_start(
    archive: Archive, night: Path, work_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(archive, "ToyBias", '{"OFFSET": -500}')
    with pytest.raises(ReductionError, match=SENTENCE):
        ToyBias.get(instrument="toy")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        OFFSET: float = parameter(0.0, "added to the mean", unit="adu", at_least=-1000.0)
        MAXIMUM_LEVEL: float = 1000.0

    monkeypatch.setattr(archive.registry.classes["ToyBias"], "Parameters", Parameters)
    assert sync_recipes(archive) == []
    assert ToyBias.get(instrument="toy").process_params["OFFSET"] == -500


def test_a_field_whose_own_value_is_none_now_fails_and_others_do_not(
    archive: Archive, both: Path
) -> None:
    with psycopg2.connect(archive.settings.database.owner_url) as owner, owner.cursor() as cursor:
        cursor.execute("""UPDATE vo.field SET parameters = '{"ToyCoadd": {"FACTOR": 0}}'""")
    assert any("set for the field deep: " in sentence for sentence in sync_recipes(archive))
    said = r"FACTOR: found 0, .*above 0 \(set for the field: close it, and declare it anew under"
    with pytest.raises(ReductionError, match=said):
        ToyCoadd.get(field="deep", filter="V")
    declare_field(archive, replace(FIELD, name="other"))
    assert ToyCoadd.get(field="other", filter="V").frames == 2


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("[1]", r"found \[1\], expected values by the names of classes and parameters"),
        ("3", "found 3, expected values by the names of classes and parameters"),
        ('{"ToyCoadd": [2]}', r"ToyCoadd: found \[2\], expected values by the names of param"),
    ],
)
def test_what_is_stored_of_a_field_and_is_no_values_stops_what_is_made_of_it_alone(
    archive: Archive, both: Path, stored: str, said: str
) -> None:
    declare_field(archive, replace(FIELD, name="other"))
    before = ToyCoadd.get(field="deep", filter="V")
    with psycopg2.connect(archive.settings.database.owner_url) as owner, owner.cursor() as cursor:
        cursor.execute("UPDATE vo.field SET parameters = %s WHERE name = 'deep'", (stored,))
    sentences = sync_recipes(archive)
    assert re.search(f"^set for the field deep: {said}.* cannot be made$", " ".join(sentences))
    with pytest.raises(ReductionError, match=r"expected values by .* \(set for the field: close"):
        ToyCoadd.get(field="deep", filter="V")
    assert ToyCoadd.get(field="other", filter="V").frames == before.frames
    assert ToyImage.get(raw="other.fits").level > 0
    assert "FACTOR" in str(Pars("ToyCoadd", field="deep"))


@pytest.mark.parametrize("stored", ["[1]", '"OFFSET"', "3"])
def test_stored_values_without_names_stop_their_class_alone_and_can_be_taken_back(
    archive: Archive, night: Path, work_log: Path, stored: str
) -> None:
    store(archive, "ToyBias", stored)
    (said,) = sync_recipes(archive)
    assert "set by an operator for toy: ToyBias: found " in said
    with pytest.raises(ReductionError, match="expected values by the names of parameters"):
        ToyBias.get(instrument="toy")
    forget_parameter(archive, "ToyBias", "OFFSET", instrument="toy", why="nobody meant it")
    assert sync_recipes(archive) == []
    assert ToyBias.get(instrument="toy").level == 102.0


def test_no_change_is_without_its_reason(archive: Archive, both: Path) -> None:
    start, set_value = float(ToyBias.get(instrument="toy").timestamp_start), set_parameter
    number = ToyBias.get(instrument="toy").object_id
    for change in (
        lambda: set_value(archive, "ToyBias", "OFFSET", 5, instrument="toy", why=" "),
        lambda: bump(archive, "ToyBias", why=""),
        lambda: edit_validity(archive, number, start + 0.1, None, why=""),
        lambda: close_field(archive, "deep", why="\t"),
    ):
        with pytest.raises(ParameterError, match="the reason, in words"):
            change()
    set_value(archive, "ToyBias", "OFFSET", 5, instrument="toy", why="the lamp")
    with pytest.raises(ParameterError, match="the reason, in words"):
        forget_parameter(archive, "ToyBias", "OFFSET", instrument="toy", why="")
    assert ToyBias.get(instrument="toy").level == 107.0


def test_taking_back_what_nobody_said_leaves_nothing(archive: Archive, both: Path) -> None:
    assert forget_parameter(archive, "ToyCoadd", "FACTOR", instrument=BOTH, why="none") == 0
    with archive.transaction() as session:
        owners = set(session.scalars(text("SELECT DISTINCT instrument FROM vo.recipe")))
    assert BOTH not in owners


def test_what_holds_already_is_set_for_good_and_makes_nothing_suspect(
    archive: Archive, night: Path
) -> None:
    def edits() -> int:
        with archive.transaction() as session:
            return session.scalar(text("SELECT count(*) FROM vo.edit")) or 0

    for value in (0, 5):
        bias_key(archive)
        words = {"instrument": "toy", "why": "to be sure"}
        before = edits()
        marked = set_parameter(archive, "ToyBias", "OFFSET", value, **words)
        assert (marked > 0) == (value == 5)  # 0 is the class's own
        assert operators_say(archive, "ToyBias", "toy") == {"OFFSET": value}
        assert set_parameter(archive, "ToyBias", "OFFSET", float(value), **words) == 0
        assert edits() == before + 1
    bias_key(archive)
    assert forget_parameter(archive, "ToyBias", "OFFSET", **words) > 0
    assert forget_parameter(archive, "ToyBias", "OFFSET", **words) == 0
    assert operators_say(archive, "ToyBias", "toy") == {}


def test_of_two_operators_who_set_two_parameters_at_once_both_are_heard(
    archive: Archive, night: Path, work_log: Path
) -> None:
    together = threading.Barrier(2)

    def say(name: str, value: float) -> None:
        together.wait(10)
        set_parameter(archive, "ToyBias", name, value, instrument="toy", why="at once")

    with ThreadPoolExecutor(2) as pool:
        for number in range(5):
            said = [("OFFSET", 5.0 + number), ("MAXIMUM_LEVEL", 900.0 + number)]
            for done in [pool.submit(say, *words) for words in said]:
                done.result(20)
            assert ToyBias.get(instrument="toy").process_params == dict(said)


def test_a_process_whose_camera_or_class_is_another_says_nothing_of_targets(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyImage.get(raw="science.fits")
    older = replace(
        archive.registry,
        instruments={**archive.registry.instruments, "toy": replace(INSTRUMENT, pixel_scale=3.0)},
    )
    now = archive.registry
    number = ToyBias.get().object_id
    edit(archive, number, "is_valid", 0, why="x")
    archive.registry = older
    with pytest.raises(BusyError, match="describes ToyBias for toy in another way"):
        ToyImage.get(raw="science.fits")
    assert find_target(archive, "ToyImage").state == "suspect"
    archive.registry = now
    edit(archive, number, "is_valid", 1, why="it is good")
    assert ToyImage.get(raw="science.fits").bias.level == 102.0


def test_a_field_that_is_declared_as_before_is_the_one_of_before(
    archive: Archive, night: Path, work_log: Path, both: Path
) -> None:
    alone = declare_field(archive, replace(FIELD, name="alone", instruments=("toy",)))
    assert declare_field(archive, replace(FIELD, name="alone", pixel_scale=0.0)) == alone
    with pytest.raises(ParameterError, match="is known, and differs"):
        declare_field(archive, replace(FIELD, name="alone", instruments=("toy2",)))
