"""Source collections: trees of operators over source lists; only what is asked for is done."""

__all__: list[str] = []
