"""Cameras that can be simulated, one a file; what their raw headers say is written there."""

__all__: list[str] = []
