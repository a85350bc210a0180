"""What an archive's keeper types: fields, accounts, judgements, scripts; and what is wrong."""

from __future__ import annotations

__all__: list[str] = []

import re
from typing import TYPE_CHECKING

import pytest
from astropy.io import fits

from schemas.errors import NotFoundError, ParameterError, UsageError
from tests.support.typed import typed, typing_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., str]

CIRCLE = ("--circle", 150.1, 2.2, 0.05)
WHY = ("--why", "a test")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with typing_folder() as path:
        yield path


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """Commands on an archive that has one night of two chips."""
    run = typed(folder)
    words = ("--chips", 2, "--size", 64, "--night", "2025-03-01", "--frames", 3, 2, 2, 2)
    run("simulate", "--out", folder / "sim", *words)
    assert "18 frames" in run("ingest", folder / "sim" / "raw")
    return run


# -- fields --------------------------------------------------------------------------------------


def test_a_field_is_declared_listed_and_closed_once(run: Run) -> None:
    assert "no fields yet" in run("field", "list")
    assert "field deep: simulated, grid of" in run("field", "add", "deep", *CIRCLE, *WHY)
    (row,) = [line for line in run("field", "list").splitlines() if "deep" in line]
    assert all(word in row for word in ("150.10000", "+2.20000", "0.05", "simulated"))
    assert "closed" not in row
    assert "targets are suspect" in run("field", "close", "deep", *WHY)
    assert "closed" in run("field", "list")
    assert run("field", "close", "deep", *WHY) == (
        "field deep is closed already; nothing is recorded\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--circle", 150.1, 92, 0.05), "dec: found 92.0, expected -90 to 90"),
        (("--circle", 360.1, 2, 0.05), "ra: found 360.1, expected"),
        (("--circle", 150.1, 2, -1), "radius: found -1.0, expected 0.0001 to 10"),
        (("--circle", 10, -40, 0.1), "expected a circle that some raw science frame reaches"),
        ((*CIRCLE, "--instrument", "hubble"), "found 'hubble', expected one of cafos"),
        ((*CIRCLE, "--pixel-scale", -1), "found -1"),
        (
            (*CIRCLE, "--set", "CoaddedRegriddedFrame.CLIP=3"),
            "CoaddedRegriddedFrame.CLIP: found 3, expected one of CLIP_AMPFRAC, CLIP_SIGMA",
        ),
        ((*CIRCLE, "--set", "CLIP=3"), "found 'CLIP', expected a key such as BiasFrame"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(map(str, value)),
)
def test_what_is_no_field_is_refused_with_what_would_be_one(run: Run, words, said) -> None:
    with pytest.raises(ParameterError, match=re.escape(said)):
        run("field", "add", "wrong", *words, *WHY)
    assert "wrong" not in run("field", "list")


def test_closing_a_field_that_is_not_there_names_those_that_are(run: Run) -> None:
    said = run("field", "add", "other", *CIRCLE, "--pixel-scale", 0.5, *WHY)
    assert "recorded" not in said
    again = run("field", "add", "other", *CIRCLE, "--pixel-scale", 0.5, *WHY)
    assert again == said[:-1] + " (declared already, just so; nothing is recorded)\n"
    with pytest.raises(NotFoundError, match=r"no field 'othr'; there are .*other"):
        run("field", "close", "othr", *WHY)


# -- accounts ------------------------------------------------------------------------------------


def test_an_account_has_a_token_that_is_told_once_and_another_when_asked_again(run: Run) -> None:
    first, second = run("account", "add", "ada").strip(), run("account", "add", "ada").strip()
    assert re.fullmatch(r"[\w-]{43}", first)
    assert first != second
    run("account", "add", "bob")
    assert run("account", "list").split() == ["ada", "bob"]
    assert run("account", "remove", "ada") == ""
    assert run("account", "list").split() == ["bob"]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "-a", "x" * 65, "ä"])
def test_what_cannot_be_a_name_of_http_basic_is_refused(run: Run, name: str) -> None:
    with pytest.raises(UsageError, match="expected 1 to 64 letters"):
        run("account", "add", "--", name)


def test_an_account_that_is_not_there_cannot_be_removed(run: Run) -> None:
    with pytest.raises(NotFoundError, match="no account 'eve': `vo-service account list`"):
        run("account", "remove", "eve")


# -- judgements ----------------------------------------------------------------------------------


def numbers(said: str) -> list[int]:
    """Numbers of the objects that are listed."""
    return [int(line.split()[0]) for line in said.splitlines() if line.startswith(" ")]


def test_a_list_says_how_many_there_are_and_when_there_are_more(run: Run) -> None:
    said = run("list", "RawBiasFrame")
    assert said.endswith("6 objects\n")
    assert len(numbers(said)) == 6
    part = run("list", "RawBiasFrame", "--limit", 2)
    assert part.endswith("2 objects, and there are more: --limit shows them\n")
    assert numbers(part) == numbers(said)[:2]
    assert run("list", "RawBiasFrame", "--limit", 6).endswith("6 objects\n")
    assert run("list", "RawBiasFrame", "--chip", "ccd51").endswith("3 objects\n")
    assert run("list", "RawBiasFrame", "--raw", numbers_name(said)).endswith("2 objects\n")


