"""``python -m vo_service``: the command line."""

from __future__ import annotations

__all__: list[str] = []

from vo_service.cli import main

main()
