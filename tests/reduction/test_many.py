"""Verdicts on many targets at once: how many statements each costs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event

from reduction.instruments.base import FrameKind
from reduction.operate import targets_matching
from reduction.recipe_edits import mark_class
from tests.support.toy import write_frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reduction.archive import Archive


@contextmanager
def statements(archive: Archive) -> Iterator[list[str]]:
    said: list[str] = []

    def note(*words: object) -> None:
        said.append(str(words[2]))

    event.listen(archive.database.service, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(archive.database.service, "before_cursor_execute", note)


def look_again(archive: Archive) -> int:
    """Number of statements that it takes to find all suspect catalogues right."""
    for name in ("ToyBias", "ToyFlat", "ToyMap", "ToyImage", "ToyCatalogue"):
        archive.transact(lambda session, name=name: mark_class(session, name, None))
    numbers = [target.target_id for target in targets_matching(archive, "ToyCatalogue")]
    with statements(archive) as said:
        assert archive.plan(numbers).steps == ()
    assert {t.state for t in targets_matching(archive, "ToyCatalogue")} == {"fresh"}
    return len(said)


def test_a_suspect_target_that_is_right_costs_few_statements(
    archive: Archive, night: Path
) -> None:
    costs = []
    for number in range(24):
        write_frame(night, f"s{number}", FrameKind.SCIENCE, 310 + 2 * number, hour=3 + number / 9)
        if number in {3, 23}:
            archive.ingest([night])
            archive.make([t.target_id for t in targets_matching(archive, "ToyCatalogue")])
            costs.append(look_again(archive))
    # 20 frames more are 40 targets more (image and catalogue)
    assert (costs[1] - costs[0]) / 40 <= 3.0, costs
