"""The forms in which tables leave: one thin writer a file."""

__all__: list[str] = []
