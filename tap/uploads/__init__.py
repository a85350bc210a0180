"""Tables that users upload: readers of their formats, and what puts their rows into PostgreSQL."""

__all__: list[str] = []
