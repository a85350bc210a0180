"""Sphinx settings, and the pages that are read off the code."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

project = "vo-service"
author = "the vo-service developers"
copyright = "2026, the vo-service developers"
release = "0.1.0"
extensions = ["generated"]
html_theme = "alabaster"
html_theme_options = {"description": "An archive that remakes itself", "fixed_sidebar": True}
exclude_patterns = ["_build"]
nitpicky = False