def numbers_name(said: str) -> str:
    """File of the first object that is listed, without its suffix."""
    return said.splitlines()[0].split()[-1].removesuffix(".fits")


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("RawBiasFrame --night 2025-03-02", "there are 6, of night 2025-03-01"),
        ("RawBiasFrame --chip ccd15", "there are 6, of chip ccd51, ccd50"),
        ("RawBiasFrame --instrument simulate", "there are 6, of instrument simulated"),
        ("RawDomeFlatFrame --filter B --chip ccd50", "there are 4, of filter V"),
        ("RawBiasFrame --filter V", "there are 6, of no filter: a RawBiasFrame is not made"),
        ("RawScienceFrame --raw VOSIM", "there are 4, of raw VOSIM.2025-03-02T02_00"),
        (
            "RawDarkFrame",
            "there are 6 RawBiasFrame, 4 RawDomeFlatFrame, 4 RawScienceFrame",
        ),
        ("DarkCurrent", "there is none yet: it is made where there is a RawDarkFrame, and there"),
        (
            "SourceList --night 2025-03-02",
            "4 of them can be asked for and none is made: `vo-service make SourceList` makes",
        ),
    ],
)
def test_an_empty_list_says_what_there_is(run: Run, words: str, there: str) -> None:
    assert run("list", *words.split()).startswith(f"0 objects: {there}")


def test_a_list_of_judged_objects_counts_those_that_are_judged_so(run: Run) -> None:
    assert run("list", "--proposed", "--chip", "ccd50") == "0 objects\n"
    number = numbers(run("list", "RawScienceFrame", "--chip", "ccd51"))[0]
    run("set-valid", number, "proposed", *WHY)
    said = run("list", "--proposed", "--chip", "ccd50")
    assert said == "0 objects: there is 1, of chip ccd51\n"
    run("set-valid", number, "valid", *WHY)


def test_a_list_needs_something_to_list(run: Run) -> None:
    assert "expected a CLASS, --proposed, --rejected or --flagged" in run("list")
    with pytest.raises(NotFoundError, match="no class 'RawBias', expected"):
        run("list", "RawBias")
    assert "0 is not in the range" in run("list", "RawBiasFrame", "--limit", 0)


def test_a_judgement_is_recorded_once_with_who_and_why_and_taken_back(run: Run) -> None:
    number = numbers(run("list", "RawBiasFrame"))[0]
    rejected = run("set-valid", number, "rejected", "--why", " clouds ", "--who", "ada")
    assert f"object {number}: is_valid = 0 (rejected);" in rejected
    again = run("set-valid", number, "0", "--why", "clouds", "--who", "bob")
    assert "already; nothing is recorded" in again
    (line,) = [s for s in run("list", "--rejected").splitlines() if s.startswith(" ")]
    assert numbers(line) == [number]
    assert line.endswith("; rejected by ada: clouds")
    assert "is_valid = 1 (valid)" in run("invalidate", number, "--undo", *WHY)
    assert numbers(run("list", "--rejected")) == []
    assert "is_valid = 2 (proposed)" in run("set-valid", number, "proposed", *WHY)
    assert numbers(run("list", "--proposed")) == [number]
    run("set-valid", number, "valid", *WHY)


def test_what_cannot_be_judged_is_said(run: Run) -> None:
    with pytest.raises(NotFoundError, match="no object 99999; see archive"):
        run("set-valid", 99999, "valid", *WHY)
    assert "'3' is not one of 'rejected', 'valid', 'proposed'" in run("set-valid", 1, "3", *WHY)
    assert "it is blank" in run("set-valid", 1, "valid", "--why", "  ")
    assert "Missing option '--why'" in run("set-valid", 1, "valid")


def test_only_calibrations_have_a_validity_and_it_begins_before_it_ends(run: Run) -> None:
    raw = numbers(run("list", "RawBiasFrame"))[0]
    assert "expected --from, --to or both" in run("set-validity", raw, *WHY)
    with pytest.raises(ParameterError, match=f"'object {raw}, a RawBiasFrame', expected a calib"):
        run("set-validity", raw, "--to", "2025-03-02", *WHY)
    run("make", "ReadNoise", "--chip", "ccd50")
    (made,) = numbers(run("list", "ReadNoise"))
    with pytest.raises(ParameterError, match="expected"):
        run("set-validity", made, "--from", "2025-03-02", "--to", "2025-03-01", *WHY)
    words = ("--from", "2025-02-01", "--to", "2025-04-01")
    assert "validity changed" in run("set-validity", made, *words, *WHY)
    assert "validity is that already; nothing is recorded" in run(
        "set-validity", made, *words, *WHY
    )


