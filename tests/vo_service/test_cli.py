from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reduction.pars import check_overrides
from reduction.registry import Registry
from schemas.errors import SettingsError, StorageError, UsageError
from schemas.settings import load_settings
from vo_service.cli import cli
from vo_service.commands.making import make
from vo_service.commands.words import moment
from vo_service.home import Home


@pytest.fixture(scope="module")
def folder():
    path = Path(tempfile.mkdtemp(prefix="vo-cli-"))
    path.chmod(0o711)
    yield path
    Home(path / "data").cluster.stop()
    shutil.rmtree(path)


@pytest.fixture
def run(folder):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vo_service", "--data", str(folder / "data"), *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "200"},
        )

    return run


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_says_what_it_is_for(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert len(cli.commands[name].help.split(".")[0]) > 20


def test_a_value_nested_without_end_is_text_like_any_other(tmp_path):
    words = ["--data", str(tmp_path), "pars", "BiasFrame", "--set", "BiasFrame.A=" + "[" * 9000]
    assert isinstance(CliRunner().invoke(cli, words).exception, UsageError)


def test_frames_are_ingested_once_and_counted(run, folder):
    simulated = folder / "sim"
    done = run(
        "simulate",
        "--out",
        str(simulated),
        "--chips",
        "1",
        "--size",
        "64",
        "--night",
        "2025-03-01",
    )
    assert done.returncode == 0, done.stderr
    number = len(list((simulated / "raw").iterdir()))
    first = run("ingest", str(simulated / "raw"))
    assert f"{number} files taken" in first.stdout, first.stderr
    assert "0 refused" in first.stdout
    second = run("ingest", str(simulated / "raw"))
    assert f"0 files taken (0 frames), {number} known already" in second.stdout
    assert "stars taken" in run("load-reference", str(simulated / "reference.csv")).stdout
    status = run("status")
    assert "not serving" in status.stdout
    assert "RawBiasFrame" in status.stdout


def test_a_file_that_is_no_frame_is_refused_by_name_and_the_command_fails(run, folder):
    wrong = folder / "wrong.fits"
    wrong.write_bytes(b"SIMPLE  = not fits" * 100)
    done = run("ingest", str(wrong))
    assert done.returncode == 1
    assert "wrong.fits" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_recipe_is_made_explained_and_edited_from_the_command_line(run):
    assert run("make", "BiasFrame").returncode == 0
    assert "0 steps" in run("plan", "BiasFrame").stdout
    code = "print(next(iter([k.object_id for k in (RawBiasFrame.is_valid >= 1)])))"
    number = run("prompt", "-c", code).stdout.strip()
    done = run("invalidate", number, "--why", "a test")
    assert "is_valid = 0" in done.stdout, done.stderr
    assert "was rejected" in run("why", "BiasFrame").stdout
    assert run("make", "BiasFrame").returncode == 0
    assert "fresh" in run("why", "BiasFrame").stdout


@pytest.mark.slow
def test_damaged_files_are_named_with_what_brings_them_back(run, folder):
    assert run("make", "BiasFrame").returncode == 0
    code = (
        "b = next(iter(BiasFrame.is_valid >= 1)); r = b.raw_bias_frames[0]; "
        "print(b.object_id, r.object_id, r.name)"
    )
    bias, raw, name = run("prompt", "-c", code).stdout.split()
    good = folder / "sim" / "raw" / name
    digest = hashlib.sha256(good.read_bytes()).hexdigest()
    (stored,) = (folder / "data").rglob(f"{digest}.*")
    stored.chmod(0o644)
    stored.write_bytes(good.read_bytes()[:-1] + b"x")
    product = max((folder / "data").rglob("product/*/*"), key=lambda p: p.stat().st_mtime_ns)
    product.unlink()
    done = run("storage", "--verify")
    assert done.returncode == 1
    back = f"`vo-service restore {raw} --file COPY` brings it back from a copy"
    assert f"RawBiasFrame object {raw} ({name}): its bytes are not those" in done.stdout
    assert back in done.stdout
    assert "` makes it again" in done.stdout
    again = run("ingest", str(folder / "sim" / "raw"))
    assert again.returncode == 1
    assert f"`vo-service restore {raw} --file {good}` brings it back" in again.stdout
    needs = run("restore", raw)
    assert f"RawBiasFrame object {raw} ({name}" in needs.stderr
    assert back in needs.stderr
    wrong = run("restore", raw, "--file", str(folder / "sim" / "reference.csv"))
    assert f"it is no copy of {name}" in wrong.stderr
    done = run("restore", raw, "--file", str(good), "--why", "from tape")
    first, second = done.stdout.splitlines()
    assert first == f"restored: {raw}"
    assert re.fullmatch(
        rf"made of it, maybe while it was altered: .*\b{bias}\b.*; made again when asked for",
        second,
    )
    assert "doubted by" in run("list", "BiasFrame").stdout
    assert run("make", "BiasFrame").returncode == 0
    damaged = run("storage", "--verify").stdout
    for number in re.findall(r"`vo-service restore (\d+)` makes it again", damaged):
        assert run("restore", number).stdout.strip() == f"restored: {number}"
    assert "0 files are lost or damaged" in run("storage", "--verify").stdout
    assert "its file is as it was written" in run("restore", raw).stdout
    assert "-1 is no number of an object" in run("restore", "-1").stderr


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("why", "BiasFrame"),
        ("plan", "BiasFrame"),
        ("make", "BiasFrame"),
        ("invalidate", "1", "--why", "x"),
        ("set-validity", "1", "--to", "60735.5", "--why", "x"),
        ("bump", "BiasFrame", "--why", "x"),
        ("prompt", "-c", "1"),
    ],
)
def test_looking_at_no_archive_makes_none(words, tmp_path, monkeypatch):
    monkeypatch.setenv("VO_DATA", str(tmp_path / "data"))
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, UsageError)
    assert f"there is no archive in {tmp_path / 'data'}: --data or VO_DATA" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_a_missing_archive_ends_a_command_with_status_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vo_service", "--data", str(tmp_path / "data"), "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("vo-service: there is no archive in")
    assert not list(tmp_path.iterdir())


