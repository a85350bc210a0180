"""Pure array functions, one method a file: no disk, no database, no network."""

__all__: list[str] = []
