"""Asynchronous jobs of any protocol (UWS-1.1): resources, decisions, storage, and who runs them."""

__all__: list[str] = []
