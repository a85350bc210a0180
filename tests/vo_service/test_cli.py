from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from vo_service.cli import cli
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


def test_wrong_words_get_a_sentence_and_no_traceback(run):
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


def test_the_settings_are_printed_with_secrets_hidden(run, monkeypatch):
    monkeypatch.setenv("VO_DATABASE__READER_URL", "postgresql://r:tell-nobody@h/db")
    done = run("settings")
    assert "[database]" in done.stdout
    assert "tell-nobody" not in done.stdout
    monkeypatch.setenv("VO_WEB__PORT", "many")
    done = run("settings")
    assert done.returncode == 2
    assert "web.port" in done.stderr
