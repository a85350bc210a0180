"""The commands of ``vo-service``, by what they are about."""

__all__: list[str] = []
