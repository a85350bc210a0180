"""Images: SIA, SODA and DataLink as a library, free of HTTP."""

__all__: list[str] = []
