"""Asynchronous jobs of any protocol (UWS-1.1): resources, decisions, storage, workers."""

__all__: list[str] = []
