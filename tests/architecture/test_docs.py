from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from reduction.declared import declared_parameters
from reduction.parameters import default_parameters
from reduction.published import flagged_classes
from reduction.quality import flags_of
from reduction.registry import Registry
from schemas.settings import Settings
from vo_service.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted({ROOT / "README.md", ROOT / "deploy" / "README.md", *ROOT.glob("docs/**/*.rst")})
FOLDERS = {"deploy", "docs", "science", "reduction", "schemas", "sia", "tap", "vo_service"}


@dataclass
class Nothing:
    """Of classes without parameters."""


def test_the_documentation_builds_without_warnings(tmp_path):
    sphinx = pytest.importorskip("sphinx.cmd.build")
    code = sphinx.build_main(
        ["-q", "-W", "--keep-going", "-b", "text", str(ROOT / "docs"), str(tmp_path)]
    )
    assert code == 0
    settings = (tmp_path / "settings.txt").read_text()
    for section, field in Settings.model_fields.items():
        for name in field.annotation.model_fields:
            assert f"{section}.{name}" in settings
    commands = (tmp_path / "commands.txt").read_text()
    assert "vo-service demo" in commands
    assert "vo-service ingest" in commands
    _everything_declared_is_told(tmp_path)


def _everything_declared_is_told(folder):
    registry = Registry.load()
    targets = re.sub(r"\s+", " ", (folder / "targets.txt").read_text())
    flags = (folder / "flags.txt").read_text()
    parameters = re.sub(r"\W+", "", (folder / "parameters.txt").read_text())
    for cls in registry.targets():
        assert cls.__name__ in targets
        for name in (*cls.SLOTS, *default_parameters(cls.Parameters)):
            assert name in targets, f"{cls.__name__}.{name}"
        for item in cls.ATTRIBUTES:
            assert item.name in targets, f"{cls.__name__}.{item.name}"
    for name, cls in registry.classes.items():
        for item in declared_parameters(getattr(cls, "Parameters", Nothing)).values():
            said = f"{item.limits.description}. Default: {item.default_words}."
            assert re.sub(r"\W+", "", said) in parameters, f"{name}.{item.name}"
    for cls in flagged_classes(registry):
        for flag in flags_of(cls.Flags):
            assert flag.name in flags, f"{cls.__name__}.{flag.name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_options_modules_and_files_that_a_page_names_are_there(path):
    text = path.read_text()
    for line in re.findall(r"vo-service ([a-z][^\n`]*)", text):
        words, command = line.split(), cli
        while words and isinstance(command, click.Group):
            assert words[0] in command.commands, f"vo-service {line}"
            command = command.commands[words.pop(0)]
        known = {option for param in command.params for option in param.opts} | {"--help"}
        assert set(re.findall(r"(?<![\w-])--[a-z-]+", line)) <= known, f"vo-service {line}"
    for name in re.findall(r":mod:`~?([\w.]+)`", text):
        assert importlib.util.find_spec(name), name
    for name in re.findall(r"``((?:[\w-]+/)+[\w-]+(?:\.\w+)?)``", text):
        if name.split("/")[0] in FOLDERS:
            known = [ROOT / name, ROOT / "tests" / name, ROOT / "tests" / f"{name}.py"]
            assert any(place.exists() for place in known), name


@pytest.mark.parametrize("cls", flagged_classes(Registry.load()), ids=lambda cls: cls.__name__)
def test_every_flag_is_one_bit_of_its_own_with_a_sentence(cls):
    bits = [flag.bit for flag in flags_of(cls.Flags)]
    assert len(set(bits)) == len(list(cls.Flags.__members__))
    for flag in flags_of(cls.Flags):
        assert flag.bit.bit_count() == 1, flag.name
        assert len(flag.sentence.split()) > 2, flag.name