def test_judging_anew_leaves_alone_what_a_person_judged(run: Run) -> None:
    assert run("judge", "--dry-run").strip() == "0 raw frames judged, 0 would be rejected"
    number = numbers(run("list", "RawBiasFrame"))[-1]
    run("set-valid", number, "rejected", *WHY)
    run("set-valid", number, "valid", *WHY)
    before = len(numbers(run("list", "RawScienceFrame")))
    said = run("judge", "--all", "--dry-run")
    judged = int(re.search(r"(\d+) raw frames judged", said)[1])
    # of 18 frames those whose is_valid nobody ever set: two biases were, here and above
    assert before <= judged <= 17


def test_describing_anew_says_what_it_looked_at(run: Run) -> None:
    for words in (("--dry-run",), ("--dry-run", *WHY)):
        said = run("describe", *words).strip()
        assert said == "18 raw frames looked at, 0 would be others now"
    assert "missing option '--why': the reason is kept" in run("describe")
    assert "it is blank" in run("describe", "--why", " ")


# -- scripts, recipes, questions -----------------------------------------------------------------


def test_a_script_is_kept_under_its_hash_and_not_run(run: Run, folder: Path) -> None:
    path = folder / "mine.py"
    path.write_text("raise SystemExit('it ran')\nclass MyBias:\n    pass\n")
    said = run("script", "add", path, *WHY)
    digits = said.split()[0]
    assert re.fullmatch(r"[0-9a-f]{64}", digits)
    assert run("script", "add", path, *WHY).split()[0] == digits
    (line,) = run("script", "list").splitlines()
    assert line.startswith(f"{digits[:12]}  mine.py  not allowed")
    assert run("script", "show", digits[:6]) == path.read_text()
    for wrong in (digits[:5], "zzzzzz"):
        with pytest.raises(NotFoundError, match=r"expected 6 or more digits of a hash"):
            run("script", "show", wrong)
    with pytest.raises(NotFoundError, match="keeps no script 000000000000"):
        run("script", "show", "0" * 64)
    said = run("script", "allow", digits[:8], *WHY)
    assert "may run\n" in said
    assert "the setting reduction.scripts is 'off'" in said
    assert "  allowed  " in run("script", "list")
    assert "may run no longer" in run("script", "allow", digits, "--undo", *WHY)
    assert "  not allowed" in run("script", "list")


def test_a_better_recipe_makes_its_targets_suspect_and_only_of_a_class_that_is_there(
    run: Run,
) -> None:
    run("make", "ReadNoise")
    assert re.search(r"ReadNoise: \d+ targets are suspect", run("bump", "ReadNoise", *WHY))
    assert "bumped" not in run("why", "BiasFrame", "--chip", "ccd50")
    with pytest.raises(NotFoundError, match="no target class 'ReadNoize', expected ReadNoise"):
        run("bump", "ReadNoize", *WHY)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("why", "BiasFrame", "--chip", "nine"), "there are 2, of chip ccd50, ccd51"),
        (("why", "BiasFrame", "--night", "2025-03-02"), "there are 2, of night 2025-03-01"),
        (("make", "SourceList", "--filter", "Z"), "no SourceList of filter Z"),
        (("inspect", 99999), "no object 99999"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(map(str, value)),
)
def test_a_question_about_nothing_is_answered_with_what_there_is(run: Run, words, said) -> None:
    with pytest.raises(NotFoundError, match=said):
        run(*words)


def test_numbers_and_dates_that_are_none_are_refused(
    run: Run,
) -> None:
    assert "found 'x', expected the number of an object" in run("set-valid", "x", "valid", *WHY)
    assert "expected a date YYYY-MM-DD" in run("list", "RawBiasFrame", "--night", "20250301")
    assert "expected a moment in UTC" in run("set-validity", 1, "--to", "2025", *WHY)
    assert "expected CLASS.NAME=VALUE" in run("pars", "BiasFrame", "--set", "SIGMA_CLIP")
    assert "No such command 'lst'. Did you mean 'list'?" in run("lst")


def test_frames_that_came_twice_are_counted_where_a_bias_goes_without_them(
    run: Run, folder: Path
) -> None:
    again = folder / "again"
    again.mkdir()
    for path in sorted((folder / "sim" / "raw").iterdir()):
        with fits.open(path) as hdus:
            if hdus[0].header["OBJECT"] == "BIAS":
                hdus[0].header["COMMENT"] = "delivered again"
                hdus.writeto(again / path.name)
    assert "3 files taken (6 frames)" in run("ingest", again)
    said = run("why", "BiasFrame", "--chip", "ccd51")
    (line,) = [line for line in said.splitlines() if "DUPLICATE" in line]
    assert "raw_bias_frames: 3 raw frames are flagged DUPLICATE: their exposures came in" in line
    assert line.endswith("are used (objects 2, 4, 6)")
