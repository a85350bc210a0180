"""Fixtures of tests over HTTP."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest

from tests.support.serving import Observatory, observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clusters import Databases


@pytest.fixture(scope="session")
def observatory(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observatory]:
    """A served archive with a simulated night."""
    with databases.fresh() as database, observed(database, tmp_path_factory.mktemp("o")) as held:
        yield held