def test_the_list_of_commands_is_not_cut():
    assert "..." not in CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "80"}).output[40:]


@pytest.mark.parametrize("text", ["2025-3-1", "2025-02-30", "20250301", "yesterday", ""])
def test_a_night_is_a_date_with_dashes(text, tmp_path):
    done = CliRunner().invoke(cli, ["simulate", "--out", str(tmp_path / "sim"), "--night", text])
    assert done.exit_code == 2
    assert "expected a date YYYY-MM-DD" in done.output
    assert not (tmp_path / "sim").exists()


@pytest.mark.parametrize(
    ("text", "mjd"),
    [
        ("60735.5", 60735.5),
        ("2025-03-01", 60735.0),
        ("2025-03-01T12:00:00", 60735.5),
        ("2025-03-01 12:00", 60735.5),
        ("2025-03-01T12:00:00Z", 60735.5),
        ("2025-03-01T12:00:00+03:00", 60735.375),
    ],
)
def test_a_moment_is_an_mjd_or_a_date_in_utc(text, mjd):
    assert moment(text) == mjd


@pytest.mark.parametrize("text", ["2025", "20250301", "2460735.5", "nan", "inf", "-1", "soon"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(click.BadParameter, match="expected a moment in UTC"):
        moment(text)


def test_a_blank_reason_is_refused(tmp_path):
    done = CliRunner().invoke(cli, ["--data", str(tmp_path), "bump", "BiasFrame", "--why", "  "])
    assert done.exit_code == 2
    assert "it is blank: expected the reason" in done.output


def test_a_validity_is_set_by_dates_and_both_ends_at_once(run):
    assert run("make", "BiasFrame").returncode == 0
    code = "b = next(iter(BiasFrame.is_valid >= 1)); print({})"
    number = run("prompt", "-c", code.format("b.object_id")).stdout.strip()
    done = run(
        "set-validity", number, "--from", "2025-02-20", "--to", "2025-03-20T12:00", "--why", "lamp"
    )
    assert "validity changed" in done.stdout, done.stderr
    done = run("set-validity", number, "--from", "2025-02-20", "--why", "again")
    assert "validity is that already; nothing is recorded" in done.stdout, done.stderr
    held = code.format("float(b.timestamp_start), float(b.timestamp_end)")
    assert run("prompt", "-c", held).stdout.strip() == "60726.0 60754.5"
    done = run("set-validity", number, "--from", "2025-04-01", "--to", "2025-03-01", "--why", "x")
    assert done.returncode == 2
    assert "a range that begins before it ends" in done.stderr
    assert run("prompt", "-c", held).stdout.strip() == "60726.0 60754.5"
    raw = run("prompt", "-c", "print(next(iter(RawBiasFrame.is_valid >= 0)).object_id)")
    done = run("set-validity", raw.stdout.strip(), "--from", "2025-04-01", "--why", "x")
    assert done.returncode == 2
    assert "only these have a validity" in done.stderr


def test_targets_that_are_not_there_are_answered_with_what_is(run):
    done = run("why", "BiasFrame", "--chip", "ccd99", "--night", "2031-01-01")
    assert done.returncode == 1
    assert "no BiasFrame of chip ccd99, night 2031-01-01" in done.stderr
    assert "chip ccd50; night 2025-03-01" in done.stderr


def test_an_error_of_the_archive_is_one_sentence_at_the_prompt(run, folder):
    code = "BiasFrame.get(date='2025-03-01', chip='ccd99', instrument='simulated')"
    done = run("prompt", "-c", code)
    assert done.returncode == 1
    assert done.stderr.startswith("vo-service: no BiasFrame for")
    assert "Traceback" not in done.stderr
    typed = subprocess.run(
        [sys.executable, "-m", "vo_service", "--data", str(folder / "data"), "prompt"],
        input=f"{code}\n1 / 0\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "NotFoundError: no BiasFrame for" in typed.stderr
    assert typed.stderr.count("Traceback") == 1  # that of the division


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("def f(x):\n    return 1 / x\n\nf(0)", ("f(0)", "return 1 / x", "ZeroDivisionError: ")),
        ("BiasFrame.gett()", ("BiasFrame.gett()", "AttributeError: BiasFrame has no attribute")),
        ("for x in", ("for x in", "SyntaxError: ")),
        ("open('/nowhere/at/all')", ("open('/nowhere/at/all')", "FileNotFoundError: ")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_persons_own_error_is_shown_from_their_line_on(run, code, lines):
    assert run("init").returncode == 0
    done = run("prompt", "-c", code)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if set(line) - set(" ~^")]
    for line in lines:
        assert any(line in found for found in said)
    files = {line.split('"')[1] for line in said if line.startswith("  File ")}
    assert files == {"<prompt>"}


def test_the_data_folder_is_not_blamed_for_other_folders(tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "sim"
    done = CliRunner().invoke(cli, ["--data", str(tmp_path), "simulate", "--out", str(out)])
    assert isinstance(done.exception, StorageError)
    assert str(out) in str(done.exception)
    assert "--data" not in str(done.exception)


def test_wrong_words_get_a_sentence_and_no_traceback(run):
    assert run("init").returncode == 0
    for words, sentence in (
        (("make", "NoSuchClass"), "no target class 'NoSuchClass'"),
        (("invalidate", "999999", "--why", "x"), "there is no object 999999"),
        (("set-validity", "1", "--why", "x"), "expected --from, --to or both"),
        (("ingest", "/nowhere/at/all"), "does not exist"),
    ):
        done = run(*words)
        assert done.returncode != 0
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("inspect", "BiasFrame"), "found 'BiasFrame', expected the number of an object: `vo-s"),
        (
            ("set-valid", "rejected", "17", "--why", "x"),
            "found 'rejected', expected the number",
        ),
        (
            ("worker", "localhost"),
            "found the address 'localhost', expected that of an engine",
        ),
        (("worker", "http://localhost:80"), "expected that of an engine: tcp://HOST:PORT"),
        (("worker", "tcp://localhost:x"), "expected that of an engine: tcp://HOST:PORT"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_words_of_another_form_are_answered_with_the_right_one(words, sentence):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_what_is_interrupted_says_so_and_ends_as_shells_expect(run):
    assert run("init").returncode == 0
    done = run("prompt", "-c", "raise KeyboardInterrupt")
    assert done.returncode == 130
    assert done.stderr == "vo-service: stopped; what was finished before stays\n"


def test_a_folder_without_frames_is_said_to_have_none(run, tmp_path):
    (tmp_path / "notes.txt").write_text("clouds")
    said = run("ingest", tmp_path).stdout
    assert "0 files taken" in said
    assert f"there is no file *.fits, *.fits.gz or *.fits.fz in {tmp_path}, nor in folders" in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "there is no module 'bad_plugin', expected a module where Python finds it"),
        ("x = (", "'bad_plugin' cannot be imported, bad_plugin.py, line 1: SyntaxError: '(' was"),
        ("\nimport nowhere", "bad_plugin.py, line 2: ModuleNotFoundError: No module named 'nowh"),
        ("1 / 0", "bad_plugin.py, line 1: ZeroDivisionError: division by zero"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_said_with_its_line(
    text, sentence, tmp_path, monkeypatch
):
    if text is not None:
        (tmp_path / "bad_plugin.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SettingsError) as refused:
        Registry.load(("bad_plugin",))
    assert str(refused.value).startswith("reduction.plugins: ")
    assert sentence in str(refused.value)


def test_a_plugin_that_declares_nothing_is_remarked_upon(tmp_path, monkeypatch, caplog):
    (tmp_path / "idle_plugin.py").write_text("INSTRUMENTT = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    Registry.load(("idle_plugin",))
    assert "the plugin idle_plugin declares nothing: expected INSTRUMENT" in caplog.text


def test_the_settings_are_printed_with_secrets_hidden(run, monkeypatch):
    monkeypatch.setenv("VO_DATABASE__READER_URL", "postgresql://r:tell-nobody@h/db")
    done = run("settings")
    assert "[database]" in done.stdout
    assert "tell-nobody" not in done.stdout
    monkeypatch.setenv("VO_WEB__PORT", "many")
    done = run("settings")
    assert done.returncode == 2
    assert "web.port" in done.stderr


def test_the_printed_settings_are_a_settings_file(run, folder, monkeypatch):
    values = {
        "VO_WEB__PORT": "9099",
        "VO_PUBLISHER__TITLE": 'The "new" archive \\ Äö',
        "VO_REDUCTION__PARAMETERS": '{"*": {"BiasFrame": {"clip": 3.5, "on": true, "of": [1]}}}',
        "VO_REDUCTION__PLUGINS": '["json"]',
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    said = load_settings()
    done = run("settings")
    assert str(folder / "data" / "files") in done.stdout
    for name in values:
        monkeypatch.delenv(name)
    file = folder / "settings.toml"
    file.write_text(done.stdout)
    monkeypatch.setenv("VO_SETTINGS", str(file))
    again = load_settings()
    assert again == said
    assert again.web.model_fields_set == {"port"}
    assert run("settings").stdout == done.stdout


def test_parameters_are_shown_and_set_for_one_call(run):
    clip = ("--set", "BiasFrame.SIGMA_CLIP=5")
    shown = run("pars", "HotPixelMap", "--instrument", "simulated", *clip)
    assert "REJECTION_THRESHOLD = 5.0" in shown.stdout, shown.stderr
    assert "SIGMA_CLIP = 5.0 sigma  [call; default 3.0]" in shown.stdout
    assert "values further than this from the median of a pixel are left out (above 0)" in (
        " ".join(shown.stdout.replace("│", " ").split())
    )
    listed = json.loads(run("pars", "BiasFrame", "--json", *clip).stdout)
    assert listed[0] | {"layers": 0} == {
        "class": "BiasFrame",
        "name": "SIGMA_CLIP",
        "value": 5.0,
        "unit": "sigma",
        "type": "float",
        "range": "above 0",
        "choices": [],
        "description": "values further than this from the median of a pixel are left out",
        "origin": "call",
        "wrong": "",
        "layers": 0,
    }
    code = "print([(b.object_id, b.process_params) for b in (BiasFrame.is_valid >= 1)])"
    before = run("prompt", "-c", code).stdout
    made = run("make", "BiasFrame", *clip)
    assert re.search(r"BiasFrame/simulated/ccd50/2025-03-01: object \d+", made.stdout), made.stderr
    assert run("prompt", "-c", code).stdout == before
    for words, said in (
        ("BiasFrame.SIGMA_CLIP=five", "found 'five', expected a number above 0 (sigma)"),
        ("BiasFrame.SIGMA_CLIP=-5", "found -5, expected a number above 0 (sigma)"),
        ("BiasFrame.SIGMACLIP=5", "expected SIGMA_CLIP"),
        ("SIGMA_CLIP", "expected CLASS.NAME=VALUE"),
    ):
        refused = run("make", "BiasFrame", "--set", words)
        assert refused.returncode == 2
        assert said in refused.stderr


def refusal(class_name, key, value):
    """What is said of a process parameter that the command line takes, and the class does not."""
    option = next(option for option in make.params if option.name == "settings")
    settings = option.callback(click.Context(make), option, (f"{key}={value}",))
    with pytest.raises(UsageError) as caught:
        check_overrides(Registry.load(), class_name, settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("BiasFrmae.SIGMA_CLIP", "5", "expected BiasFrame"),
        ("Catalog.FLUX_FLOOR", "0", "a class that it is made from: BiasFrame"),
        (
            "RawBiasFrame.MIN_RANGE",
            "0",
            "raw frames are judged when they come in, by the settings",
        ),
        ("SIGMA_CLIP", "5", "a key such as BiasFrame.process_params.SIGMA_CLIP"),
        ("BiasFrame.SIGMACLIP", "5", "expected SIGMA_CLIP"),
        ("BiasFrame.SIGMA_CLIP", "[1, 2]", "found [1, 2], expected a number above 0 (sigma)"),
        ("BiasFrame.SIGMA_CLIP", "true", "found True, expected a number above 0 (sigma)"),
        ("BiasFrame.SIGMA_CLIP", "NaN", "found nan, expected a number above 0 (sigma)"),
        ("BiasFrame.OVERSCAN_CORRECTION", "9", "one of 0, 1, 2, 3, 4, 5, 6, 7, 8"),
        ("BiasFrame.OVERSCAN_CORRECTION", "x", "one of 0, 1, 2, 3, 4, 5, 6, 7, 8"),
    ],
)
def test_what_a_person_sets_wrongly_is_answered_with_what_would_be_right(key, value, said):
    assert said in refusal("BiasFrame", key, value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("AssociateList.SINGLE_OUT_CLOSEST_PAIRS", "True", "found 'True', expected true or false"),
        ("AssociateList.SINGLE_OUT_CLOSEST_PAIRS", "1", "found 1, expected true or false"),
        ("AssociateList.ASSOCIATION_TYPE", "FOO", "expected one of chain, master, matched"),
        ("DetectionFrame.BAND", "5", 'expected text, such as "5" with its quotes'),
        ("LightCurveList.ERROR_FLOOR", "-1", "a number from 0 to 1 (mag), or null for none"),
    ],
)
def test_a_truth_a_word_and_none_are_told_apart(key, value, said):
    assert said in refusal(key.partition(".")[0], key, value)


def test_a_parameter_that_is_set_twice_is_refused(tmp_path):
    once = ("--set", "BiasFrame.SIGMA_CLIP=5")
    words = ["--data", str(tmp_path), "pars", "BiasFrame", *once, *once]
    assert "is set twice" in CliRunner().invoke(cli, words).output
    both = {"BiasFrame.SIGMA_CLIP": 5, "BiasFrame.process_params.SIGMA_CLIP": 5}
    with pytest.raises(UsageError, match="set twice"):
        check_overrides(Registry.load(), "BiasFrame", both)


def test_a_product_is_drawn_into_a_file(run, folder):
    code = "print(next(iter([k.object_id for k in (RawBiasFrame.is_valid >= 0)])))"
    number = run("prompt", "-c", code).stdout.strip()
    path = folder / "bias.png"
    assert run("inspect", number, "-o", str(path)).stdout.strip() == str(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "there is no object 99999" in run("inspect", "99999").stderr


def test_a_script_is_kept_read_allowed_and_used(run, folder, monkeypatch):
    path = folder / "mine.py"
    path.write_text(
        "import numpy as np\n\n\ndef median(frames, *, read_noise, sigma_clip):\n"
        "    return np.median(frames, axis=0)\n\n\n"
        "STEPS = {'BiasFrame': {'combine_biases': median}}\n"
    )
    added = run("script", "add", str(path), "--why", "a try")
    assert added.stdout.strip().endswith("mine.py: step of BiasFrame"), added.stderr
    digest = added.stdout.split()[0]
    listed = run("script", "list").stdout
    assert f"{digest[:12]}  mine.py  not allowed  step of BiasFrame" in listed
    assert run("script", "show", digest[:8]).stdout == path.read_text()
    path.unlink()
    refused = run("make", "BiasFrame", "--script", digest[:8])
    assert refused.returncode == 1
    assert "reduction.scripts is 'off'" in refused.stderr
    said = run("script", "allow", digest[:8], "--why", "read").stdout
    assert "no script runs yet" in said
    monkeypatch.setenv("VO_REDUCTION__SCRIPTS", "allowed")
    made = run("make", "BiasFrame", "--script", digest[:8])
    number = re.search(r": object (\d+)", made.stdout)
    assert number, made.stderr
    code = f"print(archive.object({number[1]}).recipe_version)"
    assert run("prompt", "-c", code).stdout.strip().endswith(f"+{digest}")
