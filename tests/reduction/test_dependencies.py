"""What verdicts rested on is written down where it is new, and only there."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

from sqlalchemy import text

from reduction.dependencies import note_dependencies
from reduction.operate import find_target
from tests.support.toy import ToyImage

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive


def noted(archive: Archive, number: int) -> dict[int, str]:
    """Targets that one rests on, and by which transaction that was written."""
    query = "SELECT progenitor_target_id, xmin::text FROM vo.dependency WHERE target_id = :number"
    with archive.transaction() as session:
        return {row[0]: row[1] for row in session.execute(text(query), {"number": number})}


def test_what_a_target_rested_on_before_is_not_written_again(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyImage.get(raw="science.fits")
    image, total = (find_target(archive, name).target_id for name in ("ToyImage", "ToyTotal"))
    before = noted(archive, image)
    assert len(before) == 3
    with archive.transaction() as session:
        note_dependencies(session, {image: before, total: [image]})
    assert noted(archive, image) == before
    assert set(noted(archive, total)) == {image}
    gone, *kept = sorted(before)
    with archive.transaction() as session:
        note_dependencies(session, {image: [*kept, total], total: []})
    after = noted(archive, image)
    assert set(after) == {*kept, total}
    assert all(after[number] == before[number] for number in kept)
    assert gone not in after
    assert noted(archive, total) == {}
