"""Declarations: what things are. Imports nothing else of the project."""

__all__: list[str] = []
