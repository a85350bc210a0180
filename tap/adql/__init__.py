"""ADQL in three stages: parse, check, translate."""

__all__: list[str] = []
