"""Cameras, one a file; header words are mapped here and nowhere else."""

__all__: list[str] = []
