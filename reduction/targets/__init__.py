"""Persistent classes of the archive, one a file; each is found because it is here."""

__all__: list[str] = []
