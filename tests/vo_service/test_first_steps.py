"""What a first user types, in the order in which it comes to mind, on an archive of one night."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import psycopg2
import pytest
from astropy.io import fits
from astropy.table import Table

from schemas.errors import IngestError, NotFoundError, ParameterError, StorageError
from tests.support.typed import typed, typing_folder
from vo_service.home import Home

#: What only computations, plots, protocols and the engine need.
HEAVY = (
    "scipy",
    "sep",
    "astropy",
    "matplotlib",
    "dask",
    "distributed",
    "lxml",
    "pyarrow",
    "flask",
)
LOOKS = (
    ("list", "RawBiasFrame"),
    ("why", "BiasFrame"),
    ("plan", "BiasFrame"),
    ("field", "list"),
    ("status",),
)
#: What even a list of commands would have to wait for.
SLOW = (*HEAVY, "numpy", "sqlalchemy", "psycopg2", "pydantic", "reduction", "tap", "alembic")


@pytest.fixture(scope="module")
def folder():
    with typing_folder() as path:
        yield path


@pytest.fixture(scope="module")
def run(folder):
    return typed(folder)


@pytest.fixture(scope="module")
def night(folder, run):
    """One night of a small chip, ingested; one raw bias is saturated."""
    words = ("--chips", 1, "--size", 64, "--night", "2025-03-01", "--frames", 4, 3, 3, 2)
    said = run("simulate", "--out", folder / "sim", *words)
    assert "writing 12 files, about 5 MB in all" in said
    first = min((folder / "sim" / "raw").iterdir())
    with fits.open(first, mode="update") as hdus:
        hdus[1].data[:] = 65535
    assert "12 files taken" in run("ingest", folder / "sim" / "raw")
    run("load-reference", folder / "sim" / "reference.csv")
    return first.name


def _modules(folder, words, names):
    """Those of some packages that a command has imported when it ends."""
    code = (
        "import atexit, sys; from vo_service.cli import main; sys.argv[0] = 'vo-service'; "
        "atexit.register(lambda: print('loaded', *{n.partition('.')[0] for n in sys.modules})); "
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--data", str(folder / "data"), *words],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    return set(done.stdout.splitlines()[-1].split()) & set(names)


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_looking_does_not_wait_for_what_only_computations_need(words, folder, night, run):
    run(*words)  # what has to be made ready is made ready
    assert _modules(folder, words, HEAVY) == set()


def test_help_waits_for_nothing(folder):
    assert _modules(folder, ("--help",), SLOW) == set()
    assert _modules(folder, ("why", "--help"), SLOW) == set()


def test_a_database_is_made_ready_once_for_the_same_code_and_settings(folder, night, run):
    ran = Home(folder / "data").settings().database.owner_url
    run("list", "RawBiasFrame")
    with psycopg2.connect(ran) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE vo.recipe SET version = 99 WHERE class_name = 'BiasFrame'")
    connection.close()
    assert "RawBiasFrame" in run("list", "RawBiasFrame")
    assert "the recipe of BiasFrame" in run("init")
    assert "the recipe of BiasFrame" not in run("init")


def test_a_changed_setting_or_plugin_has_the_database_made_ready_by_whatever_comes_next(
    folder, night, run, monkeypatch
):
    owner = Home(folder / "data").settings().database.owner_url
    plugin = folder / "roof_of_night.py"
    plugin.write_text("")
    monkeypatch.syspath_prepend(str(folder))

    def made_ready():
        with psycopg2.connect(owner) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE vo.recipe SET version = 99 WHERE class_name = 'BiasFrame'")
            connection.commit()
            assert "RawBiasFrame" in run("list", "RawBiasFrame")
            cursor.execute("SELECT min(version) FROM vo.recipe WHERE class_name = 'BiasFrame'")
            (version,) = cursor.fetchone()
        connection.close()
        return version < 99

    monkeypatch.setenv("VO_REDUCTION__PLUGINS", '["roof_of_night"]')
    assert made_ready()
    assert not made_ready()
    plugin.write_text("# changed\n")
    assert made_ready()
    monkeypatch.delenv("VO_REDUCTION__PLUGINS")
    assert made_ready()


def test_why_names_the_raw_frame_and_its_flags_in_words(night, run):
    listed = run("list", "RawBiasFrame", "--flagged")
    assert re.search(
        rf"RawBiasFrame  simulated ccd50 2025-03-01 {night}; flagged .*SATURATED", listed
    )
    for number in re.findall(r"^ *(\d+)  RawBiasFrame", run("list", "RawBiasFrame"), re.MULTILINE)[
        1:3
    ]:
        run("set-valid", number, "rejected", "--why", "light leak", "--who", "ann")
    said = run("why", "HotPixelMap")
    assert "needs 2 valid RawBiasFrame (raw_bias_frames), there is 1" in said
    assert "bias: BiasFrame/simulated/ccd50/2025-03-01: unmakeable" in said
    assert f"raw_bias_frames: raw frame {night}" in said
    assert "SATURATED (more of the pixels than MAX_SATURATED are saturated)" in said
    assert said.count("was rejected by ann: light leak") == 2
    for number in re.findall(r"^ *(\d+)  ", run("list", "--rejected"), re.MULTILINE):
        run("set-valid", number, "valid", "--why", "it was the moon")
    assert "0 objects" in run("list", "--rejected")
    assert "stale" in run("why", "HotPixelMap")


def test_what_is_proposed_is_listed_with_who_and_why(night, run):
    number = re.search(r"(\d+)  RawDomeFlatFrame", run("list", "RawDomeFlatFrame"))[1]
    said = run("set-valid", number, "proposed", "--why", "the best of the month", "--who", "ann")
    assert f"object {number}: is_valid = 2 (proposed)" in said
    assert "proposed by ann: the best of the month" in run("list", "--proposed")
    assert "1 object" in run("list", "RawDomeFlatFrame", "--proposed", "--night", "2025-03-01")
    code = f"archive.object({number}).set_valid(1, why='not that good')"
    run("prompt", "-c", code)
    assert "0 objects" in run("list", "--proposed")
    assert "expected a CLASS, --proposed" in run("list")
    assert "2 objects, and there are more: --limit" in run("list", "RawBiasFrame", "--limit", 2)
    assert "4 objects\n" in run("list", "RawBiasFrame", "--limit", 4)
    assert "is not one of 'rejected', 'valid', 'proposed'" in run(
        "set-valid", number, "good", "--why", "x"
    )


def test_a_plan_expects_what_the_class_took(night, run):
    run("make", "BiasFrame")
    run("bump", "BiasFrame", "--why", "better")
    code = "from sqlalchemy import text; s = archive.database.service.connect(); print(*s.execute("
    code += "text(\"SELECT cost_s FROM vo.target WHERE class_name = 'BiasFrame'\")).scalars())"
    took = float(run("prompt", "-c", code))
    said = run("plan", "BiasFrame")
    assert f"BiasFrame/simulated/ccd50/2025-03-01  (about {max(took, 0.05):.1f} s)" in said


def test_an_operator_sets_a_parameter_and_takes_it_back(night, run):
    of_it = ("BiasFrame", "SIGMA_CLIP")
    why = ("--instrument", "simulated", "--why", "a try")
    said = run("set-parameter", *of_it, "4", *why)
    assert said.startswith("BiasFrame.SIGMA_CLIP is 4: ")
    assert "0 targets" not in said
    again = run("set-parameter", *of_it, "4.0", *why)
    assert again == "BiasFrame.SIGMA_CLIP is 4.0 already; nothing is recorded\n"
    assert "operator" in run("pars", "BiasFrame", "--instrument", "simulated")
    with pytest.raises(ParameterError, match="found -5, expected a number above 0"):
        run("set-parameter", *of_it, "-5", *why)
    of_other = ("BiasFrame", "SIGMACLIP")
    nothing = "nobody set BiasFrame.{} for simulated, so that nothing is recorded: {}\n"
    said = run("forget-parameter", *of_other, *why)
    assert said == nothing.format("SIGMACLIP", "set are SIGMA_CLIP")
    assert "BiasFrame.SIGMA_CLIP is forgotten: " in run("forget-parameter", *of_it, *why)
    said = run("forget-parameter", *of_it, *why)
    assert said == nothing.format("SIGMA_CLIP", "no parameter of it is")
    assert "operator" not in run("pars", "BiasFrame", "--instrument", "simulated")


def test_what_cannot_be_had_is_answered_with_what_there_is(night, run):
    for words, said in (
        (("why", "DomeFlatFrame", "--filter", "B"), "of filter V"),
        (("why", "SourceList", "--chip", "ccd99"), "of chip ccd50"),
        (("why", "SourceList", "--night", "2025-03-09"), "of night 2025-03-01"),
        (("make", "DarkCurrent"), "where there is a RawDarkFrame, and there are 4 RawBiasFrame"),
        (("prompt", "-c", "DomeFlatFrame.get(filter='B')"), "of filter V"),
    ):
        with pytest.raises(NotFoundError, match=re.escape(said)):
            run(*words)


def test_old_raw_frames_are_judged_by_a_command(folder, night, run):
    owner = Home(folder / "data").settings().database.owner_url
    with psycopg2.connect(owner) as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE vo.product SET quality_flags = 0, process_params = '{}' "
            "WHERE class_name = 'RawBiasFrame'"
        )
        cursor.execute(  # those that other tests said something of are left alone
            "SELECT COUNT(*) FROM vo.product WHERE class_name = 'RawBiasFrame' AND is_valid = 1 "
            "AND product_id NOT IN (SELECT product_id FROM vo.edit "
            "WHERE field = 'is_valid' AND product_id IS NOT NULL)"
        )
        ((frames,),) = cursor.fetchall()
    connection.close()
    assert f"{frames} raw frames judged, 1 would be rejected" in run("judge", "--dry-run")
    said = run("judge", "--who", "ann")
    assert f"{frames} raw frames judged, 1 rejected" in said
    assert f"{night} (object" in said
    assert "rejected by ann: judged: " in run("list", "--rejected")
    assert f"{frames - 1} raw frames judged, 0 rejected" in run("judge")


def _stars():
    return Table(
        {
            "Star": ["a", "b"],
            "RAJ2000": np.radians([150.1, 150.2]),
            "DEJ2000": np.radians([2.1, 2.2]),
            "mag": [14.0, 15.0],
            "err": [0.01, np.nan],
        },
        units={"RAJ2000": "rad", "DEJ2000": "rad", "mag": "mag", "err": "mag"},
    )


@pytest.mark.parametrize("form", ["fits", "votable"])
def test_a_table_is_a_catalogue_whose_columns_a_person_names(form, folder, night, run):
    path = folder / f"stars.{form}"
    _stars().write(path, format=form)
    with pytest.raises(IngestError, match=r"no column for name among .*--column name=COLUMN"):
        run("load-reference", path)
    with pytest.raises(IngestError, match="no column e_V"):
        run("load-reference", path, "--column", "name=Star", "--column", "V=mag")
    words = ("--column", "name=Star", "--column", "V=mag", "--column", "e_V=err")
    assert "2 stars taken" in run("load-reference", path, "--name", form, *words)
    code = "from sqlalchemy import text; s = archive.database.service.connect(); print(*s.execute("
    code += 'text("SELECT r.name, r.ra, r.dec, r.mags, r.mag_errs FROM vo.reference_source r '
    code += "JOIN vo.product p USING (product_id) WHERE p.attributes->>'name' = '"
    code += form + "' ORDER BY 1\")).all())"
    said = run("prompt", "-c", code)
    assert "('a', 150.1, 2.1, {'V': 14.0}, {'V': 0.01})" in said.replace("99999999999997", "")
    assert "{'V': 15.0}, {})" in said


def test_what_is_no_catalogue_says_what_is_expected(folder, night, run):
    before = run("list", "ReferenceCatalogue")
    with pytest.raises(IngestError, match=r"a FITS file without a table.*vo-service ingest"):
        run("load-reference", folder / "sim" / "raw" / night)
    broken = folder / "broken.vot"
    broken.write_text("<?xml version='1.0'?><VOTABLE><RESOURCE>")
    with pytest.raises(IngestError, match="expected a whole VOTable"):
        run("load-reference", broken)
    table = _stars()
    table["RAJ2000"].name, table["DEJ2000"].name, table["Star"].name = "ra", "dec", "name"
    table["ra"][1] = 99.0
    table.write(folder / "beyond.fits")
    with pytest.raises(IngestError, match=r"ra 5672\.28.* in row 2"):
        run("load-reference", folder / "beyond.fits")
    assert run("list", "ReferenceCatalogue") == before


def test_a_simulation_that_does_not_fit_the_disk_is_not_begun(folder, run):
    nights = [word for n in range(1, 29) for word in ("--night", f"2025-02-{n:02d}")]
    out = folder / "huge"
    words = ("--instrument", "omegacam", "--chips", 32, "--frames", 9999, 9999, 0, 0, *nights)
    with pytest.raises(StorageError, match=r"takes \d+ MB .* expected fewer chips"):
        run("simulate", "--out", out, *words)
    assert not out.exists()


def test_a_reason_is_asked_for_from_python_too(night, run):
    with pytest.raises(ParameterError, match="the reason, in words"):
        run("prompt", "-c", "next(iter(RawBiasFrame.is_valid >= 0)).set_valid(0, why='')")
