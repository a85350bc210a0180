"""Files are given out as they were written: a product's is made again, a raw frame's is named."""

from __future__ import annotations

__all__: list[str] = []

import shutil
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from reduction import damage as damaged
from reduction.damage import see_unaltered
from reduction.damaged_files import damaged_files
from reduction.objects import held, with_file
from schemas.errors import UnreadableError
from tests.reduction.test_restore import damage, lose, path_of
from tests.support.toy import ToyBias, work_done
from vo_service.files import files_blueprint

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive


def test_a_damaged_product_is_made_again_where_it_is_given_out(
    archive: Archive, night: Path, work_log: Path
) -> None:
    bias = ToyBias.get()
    work_done(work_log)
    for harm in (damage, lose):
        harm(archive, bias.object_id)
        with pytest.raises(UnreadableError, match=f"`vo-service restore {bias.object_id}` makes"):
            archive.mender.file(bias.object_id, make=False)
        assert work_done(work_log) == []
        found = archive.mender.file(bias.object_id)
        assert found is not None
        assert found.path == path_of(archive, bias.object_id)
        assert found.size == found.path.stat().st_size
        assert work_done(work_log) == ["ToyBias"]
    assert list(damaged_files(archive)) == []
    assert archive.mender.file(bias.object_id) == found
    assert work_done(work_log) == []


def test_a_damaged_raw_frame_is_named_with_what_brings_it_back(
    archive: Archive, night: Path
) -> None:
    bias = ToyBias.get()
    raw = bias.raw_bias_frames[0].object_id
    for harm, why in ((damage, "not as it was written"), (lose, "No such file")):
        harm(archive, raw)
        with pytest.raises(UnreadableError) as caught:
            archive.mender.file(raw)
        assert f"RawBiasFrame object {raw} (bias0.fits" in str(caught.value)
        assert why in str(caught.value)
        assert f"`vo-service restore {raw} --file COPY`" in str(caught.value)


def test_what_cannot_be_made_again_is_not_tried_at_each_request(
    archive: Archive, night: Path, tmp_path: Path, work_log: Path
) -> None:
    bias = ToyBias.get()
    raw = bias.raw_bias_frames[0].object_id
    copy = shutil.copy(path_of(archive, raw), tmp_path / "copy.fits")
    other = bias.raw_bias_frames[1].object_id
    aside = lose(archive, other)
    lose(archive, raw)
    lose(archive, bias.object_id)
    with pytest.raises(UnreadableError) as caught:
        archive.mender.file(bias.object_id)
    assert f"ToyBias object {bias.object_id} " in str(caught.value)
    for number in (raw, other):
        assert f"`vo-service restore {number} --file COPY`" in str(caught.value)
    shutil.copy(copy, path_of(archive, raw))
    shutil.copy(night / "bias1.fits", aside)
    with pytest.raises(UnreadableError, match="cannot be made again now"):
        archive.mender.file(bias.object_id)
    archive.mender.close()


def test_no_damaged_file_is_sent(archive: Archive, night: Path, work_log: Path) -> None:
    bias = ToyBias.get()
    raw = bias.raw_bias_frames[0].object_id
    app = Flask(__name__)
    app.testing = True  # errors come as they are
    app.register_blueprint(files_blueprint(archive))
    client = app.test_client()
    whole = client.get(f"/files/{raw}").data
    assert whole == path_of(archive, raw).read_bytes()
    damage(archive, bias.object_id)
    answer = client.get(f"/files/{bias.object_id}", headers={"Range": "bytes=0-99"})
    assert answer.status_code == 200  # all of it, as a server without ranges may answer
    assert answer.data == path_of(archive, bias.object_id).read_bytes()
    assert list(damaged_files(archive)) == []
    damage(archive, raw)
    with pytest.raises(UnreadableError, match=f"RawBiasFrame object {raw}"):
        client.get(f"/files/{raw}")


def test_a_file_that_is_written_into_while_it_is_sent_breaks_off(
    archive: Archive, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = ToyBias.get().raw_bias_frames[0].object_id
    monkeypatch.setattr("vo_service.files._BLOCK", 1000)
    app = Flask(__name__)
    app.testing = True  # errors come as they are
    app.register_blueprint(files_blueprint(archive))
    size = path_of(archive, raw).stat().st_size
    answer = app.test_client().get(f"/files/{raw}", buffered=False)
    pieces = iter(answer.response)
    got = [len(next(pieces))]
    damage(archive, raw)
    with pytest.raises(UnreadableError, match="altered while it was sent"):
        got.extend(map(len, pieces))
    assert sum(got) < size


def test_a_file_is_read_for_its_checksum_once_and_again_when_it_was_written(
    archive: Archive, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = ToyBias.get().raw_bias_frames[0].object_id
    read: list[Path] = []
    own = damaged.checksum
    monkeypatch.setattr(damaged, "checksum", lambda path: (read.append(path), own(path))[1])
    monkeypatch.setattr(damaged, "_SETTLED_S", 0.0)
    damaged._SEEN.clear()  # what this process has seen before
    with archive.transaction() as session:
        product, _ = with_file(session, raw)
    path = path_of(archive, raw)
    for _ in range(3):
        see_unaltered(path, held(product, path))
    assert read == [path]
    path.touch()
    see_unaltered(path, held(product, path))
    assert read == [path, path]
    damage(archive, raw)
    for _ in range(2):
        with pytest.raises(UnreadableError, match="not as it was written"):
            see_unaltered(path, held(product, path))
