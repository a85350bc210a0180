"""Making: targets, their chain, their freshness, and the steps that compute them."""

__all__: list[str] = []
