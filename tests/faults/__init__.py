"""Commands that break things on purpose, for as long as it takes."""

__all__: list[str] = []
