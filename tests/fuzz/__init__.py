"""Texts that nobody would write, by the hundred thousand: commands, and a slice in the suite."""

__all__: list[str] = []
