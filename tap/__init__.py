"""Querying: TAP and ADQL as a library, free of HTTP."""

__all__: list[str] = []
