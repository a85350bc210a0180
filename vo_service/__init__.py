"""Serving: the web, the documents, the command line. The only place that knows Flask."""

__all__: list[str] = []
