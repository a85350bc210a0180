from __future__ import annotations

from pathlib import Path

import pytest

from schemas.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


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
