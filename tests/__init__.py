"""Tests: real PostgreSQL, real FITS, real HTTP."""

__all__: list[str] = []
