"""The questions of ``questions.txt``: in ADQL, and in SQL by hand."""

from __future__ import annotations

__all__ = ["QUESTIONS"]

from pathlib import Path

_TEXT = Path(__file__).with_name("questions.txt").read_text("utf-8").split("\n\n", 1)[1]
QUESTIONS = [tuple(block.strip().split("\n==\n")) for block in _TEXT.strip().split("\n\n")]
