"""The simulated mosaic camera: what is behind :func:`reduction.simulate.simulate`."""

__all__: list[str] = []
