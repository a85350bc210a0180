"""Commands as a person types them, in this process, on an archive with a private database."""

from __future__ import annotations

__all__ = ["typed", "typing_folder"]

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from vo_service.cli import cli
from vo_service.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def typing_folder() -> Iterator[Path]:
    """A folder whose archive is in ``data``; its database is stopped afterwards."""
    path = Path(tempfile.mkdtemp(prefix="vo-typed-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        Home(path / "data").cluster.stop()
        shutil.rmtree(path)


def typed(folder: Path) -> Callable[..., str]:
    """Give what runs a command: its output, or the archive's error."""

    def run(*words: object) -> str:
        """Run the command; words need not be texts."""
        words = ("--data", folder / "data", *words)
        done = CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "200"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return run
